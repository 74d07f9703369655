//! Ways to a server: TLS, users with few rights, both protocols, sockets, Sentinel.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vconductor_core::store::redis::{RedisStore, Settings, commands_needed};
use vconductor_core::store::{Committed, Documents, End, ProcessId, Queue, Store};
use vconductor_core::{Class, Error};
use vconductor_tests::servers::certificates::Certificates;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::servers::sentinel::Sentinels;

use crate::redis_faults::{conduct, fill};
use crate::world::{ending, new_vcon, push, request, trials};

trials![
    "redis::reach",
    tls_with_an_own_authority_and_a_client_certificate,
    what_is_wrong_with_tls_is_said,
    a_user_that_lacks_a_command_is_told_which,
    a_user_that_lacks_keys_is_told_so,
    a_renamed_command_is_named,
    a_server_that_may_evict_is_a_risk,
    both_protocols_a_socket_and_a_database_work,
    sentinel_names_the_master,
    a_failover_under_load_stops_nobody,
];

fn quick() -> Settings {
    Settings {
        response_timeout: Duration::from_millis(1500),
        connect_timeout: Duration::from_millis(800),
        ..Settings::default()
    }
}

async fn refused(url: &str) -> Error {
    let error = RedisStore::connect(url, quick()).await.expect_err("it cannot be used");
    assert!(error.help_text().is_some(), "{}", error.chain_text());
    error
}

/// One vCon goes through.
async fn works(url: &str) -> Arc<RedisStore> {
    let store = RedisStore::connect(url, quick()).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    assert!(store.renew(&process).expect("a heartbeat"));
    store.ingest(vec![new_vcon("a", &["calls"])]).await.expect("an ingest");
    let ask = Some(request(&[("calls", 1, 1)], 1));
    let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("a claim");
    let mut commit = ending(&claimed[0], End::Done);
    commit.pushes = vec![push("out", "a")];
    let (committed, _) = store.exchange(&process, vec![commit], None).await.expect("a commit");
    assert_eq!(committed, [Committed::Done]);
    store.deregister(&process).await.expect("an end");
    store
}

async fn tls_with_an_own_authority_and_a_client_certificate() {
    let certificates = Certificates::new();
    let (_server, port) = RedisServer::with_tls(&certificates, &[]);
    for protocol in ["resp2", "resp3"] {
        let url = format!("rediss://127.0.0.1:{port}/2?{}&protocol={protocol}", certificates.parameters());
        let store = works(&url).await;
        assert_eq!(store.describe(), format!("rediss://127.0.0.1:{port}/2"));
    }
}

async fn what_is_wrong_with_tls_is_said() {
    let certificates = Certificates::new();
    let (server, port) = RedisServer::with_tls(&certificates, &[]);
    let cases = [
        (format!("rediss://127.0.0.1:{port}"), "not trusted", "ssl_ca_certs"),
        (
            format!("rediss://127.0.0.1:{port}?ssl_ca_certs={}", certificates.path("other.pem")),
            "not trusted",
            "ssl_ca_certs",
        ),
        (
            format!("rediss://127.0.0.1:{port}?ssl_ca_certs={}", certificates.path("ca.pem")),
            "does not accept this client",
            "ssl_certfile",
        ),
    ];
    for (url, message, help) in cases {
        let error = refused(&url).await;
        assert_eq!(error.class(), Class::Configuration, "{}", error.chain_text());
        assert!(error.message().contains(message), "{url}: {}", error.chain_text());
        assert!(error.help_text().is_some_and(|text| text.contains(help)), "{url}: {:?}", error.help_text());
    }
    // A server without TLS waits for the rest of what it takes for a command.
    let error = refused(&format!("rediss://127.0.0.1:{}?{}", server.port(), certificates.parameters())).await;
    assert!(error.help_text().is_some_and(|help| help.contains("speaks TLS")), "{}", error.chain_text());
    // Whoever asks for it gets a connection that trusts anybody.
    let (_open, port) = RedisServer::with_tls(&certificates, &["--tls-auth-clients", "no"]);
    works(&format!("rediss://127.0.0.1:{port}?ssl_cert_reqs=none")).await;
}

async fn a_user_that_lacks_a_command_is_told_which() {
    let server = RedisServer::with_json();
    let commands: BTreeSet<&str> = commands_needed().collect();
    assert!(commands.len() >= 50, "{commands:?}");
    let url = format!("redis://few:few@127.0.0.1:{}", server.port());
    let all: Vec<String> = commands.iter().map(|command| format!("+{}", command.to_lowercase())).collect();
    let grant = |rules: &[String]| {
        let mut call = vec!["ACL", "SETUSER", "few", "reset", "on", ">few", "~*"];
        call.extend(rules.iter().map(String::as_str));
        assert_eq!(server.cli(&call), "OK");
    };
    grant(&all);
    works(&url).await;
    for command in &commands {
        let mut rules = all.clone();
        rules.push(format!("-{}", command.to_lowercase()));
        grant(&rules);
        let error = refused(&url).await;
        assert_eq!(error.class(), Class::Configuration, "{}", error.chain_text());
        assert!(error.message().contains(command), "{command}: {}", error.chain_text());
        assert!(error.help_text().is_some_and(|help| help.contains(&command.to_lowercase())), "{command}");
    }
}

async fn a_user_that_lacks_keys_is_told_so() {
    let server = RedisServer::start();
    server.cli(&["ACL", "SETUSER", "few", "on", ">few", "+@all", "~vcon:*", "~vconductor:*"]);
    let error = refused(&format!("redis://few:few@127.0.0.1:{}", server.port())).await;
    assert_eq!(error.class(), Class::Configuration);
    assert!(
        error.message().contains("`DLQ:probe`") && !error.message().contains("`vcon:probe`"),
        "{}",
        error.message()
    );
}

