//! Tags: `name:value` pairs in an attachment with purpose `tags`.
//!
//! Producers write the body in several shapes: a list or a JSON text of a list, an object or a JSON text of an object,
//! under any encoding. All are read, and adding a tag keeps the shape that is there.

use jiff::Timestamp;
use serde_json::Value;

use super::pointer::child;
use super::text::Json;
use super::{Document, Kind, View};
use crate::Result;

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What stands before the first colon, or everything when there is none.
    pub name: String,
    /// What stands behind the first colon.
    pub value: Option<String>,
}

impl Tag {
    fn split(text: &str) -> Tag {
        match text.split_once(':') {
            Some((name, value)) => Tag { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Tag { name: text.to_owned(), value: None },
        }
    }
}

/// All tags of all tags attachments, in order.
pub fn tags(document: &Document) -> Vec<Tag> {
    attachments(document).flat_map(|(_, attachment)| tags_of(attachment)).collect()
}

/// The tags attachments with their indices.
fn attachments(document: &Document) -> impl Iterator<Item = (usize, View<'_>)> {
    let all = document.get("/attachments").into_iter().flat_map(|list| list.elements()).enumerate();
    all.filter(|(_, attachment)| is_tags(*attachment))
}

/// Newer attachments say it in `purpose`, older ones in `type`. One pass, as nearly all attachments are something else.
fn is_tags(attachment: View<'_>) -> bool {
    let (mut purpose, mut kind) = (false, false);
    for (name, value) in attachment.members() {
        let says = match name.as_ref() {
            "purpose" => &mut purpose,
            "type" => &mut kind,
            _ => continue,
        };
        *says = value.as_str().is_some_and(|text| text == "tags");
    }
    purpose || kind
}

fn tags_of(attachment: View<'_>) -> Vec<Tag> {
    match attachment.get("body") {
        Some(body) => match inner(body) {
            Some(inner) => pairs(inner.root()),
            None => pairs(body),
        },
        None => Vec::new(),
    }
}

/// The list or object that a string body holds as JSON text.
fn inner(body: View<'_>) -> Option<Document> {
    let text = body.as_str()?.into_owned();
    Document::parse(text).ok().filter(|inner| is_container(inner.root()))
}

fn is_container(view: View<'_>) -> bool {
    matches!(view.kind(), Kind::Array | Kind::Object)
}

fn pairs(body: View<'_>) -> Vec<Tag> {
    let listed = body.elements().filter_map(|element| element.as_str()).map(|text| Tag::split(&text));
    let named = body.members().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.text().into_owned(), |text| text.into_owned());
        Tag { name: name.into_owned(), value: Some(value) }
    });
    listed.chain(named).collect()
}

/// Whether a list or object has a tag.
fn holds(pairs: View<'_>, name: &str, value: &str) -> bool {
    let is_listed = |text: &str| text.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) == Some(value);
    pairs.elements().filter_map(|element| element.as_str()).any(|text| is_listed(&text))
        || pairs.members().any(|(own, found)| {
            own == name && found.as_str().map_or_else(|| found.text() == value, |text| text == value)
        })
}

impl Document {
    /// Adds a tag unless it is there. A new tags attachment starts at `start`, by default now. Returns whether anything
    /// changed.
    pub(super) fn put_tag(&mut self, name: &str, value: &str, start: Option<Timestamp>) -> Result<bool> {
        let mut place = None;
        for (index, attachment) in attachments(self) {
            let Some(body) = attachment.get("body") else { continue };
            let inner = inner(body);
            let pairs = inner.as_ref().map_or(body, Document::root);
            if holds(pairs, name, value) {
                return Ok(false);
            }
            if place.is_none() && is_container(pairs) {
                let is_encoded = attachment.get("encoding").is_some_and(|encoding| !encoding.is_null());
                place = Some((index, inner, is_encoded));
            }
        }
        let Some((index, inner, is_encoded)) = place else {
            let attachment = self.new_tags_attachment(name, value, start);
            self.append("/attachments", attachment)?;
            return Ok(true);
        };
        let pointer = format!("/attachments/{index}/body");
        let Some(mut inner) = inner else {
            self.add_pair(&pointer, name, value)?;
            return Ok(true);
        };
        inner.add_pair("", name, value)?;
        self.set(&pointer, Json::string(inner.to_json().text()))?;
        if !is_encoded {
            self.set(&format!("/attachments/{index}/encoding"), Json::string("json"))?;
        }
        Ok(true)
    }

    /// Adds a tag to the list or object at `pointer`.
    fn add_pair(&mut self, pointer: &str, name: &str, value: &str) -> Result<()> {
        if self.get(pointer).is_some_and(|body| body.kind() == Kind::Object) {
            self.set(&child(pointer, name), Json::string(value))?;
            return Ok(());
        }
        self.append(pointer, Json::string(&format!("{name}:{value}")))
    }

