//! The checks against what an independent program found in real and made-up vCons (`fixtures/vcon/EXPECTED.json`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use serde_json::Value;
use vconductor_core::validate::{Form, Level, Mode, Report, Validator};

/// What the other program found in a file.
#[derive(Debug, Deserialize)]
struct Expected {
    form: String,
    errors: BTreeSet<u16>,
    warnings: Option<BTreeSet<u16>>,
    payload: Option<Inside>,
    /// Why a strict reader must refuse the file.
    refused: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Inside {
    errors: BTreeSet<u16>,
    warnings: BTreeSet<u16>,
}

/// Checks that the other program does not make.
fn is_made_there(check: u16) -> bool {
    ![12, 31, 32, 38, 74, 85, 89].contains(&check) && !(95..=107).contains(&check)
}

/// Where we are sure that it is wrong: file, level, check (docs/decisions/0011-checks-against-the-draft.md).
const DISAGREEMENTS: [(&str, Level, u16); 7] = [
    ("valid/ietf-core-03/ab_call_ext_rec_redacted.vcon", Level::Warning, 62),
    ("valid/ietf-history/container03_ab_call_ext_rec_redacted.vcon", Level::Warning, 62),
    ("valid/synthetic-core-04/redacted_by_uuid.json", Level::Warning, 62),
    ("valid/synthetic-core-04/placeholder_dialogs.json", Level::Warning, 62),
    ("valid/synthetic-core-04/cc_extension.json", Level::Warning, 24),
    ("valid/extensions/mcp-session-hybrid-example.json", Level::Error, 34),
    ("invalid/derived/recording_set_with_mediatype.json", Level::Warning, 52),
];

/// What only the keys of the signer or the receiver tell: their faults are found with those, not without.
const SEALED: [&str; 5] = [
    "invalid/jose/jwe_plaintext_unsigned.json",
    "invalid/jose/jwe_uuid_mismatch.json",
    "invalid/jose/jws_expired_cert.json",
    "invalid/jose/jws_payload_tampered.json",
    "invalid/jose/jws_untrusted_root.json",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vcon")
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&fs::read(fixtures().join("EXPECTED.json")).expect("the file")).expect("JSON")
}

