use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use vconductor_core::Class;
use vconductor_core::vcon::Vcon;

use super::*;

const UUID: &str = "018f0000-0000-8000-8000-000000000001";

fn storage(folder: &TempDir, mut options: Value) -> FileStorage {
    options["path"] = json!(folder.path());
    FileStorage::new("files", serde_json::from_value(options).unwrap()).unwrap()
}

fn item(created_at: &str, note: &str, revision: u64) -> SaveItem {
    let text = format!("{{ \"uuid\":\"{UUID}\", \"created_at\":\"{created_at}\", \"note\":\"{note}\", \"n\":1e3 }}");
    let vcon = Arc::new(Vcon::read(text).unwrap());
    SaveItem { uuid: UUID.to_owned(), revision, vcon, effect_id: "e".to_owned() }
}

/// All visible files below a folder, relative, sorted.
fn files(folder: &Path) -> Vec<String> {
    fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.file_name().unwrap().to_string_lossy().starts_with('.') {
                continue;
            } else if entry.is_dir() {
                collect(root, &entry, found);
            } else {
                found.push(entry.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    let mut found = Vec::new();
    collect(folder, folder, &mut found);
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn files_lie_where_vcon_server_looks_for_them() {
    for (options, created_at, expected) in [
        (json!({}), "2026-09-10T23:30:00-05:00", format!("2026/09/10/{UUID}.json")),
        (json!({"compression": true}), "2026-09-10T23:30:00Z", format!("2026/09/10/{UUID}.json.gz")),
        (json!({"organize_by_date": false}), "2026-09-10T23:30:00Z", format!("{UUID}.json")),
        (json!({}), "yesterday", format!("{UUID}.json")),
        (json!({"fsync": false}), "2026-01-02", format!("2026/01/02/{UUID}.json")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(&folder, options.clone());
        let item = item(created_at, "grün", 1);
        storage.save(&item).await.unwrap();
        assert_eq!(files(folder.path()), std::slice::from_ref(&expected), "{options}");
        assert_eq!(storage.load(UUID).await.unwrap().unwrap(), item.vcon.to_bytes());
        if expected.ends_with(".json") {
            assert_eq!(fs::read(folder.path().join(expected)).unwrap(), item.vcon.to_bytes());
        }
        assert_eq!(fs::read_dir(folder.path().join(".incoming")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn another_form_is_written_when_asked_for_and_is_not_called_lossless() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder, json!({"format": "0.0.1", "organize_by_date": false}));
    assert!(!storage.capabilities().lossless);
    storage.save(&item("2026-01-02T00:00:00Z", "x", 1)).await.unwrap();
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join(format!("{UUID}.json"))).unwrap()).unwrap();
    assert_eq!((&written["vcon"], &written["group"]), (&"0.0.1".into(), &json!([])));
    assert!(written.get("appended").is_some_and(serde_json::Value::is_null));
}

#[tokio::test]
async fn permissions_are_set_on_what_is_made_and_on_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let storage = storage(&folder, json!({"file_permissions": "0o640", "dir_permissions": 0o750}));
    storage.save(&item("2026-01-02T00:00:00Z", "x", 1)).await.unwrap();
    assert_eq!(mode(&folder.path().join(format!("2026/01/02/{UUID}.json"))), 0o640);
    for made in ["2026", "2026/01", "2026/01/02", ".incoming", ".index"] {
        assert_eq!(mode(&folder.path().join(made)), 0o750, "{made}");
    }
    assert_eq!(mode(folder.path()), 0o711);
}

#[tokio::test]
async fn a_vcon_has_one_file_when_its_date_or_the_options_change() {
    let folder = tempfile::tempdir().unwrap();
    let first = storage(&folder, json!({}));
    first.save(&item("2026-01-02T00:00:00Z", "a", 1)).await.unwrap();
    first.save(&item("2026-02-03T00:00:00Z", "b", 2)).await.unwrap();
    assert_eq!(files(folder.path()), [format!("2026/02/03/{UUID}.json")]);
    assert!(!folder.path().join("2026/01").exists(), "empty folders go away");
    let compressing = storage(&folder, json!({"compression": true}));
    compressing.save(&item("2026-02-03T00:00:00Z", "c", 3)).await.unwrap();
    assert_eq!(files(folder.path()), [format!("2026/02/03/{UUID}.json.gz")]);
    first.save(&item("2026-02-03T00:00:00Z", "old", 2)).await.unwrap();
    assert_eq!(files(folder.path()), [format!("2026/02/03/{UUID}.json.gz")]);
}

#[tokio::test]
async fn what_vcon_server_wrote_is_found_listed_replaced_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let old = item("2025-12-31T10:00:00Z", "from vcon-server", 0).vcon.to_bytes();
    for (place, other) in
        [("2025/12/31", "018f0000-0000-8000-8000-00000000000a"), ("", "018f0000-0000-8000-8000-00000000000b")]
    {
        fs::create_dir_all(folder.path().join(place)).unwrap();
        let text = String::from_utf8(old.to_vec()).unwrap().replace(UUID, other);
        fs::write(folder.path().join(place).join(format!("{other}.json")), text).unwrap();
    }
    fs::write(folder.path().join(format!("2025/12/31/{UUID}.json")), &old).unwrap();
    let storage = storage(&folder, json!({}));
    assert_eq!(storage.load(UUID).await.unwrap().unwrap(), old);
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    assert_eq!(storage.list(&query).await.unwrap().uuids.len(), 3);

    let new = item("2026-01-01T10:00:00Z", "new", 1);
    storage.save(&new).await.unwrap();
    assert_eq!(storage.load(UUID).await.unwrap().unwrap(), new.vcon.to_bytes());
    assert_eq!(storage.list(&query).await.unwrap().uuids.len(), 3, "a file that was left is not a vCon of its own");
    assert!(storage.delete(UUID).await.unwrap());
    assert_eq!(storage.load(UUID).await.unwrap(), None, "no older file comes back");
    assert!(!folder.path().join("2026").exists());
    assert!(storage.delete("018f0000-0000-8000-8000-00000000000b").await.unwrap());
}

#[tokio::test]
async fn a_lost_or_damaged_index_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder, json!({}));
    let item = item("2026-01-02T00:00:00Z", "x", 5);
    storage.save(&item).await.unwrap();
    fs::remove_dir_all(folder.path().join(".index")).unwrap();
    assert_eq!(storage.load(UUID).await.unwrap().unwrap(), item.vcon.to_bytes());
    assert_eq!(storage.list(&ListQuery { limit: 5, ..ListQuery::default() }).await.unwrap().uuids, [UUID]);
    // A file that an operator removed does not stand in the way of what comes.
    storage.save(&item).await.unwrap();
    fs::remove_file(folder.path().join(format!("2026/01/02/{UUID}.json"))).unwrap();
    assert_eq!(storage.load(UUID).await.unwrap(), None);
    storage.save(&SaveItem { revision: 1, ..item }).await.unwrap();
    assert!(storage.load(UUID).await.unwrap().is_some());
}