    /// `party` and `dialog` are mandatory in core-04, but an index of nothing would be wrong as well.
    fn new_tags_attachment(&self, name: &str, value: &str, start: Option<Timestamp>) -> Json {
        let start = start.unwrap_or_else(Timestamp::now);
        let start = Timestamp::from_millisecond(start.as_millisecond()).unwrap_or(start);
        let has = |list: &str| self.get(list).is_some_and(|view| view.elements().next().is_some());
        let party = if has("/parties") { "\"party\":0," } else { "" };
        let dialog = if has("/dialog") { "\"dialog\":0," } else { "" };
        let body = Value::from(vec![format!("{name}:{value}")]).to_string();
        let body = Json::string(&body);
        let attachment = format!(
            "{{\"purpose\":\"tags\",\"start\":\"{start}\",{party}{dialog}\"mediatype\":\"application/json\",\
             \"encoding\":\"json\",\"body\":{}}}",
            body.text()
        );
        Json::checked(attachment)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Edit;
    use super::*;

    fn tagged(text: &str, name: &str, value: &str) -> String {
        let mut document = Document::parse(text.to_owned()).unwrap();
        let start = Some("2026-11-20T10:00:00Z".parse().unwrap());
        assert!(document.apply(&Edit::AddTag { name: name.into(), value: value.into(), start }).unwrap());
        assert!(!document.apply(&Edit::tag(name, value)).unwrap(), "a tag is not added twice");
        let tag = Tag { name: name.into(), value: Some(value.into()) };
        assert!(tags(&document).contains(&tag));
        String::from_utf8(document.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_new_attachment_has_the_members_of_the_draft() {
        assert_eq!(
            tagged(r#"{"parties":[{}],"dialog":[{}],"attachments":[]}"#, "a", "b:c"),
            concat!(
                r#"{"parties":[{}],"dialog":[{}],"attachments":[{"purpose":"tags","start":"2026-11-20T10:00:00Z","#,
                r#""party":0,"dialog":0,"mediatype":"application/json","encoding":"json","body":"[\"a:b:c\"]"}]}"#
            )
        );
        let bare = tagged(r#"{"uuid":"x","attachments":null}"#, "a", "b");
        assert!(!bare.contains("\"party\"") && !bare.contains("\"dialog\""), "{bare}");
        tagged("{}", "a", "b");
        // The same name with another value is another tag.
        assert!(
            tagged(r#"{"attachments":[{"purpose":"tags","body":["a:c"]}]}"#, "a", "b").contains(r#"["a:c","a:b"]"#)
        );
    }

    #[test]
    fn the_shape_of_an_attachment_is_kept() {
        for (before, after) in [
            (r#"{"purpose":"tags","body":["x:y"]}"#, r#"{"purpose":"tags","body":["x:y","a:b"]}"#),
            (
                r#"{"type":"tags","body":"[\"x:y\"]","encoding":"none"}"#,
                r#"{"type":"tags","body":"[\"x:y\",\"a:b\"]","encoding":"none"}"#,
            ),
            (
                r#"{"type":"tags","body":"[\"x:y\"]"}"#,
                r#"{"type":"tags","body":"[\"x:y\",\"a:b\"]","encoding":"json"}"#,
            ),
            (r#"{"purpose":"tags","body":{"x":1}}"#, r#"{"purpose":"tags","body":{"x":1,"a":"b"}}"#),
            (
                r#"{"purpose":"tags","body":"{\"x\":1}","encoding":"json"}"#,
                r#"{"purpose":"tags","body":"{\"x\":1,\"a\":\"b\"}","encoding":"json"}"#,
            ),
        ] {
            assert_eq!(
                tagged(&format!("{{\"attachments\":[{before}]}}"), "a", "b"),
                format!("{{\"attachments\":[{after}]}}")
            );
        }
    }

    #[test]
    fn an_unreadable_tags_attachment_is_left_alone() {
        let text = tagged(r#"{"attachments":[{"purpose":"tags","body":"not json"}]}"#, "a", "b");
        assert!(text.starts_with(r#"{"attachments":[{"purpose":"tags","body":"not json"},{"purpose":"tags","start""#));
    }

    #[test]
    fn names_end_at_the_first_colon() {
        let document = Document::parse(
            r#"{"attachments":[7,{"purpose":"tags","body":["a:b:c","plain",3]},{"type":"tags","body":{"n":1}}]}"#,
        )
        .unwrap();
        let pairs: Vec<_> = tags(&document).into_iter().map(|tag| (tag.name, tag.value)).collect();
        assert_eq!(
            pairs,
            [
                ("a".to_owned(), Some("b:c".to_owned())),
                ("plain".to_owned(), None),
                ("n".to_owned(), Some("1".to_owned()))
            ]
        );
    }
}
