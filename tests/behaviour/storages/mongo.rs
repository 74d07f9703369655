//! `storage.mongo` on a real server: the document that other programs know, limits, and what is beside it.

use std::future::Future;
use std::sync::Arc;

use libtest_mimic::Trial;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::plugin::{ListQuery, SaveItem, Storage, StorageEntry, inventory};
use vconductor_tests::servers::mongo::MongoServer;

use crate::vcons::{created, item, new_uuid, small, whole};

pub(crate) fn trials() -> Vec<Trial> {
    fn trial<F: Future<Output = ()> + 'static>(name: &str, run: fn() -> F) -> Trial {
        Trial::test(format!("mongo::{name}"), move || {
            tokio::runtime::Runtime::new()?.block_on(run());
            Ok(())
        })
    }
    vec![
        trial("layout_is_that_of_vcon_server", layout_is_that_of_vcon_server),
        trial("what_vcon_server_wrote_is_ours_too", what_vcon_server_wrote_is_ours_too),
        trial("spelling_and_odd_names_come_back", spelling_and_odd_names_come_back),
        trial("vcons_without_a_date_are_listed", vcons_without_a_date_are_listed),
        trial("a_vcon_beyond_16_megabytes_fails_alone", a_vcon_beyond_the_limit_fails_alone),
        trial("older_ones_in_a_batch_hold_nothing_up", older_ones_in_a_batch),
        trial("wrong_passwords_stay_secret", wrong_passwords_stay_secret),
    ]
}

fn storage(options: Value) -> Arc<dyn Storage> {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == "storage.mongo");
    (entry.expect("storage.mongo").build)("documents", options).expect("options")
}

fn of(server: &MongoServer) -> Arc<dyn Storage> {
    storage(json!({"url": server.url()}))
}

async fn save(storage: &dyn Storage, item: &SaveItem) {
    storage.save(item).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
}

async fn load(storage: &dyn Storage, uuid: &str) -> Value {
    let document = storage.load(uuid).await.expect("loads").expect("is there");
    serde_json::from_slice(&document).expect("JSON")
}

async fn vcons(server: &MongoServer) -> mongodb::Collection<Document> {
    server.client().await.database("conserver").collection("vcons")
}

fn date(text: &str) -> Bson {
    Bson::DateTime(DateTime::from_millis(text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()))
}

async fn layout_is_that_of_vcon_server() {
    let server = MongoServer::start();
    let storage = of(&server);
    let uuid = new_uuid();
    let dialog = json!([{"type": "text", "start": "2026-09-10T16:00:00+02:00", "body": "x"}, {"start": null}, {}]);
    let vcon = whole(&uuid, "2026-09-10T14:00:00Z", json!({"dialog": dialog, "gone": {"with": "the next one"}}));
    save(&*storage, &item(&uuid, 5, vcon.to_string())).await;
    let vcons = vcons(&server).await;
    let mut found = vcons.find_one(doc! {"_id": &uuid}).await.expect("an answer").expect("is there");
    assert_eq!(found.get("created_at"), Some(&date("2026-09-10T14:00:00Z")));
    let dialogs = found.get_array("dialog").expect("an array").clone();
    assert_eq!(dialogs[0].as_document().and_then(|dialog| dialog.get("start")), Some(&date("2026-09-10T14:00:00Z")));
    assert_eq!(dialogs[1], Bson::Document(doc! {"start": null}));
    let side = found.remove("_vconductor").expect("our member");
    assert_eq!(side.as_document().and_then(|side| side.get_i64("revision").ok()), Some(5));
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let expected = ["_id", "vcon", "uuid", "created_at", "parties", "dialog", "analysis", "attachments", "gone"];
    assert_eq!(names, expected);
    assert_eq!(load(&*storage, &uuid).await, vcon, "the way back");
    let indexes = vcons.list_index_names().await.expect("an answer");
    assert!(indexes.iter().any(|name| name == "created_at_1__id_1"), "{indexes:?}");
    // Replaced, not merged.
    save(&*storage, &small(&uuid, 6)).await;
    let found = vcons.find_one(doc! {"_id": &uuid}).await.expect("an answer").expect("is there");
    assert!(!found.contains_key("gone"), "{found}");
}

async fn what_vcon_server_wrote_is_ours_too() {
    let server = MongoServer::start();
    let (storage, vcons) = (of(&server), vcons(&server).await);
    let uuid = new_uuid();
    let theirs = |subject: &str| {
        doc! {
            "_id": &uuid, "uuid": &uuid, "vcon": "0.0.1", "created_at": date("2026-09-10T14:00:00.25Z"), "subject": subject,
            "dialog": [{"type": "text", "start": date("2026-09-10T14:00:00Z"), "duration": 1.5, "parties": [0, 1]}],
            "parties": [], "theirs": 3_000_000_000_i64,
        }
    };
    let update = |subject: &str| (doc! {"_id": &uuid}, doc! {"$set": theirs(subject)});
    let (filter, change) = update("theirs");
    vcons.update_one(filter, change).upsert(true).await.expect("written");
    let expected = |subject: &str| {
        json!({
            "uuid": uuid, "vcon": "0.0.1", "created_at": "2026-09-10T14:00:00.25Z", "subject": subject, "parties": [],
            "dialog": [{"type": "text", "start": "2026-09-10T14:00:00Z", "duration": 1.5, "parties": [0, 1]}],
            "theirs": 3_000_000_000_u64,
        })
    };
    assert_eq!(load(&*storage, &uuid).await, expected("theirs"), "without `_id`");
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    assert_eq!(storage.list(&query).await.expect("a page").uuids, std::slice::from_ref(&uuid));
    save(&*storage, &created(&uuid, 3, "2026-09-10T23:30:00-05:00")).await;
    assert_eq!(load(&*storage, &uuid).await["subject"], "revision 3", "a document without a revision is the oldest");
    let indexes = vcons.list_index_names().await.expect("an answer");
    assert_eq!(indexes, ["_id_"], "its collection is used as it is");
    // It goes on writing there, knowing nothing of our member: what it set counts, not what we remember of it.
    let (filter, change) = update("theirs again");
    vcons.update_one(filter, change).await.expect("written");
    let mut found = load(&*storage, &uuid).await;
    let members = found.as_object_mut().expect("an object");
    members.remove("analysis");
    members.remove("attachments");
    assert_eq!(found, expected("theirs again"));
    save(&*storage, &small(&uuid, 2)).await;
    assert_eq!(load(&*storage, &uuid).await["subject"], "theirs again", "revision 3 was here");
    assert!(storage.delete(&uuid).await.expect("deleted"));
}

