use std::sync::Arc;

use mongodb::bson::raw::{RawBson, RawDocumentBuf};
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Class, Error};

use super::write::refusals;
use super::*;

const UUID: &str = "018f0000-0000-8000-8000-000000000001";

fn refused(options: Value) -> Error {
    let options = serde_json::from_value(options).unwrap();
    let Err(error) = Mongo::new("documents", options) else { panic!("it was accepted") };
    error
}

#[test]
fn what_cannot_work_is_refused_with_the_option_and_without_the_password() {
    let cases = [
        (json!({"url": "http://u:sesame@host"}), "`url`"),
        (json!({"url": "mongodb://u:sesame@host/?w=-3"}), "`url`"),
        (json!({"url": "mongodb://u:ses@me@host"}), "`url`"),
        (json!({"database": ""}), "`database`"),
        (json!({"database": "a.b"}), "`database`"),
        (json!({"collection": "system.users"}), "`collection`"),
        (json!({"timeout": 0}), "`timeout`"),
    ];
    for (options, named) in cases {
        let error = refused(options);
        let text = error.chain_text();
        assert!(error.class() == Class::Configuration && error.help_text().is_some(), "{text}");
        assert!(text.contains(named) && !text.contains("sesame"), "{text}");
    }
}

fn item(text: &str) -> SaveItem {
    let vcon = Arc::new(Vcon::read(text.to_owned()).unwrap());
    SaveItem { uuid: UUID.to_owned(), revision: 7, vcon, effect_id: String::new() }
}

fn encoded(text: &str) -> RawDocumentBuf {
    encode::encode(&item(text)).unwrap()
}

/// What stands in the collection.
fn document(text: &str) -> Document {
    Document::try_from(&*encoded(text)).unwrap()
}

fn back(text: &str) -> String {
    String::from_utf8(decode::decode(&encoded(text)).unwrap().to_vec()).unwrap()
}

#[test]
fn the_document_is_that_of_vcon_server_and_one_member() {
    let text = r#"{"vcon":"0.0.1","uuid":"018f0000-0000-8000-8000-000000000001","created_at":"2026-09-10T14:00:00Z",
        "parties":[{"tel":"+1","n":3,"big":3000000000,"half":0.5}],
        "dialog":[{"start":"2026-09-10T16:00:00.250+02:00","type":"text"},{"start":null},{"type":"text"}],"subject":null}"#;
    let mut found = document(text);
    let side = found.remove("_vconductor").unwrap();
    let date =
        |text: &str| mongodb::bson::DateTime::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let expected = doc! {
        "_id": UUID, "vcon": "0.0.1", "uuid": UUID, "created_at": date("2026-09-10T14:00:00Z"),
        "parties": [{"tel": "+1", "n": 3_i32, "big": 3_000_000_000_i64, "half": 0.5}],
        "dialog": [
            {"start": date("2026-09-10T14:00:00.25Z"), "type": "text"}, {"start": null}, {"type": "text"},
        ],
        "subject": null,
    };
    assert_eq!(found, expected);
    let exact = doc! {"at": "/dialog/0/start", "json": "\"2026-09-10T16:00:00.250+02:00\""};
    assert_eq!(side.as_document(), Some(&doc! {"revision": 7_i64, "exact": [exact]}));
}