fn report(file: &str, mode: Mode) -> Report {
    let validator = Validator { mode, ..Validator::default() };
    let bytes = fs::read(fixtures().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    validator.check(bytes).remove(0).1
}

fn found(report: &Report, level: Level) -> BTreeSet<u16> {
    report.of_level(level).map(|finding| finding.check).filter(|check| is_made_there(*check)).collect()
}

#[test]
fn the_strict_mode_agrees_with_the_other_program_on_every_file() {
    let mut wrong = Vec::new();
    let mut disagreements: BTreeSet<_> = DISAGREEMENTS.into_iter().collect();
    let mut compare = |file: &str, level: Level, ours: &BTreeSet<u16>, theirs: &BTreeSet<u16>| {
        for check in ours.symmetric_difference(theirs).filter(|check| is_made_there(**check)) {
            let known = disagreements.iter().copied().find(|known| *known == (file, level, *check));
            if !known.is_some_and(|known| disagreements.remove(&known)) {
                wrong.push(format!("{file}: {} {check}: ours {ours:?}, theirs {theirs:?}", level.as_str()));
            }
        }
    };
    let expected = expected();
    assert!(expected.len() > 250);
    for (file, theirs) in &expected {
        let ours = report(file, Mode::Strict);
        assert_eq!(ours.form.as_str(), theirs.form, "{file}");
        compare(file, Level::Error, &found(&ours, Level::Error), &theirs.errors);
        if let Some(warnings) = &theirs.warnings {
            compare(file, Level::Warning, &found(&ours, Level::Warning), warnings);
        }
        if let Some(inside) = &theirs.payload {
            let payload = ours.payload.unwrap_or_else(|| panic!("{file}: no payload"));
            compare(file, Level::Error, &found(&payload, Level::Error), &inside.errors);
            compare(file, Level::Warning, &found(&payload, Level::Warning), &inside.warnings);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(disagreements.is_empty(), "we agree by now: {disagreements:?}");
}

#[test]
fn what_must_be_refused_is_refused_with_a_reason() {
    for (file, expected) in expected() {
        let Some(why) = expected.refused else { continue };
        let report = report(&file, Mode::Strict);
        if SEALED.contains(&&*file) {
            assert!(!report.notes.is_empty(), "{file} does not say that it was not opened");
            continue;
        }
        assert!(report.fails(), "{file} passes, though: {why}");
        assert!(report.of_level(Level::Error).all(|finding| finding.message.len() > 10), "{file}");
    }
}

#[test]
fn the_tolerant_mode_reads_every_valid_file() {
    let mut count = 0;
    for file in expected().keys().filter(|file| file.starts_with("valid/")) {
        let report = report(file, Mode::Tolerant);
        let errors: Vec<_> = report.of_level(Level::Error).collect();
        assert!(!report.fails(), "{file}: {errors:?}");
        count += 1;
    }
    assert!(count > 150, "{count}");
}

#[test]
fn bundles_are_judged_with_every_vcon_in_them() {
    let read = |file: &str| fs::read(fixtures().join(file)).expect("a fixture");
    let strict = Validator { mode: Mode::Strict, ..Validator::default() };
    let sound = strict.check(read("valid/synthetic-container/bundle.vconz"));
    assert_eq!(sound.iter().map(|(_, report)| report.form).collect::<Vec<_>>(), [Form::Bundle, Form::Unsigned]);
    assert!(sound.iter().all(|(_, report)| !report.fails()));
    let (_, broken) = strict.check(read("invalid/container/bundle_hash_mismatch.vconz")).remove(0);
    let messages: Vec<_> = broken.of_level(Level::Error).map(|finding| &*finding.message).collect();
    assert!(broken.fails() && messages[0].contains("does not hold the bytes"), "{messages:?}");
}

fn validate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
    command.arg("validate").args(arguments).current_dir(fixtures()).stdin(Stdio::null());
    command.output().expect("validate runs")
}

#[test]
fn the_command_walks_folders_and_says_per_file_what_is_wrong() {
    let output = validate(&["--strict", "--output", "jsonl", "invalid/derived", "valid/synthetic-container"]);
    assert_eq!(output.status.code(), Some(65));
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON per line"))
        .collect();
    assert_eq!(lines.len(), 63, "60 files, one compressed, a bundle and the vCon in it");
    let of = |name: &str| lines.iter().find(|line| line["file"] == name).unwrap_or_else(|| panic!("no {name}"));
    let one = of("invalid/derived/uuid_number.json");
    assert_eq!(
        (&one["form"], &one["errors"][0]["check"], &one["errors"][0]["pointer"]),
        (&"unsigned".into(), &5.into(), &"/uuid".into())
    );
    assert!(one["errors"][0]["message"].as_str().is_some_and(|text| text.contains("not a string")), "{one}");
    assert_eq!(one["warnings"], Value::Array(Vec::new()));
    let entry = of("valid/synthetic-container/bundle.vconz!vcons/01a07da8-c2bb-83e5-b9a2-279e0d16bc46.json");
    assert_eq!(entry["errors"], Value::Array(Vec::new()));
    assert_eq!(of("valid/synthetic-container/bundle.vconz")["form"], "bundle");
}

#[test]
fn the_exit_code_tells_whether_a_file_failed() {
    assert_eq!(validate(&["invalid/derived/uuid_missing.json"]).status.code(), Some(0), "tolerant");
    assert_eq!(validate(&["--strict", "invalid/derived/uuid_missing.json"]).status.code(), Some(65));
    assert_eq!(validate(&["no/such/file.json"]).status.code(), Some(65));
    assert_eq!(validate(&[]).status.code(), Some(2));
    let output =
        validate(&["--strict", "invalid/derived/uuid_missing.json", "valid/synthetic-core-04/party_full.json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "fails invalid/derived/uuid_missing.json",
        "/uuid",
        "`uuid` is missing",
        "help:",
        "ok valid/synthetic",
        "2 documents checked, 1 failed",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}
