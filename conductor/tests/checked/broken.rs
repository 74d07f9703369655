//! Configurations as people write them wrong (`conductor/tests/broken`), each with what `check` says of it. Those that begin
//! with `docs_` are what the documentation of vcon-server invites to write.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::{Place, done};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    let names = names();
    assert!(names.len() >= 60, "{}", names.len());
    assert!(names.iter().filter(|name| name.starts_with("docs_")).count() >= 15);
    let place = Place::new();
    for name in names {
        let file = format!("{name}.yml");
        place.write(&file, std::fs::read(folder().join(&file)).unwrap());
        let said = place.run(&["check", &file]);
        assert_eq!(said.stderr, "", "{name}");
        // The line about `explain` is of another command.
        let lines = said.stdout.lines().filter(|line| !line.starts_with("`vconductor explain"));
        let told: String = lines.map(|line| format!("{line}\n")).collect();
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../broken/snapshots", omit_expression => true }, {
            insta::assert_snapshot!(name, format!("exit {}\n{told}", said.code));
        });
    }
}

#[test]
fn every_finding_points_at_text_of_the_file_and_gives_advice() {
    let place = Place::new();
    for name in names() {
        let file = format!("{name}.yml");
        let text = std::fs::read_to_string(folder().join(&file)).unwrap();
        place.write(&file, &text);
        let said = place.run(&["check", &file, "--output", "jsonl"]);
        let findings: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!findings.is_empty(), "{name} is right");
        for finding in findings {
            let number = |key: &str| usize::try_from(finding[key].as_u64().unwrap()).unwrap();
            let line = text.lines().nth(number("line") - 1).unwrap_or_default();
            let (from, to) = (number("column") - 1, number("end_column") - 1);
            let marked: String = line.chars().skip(from).take(to - from).collect();
            assert_eq!(finding["text"].as_str().unwrap(), marked, "{name}: {finding}");
            let message = finding["message"].as_str().unwrap();
            let says_what_to_write =
                ["must be", "or more", "; write", "stand under"].iter().any(|words| message.contains(words));
            assert!(finding["help"].is_string() || says_what_to_write, "{name}: no advice: {finding}");
        }
    }
}

/// What is secret is in no form of the output, whatever else is wrong in the same line.
#[test]
fn secrets_are_never_shown() {
    let place = Place::new();
    let secrets = ["4f9a8b7c6d5e4f3a2b1c", "hunter2hunter2", "5Qk2-9fLm", "sk-proj-"];
    let names: Vec<String> = names().into_iter().filter(|name| name.starts_with("secret")).collect();
    assert!(names.len() >= 5);
    for name in names {
        let file = format!("{name}.yml");
        let text = std::fs::read_to_string(folder().join(&file)).unwrap();
        assert!(secrets.iter().any(|secret| text.contains(secret)), "{name}");
        place.write(&file, &text);
        for output in ["table", "json", "jsonl", "github"] {
            let said = done(place.command(&["check", &file, "--output", output]).env("CLICOLOR_FORCE", "1"));
            let told = said.all();
            assert!(told.contains("VC0205"), "{name} {output}: {told}");
            let shown: Vec<_> = secrets.iter().filter(|secret| told.contains(**secret)).collect();
            assert!(shown.is_empty(), "{name} {output} shows {shown:?}: {told}");
        }
    }
}
