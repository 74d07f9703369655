//! Every check against what it must find and what it must let pass, in a table: a sound vCon, one change, and the number
//! and place of what is wrong then.

use super::{Finding, Level, Mode, Report, Validator};
use crate::document::{Document, Edit, Json};

mod fetched;
mod sealed;
mod table;

/// A vCon that breaks nothing, with one of each.
const SOUND: &str = r#"{
  "uuid": "019e7045-10b8-8023-9add-0bb4caa5cfa9",
  "created_at": "2026-09-10T14:00:00Z",
  "parties": [
    {"tel": "+12025550101", "name": "Alice", "validation": "none"},
    {"mailto": "bob@example.com", "name": "Bob", "validation": "none"},
    {}
  ],
  "dialog": [
    {"type": "text", "start": "2026-09-10T14:00:05.250Z", "parties": [0, 1], "mediatype": "text/plain",
     "encoding": "none", "body": "Hello Bob"},
    {"type": "recording", "start": "2026-09-10T14:00:00Z", "duration": 33.12, "parties": [0, 1],
     "mediatype": "audio/x-mp3", "url": "https://example.com/call.mp3", "recording_set": 3,
     "content_hash": "sha512-GLy6IPaIUM1GqzZqfIPZlWjaDsNgNvZM0iCONNThnH0a75fhUM6cYzLZ5GynSURREvZwmOh54-2lRRieyj82UQ"},
    {"type": "incomplete", "start": "2026-09-10T14:05:01Z", "parties": [0, 2], "disposition": "no-answer"},
    {"type": "recording-set", "start": "2026-09-10T14:00:00Z", "parties": [0, 1], "recordings": [1]},
    {"type": "transfer", "transferee": 0, "transferor": 1, "transfer_target": 2, "original": 1, "target_dialog": 2}
  ],
  "analysis": [
    {"type": "summary", "vendor": "example", "product": "sum", "schema": "s1", "dialog": 0, "mediatype": "text/plain",
     "encoding": "none", "body": "They greet."}
  ],
  "attachments": [
    {"purpose": "note", "start": "2026-09-10T14:00:00Z", "party": 0, "dialog": 0, "mediatype": "text/plain",
     "encoding": "none", "body": "x"}
  ]
}"#;

fn strict() -> Validator<'static> {
    Validator { mode: Mode::Strict, ..Validator::default() }
}

fn checked(validator: &Validator<'_>, text: impl Into<Vec<u8>>) -> Report {
    let mut reports = validator.check(text.into());
    assert_eq!(reports.len(), 1);
    reports.remove(0).1
}

/// The sound vCon with edits: `/pointer = json`, or `/pointer -` to remove, separated by `;;`.
fn changed(edits: &str) -> String {
    let mut document = Document::parse(SOUND).unwrap();
    for edit in edits.split(";;").map(str::trim).filter(|edit| !edit.is_empty()) {
        let edit = match edit.split_once(" = ") {
            Some((pointer, json)) if pointer.ends_with("/-") => Edit::Append {
                pointer: pointer.trim_end_matches("/-").to_owned(),
                value: Json::parse(json.to_owned()).unwrap(),
            },
            Some((pointer, json)) => Edit::set(pointer, Json::parse(json.to_owned()).unwrap()),
            None => Edit::Remove { pointer: edit.trim_end_matches(" -").to_owned() },
        };
        document.apply(&edit).unwrap_or_else(|error| panic!("{edit:?}: {error}"));
    }
    String::from_utf8(document.to_bytes().to_vec()).unwrap()
}

/// `E35 /dialog/0/start` and so on, sorted.
fn told(report: &Report) -> Vec<String> {
    let line = |finding: &Finding| {
        let letter = match finding.level(Mode::Strict) {
            Level::Error => 'E',
            Level::Warning => 'W',
            Level::Hint => 'H',
        };
        format!("{letter}{} {}", finding.check, finding.pointer)
    };
    let mut lines: Vec<_> = report.found.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn the_sound_vcon_is_sound() {
    let report = checked(&strict(), SOUND);
    assert_eq!(told(&report), Vec::<String>::new());
    assert!(!report.fails() && report.notes.is_empty());
}

/// What a file can make a reader say is bounded.
#[test]
fn a_million_bad_entries_cost_a_thousand_messages() {
    let bad = vec!["{\"type\":7}"; 5000].join(",");
    let report = checked(&strict(), changed(&format!("/dialog = [{bad}]")));
    assert!(report.found.len() <= 10_000, "{}", report.found.len());
    assert!(report.found.omitted() >= 4000, "{}", report.found.omitted());
    assert!(report.fails());
}

/// Two thousand recordings that all refer to one set of two thousand: looked up, not searched.
#[test]
fn references_in_both_directions_are_not_quadratic() {
    let count = 20_000;
    let recording = "{\"type\":\"recording\",\"recording_set\":0}";
    let recordings = vec![recording; count].join(",");
    let indices = (1..=count).map(|index| index.to_string()).collect::<Vec<_>>().join(",");
    let dialog = format!("[{{\"type\":\"recording-set\",\"recordings\":[{indices}]}},{recordings}]");
    let started = std::time::Instant::now();
    let report = checked(&strict(), changed(&format!("/dialog = {dialog}")));
    assert!(!told(&report).iter().any(|line| line[1..].starts_with("52 ")), "{:?}", &told(&report)[..5]);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// Pointers of findings lead to what they are about.
#[test]
fn every_pointer_leads_somewhere_or_to_what_is_missing() {
    for (_, edits, expected) in table::CASES {
        let text = changed(edits);
        let document = Document::parse(text.clone()).unwrap();
        for line in expected.split(',').map(str::trim).filter(|line| !line.is_empty()) {
            let (check, pointer) = line.split_once(' ').unwrap_or((line, ""));
            let is_missing = ["E4", "E7"].contains(&check);
            assert!(is_missing || document.get(pointer).is_some(), "{edits}: {line}");
        }
    }
}
