//! `kill -9` of the server while clients post: every vCon that was answered with 2xx is there, and each once.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use vconductor_core::store::embedded::{EmbeddedStore, Settings as EmbeddedSettings};
use vconductor_core::store::redis::{RedisStore, Settings as RedisSettings};
use vconductor_core::store::{Store, TenantScope};
use vconductor_tests::servers::redis::{RedisServer, free_port};
use vconductor_tests::stage::Stage;

use crate::world::{Backend, HEADER, TOKEN, runtime, uuid, vcon};

/// Clients that post at once.
const CLIENTS: usize = 16;
/// The longest that one post is tried again.
const TRIES: usize = 2000;

pub(crate) fn trials() -> Vec<Trial> {
    [Backend::Embedded, Backend::Redis]
        .map(|backend| {
            Trial::test(format!("{}::crash::what_was_accepted_is_there_once", backend.name()), move || {
                runtime().block_on(campaign(backend));
                Ok(())
            })
        })
        .into()
}

/// Posts of one campaign: `VCONDUCTOR_POSTS` where it is set.
fn posts() -> usize {
    std::env::var("VCONDUCTOR_POSTS").ok().map_or(1500, |text| text.parse().expect("a number"))
}

/// A server in a process of its own.
struct Served(Child);

impl Served {
    fn start(url: &str, port: u16, folder: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
        command.args(["serve", "--store", url, "--http", &format!("127.0.0.1:{port}")]).current_dir(folder);
        command.env("CONSERVER_API_TOKEN", TOKEN).env_remove("REDIS_URL").env_remove("CONSERVER_CONFIG_FILE");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Served(command.spawn().expect("it starts"))
    }

    fn kill(&mut self) {
        self.0.kill().expect("it is killed");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().expect("it ends");
    }
}

async fn campaign(backend: Backend) {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = (backend == Backend::Redis).then(RedisServer::durable);
    let directory = folder.path().join("store");
    let url = redis.as_ref().map_or_else(|| format!("embedded:{}", directory.display()), RedisServer::url);
    let port = free_port();
    let (next, done, kills) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let killer = tokio::task::spawn_blocking({
        let (done, kills, url, folder) = (Arc::clone(&done), Arc::clone(&kills), url.clone(), folder.path().to_owned());
        move || {
            let mut served = Served::start(&url, port, &folder);
            while !done.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(fastrand::u64(300..1200)));
                if !done.load(Ordering::SeqCst) {
                    served.kill();
                    kills.fetch_add(1, Ordering::SeqCst);
                    served = Served::start(&url, port, &folder);
                }
            }
        }
    });
    let clients = (0..CLIENTS).map(|_| tokio::spawn(post_all(port, Arc::clone(&next), posts())));
    let repeated: usize =
        futures_util::future::join_all(clients).await.into_iter().map(|one| one.expect("a client")).sum();
    done.store(true, Ordering::SeqCst);
    killer.await.expect("the killer ends");
    let store: Arc<dyn Store> = match backend {
        Backend::Embedded => EmbeddedStore::open(&directory, EmbeddedSettings::default()).expect("a store"),
        Backend::Redis => RedisStore::connect(&url, RedisSettings::default()).await.expect("a store"),
    };
    let stage = Stage::on(Arc::clone(&store));
    let expected: BTreeMap<String, usize> = (0..posts()).map(|number| (uuid(number), 1)).collect();
    for number in [0, posts() / 2, posts() - 1] {
        let stored =
            store.get(&TenantScope::Everything, &uuid(number)).await.expect("an answer").expect("it is stored");
        assert_eq!(stored.document, vcon(&uuid(number)));
    }
    assert_eq!(stage.take("calls").await, expected);
    let kills = kills.load(Ordering::SeqCst);
    assert!(kills >= 1, "nobody was killed");
    println!("{}: {} posts, {kills} kills, {repeated} posts tried again", backend.name(), posts());
}

/// Posts what nobody else posts, each until it is answered with 2xx; answers how often one was tried again.
async fn post_all(port: u16, next: Arc<AtomicUsize>, posts: usize) -> usize {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().expect("a client");
    let mut repeated = 0;
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= posts {
            return repeated;
        }
        let mut tries = 0;
        loop {
            let request = client
                .post(format!("http://127.0.0.1:{port}/vcon?ingress_lists=calls"))
                .header(HEADER, TOKEN)
                .header("Idempotency-Key", number.to_string())
                .body(vcon(&uuid(number)));
            match request.send().await {
                Ok(response) if response.status().is_success() => break,
                Ok(response) if response.status().is_server_error() => {}
                Ok(response) => panic!("{} for post {number}", response.status()),
                Err(_) => {}
            }
            tries += 1;
            assert!(tries < TRIES, "post {number} is never accepted");
            repeated += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
