//! The tolerant reader against real files and against broken ones.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn fixtures(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    fn collect(folder: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                // What is packed is unpacked by `format`, which has tests of its own.
                all.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    let mut all = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/vcon").join(folder), &mut all);
    all.sort();
    all
}

fn fixture(path: &str) -> Vcon {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/vcon").join(path);
    Vcon::read(std::fs::read(path).unwrap()).unwrap()
}

fn read(value: &Value) -> Vcon {
    Vcon::read(value.to_string()).unwrap()
}

/// Looks at everything that a view shows.
fn look(vcon: &Vcon) -> usize {
    let mut seen = format!("{:?}{:?}{:?}", vcon.uuid(), vcon.created_at(), vcon.created_at_date_as_written());
    seen += &format!("{:?}{:?}{:?}{}", vcon.subject(), vcon.version(), vcon.tags(), vcon.normalised());
    seen += &format!("{:?}{:?}", vcon.entry().get("amended").map(|view| view.kind()), vcon.document().warnings());
    for party in vcon.parties() {
        seen += &format!("{:?}{:?}{:?}{:?}", party.tel(), party.mailto(), party.name(), party.role());
    }
    for dialog in vcon.dialogs() {
        seen += &format!("{:?}{:?}{:?}{:?}", dialog.kind(), dialog.start(), dialog.duration(), dialog.parties());
        seen += &format!("{:?}{:?}{:?}", dialog.channels(), dialog.originator(), dialog.body().is_ok());
        seen += &format!("{:?}{}{:?}", dialog.url(), dialog.is_recording(), dialog.entry().content_hashes());
    }
    for analysis in vcon.analyses() {
        seen += &format!("{:?}{:?}{:?}", analysis.kind(), analysis.dialogs(), analysis.body().is_ok());
    }
    for attachment in vcon.attachments() {
        seen += &format!("{:?}{:?}{:?}", attachment.purpose(), attachment.start(), attachment.body().is_ok());
        seen += &format!("{:?}{:?}{}", attachment.party(), attachment.dialog(), attachment.is_tags());
    }
    seen.len()
}