async fn spelling_and_odd_names_come_back() {
    let server = MongoServer::start();
    let storage = of(&server);
    let uuid = new_uuid();
    let deep = format!("{}1.0{}", "{\"n\":".repeat(110), "}".repeat(110));
    let text = format!(
        r#"{{"uuid":"{uuid}","created_at":"2026-09-10T23:30:00.000-05:00","parties":[{{"$x":1,"a.b":[2.0],"":3}}],"big":123456789012345678901234567890.10,"e":1e3,"s":"\ud800 �  ","deep":{deep},"_id":"mine","_vconductor":7}}"#
    );
    save(&*storage, &item(&uuid, 1, text.clone())).await;
    let document = storage.load(&uuid).await.expect("loads").expect("is there");
    let document = String::from_utf8_lossy(&document).into_owned();
    let numbers = ["-05:00", "123456789012345678901234567890.10", ":1e3", r"\ud800", &deep];
    let names = [r#""_id":"mine""#, r#""_vconductor":7"#, r#""$x":1"#, r#""a.b":[2.0]"#, r#""":3"#];
    for spelled in [numbers, names].concat() {
        assert!(document.contains(spelled), "{spelled} in {document}");
    }
}

async fn vcons_without_a_date_are_listed() {
    let server = MongoServer::start();
    let storage = of(&server);
    let mut expected = Vec::new();
    for number in 0..9 {
        let uuid = new_uuid();
        if number % 3 == 1 {
            let text = json!({"payload": "e30", "signatures": [{"protected": "e30", "signature": "AA"}]});
            save(&*storage, &item(&uuid, 1, text.to_string())).await;
        } else if number % 3 == 2 {
            save(&*storage, &item(&uuid, 1, whole(&uuid, "soon", json!({})).to_string())).await;
        } else {
            save(&*storage, &created(&uuid, 1, "2026-09-10T14:00:00Z")).await;
        }
        expected.push(uuid);
    }
    expected.sort();
    let mut query = ListQuery { limit: 2, ..ListQuery::default() };
    let mut found = Vec::new();
    loop {
        let page = storage.list(&query).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
        found.extend(page.uuids);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    found.sort();
    assert_eq!(found, expected, "each once");
}

async fn a_vcon_beyond_the_limit_fails_alone() {
    let server = MongoServer::start();
    let storage = of(&server);
    let large = |bytes: usize| {
        let uuid = new_uuid();
        let attachments = json!([{"body": "x".repeat(bytes)}]);
        item(&uuid, 1, whole(&uuid, "2026-09-10T14:00:00Z", json!({"attachments": attachments})).to_string())
    };
    // The third fits by a hair; together they do not fit in one command.
    let items =
        [small(&new_uuid(), 1), large(20 << 20), large((16 << 20) - 2000), large(9 << 20), small(&new_uuid(), 1)];
    let results = storage.save_many(&items).await;
    for (position, result) in results.into_iter().enumerate() {
        match result {
            Err(error) if position == 1 => {
                assert!(error.class() == Class::Permanent && error.help_text().is_some(), "{error:?}");
                assert!(error.message().contains("MongoDB takes 16777216"), "{error:?}");
            }
            result => result.unwrap_or_else(|error| panic!("{position}: {}", error.chain_text())),
        }
    }
    assert_eq!(load(&*storage, &items[2].uuid).await["uuid"], items[2].uuid);
}

async fn older_ones_in_a_batch() {
    let server = MongoServer::start();
    let storage = of(&server);
    let uuids: Vec<String> = (0..12).map(|_| new_uuid()).collect();
    for uuid in uuids.iter().step_by(3) {
        save(&*storage, &small(uuid, 9)).await;
    }
    let items: Vec<SaveItem> = uuids.iter().map(|uuid| small(uuid, 2)).collect();
    assert!(storage.save_many(&items).await.iter().all(Result::is_ok));
    for (number, uuid) in uuids.iter().enumerate() {
        let revision = if number % 3 == 0 { 9 } else { 2 };
        assert_eq!(load(&*storage, uuid).await["subject"], format!("revision {revision}"), "{number}");
    }
}

async fn wrong_passwords_stay_secret() {
    let server = MongoServer::start();
    for url in [
        server.url().replace("of-the-tests", "wrong-secret"),
        server.url().replace("vcons:of-the-tests@", ""),
        format!("{}&w=nonsense-secret", server.url().replace("of-the-tests", "wrong-secret")),
    ] {
        let storage = storage(json!({"url": url}));
        let error = storage.save(&small(&new_uuid(), 1)).await.expect_err("it is refused");
        assert!(error.class() == Class::Configuration && error.help_text().is_some(), "{error:?}");
        assert!(!format!("{error:?} {}", error.chain_text()).contains("wrong-secret"), "{error:?}");
    }
}
