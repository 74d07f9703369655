//! The keys of an API.

use vconductor_core::store::StoredKey;

use crate::world::{World, cases};

cases![keys_are_kept_changed_and_forgotten, the_last_use_is_remembered_beside_the_key, another_handle_sees_the_keys];

fn key(id: &str) -> StoredKey {
    StoredKey {
        id: id.to_owned(),
        name: format!("key {id}"),
        hash: "ab".repeat(32),
        scopes: vec!["read".to_owned(), "ingress:calls".to_owned()],
        created_at: 1,
        tenant: Some("acme".parse().expect("a name")),
        expires_at: Some(2),
        used_at: None,
    }
}

async fn keys_are_kept_changed_and_forgotten(world: World) {
    assert!(world.store.keys().await.expect("the keys").is_empty());
    for id in ["b", "a"] {
        world.store.keep_key(&key(id)).await.expect("a key is kept");
    }
    let changed = StoredKey { expires_at: None, ..key("a") };
    world.store.keep_key(&changed).await.expect("a key is kept");
    assert_eq!(world.store.keys().await.expect("the keys"), [changed, key("b")]);
    assert!(world.store.forget_key("a").await.expect("an answer"));
    assert!(!world.store.forget_key("a").await.expect("an answer"));
    assert_eq!(world.store.keys().await.expect("the keys"), [key("b")]);
}

async fn the_last_use_is_remembered_beside_the_key(world: World) {
    world.store.keep_key(&key("a")).await.expect("a key is kept");
    world.store.key_used("a", 77).await.expect("a note");
    world.store.key_used("unknown", 78).await.expect("a note about nothing");
    assert_eq!(world.store.keys().await.expect("the keys"), [StoredKey { used_at: Some(77), ..key("a") }]);
    world.store.keep_key(&StoredKey { name: "renamed".to_owned(), ..key("a") }).await.expect("a key is kept");
    assert_eq!(world.store.keys().await.expect("the keys")[0].used_at, Some(77));
}

async fn another_handle_sees_the_keys(world: World) {
    let other = world.another().await;
    world.store.keep_key(&key("a")).await.expect("a key is kept");
    assert_eq!(other.keys().await.expect("the keys"), [key("a")]);
    other.forget_key("a").await.expect("an answer");
    assert!(world.store.keys().await.expect("the keys").is_empty());
}
