//! The cases of saving, loading, deleting and health.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use vconductor_core::Class;
use vconductor_core::plugin::{Capabilities, SaveItem, Storage, StorageEntry};

use crate::backends::Place;
use crate::vcons::{item, new_uuid, odd, small, whole};

/// A case under way; `Some` is the reason why the backend cannot pass it.
pub(crate) type Running = Pin<Box<dyn Future<Output = Option<&'static str>> + Send>>;

/// One case.
pub(crate) struct Case {
    /// What it shows.
    pub(crate) name: &'static str,
    /// Whether a storage with these capabilities must pass it.
    pub(crate) needs: fn(Capabilities) -> bool,
    /// Panics when the storage does not pass; answers why there is nothing to pass with such a backend.
    pub(crate) run: fn(Subject) -> Running,
}

/// Makes a case of an async function of the same name.
macro_rules! case {
    ($name:ident, $needs:expr) => {
        Case {
            name: stringify!($name),
            needs: $needs,
            run: |subject| {
                Box::pin(async {
                    $name(subject).await;
                    None
                })
            },
        }
    };
}
pub(crate) use case;

/// The storage under test, and its place.
pub(crate) struct Subject {
    /// The registered storage.
    pub(crate) entry: &'static StorageEntry,
    /// Where it writes.
    pub(crate) place: Place,
}

impl Subject {
    /// A new instance, as after a restart.
    pub(crate) fn open(&self) -> Arc<dyn Storage> {
        (self.entry.build)("under-test", self.place.options.clone()).expect("options of the table")
    }
}

pub(crate) const CASES: &[Case] = &[
    case!(saved_vcon_is_loaded, |can| can.read),
    case!(bytes_are_untouched, |can| can.read && can.lossless),
    case!(saving_again_succeeds, |_| true),
    case!(newer_revision_wins, |can| can.read && can.revisions),
    case!(older_revision_is_refused, |can| can.read && can.revisions),
    case!(newest_revision_of_a_batch_wins, |can| can.read && can.revisions),
    case!(restart_keeps_document_and_revision, |can| can.read && can.revisions),
    case!(concurrent_writers_leave_the_highest_revision, |can| can.read && can.revisions),
    case!(concurrent_batches_leave_the_highest_revisions, |can| can.read && can.revisions),
    case!(unicode_survives, |_| true),
    case!(twenty_megabytes_are_saved, |_| true),
    case!(ten_thousand_parts_are_saved, |_| true),
    case!(uuid_with_odd_characters_stays_inside, |can| can.read),
    case!(missing_vcon_is_none, |can| can.read),
    case!(deleted_vcon_is_gone, |can| can.read && can.delete),
    case!(deleting_a_missing_vcon_is_false, |can| can.delete),
    case!(deleted_vcon_can_be_saved_again, |can| can.read && can.delete),
    case!(batch_is_saved, |_| true),
    case!(one_bad_item_fails_alone, |can| can.read),
    case!(empty_batch_is_fine, |_| true),
    case!(healthy_place_is_reported_and_left_as_it_was, |_| true),
    case!(broken_place_is_an_error_with_help, |_| true),
    case!(save_to_a_broken_place_is_an_error_with_help, |_| true),
];

/// The document as JSON.
async fn load(storage: &dyn Storage, uuid: &str) -> Option<Value> {
    let bytes = storage.load(uuid).await.expect("load works")?;
    Some(serde_json::from_slice(&bytes).expect("what is loaded is JSON"))
}

/// Whether the place holds this revision of a [`small`] vCon.
async fn assert_revision(storage: &dyn Storage, uuid: &str, revision: u64) {
    let subject = load(storage, uuid).await.map(|vcon| vcon["subject"].clone());
    assert_eq!(subject, Some(json!(format!("revision {revision}"))));
}

async fn save(storage: &dyn Storage, item: &SaveItem) {
    storage.save(item).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
}

/// Saves, and loads again where that is possible.
async fn survives(subject: &Subject, item: &SaveItem) {
    let storage = subject.open();
    save(&*storage, item).await;
    if storage.capabilities().read {
        let expected: Value = serde_json::from_slice(&item.vcon.to_bytes()).expect("JSON");
        assert!(load(&*storage, &item.uuid).await == Some(expected), "the document came back changed");
    }
}

async fn saved_vcon_is_loaded(subject: Subject) {
    survives(&subject, &small(&new_uuid(), 1)).await;
}

async fn bytes_are_untouched(subject: Subject) {
    let (storage, uuid) = (subject.open(), new_uuid());
    let text = odd(&uuid);
    save(&*storage, &item(&uuid, 1, text.clone())).await;
    assert_eq!(storage.load(&uuid).await.expect("load").expect("there"), text);
}

