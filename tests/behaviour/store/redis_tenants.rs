//! What tenants cost on Redis, and what they leave there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Committed, Documents, End, Made, NewVcon, ProcessId, Queue, TenantScope};
use vconductor_tests::servers::redis::RedisServer;

use crate::redis_large::monitor;
use crate::world::{ALL, ending, new_vcon, request, save, text_of, trials};

trials![
    "redis::tenants",
    without_tenants_no_command_is_about_them,
    a_delete_and_a_sweep_leave_no_key_of_a_tenant,
    what_another_program_deletes_is_free,
];

async fn open(server: &RedisServer) -> Arc<RedisStore> {
    RedisStore::connect(&server.url(), Settings::default()).await.expect("a store")
}

fn of(tenant: &str, uuid: &str) -> NewVcon {
    NewVcon { tenant: Some(tenant.parse().expect("a name")), ..new_vcon(uuid, &["calls"]) }
}

/// What a run costs is promised; here that none of it is for tenants.
async fn without_tenants_no_command_is_about_them() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let seen = monitor(&server);
    store.ingest(vec![new_vcon("a", &["calls"]), new_vcon("b", &["calls"])]).await.expect("an ingest");
    let ask = Some(request(&[("calls", 9, 1)], 9));
    let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("an exchange");
    let mut commits: Vec<_> = claimed.iter().map(|claimed| ending(claimed, End::Done)).collect();
    commits[0].save = save("a", r#"{"uuid":"a","edited":true}"#, 0);
    let (committed, _) = store.exchange(&process, commits, None).await.expect("an exchange");
    assert_eq!(committed, [Committed::Done; 2]);
    store.get(ALL, "a").await.expect("a read").expect("a document");
    store.documents(ALL, None, 9).await.expect("a page");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let lines = seen.lock().expect("the lines").clone();
    // Lanes load all scripts when they connect.
    let about: Vec<&String> =
        lines.iter().filter(|line| line.contains("tenant") && !line.contains("\"SCRIPT\" \"LOAD\"")).collect();
    assert!(lines.len() > 20 && about.is_empty(), "{about:?}");
}

async fn a_delete_and_a_sweep_leave_no_key_of_a_tenant() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let brief = NewVcon { keep: Some(Duration::from_millis(50)), lists: Vec::new(), ..of("acme", "b") };
    store.ingest(vec![of("acme", "a"), brief, of("acme", "c")]).await.expect("an ingest");
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let ask = Some(request(&[("calls", 1, 1)], 1));
    let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("an exchange");
    let mut commit = ending(&claimed[0], End::Done);
    commit.made = vec![Made { uuid: "d".to_owned(), document: Bytes::from(text_of("d")), lists: Vec::new() }];
    store.exchange(&process, vec![commit], None).await.expect("an exchange");
    assert_eq!(server.cli(&["GET", "{vcon:d}:tenant"]), "acme");
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.sweep().await.expect("a sweep");
    assert!(store.delete(ALL, "a").await.expect("a delete"));
    for uuid in ["c", "d"] {
        let acme = TenantScope::One("acme".parse().expect("a name"));
        assert!(store.delete(&acme, uuid).await.expect("a delete"));
    }
    assert_eq!(server.cli(&["KEYS", "*tenant*"]), "");
}

async fn what_another_program_deletes_is_free() {
    let server = RedisServer::start();
    let store = open(&server).await;
    store.ingest(vec![of("acme", "a")]).await.expect("an ingest");
    server.cli(&["DEL", "vcon:a"]);
    store.ingest(vec![of("other", "a")]).await.expect("an ingest");
    assert_eq!(server.cli(&["GET", "{vcon:a}:tenant"]), "other");
    assert_eq!(server.cli(&["KEYS", "vconductor:tenant:acme:*"]), "");
    // Nobody says whose it is that another program writes: it is nobody's.
    server.cli(&["SET", "vcon:b", "{}"]);
    let error = store.ingest(vec![of("acme", "b")]).await.expect_err("it is refused");
    assert!(error.message().contains("vCon b"), "{error}");
}
