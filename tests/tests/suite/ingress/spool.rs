//! A folder whose files are taken.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vconductor_core::store::TenantScope;
use vconductor_tests::stage::{Stage, uuid, vcon};

use super::door::{Door, dialog, recording, tags};

fn options(folder: &Path, afterwards: &str) -> Value {
    json!({
        "folder": folder, "afterwards": afterwards, "settled_after": 0.1,
        "pattern": r"^(?<start>\d{14})_(?<from>\+?\d+)_(?<to>\+?\d+)_(?<queue>\w+)\.wav$",
    })
}

/// Waits until the folder holds these names, folders left out.
async fn until(folder: &Path, expected: &[&str]) {
    let started = Instant::now();
    loop {
        let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        let mut names: Vec<String> = files
            .filter(|entry| entry.file_type().expect("a type").is_file())
            .map(|entry| entry.file_name().into_string().expect("a name"))
            .collect();
        names.sort_unstable();
        if names == expected {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{names:?} and not {expected:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_taken_once_and_moved_away() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let stage = Stage::new();
    let store = Arc::clone(&stage.store);
    // Two processes look at one folder.
    let door = Door::on(stage, "ingress.spool", &options(folder, "move"), "").await;
    let other = Door::on(Stage::on(store), "ingress.spool", &options(folder, "move"), "").await;
    let name = "20260714090000_+15550100_+15550101_sales.wav";
    std::fs::write(folder.join(name), recording(2)).expect("a file");
    std::fs::write(folder.join("a.vcon"), vcon(&uuid(1))).expect("a file");
    std::fs::write(folder.join("unfinished.wav.part"), recording(1)).expect("a file");
    std::fs::write(folder.join(".hidden.wav"), recording(1)).expect("a file");
    std::fs::write(folder.join("note.txt"), "no recording").expect("a file");
    until(folder, &[".hidden.wav", "note.txt", "unfinished.wav.part"]).await;
    until(&folder.join("done"), &[name, "a.vcon"]).await;
    door.settled().await;
    other.settled().await;
    let dead = door.dead().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].failure.message.contains("neither a recording nor a vCon"), "{dead:?}");
    let taken = door.stage.take("calls").await;
    assert!(taken.len() == 2 && taken.values().all(|times| *times == 1), "{taken:?}");
    let stored = door.stage.store.get(&TenantScope::Everything, &uuid(1)).await.unwrap().unwrap();
    assert_eq!(stored.document, vcon(&uuid(1)), "byte for byte");
    let made = taken.keys().find(|made| **made != uuid(1)).unwrap();
    let made = door.stage.document(made).await;
    assert_eq!(made["parties"], json!([{"tel": "+15550100"}, {"tel": "+15550101"}]));
    assert_eq!((tags(&made)["queue"].as_str(), &dialog(&made)["start"]), ("sales", &json!("2026-07-14T09:00:00Z")));
    // The same name with something else in it is another file, and nothing that was kept is overwritten.
    std::fs::write(folder.join("a.vcon"), vcon(&uuid(2))).expect("a file");
    until(folder, &[".hidden.wav", "note.txt", "unfinished.wav.part"]).await;
    assert_eq!(std::fs::read_dir(folder.join("done")).unwrap().count(), 3);
    assert_eq!(door.stage.take("calls").await.into_keys().collect::<Vec<_>>(), [uuid(2)]);
    door.ingresses.stop().await;
    other.ingresses.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_only_when_its_vcon_is_on_its_list() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    std::fs::write(folder.join("1.vcon"), "{\"uuid\": ").expect("a file");
    let door = Door::open("ingress.spool", &options(folder, "delete")).await;
    let started = Instant::now();
    while door.dead().await.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "no dead letter");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until(folder, &["1.vcon"]).await;
    std::fs::write(folder.join("1.vcon"), vcon(&uuid(1))).expect("a file");
    until(folder, &[]).await;
    assert_eq!(door.stage.take("calls").await.into_keys().collect::<Vec<_>>(), [uuid(1)]);
    assert_eq!(door.post(&[], "x").await.status, 404, "nothing is taken but files");
}
