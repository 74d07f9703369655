//! What is registered in the shipped binary is what lies in the plugin folders: nothing dropped by the linker, nothing
//! forgotten in a file.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_shipped_binary_has_every_plugin_of_the_folders() {
    let listed = Command::new(env!("CARGO_BIN_EXE_vconductor")).args(["list", "--output", "json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let shipped: BTreeSet<String> =
        listed.as_array().unwrap().iter().map(|plugin| plugin["module"].as_str().unwrap().to_owned()).collect();
    let mut expected = names("links/src/all", "links.");
    expected.extend(names("storages/src/all", "storage."));
    expected.extend(names("ingress/src/all", "ingress."));
    assert!(expected.len() > 10, "{expected:?}");
    assert_eq!(shipped, expected);
}

/// Module names by the files of a folder; a folder beside a file holds parts of that plugin.
fn names(folder: &str, prefix: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let stems = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    stems.map(|stem| format!("{prefix}{stem}")).collect()
}