#[test]
fn every_valid_fixture_is_read_and_kept() {
    let mut unsigned = 0;
    for (path, bytes) in fixtures("valid") {
        let mut vcon = Vcon::read(bytes.clone()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(vcon.to_bytes(), bytes, "{}", path.display());
        look(&vcon);
        if vcon.form() != Form::Unsigned {
            assert!(vcon.apply(&Edit::tag("a", "b")).is_err());
            assert!(vcon.uuid().is_some(), "{}", path.display());
            continue;
        }
        unsigned += 1;
        let before = vcon.document().root().to_value();
        let tags = vcon.tags();
        assert!(vcon.apply(&Edit::tag("test name", "x:y")).unwrap());
        assert_eq!(vcon.tags().len(), tags.len() + 1, "{}", path.display());
        let mut after: Value = serde_json::from_slice(&vcon.to_bytes()).unwrap();
        // Only the attachments differ, and of them only one that holds tags.
        let none = Vec::new();
        let old = before["attachments"].as_array().unwrap_or(&none);
        let new = after["attachments"].take();
        let changed: Vec<_> = (0..new.as_array().unwrap().len()).filter(|&at| old.get(at) != new.get(at)).collect();
        assert_eq!(changed.len(), 1, "{}", path.display());
        let holder = &new[changed[0]];
        assert!(holder["purpose"] == "tags" || holder["type"] == "tags", "{}", path.display());
        let mut before = before;
        before["attachments"].take();
        assert_eq!(after, before, "{}", path.display());
    }
    assert!(unsigned > 120, "the fixtures are there: {unsigned}");
}

#[test]
fn broken_files_are_refused_and_never_panic() {
    for (path, bytes) in fixtures("invalid") {
        let refused = Vcon::read(bytes).map(|vcon| look(&vcon)).err();
        let name = path.file_name().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap().file_name().unwrap();
        let tolerated = folder == "syntax" && ["duplicate_key.json", "utf8_bom.json"].contains(&name)
            || folder != "syntax" && name != "root_array.json";
        assert_eq!(refused.is_none(), tolerated, "{}: {refused:?}", path.display());
        if let Some(error) = refused {
            assert!(!error.is_retryable() && error.help_text().is_some(), "{}", path.display());
        }
    }
}

#[test]
fn forms_are_told_by_shape() {
    assert_eq!(fixture("valid/synthetic-jose/jws_ps256.json").form(), Form::Signed);
    assert_eq!(fixture("invalid/jose/jws_and_unsigned_mixed.json").form(), Form::Signed);
    assert_eq!(fixture("valid/synthetic-jose/jwe_a256gcm.json").form(), Form::Encrypted);
    assert_eq!(read(&json!({"cyphertext": "x", "recipients": []})).form(), Form::Encrypted);
    assert_eq!(read(&json!({"uuid": "x"})).form(), Form::Unsigned);
    let error = Vcon::read(r#"{"text":"hello"}"#).unwrap_err();
    assert!(error.message().contains("no `uuid`"), "{error}");
    let error = Vcon::read(r#"{"uuid":"x","dialog":{}}"#).unwrap_err();
    assert_eq!(error.message(), "`dialog` is an object, not an array");
    assert!(Vcon::read(r#"{"uuid":"x","dialog":null,"parties":["no object"]}"#).is_ok());
}

#[test]
fn edits_keep_an_unsigned_vcon() {
    let mut vcon = read(&json!({"uuid": "x", "parties": []}));
    for edit in [
        Edit::set("/parties", json!("none")),
        Edit::set("", json!([])),
        Edit::Replace(json!({"payload": "", "signatures": []}).into()),
        Edit::set("/payload/x", json!(1)),
    ] {
        assert!(vcon.apply(&edit).is_err(), "{edit:?}");
        assert!(!vcon.document().is_edited());
    }
    vcon.apply(&Edit::set("/payload", json!(""))).unwrap();
    assert!(vcon.apply(&Edit::append("/signatures", json!({}))).is_err());
    vcon.apply(&Edit::append("/dialog", json!({}))).unwrap();
    assert_eq!(Vcon::read(vcon.to_bytes()).unwrap().form(), Form::Unsigned);
}

#[test]
fn a_missing_uuid_is_assigned_once_and_recorded() {
    let generator = uuid8::Generator::new("example.com");
    let mut vcon = read(&json!({"parties": []}));
    let edit = vcon.ensure_uuid(&generator).unwrap().unwrap();
    let uuid = vcon.uuid().unwrap();
    assert_eq!(edit, Edit::set("/uuid", json!(uuid.to_string())));
    assert_eq!(vcon.ensure_uuid(&generator).unwrap(), None);
    for wrong in [json!(7), json!("not a uuid")] {
        let mut vcon = read(&json!({"uuid": wrong, "parties": []}));
        assert!(vcon.ensure_uuid(&generator).unwrap_err().message().contains("no UUID"));
    }
}

#[test]
fn older_names_are_read_but_not_rewritten() {
    let text = json!({
        "uuid": "019f15a6-a752-826f-9dd8-dd37220d739c", "created_at": "2026-09-10T23:30:00-05:00", "appended": null,
        "parties": [{"email": "a@example.com"}, "odd", {"mailto": "b@example.com", "email": "c"}],
        "dialog": [{"type": "recording", "mimetype": "audio/wav", "parties": [[0, 1], 2, null, 0], "duration": -1,
                    "alg": "SHA-512", "signature": "abc"},
                   {"type": "video", "mediatype": null, "mimetype": "x/y", "parties": 3, "originator": 1}],
        "analysis": [{"type": "t", "schema_version": "1", "dialog": [0, 1], "transcript": "hello"}, 5],
        "attachments": [{"type": "note"}, {"type": "a", "purpose": "b"}],
    })
    .to_string();
    let vcon = Vcon::read(text.clone()).unwrap();
    assert_eq!(vcon.created_at().unwrap().to_string(), "2026-09-11T04:30:00Z");
    assert_eq!(vcon.created_at_date_as_written(), Some((2026, 9, 10)));
    assert!(vcon.entry().get("amended").unwrap().is_null());
    let parties: Vec<_> = vcon.parties().map(|party| (party.index(), party.mailto().unwrap().into_owned())).collect();
    assert_eq!(parties, [(0, "a@example.com".to_owned()), (2, "b@example.com".to_owned())]);
    let dialogs: Vec<_> = vcon.dialogs().collect();
    assert_eq!(dialogs[0].mediatype().unwrap(), "audio/wav");
    assert_eq!(dialogs[0].parties(), [0, 1, 2]);
    assert_eq!(dialogs[0].channels(), [vec![0, 1], vec![2], vec![], vec![0]]);
    assert_eq!((dialogs[0].duration(), dialogs[0].originator()), (None, Some(0)));
    assert_eq!(dialogs[0].entry().content_hashes(), ["sha512-abc"]);
    assert_eq!(dialogs[1].mediatype(), None, "null in the newer name hides the older one");
    assert_eq!((dialogs[1].channels(), dialogs[1].originator()), (vec![vec![3]], Some(1)));
    assert!(dialogs[1].is_recording());
    let analysis = vcon.analyses().next().unwrap();
    assert_eq!((analysis.schema().unwrap().as_ref(), analysis.dialogs()), ("1", vec![0, 1]));
    assert_eq!(analysis.body().unwrap(), Body::Text("hello".into()));
    let purposes: Vec<_> = vcon.attachments().map(|attachment| attachment.purpose().unwrap().into_owned()).collect();
    assert_eq!(purposes, ["note", "b"]);
    assert_eq!(vcon.to_bytes(), text);

    let normalised = vcon.normalised();
    assert_eq!(normalised["amended"], Value::Null);
    assert!(normalised.get("appended").is_none());
    assert_eq!(normalised["dialog"][1], json!({"type": "video", "mediatype": null, "parties": 3, "originator": 1}));
    assert_eq!(normalised["analysis"][0]["schema"], "1");
    assert_eq!(normalised["attachments"], json!([{"purpose": "note"}, {"type": "a", "purpose": "b"}]));
}

#[test]
fn bodies_are_decoded_by_what_is_there() {
    let body = |entry: Value| {
        let vcon = read(&json!({"attachments": [entry]}));
        let body = vcon.attachments().next().unwrap().body();
        // Owned, to outlive the vCon.
        body.map(|body| match body {
            Body::None => Body::None,
            Body::Text(text) => Body::Text(Cow::Owned(text.into_owned())),
            Body::Json(value) => Body::Json(value),
            Body::Bytes(bytes) => Body::Bytes(bytes),
        })
    };
    let text = |text: &str| Body::Text(Cow::Owned(text.to_owned()));
    for (entry, expected) in [
        (json!({}), Body::None),
        (json!({"body": null, "encoding": "json"}), Body::None),
        (json!({"body": "", "encoding": "none"}), Body::None),
        (json!({"body": "[1]", "encoding": "none"}), text("[1]")),
        (json!({"body": "[1]", "encoding": "json"}), Body::Json(json!([1]))),
        (json!({"body": " {\"a\":1}"}), Body::Json(json!({"a": 1}))),
        (json!({"body": "7", "encoding": "json"}), text("7")),
        (json!({"body": "[not", "encoding": "json"}), text("[not")),
        (json!({"body": {"a": 1}, "encoding": "none"}), Body::Json(json!({"a": 1}))),
        (json!({"body": "-_8", "encoding": "base64url"}), Body::Bytes(vec![0xfb, 0xff])),
        (json!({"body": "+/8=", "encoding": "BASE64"}), Body::Bytes(vec![0xfb, 0xff])),
        (json!({"body": "-_\r\n8", "encoding": "base64url"}), Body::Bytes(vec![0xfb, 0xff])),
        (json!({"body": "-_8", "mimetype": "audio/x-wav"}), Body::Bytes(vec![0xfb, 0xff])),
        (json!({"body": "no base64!", "mediatype": "audio/x-wav"}), text("no base64!")),
    ] {
        assert_eq!(body(entry.clone()).unwrap(), expected, "{entry}");
    }
    assert!(!body(json!({"body": "no base64!", "encoding": "base64url"})).unwrap_err().is_retryable());
}

/// Values that belong nowhere.
fn odd() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("tags"),
        json!("json"),
        json!("base64url"),
        json!("{\"a\":"),
        json!("2026-13-01T00:00:00Z"),
        json!("-999999-01-01"),
        json!("9999-12-31T23:59:59-23:59"),
    ]);
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            inner.prop_map(|value| json!({"body": value, "type": value, "uuid": value})),
        ]
    })
}