async fn saving_again_succeeds(subject: Subject) {
    let item = small(&new_uuid(), 3);
    survives(&subject, &item).await;
    survives(&subject, &item).await;
}

async fn newer_revision_wins(subject: Subject) {
    let (storage, uuid) = (subject.open(), new_uuid());
    save(&*storage, &small(&uuid, 1)).await;
    save(&*storage, &small(&uuid, 2)).await;
    assert_revision(&*storage, &uuid, 2).await;
}

async fn older_revision_is_refused(subject: Subject) {
    let (storage, uuid) = (subject.open(), new_uuid());
    save(&*storage, &small(&uuid, 10)).await;
    save(&*storage, &small(&uuid, 9)).await;
    assert_revision(&*storage, &uuid, 10).await;
    assert!(storage.save_many(&[small(&uuid, 2)]).await.iter().all(Result::is_ok), "refused without an error");
    assert_revision(&*storage, &uuid, 10).await;
}

async fn newest_revision_of_a_batch_wins(subject: Subject) {
    let (storage, uuid) = (subject.open(), new_uuid());
    let items = [small(&uuid, 2), small(&uuid, 3), small(&uuid, 1)];
    assert!(storage.save_many(&items).await.iter().all(Result::is_ok));
    assert_revision(&*storage, &uuid, 3).await;
}

async fn restart_keeps_document_and_revision(subject: Subject) {
    let uuid = new_uuid();
    save(&*subject.open(), &small(&uuid, 5)).await;
    let restarted = subject.open();
    assert_revision(&*restarted, &uuid, 5).await;
    save(&*restarted, &small(&uuid, 4)).await;
    assert_revision(&*restarted, &uuid, 5).await;
}

async fn concurrent_writers_leave_the_highest_revision(subject: Subject) {
    // Two instances, as two conductors have.
    let (storages, uuid) = ([subject.open(), subject.open()], new_uuid());
    let mut writers = JoinSet::new();
    let mut revisions: Vec<u64> = (1..=24).collect();
    fastrand::shuffle(&mut revisions);
    for (number, revision) in revisions.into_iter().enumerate() {
        let (storage, item) = (Arc::clone(&storages[number % 2]), small(&uuid, revision));
        writers.spawn(async move { save(&*storage, &item).await });
    }
    writers.join_all().await;
    assert_revision(&*storages[0], &uuid, 24).await;
}

async fn concurrent_batches_leave_the_highest_revisions(subject: Subject) {
    let storages = [subject.open(), subject.open()];
    let uuids: Vec<String> = (0..20).map(|_| new_uuid()).collect();
    let mut writers = JoinSet::new();
    for revision in 1..=6_u64 {
        let storage = Arc::clone(&storages[usize::from(revision % 2 == 0)]);
        let mut items: Vec<SaveItem> = uuids.iter().map(|uuid| small(uuid, revision)).collect();
        fastrand::shuffle(&mut items);
        writers.spawn(async move { storage.save_many(&items).await.into_iter().all(|result| result.is_ok()) });
    }
    assert!(writers.join_all().await.into_iter().all(|all_saved| all_saved));
    for uuid in &uuids {
        assert_revision(&*storages[1], uuid, 6).await;
    }
}

async fn unicode_survives(subject: Subject) {
    let uuid = new_uuid();
    let text = "Grüße, 日本語, 👩‍👩‍👧 \u{0} \u{feff} \u{2028} \\ \" \u{10ffff}";
    let vcon = whole(&uuid, "2026-09-10T14:00:00Z", json!({"subject": text, "größe": text}));
    survives(&subject, &item(&uuid, 1, vcon.to_string())).await;
}

async fn twenty_megabytes_are_saved(subject: Subject) {
    let uuid = new_uuid();
    let body: String = (0..20 * 1024 * 1024).map(|_| fastrand::alphanumeric()).collect();
    let dialog = json!([{"type": "recording", "body": body, "encoding": "base64url"}]);
    let vcon = whole(&uuid, "2026-09-10T14:00:00Z", json!({"dialog": dialog}));
    survives(&subject, &item(&uuid, 1, vcon.to_string())).await;
}

async fn ten_thousand_parts_are_saved(subject: Subject) {
    let uuid = new_uuid();
    let parts: Vec<Value> =
        (0..10_000).map(|n| json!({"type": "text", "parties": [0], "body": n.to_string()})).collect();
    let vcon = whole(&uuid, "2026-09-10T14:00:00Z", json!({"dialog": parts}));
    survives(&subject, &item(&uuid, 1, vcon.to_string())).await;
}