async fn a_renamed_command_is_named() {
    let server = RedisServer::with(&["--save", "", "--rename-command", "LPOS", "hidden"]);
    let error = refused(&server.url()).await;
    assert_eq!(error.class(), Class::Configuration);
    assert!(error.message().contains("LPOS"), "{}", error.chain_text());
}

async fn a_server_that_may_evict_is_a_risk() {
    let server = RedisServer::start();
    let risk = async || works(&server.url()).await.risk();
    assert_eq!(risk().await, None);
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    assert_eq!(risk().await, None, "nothing is evicted without a limit");
    server.cli(&["CONFIG", "SET", "maxmemory", "1gb"]);
    assert!(risk().await.is_some_and(|text| text.contains("volatile-ttl") && text.contains("evict")));
    server.cli(&["ACL", "SETUSER", "few", "on", ">few", "~*", "+@all", "-info", "-config"]);
    let silent = works(&format!("redis://few:few@127.0.0.1:{}", server.port())).await;
    assert_eq!(silent.risk(), None, "what is not known is not claimed");
}

async fn both_protocols_a_socket_and_a_database_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("redis.sock").display().to_string();
    let server = RedisServer::with(&["--save", "", "--unixsocket", &socket]);
    let store = works(&format!("unix://{socket}?db=5")).await;
    assert_eq!(store.describe(), format!("unix://{socket}/5"));
    assert_eq!(server.cli(&["-n", "5", "LLEN", "out"]), "1");
    for protocol in ["2", "3"] {
        works(&format!("redis://127.0.0.1:{}/7?protocol={protocol}", server.port())).await;
    }
    assert_eq!(server.cli(&["-n", "7", "LLEN", "out"]), "2");
    assert_eq!(server.cli(&["DBSIZE"]), "0", "nothing is written elsewhere");
}

async fn sentinel_names_the_master() {
    // Everything over TLS, and a password on each side.
    let certificates = Certificates::new();
    let (_server, port) = RedisServer::with_tls(&certificates, &["--requirepass", "right"]);
    let file = |name: &str| certificates.path(name);
    let lines = [
        format!("tls-ca-cert-file {}", file("ca.pem")),
        format!("tls-cert-file {}", file("server.pem")),
        format!("tls-key-file {}", file("server.key")),
        "tls-replication yes".to_owned(),
        "requirepass watch".to_owned(),
    ];
    let parameters = format!("?{}&sentinel_password=watch", certificates.parameters());
    let mut sentinels = Sentinels::start(port, "rediss", &parameters, &lines);
    let started = std::time::Instant::now();
    while RedisStore::connect(&sentinels.url(":right@"), quick()).await.is_err_and(|error| error.is_retryable()) {
        assert!(started.elapsed() < Duration::from_secs(10), "the Sentinels do not come up");
    }
    let store = works(&sentinels.url(":right@")).await;
    assert!(store.describe().starts_with("rediss+sentinel://127.0.0.1:"), "{}", store.describe());
    assert!(!store.describe().contains("right") && !store.describe().contains("watch"));
    let error = refused(&sentinels.url(":right@").replace("/main/", "/other/")).await;
    assert!(error.message().contains("master") && error.class() == Class::Configuration, "{}", error.chain_text());
    let error = refused(&sentinels.url(":wrong@")).await;
    assert!(error.help_text().is_some_and(|help| help.contains("password")), "{}", error.chain_text());
    // The next one answers when the first does not.
    sentinels.kill(0);
    works(&sentinels.url(":right@")).await;
}

/// Every uuid is on `out` at least once, and nothing is held, although the master was killed while it was busy. More
/// than that is not Redis's to promise: its replicas are behind.
async fn a_failover_under_load_stops_nobody() {
    const COUNT: usize = 3000;
    let mut first = RedisServer::start();
    let port = first.port().to_string();
    let second = RedisServer::with(&["--save", "", "--appendonly", "no", "--replicaof", "127.0.0.1", &port]);
    let sentinels = Sentinels::start(first.port(), "redis", "", &[]);
    sentinels.ready(&[]);
    fill(&RedisStore::connect(&first.url(), quick()).await.expect("a store"), "in", COUNT).await;
    first.reaches(&second);
    let ended = Arc::new(AtomicBool::new(false));
    let store = RedisStore::connect(&sentinels.url(""), quick()).await.expect("a store");
    let flag = Arc::clone(&ended);
    let conductor = tokio::spawn(async move { conduct(store, &[("in", 1)], COUNT, &flag).await });
    while second.cli(&["LLEN", "out"]).parse::<usize>().expect("a number") < 200 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first.kill();
    let killed = std::time::Instant::now();
    while sentinels.master() != second.port() {
        assert!(killed.elapsed() < Duration::from_secs(20), "no failover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let named = std::time::Instant::now();
    let before: usize = second.cli(&["LLEN", "out"]).parse().expect("a number");
    while second.cli(&["LLEN", "out"]).parse::<usize>().expect("a number") <= before && !conductor.is_finished() {
        assert!(named.elapsed() < Duration::from_secs(5), "work does not go on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    conductor.await.expect("a conductor");
    assert!(ended.load(Ordering::SeqCst));
    let out: Vec<String> =
        redis::cmd("LRANGE").arg("out").arg(0).arg(-1).query(&mut second.connect()).expect("the list");
    let once: BTreeSet<&String> = out.iter().collect();
    assert_eq!(once.len(), COUNT, "nothing is lost");
    println!("{} done again, work went on {:?} after the new master was named", out.len() - COUNT, named.elapsed());
    for rest in ["{in}:wips", "in", "{in}:returned"] {
        assert_eq!(second.cli(&["TYPE", rest]), "none", "{rest} is left");
    }
}
