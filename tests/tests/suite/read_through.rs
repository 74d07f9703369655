//! A vCon that the store has lost or never had is read back from a storage of its chain.

use std::sync::Arc;

use serde_json::{Value, json};
use vconductor_core::plugin::{SaveItem, StorageEntry, inventory};
use vconductor_core::store::NewVcon;
use vconductor_core::vcon::Vcon;
use vconductor_tests::servers::mongo::MongoServer;
use vconductor_tests::servers::postgres::PostgresServer;
use vconductor_tests::stage::{Stage, uuid, vcon};

async fn read_through(module: &str, options: Value) {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == module).expect("a module");
    let storage = (entry.build)("archive", options.clone()).expect("options");
    let stage = Stage::new();
    for number in 0..20 {
        let id = uuid(number);
        let vcon = Arc::new(Vcon::read(vcon(&id)).expect("a vCon"));
        let item = SaveItem { uuid: id.clone(), revision: 1_000_000, vcon, effect_id: String::new() };
        storage.save(&item).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
        let enqueued =
            NewVcon { uuid: id, document: None, lists: vec!["in".to_owned()], keep: None, context: None, tenant: None };
        stage.store.ingest(vec![enqueued]).await.expect("the store takes a uuid alone");
    }
    let figures = stage
        .run(&format!(
            "links:\n  t: {{module: links.tag, options: {{tags: [seen]}}}}\nstorages:\n  archive: {{module: {module}, \
             options: {options}}}\nchains:\n  c: {{ingress_lists: [in], egress_lists: [out], links: [t], storages: \
             [archive]}}\n"
        ))
        .await;
    assert_eq!(stage.take("out").await.len(), 20, "{figures:?}");
    for number in 0..20 {
        let id = uuid(number);
        let document = stage.document(&id).await;
        let body = document["attachments"][0]["body"].as_str().expect("tags");
        assert!(body.contains("seen"), "{document}");
        let written = storage.load(&id).await.expect("loads").expect("is there");
        assert_eq!(
            serde_json::from_slice::<Value>(&written).expect("JSON"),
            document,
            "the newer revision is written back"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_lacks_comes_from_postgres() {
    let server = PostgresServer::start();
    read_through("storage.postgres", json!({"url": server.url()})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_lacks_comes_from_mongo() {
    let server = MongoServer::start();
    read_through("storage.mongo", json!({"url": server.url()})).await;
}