async fn uuid_with_odd_characters_stays_inside(subject: Subject) {
    let storage = subject.open();
    for odd in ["../../up", "/root", "a'; DROP TABLE vcons; --", "a%2e", "nul\u{0}", "grün", "a b", "."] {
        let mut item = small(&new_uuid(), 1);
        odd.clone_into(&mut item.uuid);
        match storage.save(&item).await {
            Ok(()) => assert!(load(&*storage, odd).await.is_some(), "{odd:?} was saved and is not there"),
            Err(error) => assert!(error.class() == Class::Permanent && error.help_text().is_some(), "{odd:?}: {error}"),
        }
    }
}

async fn missing_vcon_is_none(subject: Subject) {
    let storage = subject.open();
    assert_eq!(storage.load(&new_uuid()).await.expect("no error"), None, "in an empty place");
    save(&*storage, &small(&new_uuid(), 1)).await;
    assert_eq!(storage.load(&new_uuid()).await.expect("no error"), None, "beside another one");
}

async fn deleted_vcon_is_gone(subject: Subject) {
    let (storage, uuid, other) = (subject.open(), new_uuid(), new_uuid());
    save(&*storage, &small(&uuid, 1)).await;
    save(&*storage, &small(&other, 1)).await;
    assert!(storage.delete(&uuid).await.expect("delete works"));
    assert_eq!(load(&*storage, &uuid).await, None);
    assert!(!storage.delete(&uuid).await.expect("delete works twice"));
    assert_revision(&*storage, &other, 1).await;
}

async fn deleting_a_missing_vcon_is_false(subject: Subject) {
    assert!(!subject.open().delete(&new_uuid()).await.expect("no error"));
}

async fn deleted_vcon_can_be_saved_again(subject: Subject) {
    let (storage, uuid) = (subject.open(), new_uuid());
    save(&*storage, &small(&uuid, 7)).await;
    storage.delete(&uuid).await.expect("delete works");
    save(&*storage, &small(&uuid, 1)).await;
    assert_revision(&*storage, &uuid, 1).await;
}

async fn batch_is_saved(subject: Subject) {
    let storage = subject.open();
    let items: Vec<SaveItem> = (0..200).map(|_| small(&new_uuid(), 1)).collect();
    let results = storage.save_many(&items).await;
    assert_eq!(results.len(), items.len());
    assert!(results.iter().all(Result::is_ok));
    if storage.capabilities().read {
        for item in &items {
            assert_revision(&*storage, &item.uuid, 1).await;
        }
    }
}

async fn one_bad_item_fails_alone(subject: Subject) {
    let storage = subject.open();
    let mut items: Vec<SaveItem> = (0..5).map(|_| small(&new_uuid(), 1)).collect();
    items[2].uuid.clear();
    for (position, result) in storage.save_many(&items).await.into_iter().enumerate() {
        match result {
            Ok(()) => assert_revision(&*storage, &items[position].uuid, 1).await,
            Err(error) => {
                assert_eq!(position, 2, "{}", error.chain_text());
                assert!(error.class() == Class::Permanent && error.help_text().is_some(), "{error}");
            }
        }
    }
}

async fn empty_batch_is_fine(subject: Subject) {
    assert!(subject.open().save_many(&[]).await.is_empty());
}

async fn healthy_place_is_reported_and_left_as_it_was(subject: Subject) {
    let storage = subject.open();
    storage.health().await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
    if storage.capabilities().list {
        let query = vconductor_core::plugin::ListQuery { limit: 10, ..Default::default() };
        assert!(storage.list(&query).await.expect("list works").uuids.is_empty());
    }
    survives(&subject, &small(&new_uuid(), 1)).await;
    storage.health().await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
}

async fn broken_place_is_an_error_with_help(subject: Subject) {
    let broken = (subject.entry.build)("broken", subject.place.broken.clone()).expect("options are fine");
    let error = broken.health().await.expect_err("a broken place is not healthy");
    assert!(error.class() != Class::Permanent && error.help_text().is_some(), "{}", error.chain_text());
}

async fn save_to_a_broken_place_is_an_error_with_help(subject: Subject) {
    let broken = (subject.entry.build)("broken", subject.place.broken.clone()).expect("options are fine");
    let items = [small(&new_uuid(), 1), small(&new_uuid(), 1)];
    let results = broken.save_many(&items).await;
    assert_eq!(results.len(), 2);
    for result in results {
        let error = result.expect_err("nothing was saved");
        assert!(error.class() != Class::Permanent && error.help_text().is_some(), "{}", error.chain_text());
    }
}