/// Replaces the value that is met as number `countdown`.
fn replace(value: &mut Value, countdown: &mut usize, with: &Value) {
    if *countdown == 0 {
        *value = with.clone();
    }
    *countdown = countdown.wrapping_sub(1);
    match value {
        Value::Object(members) => members.values_mut().for_each(|value| replace(value, countdown, with)),
        Value::Array(elements) => elements.iter_mut().for_each(|value| replace(value, countdown, with)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn wrong_types_anywhere_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0..60_usize, odd()), 1..6),
    ) {
        use std::sync::LazyLock;
        static SMALL: LazyLock<Vec<Value>> = LazyLock::new(|| {
            let all = fixtures("valid").into_iter().filter(|(_, bytes)| bytes.len() < 20_000);
            all.map(|(_, bytes)| serde_json::from_slice(&bytes).unwrap()).collect()
        });
        let mut value = which.get(&SMALL).clone();
        for (mut countdown, with) in changes {
            replace(&mut value, &mut countdown, &with);
        }
        if let Ok(mut vcon) = Vcon::read(value.to_string()) {
            look(&vcon);
            vcon.ensure_uuid(&uuid8::Generator::new("example.com")).ok();
            if vcon.form() == Form::Unsigned {
                vcon.apply(&Edit::tag("a", "b")).unwrap();
                prop_assert!(!vcon.apply(&Edit::tag("a", "b")).unwrap());
            }
        }
    }
}

