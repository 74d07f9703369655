//! `storage.redis_storage`: the layout that other programs know, expiry, and a server that goes away.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use redis::Commands as _;
use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::plugin::{ListQuery, SaveItem, Storage, StorageEntry, inventory};
use vconductor_tests::servers::redis::RedisServer;

use crate::vcons::{item, new_uuid, odd, small, whole};

pub(crate) fn trials() -> Vec<Trial> {
    fn trial<F: Future<Output = ()> + 'static>(name: &str, run: fn() -> F) -> Trial {
        Trial::test(format!("redis_storage::{name}"), move || {
            tokio::runtime::Runtime::new()?.block_on(run());
            Ok(())
        })
    }
    vec![
        trial("layout_is_that_of_vcon_server", layout_is_that_of_vcon_server),
        trial("what_vcon_server_wrote_is_ours_too", what_vcon_server_wrote_is_ours_too),
        trial("expired_vcons_leave_list_and_index", expired_vcons_leave_list_and_index),
        trial("kept_for_ever_has_no_expiry", kept_for_ever_has_no_expiry),
        trial("forgotten_scripts_are_sent_again", forgotten_scripts_are_sent_again),
        trial("server_killed_in_mid_batch_loses_nothing_that_was_saved", server_killed_in_mid_batch),
        trial("user_without_the_keys_is_told_which", user_without_the_keys_is_told_which),
    ]
}

fn storage(options: Value) -> Arc<dyn Storage> {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == "storage.redis_storage");
    (entry.expect("storage.redis_storage").build)("archive", options).expect("options")
}

async fn list(storage: &dyn Storage) -> Vec<String> {
    storage.list(&ListQuery { limit: 10_000, ..ListQuery::default() }).await.expect("a page").uuids
}

async fn layout_is_that_of_vcon_server() {
    let server = RedisServer::start();
    let storage = storage(json!({"redis_url": server.url()}));
    let uuid = new_uuid();
    storage.save(&item(&uuid, 1, odd(&uuid))).await.expect("saved");
    let mut client = server.connect();
    let found: Vec<String> = client.keys("vcon_storage:*").expect("keys");
    assert_eq!(found, [format!("vcon_storage:{uuid}")], "documents only");
    assert_eq!(client.get::<_, String>(&found[0]).expect("a string"), odd(&uuid));
    let left: i64 = client.ttl(&found[0]).expect("a time");
    assert!((604_790..=604_800).contains(&left), "{left}");
    storage.delete(&uuid).await.expect("deleted");
    assert_eq!(client.keys::<_, Vec<String>>("*").expect("keys"), Vec::<String>::new(), "nothing is left of it");
}

async fn what_vcon_server_wrote_is_ours_too() {
    let server = RedisServer::start();
    let storage = storage(json!({"redis_url": server.url(), "prefix": "old"}));
    let (uuid, mut client) = (new_uuid(), server.connect());
    let key = format!("old:{uuid}");
    let _: () = client.set_ex(&key, odd(&uuid), 100).expect("written");
    assert_eq!(storage.load(&uuid).await.expect("loads").expect("is there"), odd(&uuid));
    storage.save(&small(&uuid, 1)).await.expect("saved");
    assert!(storage.load(&uuid).await.expect("loads").expect("is there").starts_with(b"{\"vcon\":\"0.4.0\""));
    // It writes again, knowing nothing of revisions: our next save counts as newer.
    let _: () = client.set_ex(&key, odd(&uuid), 100).expect("written");
    storage.save(&small(&uuid, 2)).await.expect("saved");
    assert!(storage.load(&uuid).await.expect("loads").expect("is there").ends_with(b"}"));
    let _: () = client.del(&key).expect("deleted behind our back");
    assert!(list(&*storage).await.is_empty());
    storage.save(&small(&uuid, 1)).await.expect("an older revision of what is gone is new");
    assert_eq!(list(&*storage).await, std::slice::from_ref(&uuid));
    let _: () = client.set_ex(format!("old:{}", new_uuid()), "{}", 100).expect("written");
    assert!(storage.delete(&uuid).await.expect("deleted"));
}

async fn expired_vcons_leave_list_and_index() {
    let server = RedisServer::start();
    let brief = storage(json!({"redis_url": server.url(), "expires": 1}));
    let items: Vec<SaveItem> = (0..60).map(|_| small(&new_uuid(), 1)).collect();
    assert!(brief.save_many(&items).await.iter().all(Result::is_ok));
    assert_eq!(list(&*brief).await.len(), 60);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut client = server.connect();
    let indexed = |client: &mut redis::Connection| -> usize {
        ["created", "expiry"]
            .map(|index| client.zcard(format!("{{vcon_storage}}:{index}")).expect("a count"))
            .into_iter()
            .max()
            .unwrap_or(0)
    };
    // Whoever saves takes two out; whoever lists takes all out.
    let lasting = storage(json!({"redis_url": server.url()}));
    let kept = small(&new_uuid(), 1);
    for _ in 0..10 {
        lasting.save(&kept).await.expect("saved");
    }
    assert_eq!(indexed(&mut client), 41);
    assert_eq!(list(&*lasting).await, [kept.uuid]);
    assert_eq!(indexed(&mut client), 1);
    assert_eq!(brief.load(&items[0].uuid).await.expect("no error"), None);
}