#[tokio::test]
async fn a_uuid_cannot_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder, json!({"organize_by_date": false}));
    let mut item = item("2026-01-02T00:00:00Z", "x", 1);
    item.uuid = "../../../../tmp/evil".to_owned();
    storage.save(&item).await.unwrap();
    assert_eq!(files(folder.path()), ["%2E.%2F..%2F..%2F..%2Ftmp%2Fevil.json"]);
    assert!(storage.load(&item.uuid).await.unwrap().is_some());
    assert_eq!(storage.list(&ListQuery { limit: 5, ..ListQuery::default() }).await.unwrap().uuids, [item.uuid]);
}

#[tokio::test]
async fn a_vcon_over_the_limit_is_a_permanent_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder, json!({"max_file_size": 150}));
    storage.save(&item("2026-01-02T00:00:00Z", "x", 1)).await.unwrap();
    let error = storage.save(&item("2026-01-02T00:00:00Z", &"x".repeat(100), 2)).await.unwrap_err();
    assert_eq!(error.class(), Class::Permanent);
    assert!(error.message().contains("max_file_size 150") && error.help_text().is_some(), "{error}");
}

#[tokio::test]
async fn health_leaves_no_trace_and_names_a_broken_place() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("made/here");
    let fresh = FileStorage::new("files", serde_json::from_value(json!({"path": inside})).unwrap()).unwrap();
    fresh.health().await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let broken = FileStorage::new("files", serde_json::from_value(json!({"path": file})).unwrap()).unwrap();
    let error = broken.health().await.unwrap_err();
    assert_eq!(error.class(), Class::Configuration);
    assert!(error.message().contains("file") && error.help_text().is_some(), "{error}");
}

#[tokio::test]
async fn pages_cross_days_offsets_and_flat_files_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder, json!({"fsync": false}));
    // The day as written and the order in time differ.
    let times = [
        "2026-01-02T00:30:00+14:00",
        "2026-01-01T11:00:00Z",
        "2025-12-31T23:00:00-12:00",
        "2026-01-01T12:00:00Z",
        "2026-03-01",
    ];
    let mut items = Vec::new();
    for (number, time) in times.iter().enumerate() {
        items.push(SaveItem { uuid: format!("u{number}"), ..item(time, "x", 1) });
    }
    assert!(storage.save_many(&items).await.iter().all(Result::is_ok));
    for limit in 1..=6 {
        let mut query = ListQuery { limit, ..ListQuery::default() };
        let mut seen = Vec::new();
        loop {
            let page = storage.list(&query).await.unwrap();
            assert!(page.uuids.len() <= limit);
            seen.extend(page.uuids);
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["u0", "u1", "u2", "u3", "u4"], "limit {limit}");
    }
    let wrong = ListQuery { cursor: Some("nonsense".to_owned()), limit: 1, ..ListQuery::default() };
    assert!(storage.list(&wrong).await.unwrap_err().help_text().is_some());
}
