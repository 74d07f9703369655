//! `storage.file` under SIGKILL: a writer in another process is killed again and again.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vconductor_core::plugin::{ListQuery, Storage, StorageEntry, inventory};

use crate::vcons::{item, whole};

/// Names the folder in which this process writes until it is killed.
const WRITER: &str = "VCONDUCTOR_TEST_WRITER";

const VCONS: u64 = 12;
const KILLS: u64 = 20;

pub(crate) fn is_writer() -> bool {
    std::env::var_os(WRITER).is_some()
}

fn storage(folder: &Path) -> Arc<dyn Storage> {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == "storage.file");
    (entry.expect("storage.file").build)("files", json!({"path": folder})).expect("options")
}

fn uuid(number: u64) -> String {
    format!("018f0000-0000-8000-8000-{number:012x}")
}

/// A vCon whose parts all tell its revision, and that moves to another day with every third one.
fn text(number: u64, revision: u64) -> String {
    let created_at = format!("2026-01-{:02}T00:00:00Z", 1 + revision / 3 % 28);
    let parts: Vec<Value> = (0..2000).map(|_| json!({"type": "text", "revision": revision})).collect();
    whole(&uuid(number), &created_at, json!({"dialog": parts, "revision": revision})).to_string()
}

/// Saves revisions one after the other, and says which ones were saved.
pub(crate) fn write_until_killed() {
    let folder = std::env::var_os(WRITER).expect("a folder");
    let storage = storage(Path::new(&folder));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut revision: u64 = std::env::args().nth(1).and_then(|first| first.parse().ok()).expect("a revision");
    let mut out = std::io::stdout();
    loop {
        let items: Vec<_> = (0..VCONS).map(|number| item(&uuid(number), revision, text(number, revision))).collect();
        let (batch, alone) = items.split_at(VCONS as usize - 2);
        let saved = runtime.block_on(async {
            let mut saved = storage.save_many(batch).await;
            for item in alone {
                saved.push(storage.save(item).await);
            }
            saved
        });
        for (number, result) in saved.into_iter().enumerate() {
            result.expect("saved");
            writeln!(out, "{number} {revision}").expect("the parent listens");
        }
        revision += 1;
    }
}

pub(crate) fn killed_writer_leaves_whole_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut acknowledged: HashMap<u64, u64> = HashMap::new();
    for kill in 0..KILLS {
        let mut writer = Command::new(std::env::current_exe().expect("this program"))
            .arg((1 + kill * 1000).to_string())
            .env(WRITER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a writer");
        let mut lines = BufReader::new(writer.stdout.take().expect("its output")).lines();
        // The first words show that it has started; then it is killed at any moment.
        let mut heard = vec![lines.next().expect("a line").expect("text")];
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..60_000)));
        writer.kill().expect("killed");
        writer.wait().expect("gone");
        heard.extend(lines.map_while(Result::ok));
        for line in heard {
            // The last line may be cut off.
            if let Some((number, revision)) = line.split_once(' ')
                && let (Ok(number), Ok(revision)) = (number.parse(), revision.parse::<u64>())
            {
                let highest = acknowledged.entry(number).or_default();
                *highest = revision.max(*highest);
            }
        }
        runtime.block_on(check(folder.path(), &acknowledged));
    }
    assert!(acknowledged.len() == VCONS as usize, "{acknowledged:?}");
}

/// Every file is whole, and nothing that was acknowledged is lost.
async fn check(folder: &Path, acknowledged: &HashMap<u64, u64>) {
    check_files(folder);
    let storage = storage(folder);
    for (&number, &revision) in acknowledged {
        let document = storage.load(&uuid(number)).await.expect("loads").expect("is there");
        let vcon: Value = serde_json::from_slice(&document).expect("is whole");
        let found = vcon["revision"].as_u64().expect("a revision");
        assert!(found >= revision, "vCon {number}: {revision} was acknowledged, {found} is there");
        assert_eq!(document, text(number, found));
    }
    let query = ListQuery { limit: 1000, ..ListQuery::default() };
    let mut listed = storage.list(&query).await.expect("lists").uuids;
    let all = listed.len();
    listed.sort();
    listed.dedup();
    assert!(listed.len() == all && all >= acknowledged.len(), "every vCon is listed once");
}

fn check_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        } else if entry.is_dir() {
            check_files(&entry);
        } else {
            let bytes = std::fs::read(&entry).expect("readable");
            serde_json::from_slice::<Value>(&bytes).unwrap_or_else(|error| panic!("{}: {error}", entry.display()));
        }
    }
}
