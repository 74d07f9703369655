//! `vcon convert`, `diff`, `redact` and `amend` from outside.

mod place;

use serde_json::Value;

use place::Place;

const OLD: &str = r#"{"vcon":"0.0.1", "uuid":"018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10", "created_at":"2024-01-02T03:04:05",
 "parties":[{"email":"a@example.com"}], "dialog":[{"type":"text","mimetype":"text/plain","body":"hello","parties":[0]}],
 "attachments":[{"type":"tags","body":"[\"a:b\"]","encoding":"json"}], "group":[], "x_own": 1e3}"#;

#[test]
fn an_old_vcon_is_converted_explained_and_compared() {
    let place = Place::new();
    place.write("old.vcon", OLD);
    let done = place.run(&["vcon", "convert", "old.vcon", "--explain", "--changes", "changes.jsonl"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("\"x_own\":1e3"), "{}", done.stdout);
    for said in [
        "is of before 0.0.1 to 0.0.1",
        "/dialog/0/mimetype `mimetype` is called `mediatype` since 0.0.2 (core-04, 4.3.8)",
    ] {
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    let changes = std::fs::read_to_string(place.0.path().join("changes.jsonl")).unwrap();
    let changes: Vec<Value> = changes.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(changes.iter().any(|change| change["pointer"] == "/group" && change["edits"][0]["op"] == "remove"));

    place.write("new.vcon", &done.stdout);
    insta::assert_snapshot!("diff", place.run(&["vcon", "diff", "old.vcon", "new.vcon"]).all());
    let same = place.run(&["vcon", "diff", "new.vcon", "new.vcon"]);
    assert_eq!((same.code, same.stdout.as_str()), (0, ""));
    let json = place.run(&["vcon", "diff", "old.vcon", "new.vcon", "--output", "json"]);
    assert_eq!(json.code, 1);
    let json: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert!(json.iter().any(|one| one["pointer"] == "/group" && one["change"] == "removed" && one["part"] == "member"));
    assert_eq!(place.run(&["vcon", "diff", "old.vcon", "missing.vcon"]).code, 65);
}

#[test]
fn the_forms_of_vcon_server_are_written() {
    let place = Place::new();
    place.write("old.vcon", OLD);
    let strings = place.run(&["vcon", "convert", "old.vcon", "--to", "string-bodies", "--out", "strings.vcon"]);
    assert_eq!(strings.code, 0, "{}", strings.stderr);
    let strings: Value =
        serde_json::from_str(&std::fs::read_to_string(place.0.path().join("strings.vcon")).unwrap()).unwrap();
    assert_eq!((&strings["vcon"], &strings["attachments"][0]["body"]), (&"0.4.0".into(), &"[\"a:b\"]".into()));
    let old = place.run(&["vcon", "convert", "strings.vcon", "--to", "0.0.1"]);
    let old: Value = serde_json::from_str(&old.stdout).unwrap();
    assert_eq!((&old["vcon"], &old["attachments"][0]["type"]), (&"0.0.1".into(), &"tags".into()));
    assert_eq!(old["attachments"][0]["body"][0], "a:b");
}

const CALL: &str = r#"{"uuid":"018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10","created_at":"2024-01-02T03:04:05Z","parties":[{"name":"Alice"},{}],
 "dialog":[{"type":"text","parties":[0],"body":"Alice here, a@example.com","encoding":"none","mediatype":"text/plain"}],
 "analysis":[{"type":"summary","vendor":"v","dialog":0,"body":"Alice wrote","encoding":"none"}]}"#;

#[test]
fn a_redacted_version_names_its_original_and_warns_of_what_still_tells() {
    let place = Place::new();
    place.write("call.vcon", CALL);
    let done = place.run(&["vcon", "redact", "call.vcon", "--party", "0"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains("/analysis/0/body: something that identifies the redacted party 0"),
        "{}",
        done.stderr
    );
    let value: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(value["redacted"], serde_json::json!({"type": "PII", "uuid": "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10"}));
    let denied = place.run(&["vcon", "redact", "call.vcon", "--party", "0", "--deny-warnings"]);
    assert_eq!((denied.code, denied.stdout.as_str()), (1, ""));
    let all = [
        "vcon",
        "redact",
        "call.vcon",
        "--party",
        "0",
        "--rule",
        "email",
        "--with-dependents",
        "--no-original",
        "--deny-warnings",
    ];
    let done = place.run(&all);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("{{PARTY_0}} here, {{EMAIL}}") && !done.stdout.contains("Alice"), "{}", done.stdout);
    assert_eq!(place.run(&["vcon", "redact", "call.vcon"]).code, 2);
    assert_eq!(place.run(&["vcon", "redact", "call.vcon", "--rule", "emial"]).code, 2);
    assert_eq!(place.run(&["vcon", "redact", "call.vcon", "--dialog", "7"]).code, 65);
}

#[test]
fn an_amended_version_holds_the_old_one_and_the_changes() {
    let place = Place::new();
    place.write("call.vcon", CALL);
    let done = place.run(&[
        "vcon",
        "amend",
        "call.vcon",
        "--set",
        "/subject=Refund",
        "--append",
        "/dialog={\"type\":\"recording\"}",
        "--tag",
        "a:b",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let value: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(value["amended"], serde_json::json!({"uuid": "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10"}));
    assert_eq!((&value["subject"], &value["dialog"][1]["type"]), (&"Refund".into(), &"recording".into()));
    place.write("more.vcon", &done.stdout);
    let again =
        place.run(&["vcon", "amend", "call.vcon", "--from", "more.vcon", "--url", "https://example.com/call.vcon"]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&again["dialog"], &again["subject"]), (&value["dialog"], &value["subject"]));
    assert_ne!(again["uuid"], value["uuid"]);
    assert!(again["amended"]["content_hash"].as_str().unwrap().starts_with("sha512-"));
    assert_eq!(place.run(&["vcon", "amend", "call.vcon", "--set", "/uuid=x"]).code, 65);
    assert_eq!(place.run(&["vcon", "amend", "call.vcon"]).code, 2);
}
