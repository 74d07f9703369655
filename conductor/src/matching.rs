//! Where JSON is not as expected: what is expected must be part of it, and a text may be a pattern with `*`.

use serde_json::Value;
use vconductor_core::wildcard;

/// What is not as expected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    /// Where (a JSON pointer).
    pub(crate) pointer: String,
    /// What was expected there.
    pub(crate) expected: Value,
    /// What is there; `None`: nothing.
    pub(crate) found: Option<Value>,
}

/// Where `found` is not as `expected`: members of objects that are not expected do not count; lists have the same length.
/// JSON in a string is compared as JSON where an object or a list is expected, as bodies of vCons are written.
pub(crate) fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(expected, Some(found), String::new(), &mut differences);
    differences
}

/// Where a body is not as `expected`: a text is a pattern for all of it, anything else is part of it as JSON.
pub(crate) fn body_differences(expected: &Value, body: &[u8]) -> Vec<Difference> {
    let text = String::from_utf8_lossy(body);
    match expected {
        Value::String(wanted) if wildcard::matches(wanted, &text) => Vec::new(),
        Value::String(_) => {
            let found = Some(Value::String(text.into_owned()));
            vec![Difference { pointer: String::new(), expected: expected.clone(), found }]
        }
        _ => differences(expected, &serde_json::from_slice(body).unwrap_or_else(|_| Value::String(text.into_owned()))),
    }
}

fn compare(expected: &Value, found: Option<&Value>, pointer: String, differences: &mut Vec<Difference>) {
    let read;
    let found = match (expected, found) {
        (Value::Object(_) | Value::Array(_), Some(Value::String(text))) => match serde_json::from_str(text) {
            Ok(value) => {
                read = value;
                Some(&read)
            }
            Err(_) => found,
        },
        _ => found,
    };
    match (expected, found) {
        (Value::Object(members), Some(Value::Object(others))) => {
            for (name, value) in members {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                compare(value, others.get(name), format!("{pointer}/{escaped}"), differences);
            }
        }
        (Value::Array(items), Some(Value::Array(others))) if items.len() == others.len() => {
            for (index, (item, other)) in items.iter().zip(others).enumerate() {
                compare(item, Some(other), format!("{pointer}/{index}"), differences);
            }
        }
        (Value::Number(one), Some(Value::Number(other))) if one.as_f64() == other.as_f64() => {}
        (expected, Some(found)) if expected == found => {}
        _ => differences.push(Difference { pointer, expected: expected.clone(), found: found.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_is_enough_and_every_difference_has_its_place() {
        let found = json!({"a": {"b/c": [1, {"d": "x", "e": 2}]}, "f": "{\"g\": [true]}", "n": 1.0});
        assert_eq!(differences(&json!({"a": {"b/c": [1, {"d": "x"}]}, "f": {"g": [true]}, "n": 1}), &found), []);
        let wrong = differences(&json!({"a": {"b/c": [2, {"d": "y"}]}, "f": {"g": []}, "z": null}), &found);
        let places: Vec<_> = wrong.iter().map(|difference| difference.pointer.as_str()).collect();
        assert_eq!(places, ["/a/b~1c/0", "/a/b~1c/1/d", "/f/g", "/z"]);
        assert_eq!((&wrong[1].expected, &wrong[1].found), (&json!("y"), &Some(json!("x"))));
        assert_eq!(wrong[3].found, None);
    }

    #[test]
    fn a_body_is_as_a_pattern_or_has_a_part() {
        let body = br#"{"model": "m", "messages": [{"content": "Is this a complaint?"}]}"#;
        assert_eq!(body_differences(&json!("*complaint*"), body), []);
        assert_eq!(body_differences(&json!({"model": "m"}), body), []);
        assert_eq!(body_differences(&json!("*invoice*"), body).len(), 1);
        assert_eq!(body_differences(&json!({"a": "1"}), b"a=1").len(), 1);
        assert_eq!(body_differences(&json!("a=*"), b"a=1"), []);
    }
}
