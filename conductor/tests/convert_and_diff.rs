//! `vcon convert` and `vcon diff` from outside.

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
    let strings: Value = serde_json::from_str(&std::fs::read_to_string(place.0.path().join("strings.vcon")).unwrap()).unwrap();
    assert_eq!((&strings["vcon"], &strings["attachments"][0]["body"]), (&"0.4.0".into(), &"[\"a:b\"]".into()));
    let old = place.run(&["vcon", "convert", "strings.vcon", "--to", "0.0.1"]);
    let old: Value = serde_json::from_str(&old.stdout).unwrap();
    assert_eq!((&old["vcon"], &old["attachments"][0]["type"]), (&"0.0.1".into(), &"tags".into()));
    assert_eq!(old["attachments"][0]["body"][0], "a:b");
}
