//! Redaction: what is removed is gone, indices stay, what depends on it is removed or named.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const OLD: &str = "019f15a6-a752-826f-9dd8-dd37220d739c";
const NEW: &str = "01a2125b-f232-8000-b613-50f9671102b3";

fn call() -> Value {
    json!({
        "uuid": OLD, "created_at": "2026-09-10T14:00:00Z", "subject": "Alice Secret calls", "amended": {"uuid": OLD},
        "parties": [{"name": "Alice Secret", "tel": "tel:+12025550101", "meta": {"x": "hidden"}}, {"name": "Bob"}],
        "dialog": [
            {"type": "recording", "start": "2026-09-10T14:00:00Z", "parties": [0, 1], "body": "UklG", "encoding": "base64url",
             "mediatype": "audio/x-wav", "filename": "alice.wav", "meta": {"original": {"start": "x"}}},
            {"type": "text", "parties": [0], "body": "my mail is alice@example.com", "encoding": "none"},
            {"type": "incomplete", "disposition": "busy", "session_id": {"local": "l", "remote": "r"}},
        ],
        "analysis": [
            {"type": "transcript", "vendor": "v", "dialog": 0, "body": {"text": "I am Alice Secret"}, "encoding": "json"},
            {"type": "summary", "vendor": "v", "dialog": [1], "body": "alice secret wrote", "encoding": "none"},
        ],
        "attachments": [
            {"purpose": "tags", "start": "2026-09-10T14:00:00Z", "party": 0, "dialog": 0, "body": ["a:b"], "encoding": "json"},
            {"purpose": "note", "start": "2026-09-10T14:00:00Z", "party": 1, "dialog": 0, "body": "{\"card\":\"4111 1111 1111 1111\"}", "encoding": "json"},
        ],
    })
}

fn redacted(value: &Value, redaction: &Redaction) -> Result<Redacted> {
    let vcon = Vcon::read(value.to_string()).unwrap();
    redact(&vcon, &Prior::of(&vcon).unwrap(), redaction, NEW, "2026-11-25T10:00:00Z".parse().unwrap())
}

fn of(targets: &[Target]) -> Redaction {
    Redaction { targets: targets.to_vec(), ..Redaction::new("PII") }
}

fn warned(redacted: &Redacted) -> Vec<&str> {
    redacted.warnings.iter().map(|warning| warning.pointer.as_str()).collect()
}

#[test]
fn placeholders_hold_only_what_the_draft_demands() {
    let targets = [
        Target::Party(0),
        Target::Dialog(0),
        Target::DialogContent(1),
        Target::Dialog(2),
        Target::Analysis(0),
        Target::Attachment(1),
        Target::Pointer("/analysis/1/body".to_owned()),
    ];
    let found = redacted(&call(), &of(&targets)).unwrap();
    let value = found.vcon.document().root().to_value();
    assert_eq!(value["redacted"], json!({"type": "PII", "uuid": OLD}));
    assert_eq!((&value["uuid"], &value["created_at"]), (&json!(NEW), &json!("2026-11-25T10:00:00Z")));
    assert_eq!(value["amended"], Value::Null, "the two references exclude each other");
    assert_eq!(value["parties"], json!([{}, {"name": "Bob"}]));
    assert_eq!(
        value["dialog"],
        json!([{"type": "recording"}, {"type": "text", "parties": [0]}, {"type": "incomplete", "disposition": "busy"}])
    );
    assert_eq!(
        value["analysis"],
        json!([{"type": "transcript", "vendor": "v", "dialog": 0}, {"type": "summary", "vendor": "v", "dialog": [1]}])
    );
    assert_eq!(value["attachments"][1], json!({"start": "2026-09-10T14:00:00Z", "party": 1, "dialog": 0}));
    assert!(warned(&found).contains(&"/subject"), "{:?}", found.warnings);
    let mut again = Vcon::read(call().to_string()).unwrap();
    for edit in &found.edits {
        again.apply(edit).unwrap();
    }
    assert_eq!(again.to_bytes(), found.vcon.to_bytes());
}

