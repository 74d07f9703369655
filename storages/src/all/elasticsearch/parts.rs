//! The parts of a vCon as documents, in the indices and under the ids that vcon-server gives them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vconductor_core::vcon::{Form, Vcon};

/// The longest role or type in the name of an index; the whole name may have 255 bytes.
const LONGEST_KIND: usize = 100;

/// One part.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) index: String,
    pub(super) position: usize,
    pub(super) source: Map<String, Value>,
}

/// Positions by index: which parts a vCon has.
pub(super) type Places = BTreeMap<String, Vec<usize>>;

/// The indices of parts under a prefix, for searches and deletes.
pub(super) fn patterns(prefix: &str) -> String {
    ["vcon_parties*", "vcon_dialog", "vcon_analysis_*", "vcon_attachments_*"]
        .map(|name| format!("{prefix}{name}"))
        .join(",")
}

/// The id of a part.
pub(super) fn id(uuid: &str, position: usize) -> String {
    format!("{uuid}_{position}")
}

/// All parts. A vCon whose form hides them, or does not prove them, has none.
pub(super) fn split(prefix: &str, uuid: &str, vcon: &Vcon) -> Vec<Part> {
    if vcon.form() != Form::Unsigned {
        return Vec::new();
    }
    let root = vcon.document().root();
    let section = |name: &str| -> Vec<Map<String, Value>> {
        let elements = root.get(name).into_iter().flat_map(|section| section.elements());
        elements.map(|element| if let Value::Object(part) = element.to_value() { part } else { Map::new() }).collect()
    };
    let (dialogs, attachments) = (section("dialog"), section("attachments"));
    let shared = [
        ("vcon_id", json!(uuid)),
        ("started_at", dialogs.first().and_then(|dialog| dialog.get("start")).cloned().unwrap_or(Value::Null)),
        ("tenant_id", tenant(&attachments)),
    ];
    let mut parts = Vec::new();
    let mut add = |section: Vec<Map<String, Value>>, index: &dyn Fn(&Map<String, Value>) -> String, decoded: bool| {
        for (position, mut source) in section.into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
            let index = format!("{prefix}{}", index(&source));
            if decoded {
                decode(&mut source);
            }
            source.extend(shared.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            parts.push(Part { index, position, source });
        }
    };
    let party = |part: &Map<String, Value>| match text(part, "role") {
        Some(role) => format!("vcon_parties_{}", kind(role)),
        None => "vcon_parties".to_owned(),
    };
    let typed = |part: &Map<String, Value>, names: &[&str]| {
        kind(names.iter().find_map(|name| text(part, name)).unwrap_or("unknown"))
    };
    add(section("parties"), &party, false);
    add(attachments, &|part| format!("vcon_attachments_{}", typed(part, &["type", "purpose"])), true);
    add(section("analysis"), &|part| format!("vcon_analysis_{}", typed(part, &["type"])), true);
    add(dialogs, &|_| "vcon_dialog".to_owned(), false);
    parts
}

/// Which parts there are.
pub(super) fn places(parts: &[Part]) -> Places {
    let mut places = Places::new();
    for part in parts {
        places.entry(part.index.clone()).or_default().push(part.position);
    }
    places
}

/// What `more` has beside `places`.
pub(super) fn missing(places: &Places, more: &Places) -> Vec<(String, usize)> {
    let known = |index: &str, position: &usize| places.get(index).is_some_and(|known| known.contains(position));
    let all = more.iter().flat_map(|(index, positions)| positions.iter().map(move |position| (index, position)));
    all.filter(|(index, position)| !known(index, position))
        .map(|(index, position)| (index.clone(), *position))
        .collect()
}

fn text<'a>(part: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    part.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A role or type as part of an index's name: small letters, and `_` for what such names cannot hold.
fn kind(text: &str) -> String {
    let allowed = |c: char| if c.is_control() || c.is_whitespace() || "\\/*?\"<>|,#:".contains(c) { '_' } else { c };
    let mut kind: String = text.to_lowercase().chars().map(allowed).collect();
    let end = kind.char_indices().map(|(start, c)| start + c.len_utf8()).take_while(|end| *end <= LONGEST_KIND).last();
    kind.truncate(end.unwrap_or(0));
    kind
}