#[test]
fn only_another_form_of_the_same_vcon_takes_its_place() {
    use crate::jose::Payload;
    let rewrap = |vcon: &Vcon, new: &Vcon| {
        let mut changed = vcon.clone();
        let result = changed.apply(&Edit::Rewrap(new.document().to_json()));
        assert!(result.is_ok() || changed.to_bytes() == vcon.to_bytes(), "as it was");
        result.ok()
    };
    let signed = fixture("valid/synthetic-jose/jws_ps256.json");
    let other = fixture("valid/ietf-core-03/ab_call_ext_rec_signed.vcon");
    let encrypted = fixture("valid/synthetic-jose/jwe_a256gcm.json");
    let inside = Payload::of(signed.document()).unwrap().innermost().unwrap();
    assert_eq!(rewrap(&inside, &signed), Some(true));
    assert_eq!(rewrap(&signed, &inside), Some(true));
    assert_eq!(rewrap(&signed, &encrypted), Some(true));
    assert_eq!(rewrap(&encrypted, &signed), Some(true));
    assert_eq!(rewrap(&signed, &signed), Some(false));
    for (from, to) in
        [(&inside, &other), (&signed, &other), (&other, &inside), (&encrypted, &other), (&other, &encrypted)]
    {
        assert_eq!(rewrap(from, to), None, "another vCon");
    }
    assert_eq!(rewrap(&inside, &encrypted), None, "signed first");
    assert_eq!(rewrap(&encrypted, &inside), None, "opened one by one");
    let mut edited = inside;
    edited.apply(&Edit::tag("a", "b")).unwrap();
    assert_eq!(rewrap(&edited, &signed), None, "what is signed is the document as it is now");
    assert_eq!(rewrap(&signed, &edited), None, "what is opened is what was signed");
    let text = serde_json::to_string(&Edit::Rewrap(json!({"a": 1}).into())).unwrap();
    assert_eq!(text, r#"{"op":"rewrap","document":{"a":1}}"#);
    assert!(matches!(serde_json::from_str(&text).unwrap(), Edit::Rewrap(_)));
}