#[test]
fn what_depends_on_removed_parts_is_named_or_removed() {
    let mut redaction = of(&[Target::Party(0), Target::Dialog(1)]);
    let found = redacted(&call(), &redaction).unwrap();
    let warnings = warned(&found);
    // The voice, the transcript and the summary, the subject.
    for pointer in ["/dialog/0", "/analysis/0/body/text", "/analysis/1", "/analysis/1/body", "/subject"] {
        assert!(warnings.contains(&pointer), "{pointer}: {warnings:?}");
    }
    redaction.with_dependents = true;
    let found = redacted(&call(), &redaction).unwrap();
    let text = String::from_utf8(found.vcon.to_bytes().to_vec()).unwrap();
    assert!(!text.to_lowercase().contains("alice secret"), "{text}");
    assert!(text.contains("{{PARTY_0}} calls") && text.contains("I am {{PARTY_0}}"), "{text}");
    assert_eq!(
        found.vcon.document().get("/analysis/1").unwrap().to_value(),
        json!({"type": "summary", "vendor": "v", "dialog": [1]})
    );
    // Nobody can take a voice out of a recording here, nor look for a name in it.
    assert_eq!(warned(&found), ["/dialog/0", "/dialog/0/body"]);
}

#[test]
fn rules_put_marks_into_texts_and_into_json_written_as_text() {
    let rule = |text: &str| Rule::parse(text).unwrap();
    let rules = vec![rule("email"), rule("card"), rule("phone"), rule("who=(?i)alice secret")];
    let found = redacted(&call(), &Redaction { rules, ..Redaction::new("PII masked") }).unwrap();
    let value = found.vcon.document().root().to_value();
    assert_eq!(value["dialog"][1]["body"], "my mail is {{EMAIL}}");
    assert_eq!(value["attachments"][1]["body"], "{\"card\":\"{{CARD}}\"}");
    assert_eq!(value["subject"], "{{WHO}} calls");
    assert_eq!(
        value["parties"][0],
        json!({"name": "{{WHO}}", "meta": {"x": "hidden"}}),
        "an address with a mark is none"
    );
    assert_eq!(value["dialog"][0]["body"], "UklG");
    assert!(warned(&found).contains(&"/dialog/0/body"), "what was not searched is named");
    assert_eq!(value["dialog"][0]["start"], "2026-09-10T14:00:00Z");
}

#[test]
fn the_named_rules_match_what_they_are_named_for() {
    for (name, matches, not) in [
        ("email", "write to a.b+c@mail.example.com!", "a@ b"),
        ("url", "see https://example.com/a?b now", "example.com"),
        ("card", "4111-1111-1111-1111", "4111-1111-1111-1112"),
        ("iban", "DE89 3704 0044 0532 0130 00", "DEMO"),
        ("ssn", "078-05-1120", "078-051-120"),
        ("ip", "at 192.0.2.1", "1.2.3"),
        ("phone", "call +1 (202) 555-0101", "in 2026"),
        ("phone", "0221 4567890", "12:30"),
    ] {
        let rule = Rule::parse(name).unwrap();
        let redact = |text: &str| {
            let document = Document::from_value(&json!({ "subject": text })).unwrap();
            !rule::edits(std::slice::from_ref(&rule), &document, &mut BTreeSet::new()).is_empty()
        };
        assert!(redact(matches), "{name} {matches}");
        assert!(!redact(not), "{name} {not}");
    }
    for wrong in ["emial", "=a", "x=(", "x=a*"] {
        assert!(Rule::parse(wrong).unwrap_err().help_text().is_some() || wrong == "x=(", "{wrong}");
    }
}

