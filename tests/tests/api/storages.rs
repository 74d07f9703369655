//! What has left the store is had back from the storages, and what is deleted is deleted there.

use std::sync::Arc;

use serde_json::json;
use vconductor_core::plugin::{Registry, SaveItem, Storage};
use vconductor_core::store::TenantScope;
use vconductor_core::vcon::Vcon;

use crate::world::{Call, World, cases, uuid, vcon};

cases![
    what_is_not_in_the_store_is_read_from_a_storage_and_kept,
    a_storage_that_fails_is_passed_over,
    what_is_deleted_is_deleted_from_storages,
    what_only_a_storage_knows_can_be_put_on_a_list,
];

fn files(world: &World, folder: &str) -> Arc<dyn Storage> {
    let registry = Registry::collect().expect("plugins");
    let entry = registry.storage("storage.file").expect("the storage");
    let path = world.folder.path().join(folder);
    (entry.build)(folder, json!({"path": path})).expect("a storage")
}

async fn save(storage: &dyn Storage, number: usize) {
    let vcon = Arc::new(Vcon::read(vcon(&uuid(number))).expect("a vCon"));
    let item = SaveItem { uuid: uuid(number), revision: 1, vcon, effect_id: String::new() };
    storage.save(&item).await.expect("it is saved");
}

async fn what_is_not_in_the_store_is_read_from_a_storage_and_kept(world: World) {
    let (first, second) = (files(&world, "first"), files(&world, "second"));
    save(&*second, 1).await;
    let storages = vec![("first".to_owned(), first), ("second".to_owned(), second)];
    let server = world.serve_with(|settings| settings.storages = storages).await;
    let path = format!("/vcon/{}", uuid(1));
    let answer = server.get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.text), (200, vcon(&uuid(1))));
    assert_eq!(
        world.store.get(&TenantScope::Everything, &uuid(1)).await.expect("an answer").expect("it is kept").document,
        vcon(&uuid(1))
    );
    assert_eq!(server.get(&format!("/vcon/{}", uuid(2))).await.status, 404);
    let several = server.get(&format!("/vcons?vcon_uuids={}&vcon_uuids={}", uuid(2), uuid(1))).await;
    assert_eq!(several.json()[1]["uuid"], uuid(1));
}

async fn a_storage_that_fails_is_passed_over(world: World) {
    let (broken, good) = (files(&world, "broken"), files(&world, "good"));
    save(&*good, 1).await;
    // Where its folder should be, there is a file.
    std::fs::write(world.folder.path().join("broken"), "x").expect("a file");
    let storages = vec![("broken".to_owned(), broken), ("good".to_owned(), good)];
    let server = world.serve_with(|settings| settings.storages = storages).await;
    assert_eq!(server.get(&format!("/vcon/{}", uuid(1))).await.status, 200);
    assert_eq!(server.ask(Call::new("DELETE", &format!("/vcon/{}", uuid(1)))).await.status, 204);
    assert_eq!(server.get(&format!("/vcon/{}", uuid(1))).await.status, 404);
}

async fn what_is_deleted_is_deleted_from_storages(world: World) {
    let storage = files(&world, "files");
    save(&*storage, 1).await;
    let storages = vec![("files".to_owned(), Arc::clone(&storage))];
    let server = world.serve_with(|settings| settings.storages = storages).await;
    server.post("/vcon", vcon(&uuid(1))).await;
    assert_eq!(server.ask(Call::new("DELETE", &format!("/vcon/{}", uuid(1)))).await.status, 204);
    assert!(storage.load(&uuid(1)).await.expect("an answer").is_none());
    assert_eq!(server.get(&format!("/vcon/{}", uuid(1))).await.status, 404);
}

async fn what_only_a_storage_knows_can_be_put_on_a_list(world: World) {
    let storage = files(&world, "files");
    save(&*storage, 1).await;
    let storages = vec![("files".to_owned(), storage)];
    let server = world.serve_with(|settings| settings.storages = storages).await;
    let body = json!([uuid(1), uuid(2)]).to_string();
    assert_eq!(server.post("/vcon/ingress?ingress_list=calls", body).await.status, 204);
    assert_eq!(server.get("/vcon/egress?egress_list=calls&limit=5").await.json(), json!([uuid(1)]));
}
