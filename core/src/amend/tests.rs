use serde_json::{Value, json};

use super::*;

const OLD: &str = "019f15a6-a752-826f-9dd8-dd37220d739c";
const NEW: &str = "01a2125b-f232-8000-b613-50f9671102b3";

fn now() -> Timestamp {
    "2026-11-25T10:00:00.5Z".parse().unwrap()
}

fn old() -> Vcon {
    let text = json!({
        "uuid": OLD, "created_at": "2026-09-10T14:00:00Z", "updated_at": "2026-09-10T14:00:00Z", "parties": [{}],
        "redacted": {"type": "PII"}, "x": 1,
    });
    Vcon::read(text.to_string()).unwrap()
}

#[test]
fn an_amended_version_is_a_deep_copy_that_names_the_one_before() {
    let changes = [Edit::set("/subject", json!("Refund")), Edit::append("/attachments", json!({"purpose": "note"}))];
    let (new, edits) = amend(&old(), &Prior::of(&old()).unwrap(), &changes, NEW, now()).unwrap();
    let value = new.document().root().to_value();
    assert_eq!((&value["uuid"], &value["amended"]), (&json!(NEW), &json!({"uuid": OLD})));
    assert_eq!(
        (&value["created_at"], &value["subject"], &value["x"]),
        (&json!("2026-11-25T10:00:00Z"), &json!("Refund"), &json!(1))
    );
    // They exclude each other, and a version begins without an update.
    assert_eq!((&value["redacted"], &value["updated_at"]), (&Value::Null, &Value::Null));
    assert_eq!(value["attachments"], json!([{"purpose": "note"}]));
    // The edits are the whole story.
    let mut again = old();
    for edit in &edits {
        again.apply(edit).unwrap();
    }
    assert_eq!(again.document(), new.document());
}

#[test]
fn a_url_comes_with_the_hash_of_what_lies_there() {
    let prior = Prior::of(&old()).unwrap().at("https://example.com/a.vcon", b"abc").unwrap();
    let (new, _) = amend(&old(), &prior, &[], NEW, now()).unwrap();
    let amended = new.document().get("/amended").unwrap().to_value();
    assert_eq!(amended["url"], "https://example.com/a.vcon");
    assert!(
        amended["content_hash"].as_str().unwrap().starts_with("sha512-3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05oh")
    );
    assert!(Prior::default().at("http://example.com/a", b"").is_err());
}

#[test]
fn what_makes_the_version_is_not_changed_by_hand() {
    let prior = Prior::of(&old()).unwrap();
    for edit in [
        Edit::set("/uuid", json!("x")),
        Edit::remove("/created_at"),
        Edit::set("/amended/uuid", json!("x")),
        Edit::set("", json!({"uuid": "x"})),
        Edit::Replace(json!({"uuid": "x"}).into()),
    ] {
        assert!(amend(&old(), &prior, std::slice::from_ref(&edit), NEW, now()).is_err(), "{edit:?}");
    }
    assert!(amend(&old(), &prior, &[Edit::set("/uuid_of_mine", json!(1))], NEW, now()).is_ok());
    let signed = Vcon::read(json!({"payload": "e30", "signatures": [{}]}).to_string()).unwrap();
    assert!(amend(&signed, &prior, &[], NEW, now()).is_err());
    assert!(Prior::of(&Vcon::read(r#"{"parties":[]}"#).unwrap()).is_err());
}