#[test]
fn elements_inside_of_content_become_empty_and_keep_their_places() {
    let value = json!({"uuid": OLD, "analysis": [{"type": "t", "vendor": "v", "encoding": "json",
        "body": {"words": [{"w": "secret"}, "secret", 7, ["secret"]], "secret": 1}}]});
    let pointers = ["words/0", "words/1", "words/2", "words/3", "secret"];
    let targets: Vec<_> = pointers.iter().map(|at| Target::Pointer(format!("/analysis/0/body/{at}"))).collect();
    let found = redacted(&value, &of(&targets)).unwrap();
    assert_eq!(found.vcon.document().get("/analysis/0/body").unwrap().to_value(), json!({"words": [{}, "", null, []]}));
    let all = redacted(&call(), &of(&[Target::Pointer("/parties".to_owned())])).unwrap();
    assert_eq!(all.vcon.document().get("/parties").unwrap().to_value(), json!([{}, {}]));
}

#[test]
fn what_cannot_be_redacted_is_refused() {
    for pointer in [
        "",
        "/uuid",
        "/redacted",
        "/dialog/0/type",
        "/dialog/0/parties/1",
        "/analysis/0/vendor",
        "/attachments/1/start",
        "/dialog/9",
    ] {
        let error = redacted(&call(), &of(&[Target::Pointer(pointer.to_owned())])).unwrap_err();
        assert!(error.help_text().is_some(), "{pointer}");
    }
    assert!(redacted(&call(), &of(&[Target::Party(2)])).is_err());
    let mut extended = call();
    extended["extensions"] = json!(["CC", "strange"]);
    let mut redaction = of(&[Target::Party(0)]);
    assert!(redacted(&extended, &redaction).unwrap_err().message().contains("`strange`"));
    redaction.accepted_extensions.push("strange".to_owned());
    assert!(redacted(&extended, &redaction).is_ok());
    let signed = Vcon::read(json!({"payload": "e30", "signatures": [{}]}).to_string()).unwrap();
    assert!(redact(&signed, &Prior::unavailable(), &redaction, NEW, Timestamp::UNIX_EPOCH).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Every string of a removed part carries a marker; none of it is left, and every index still means the same.
    #[test]
    fn no_byte_of_a_removed_part_is_left(
        parts in prop::collection::vec((0..4_usize, any::<bool>(), prop::collection::vec("[a-zä\"\\\\\n]{0,6}", 0..5)), 1..10),
    ) {
        let lists = ["parties", "dialog", "analysis", "attachments"];
        let mut value = json!({"uuid": OLD, "parties": [], "dialog": [], "analysis": [], "attachments": []});
        let mut targets = Vec::new();
        for (which, removed, strings) in &parts {
            let list = value[lists[*which]].as_array_mut().unwrap();
            let marker = if *removed { "REMOVED" } else { "STAYS" };
            let text = |at: usize| format!("{marker}{}", strings.get(at).map_or("", String::as_str));
            let entry = json!({
                "type": "text", "vendor": "v", "body": [text(0), {"a": text(1)}], "encoding": "json", "name": text(2),
                "meta": {"original": {"start": text(3)}}, "unknown": [[text(4)]], "content_hash": text(0), "filename": text(1),
            });
            list.push(entry);
            let index = list.len() - 1;
            if *removed {
                targets.push(match which {
                    0 => Target::Party(index),
                    1 if strings.len() > 2 => Target::DialogContent(index),
                    1 => Target::Dialog(index),
                    2 => Target::Analysis(index),
                    _ => Target::Attachment(index),
                });
            }
        }
        let found = redacted(&value, &of(&targets)).unwrap();
        let text = String::from_utf8(found.vcon.to_bytes().to_vec()).unwrap();
        prop_assert!(!text.contains("REMOVED"), "{}", text);
        for (at, name) in lists.iter().enumerate() {
            let after = found.vcon.document().get(&format!("/{name}")).unwrap().to_value();
            let before = value[name].as_array().unwrap();
            prop_assert_eq!(after.as_array().unwrap().len(), before.len());
            let kept = parts.iter().filter(|(which, ..)| *which == at).enumerate().filter(|(_, (_, removed, _))| !removed);
            for (index, _) in kept {
                prop_assert_eq!(&after[index], &before[index]);
            }
        }
    }
}