/// A JSON body that stands as text becomes JSON. What is none stays as it is.
fn decode(part: &mut Map<String, Value>) {
    let is_json = text(part, "encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("json"));
    if is_json
        && let Some(Value::String(body)) = part.get("body")
        && let Ok(body) = serde_json::from_str::<Value>(body)
    {
        part.insert("body".to_owned(), body);
    }
}

/// The id of the tenant: of the attachment with that purpose or type, its decoded body's member `id`.
fn tenant(attachments: &[Map<String, Value>]) -> Value {
    let is_tenant =
        |part: &&Map<String, Value>| ["purpose", "type"].iter().any(|name| text(part, name) == Some("tenant"));
    let Some(mut found) = attachments.iter().find(is_tenant).cloned() else { return Value::Null };
    decode(&mut found);
    found.get("body").and_then(|body| body.get("id")).cloned().unwrap_or(Value::Null)
}

impl Part {
    /// This part in the next form that fits more mappings: first with its body as text, then all of it as text.
    pub(super) fn plainer(&self) -> Option<Part> {
        let mut source = self.source.clone();
        if source.contains_key("part_text") {
            return None;
        }
        if let Some(body) = source.remove("body") {
            let body = if let Value::String(text) = body { text } else { body.to_string() };
            source.insert("body_text".to_owned(), Value::String(body));
            return Some(Part { source, ..self.clone() });
        }
        let shared = ["vcon_id", "started_at", "tenant_id"];
        let mut plain = Map::new();
        for name in shared {
            // A start that is no date is what the mapping refuses, perhaps.
            if let Some(value) = source.remove(name).filter(|_| name == "vcon_id") {
                plain.insert(name.to_owned(), value);
            }
        }
        plain.insert("part_text".to_owned(), Value::String(Value::Object(source).to_string()));
        Some(Part { source: plain, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_json(vcon: &Value) -> Vec<(String, String, Value)> {
        let vcon = Vcon::read(vcon.to_string()).unwrap();
        let parts = split("p_", "u", &vcon).into_iter();
        parts.map(|part| (part.index, id("u", part.position), Value::Object(part.source))).collect()
    }

    #[test]
    fn parts_lie_where_vcon_server_puts_them() {
        let found = split_json(&json!({
            "uuid": "u", "parties": [{"role": "Agent", "name": "A"}, {"tel": "+1"}],
            "dialog": [{"type": "text", "start": "2026-01-02T03:04:05Z", "body": "hi"}],
            "analysis": [{"type": "transcript", "encoding": "json", "body": "{\"text\": \"hi\"}"},
                         {"type": "summary", "encoding": "none", "body": "short"}],
            "attachments": [{"purpose": "tenant", "encoding": "json", "body": "{\"id\": 7}"}, {"body": "x"},
                            {"type": "A/B", "purpose": "other", "encoding": "json", "body": "no json"}]
        }));
        let shared = |part: Value| {
            let Value::Object(mut part) = part else { panic!() };
            part.insert("vcon_id".to_owned(), json!("u"));
            part.insert("started_at".to_owned(), json!("2026-01-02T03:04:05Z"));
            part.insert("tenant_id".to_owned(), json!(7));
            Value::Object(part)
        };
        let expected: Vec<(&str, &str, Value)> = vec![
            ("p_vcon_parties_agent", "u_0", json!({"role": "Agent", "name": "A"})),
            ("p_vcon_parties", "u_1", json!({"tel": "+1"})),
            ("p_vcon_attachments_tenant", "u_0", json!({"purpose": "tenant", "encoding": "json", "body": {"id": 7}})),
            ("p_vcon_attachments_unknown", "u_1", json!({"body": "x"})),
            (
                "p_vcon_attachments_a_b",
                "u_2",
                json!({"type": "A/B", "purpose": "other", "encoding": "json", "body": "no json"}),
            ),
            (
                "p_vcon_analysis_transcript",
                "u_0",
                json!({"type": "transcript", "encoding": "json", "body": {"text": "hi"}}),
            ),
            ("p_vcon_analysis_summary", "u_1", json!({"type": "summary", "encoding": "none", "body": "short"})),
            ("p_vcon_dialog", "u_0", json!({"type": "text", "start": "2026-01-02T03:04:05Z", "body": "hi"})),
        ];
        assert_eq!(found.len(), expected.len());
        for (found, (index, id, source)) in found.into_iter().zip(expected) {
            assert_eq!(found, (index.to_owned(), id.to_owned(), shared(source)));
        }
    }

    #[test]
    fn a_vcon_without_dialog_has_its_other_parts_and_a_signed_one_has_none() {
        let found = split_json(&json!({"uuid": "u", "parties": [{"name": "A"}]}));
        assert_eq!(found[0].2, json!({"name": "A", "vcon_id": "u", "started_at": null, "tenant_id": null}));
        assert!(split_json(&json!({"payload": "e30", "signatures": [{}]})).is_empty());
    }

    #[test]
    fn kinds_are_names_of_indices() {
        assert_eq!(kind("Über Alles"), "über_alles");
        assert_eq!(kind("../*"), ".._".to_owned() + "_");
        assert!(kind(&"ä".repeat(200)).len() <= LONGEST_KIND);
    }

    #[test]
    fn what_no_mapping_takes_ends_as_text() {
        let part = &split("", "u", &Vcon::read(r#"{"uuid":"u","analysis":[{"type":"a","body":{"x":1}}]}"#).unwrap())[0];
        let second = part.plainer().unwrap();
        assert_eq!((second.source.get("body"), &second.source["body_text"]), (None, &json!("{\"x\":1}")));
        let third = second.plainer().unwrap();
        assert_eq!((third.source.len(), &third.source["vcon_id"]), (2, &json!("u")));
        assert!(third.plainer().is_none());
    }
}
