use serde_json::{Value, json};

use super::*;

fn differences(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (Document::from_value(before).unwrap(), Document::from_value(after).unwrap());
    let shown = |seen: &Option<Seen<'_>>| match seen {
        None => "-".to_owned(),
        Some(Seen::Value(view)) => view.text().into_owned(),
        Some(Seen::Tag(tag)) => format!("{}:{}", tag.name, tag.value.as_deref().unwrap_or_default()),
    };
    compare(&before, &after)
        .iter()
        .map(|one| {
            format!("{:?} {:?} {} {} {}", one.part, one.change, one.pointer, shown(&one.before), shown(&one.after))
        })
        .collect()
}

#[test]
fn differences_are_named_by_what_they_belong_to() {
    let before = json!({
        "uuid": "a", "subject": "x", "parties": [{"name": "A", "tel": "1"}, {}],
        "dialog": [{"type": "text", "body": "a"}, {"type": "text", "body": "b"}, {"type": "recording"}],
        "attachments": [{"purpose": "tags", "body": "[\"a:b\",\"c:d\"]"}],
    });
    let after = json!({
        "uuid": "a", "updated_at": "t", "parties": [{"tel": "1", "name": "B", "x/y": null}, {}],
        "dialog": [{"type": "text", "body": "a"}, {"type": "recording"}],
        "analysis": [{"type": "summary"}],
        "attachments": [{"purpose": "tags", "body": ["a:b", "e:f"]}],
    });
    assert_eq!(
        differences(&before, &after),
        [
            "Tag Removed /attachments c:d -",
            "Tag Added /attachments - e:f",
            "Member Removed /subject \"x\" -",
            "Party Changed /parties/0/name \"A\" \"B\"",
            "Party Added /parties/0/x~1y - null",
            "Dialog Removed /dialog/1 {\"type\":\"text\",\"body\":\"b\"} -",
            "Member Added /updated_at - \"t\"",
            "Analysis Added /analysis - [{\"type\":\"summary\"}]",
        ]
    );
}

#[test]
fn what_is_equal_as_json_does_not_differ() {
    let document = |text: &str| Document::parse(text.to_owned()).unwrap();
    let (one, two) = (document(r#"{"a":1,"b":[ 1.0 ,"\u0041"]}"#), document(r#"{ "b": [1.00,"A"], "a": 1 }"#));
    assert!(compare(&one, &two).is_empty());
    // The same tags in another shape are another body all the same.
    let tags = |body: Value| json!({"attachments": [{"purpose": "tags", "body": body}]});
    assert_eq!(differences(&tags(json!(["a:b"])), &tags(json!("[\"a:b\"]"))).len(), 1);
    assert_eq!(differences(&json!([1]), &json!({"a": 1})), ["Member Changed  [1] {\"a\":1}"]);
}