async fn kept_for_ever_has_no_expiry() {
    let server = RedisServer::start();
    let (brief, ever) =
        (storage(json!({"redis_url": server.url()})), storage(json!({"redis_url": server.url(), "expires": 0})));
    let uuid = new_uuid();
    brief.save(&small(&uuid, 1)).await.expect("saved");
    ever.save(&small(&uuid, 2)).await.expect("saved");
    let mut client = server.connect();
    for key in client.keys::<_, Vec<String>>("*").expect("keys") {
        assert_eq!(client.ttl::<_, i64>(&key).expect("a time"), -1, "{key}");
    }
}

async fn forgotten_scripts_are_sent_again() {
    let server = RedisServer::start();
    let storage = storage(json!({"redis_url": server.url()}));
    let items: Vec<SaveItem> = (0..5).map(|_| small(&new_uuid(), 1)).collect();
    for round in 0..3 {
        server.cli(&["script", "flush"]);
        assert!(storage.save_many(&items).await.iter().all(Result::is_ok), "round {round}");
        assert_eq!(list(&*storage).await.len(), 5);
        server.cli(&["script", "flush"]);
        assert!(storage.delete(&items[round].uuid).await.expect("deleted"));
    }
    assert!(server.cli(&["keys", "*incoming*"]).is_empty());
}

async fn server_killed_in_mid_batch() {
    let mut server = RedisServer::durable();
    let storage = storage(json!({"redis_url": server.url(), "timeout": "2s"}));
    let (mut saved, mut failed) = (HashSet::new(), 0);
    for kill in 0..6_usize {
        let items: Vec<SaveItem> = (0..4000)
            .map(|_| {
                let uuid = new_uuid();
                item(&uuid, 1, whole(&uuid, "2026-09-10T14:00:00Z", json!({"subject": "x".repeat(6000)})).to_string())
            })
            .collect();
        let mut client = server.connect();
        let before = written(&mut client);
        let batch = Arc::clone(&storage);
        let copies = items.clone();
        let running = tokio::spawn(async move { batch.save_many(&copies).await });
        // Somewhere in the batch, each time at another place.
        while written(&mut client) < before + 50 + 600 * kill {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.kill();
        for (item, result) in items.iter().zip(running.await.expect("it ends")) {
            match result {
                Ok(()) => drop(saved.insert(item.uuid.clone())),
                Err(error) => {
                    assert!(error.is_retryable() && error.help_text().is_some(), "{}", error.chain_text());
                    failed += 1;
                }
            }
        }
        server.up();
        assert!(storage.save(&small(&new_uuid(), 1)).await.is_ok(), "it goes on after a restart of the server");
    }
    assert!(failed > 0 && !saved.is_empty(), "no batch was cut in two: {} saved, {failed} failed", saved.len());
    for uuid in &saved {
        assert!(storage.load(uuid).await.expect("loads").is_some(), "{uuid} was saved and is not there");
    }
    let listed: HashSet<String> = list_all(&*storage).await.into_iter().collect();
    assert!(saved.is_subset(&listed), "what was saved is listed");
}

fn written(client: &mut redis::Connection) -> usize {
    client.zcard("{vcon_storage}:created").expect("a count")
}

async fn list_all(storage: &dyn Storage) -> Vec<String> {
    let mut query = ListQuery { limit: 777, ..ListQuery::default() };
    let mut found = Vec::new();
    loop {
        let page = storage.list(&query).await.expect("a page");
        found.extend(page.uuids);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}

async fn user_without_the_keys_is_told_which() {
    let server = RedisServer::start();
    server.cli(&["acl", "setuser", "narrow", "on", ">pass", "+@all", "~vcon_storage:*"]);
    server.cli(&["acl", "setuser", "wide", "on", ">pass", "+@all", "~vcon_storage:*", "~{vcon_storage}:*"]);
    let of = |user: &str| storage(json!({"redis_url": server.url().replace("//", &format!("//{user}:pass@"))}));
    let error = of("narrow").save(&small(&new_uuid(), 1)).await.expect_err("no rights");
    assert_eq!(error.class(), Class::Configuration, "{}", error.chain_text());
    assert!(error.help_text().is_some_and(|help| help.contains("{<prefix>}:*")), "{error:?}");
    // Health would otherwise promise what saving does not keep.
    assert_eq!(of("narrow").health().await.expect_err("no rights").class(), Class::Configuration);
    of("wide").health().await.expect("all rights");
    of("wide").save(&small(&new_uuid(), 1)).await.expect("saved");
    let wrong = of("nobody").save(&small(&new_uuid(), 1)).await.expect_err("no such user");
    assert!(wrong.class() == Class::Configuration && !wrong.chain_text().contains("pass@"), "{}", wrong.chain_text());
}