#[test]
fn spelling_and_what_bson_lacks_comes_back() {
    for text in [
        r#"{"parties":[],"created_at":"2026-09-10T23:30:00.000-05:00"}"#,
        r#"{"parties":[],"created_at":"2026-09-10T23:30:00.123456Z","dialog":[{"start":"Thu, 10 Sep 2026 14:00:00 GMT"}]}"#,
        r#"{"parties":[],"created_at":1757512800,"dialog":[{"start":"soon"},7,null]}"#,
        r#"{"parties":[],"n":[0,-0,1.0,1e3,0.1,-1.50,9223372036854775807,9223372036854775808,1E400,1e-400]}"#,
        r#"{"parties":[],"s":["\ud800","�",""," \u0000"]}"#,
        r#"{"parties":[],"a":{"":1,"b":{"x":{}}},"c":[[],[[]]],"d":true,"e":false}"#,
        r#"{"parties":[],"a":{"b":1,"~/":2.50,"x.y":{"$z":[1.0]},"$w":null}}"#,
        r#"{"parties":[],"_id":5,"_vconductor":{"revision":9}}"#,
    ] {
        assert_eq!(back(text), text);
    }
    let deep = format!(r#"{{"parties":[],"deep":{}1.0{}}}"#, "[".repeat(110), "]".repeat(110));
    assert_eq!(back(&deep), deep);
    assert_eq!(back("{ \"a\" : 1, \"parties\":[], \"a\":\"\\u00e9\" }"), r#"{"parties":[],"a":"é"}"#, "not these");
}

#[test]
fn a_text_that_is_no_longer_true_is_left_out() {
    let mut changed = document(r#"{"parties":[{"n":1.50}],"created_at":"2026-09-10T23:30:00-05:00","x":1e3}"#);
    changed.insert("created_at", mongodb::bson::DateTime::from_millis(0));
    changed.insert("x", "text");
    changed.get_array_mut("parties").unwrap().clear();
    let changed = RawDocumentBuf::try_from(&changed).unwrap();
    let found = decode::decode(&changed).unwrap();
    assert_eq!(found, r#"{"parties":[],"created_at":"1970-01-01T00:00:00Z","x":"text"}"#);
}

#[test]
fn what_other_programs_put_there_is_readable() {
    let foreign = doc! {
        "_id": UUID, "o": mongodb::bson::oid::ObjectId::from_bytes([1; 12]), "n": f64::NAN,
        "d": mongodb::bson::DateTime::MAX, "_vconductor": "none of ours",
    };
    let found = decode::decode(&RawDocumentBuf::try_from(&foreign).unwrap()).unwrap();
    let found: Value = serde_json::from_slice(&found).unwrap();
    assert_eq!(found["o"], json!({"$oid": "01".repeat(12)}));
    assert!(found["d"].as_str().unwrap().starts_with("9999-12-"), "{found}");
    assert_eq!(found.as_object().unwrap().len(), 3, "{found}");
}

#[test]
fn a_vcon_beyond_the_limit_is_refused_with_its_size() {
    let text = |bytes: usize| format!(r#"{{"parties":[],"attachments":[{{"body":"{}"}}]}}"#, "x".repeat(bytes));
    assert!(encode::encode(&item(&text((16 << 20) - 1000))).is_ok());
    let error = encode::encode(&item(&text(16 << 20))).unwrap_err();
    assert!(error.class() == Class::Permanent && error.help_text().is_some());
    assert!(error.message().contains("16777"), "{}", error.message());
}

#[test]
fn a_vcon_without_a_date_has_one_beside_it() {
    let side = |text: &str| document(text).get_document("_vconductor").unwrap().contains_key("created_at");
    assert!(side(r#"{"parties":[]}"#));
    assert!(side(r#"{"parties":[],"created_at":"soon"}"#));
    assert!(!side(r#"{"parties":[],"created_at":"2026-09-10"}"#));
    assert!(
        matches!(encoded(r#"{"parties":[]}"#).get("_id"), Ok(Some(id)) if RawBson::from(id).as_str() == Some(UUID))
    );
}

/// Whoever takes an error for that of another document takes the other one for saved.
#[test]
fn a_refusal_that_names_no_document_is_not_guessed_at() {
    let reply = |errors: Vec<Document>| doc! {"ok": 1, "n": 1, "writeErrors": errors};
    let duplicate = |index: Bson| doc! {"index": index, "code": 11000, "errmsg": "E11000"};
    let one = |index| refusals(&reply(vec![duplicate(index)]), 3);
    for index in [Bson::Int32(2), Bson::Int64(2), Bson::Double(2.0)] {
        assert_eq!(one(index), Some(vec![(2, 11000, "E11000".to_owned())]));
    }
    for index in [Bson::Int32(3), Bson::Int32(-1), Bson::Double(0.5), Bson::Null] {
        assert_eq!(one(index), None);
    }
    assert_eq!(refusals(&reply(vec![doc! {"code": 11000}]), 3), None);
    assert_eq!(refusals(&reply(vec![duplicate(Bson::Int32(1)), duplicate(Bson::Int32(1))]), 3), None);
    assert_eq!(refusals(&doc! {"ok": 1, "n": 3}, 3), Some(Vec::new()));
}
