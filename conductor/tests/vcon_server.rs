//! vcon-server's configurations run unchanged, with the effect that they have there.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SAMPLE: &str = include_str!("vcon_server/sample.yml");
const UUID: &str = "00000000-0000-8000-8000-000000000001";

fn vconductor(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vconductor"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("CONSERVER_CONFIG_FILE", "sample.yml")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::write(folder.path().join("sample.yml"), SAMPLE.replace("FILES", &files.display().to_string())).unwrap();
    folder
}

#[test]
fn the_sample_configuration_is_accepted_in_compatibility_mode() {
    let folder = place();
    let checked = vconductor(folder.path(), &["check", "sample.yml"]);
    let told = text(&checked);
    assert_eq!(checked.status.code(), Some(0), "{told}");
    assert!(told.contains("compatibility mode") && told.contains("no errors"), "{told}");
    // What it ignored is named once, with the lines to change.
    assert!(told.contains("enabled") && told.contains("timeout"), "{told}");
}

#[test]
fn the_sample_configuration_runs_unchanged_and_ignored_keys_keep_their_effect() {
    let folder = place();
    let vcon = format!(
        "{{\"vcon\":\"0.0.1\",\"uuid\":\"{UUID}\",\"created_at\":\"2024-05-06T23:30:00-05:00\",\"parties\":[{{\"tel\":\"+12025550123\"}}],\"dialog\":[],\"analysis\":[],\"attachments\":[]}}"
    );
    fs::write(folder.path().join("call.json"), vcon).unwrap();
    let taken = vconductor(folder.path(), &["ingest", "--list", "default_ingress", "call.json"]);
    assert_eq!(taken.status.code(), Some(0), "{}", text(&taken));
    let ran = vconductor(folder.path(), &["run", "--until-idle", "--output", "json"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
    let figures: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    // `enabled: 0` was never read by vcon-server: the routed copy is processed by that chain.
    let done: Vec<_> =
        figures["chains"].as_array().unwrap().iter().map(|chain| (&chain["chain"], &chain["done"])).collect();
    assert_eq!(format!("{done:?}"), r#"[(String("main_chain"), Number(1)), (String("metal_chain"), Number(1))]"#);
    // The date of the path is the one of `created_at` as written.
    let stored = fs::read_to_string(folder.path().join(format!("files/2024/05/06/{UUID}.json"))).unwrap();
    for tag in ["iron:iron", "maiden:maiden", "campaign:campaign", "region:region"] {
        assert!(stored.contains(tag), "{tag} in {stored}");
    }
}
