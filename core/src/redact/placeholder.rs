//! What stays where something was removed.

use super::Target;
use crate::document::{Document, Edit, Json, Kind, View, child_pointer};
use crate::vcon::members::DIALOG;

/// The edits that remove a target.
pub(super) fn edits(target: &Target, document: &Document) -> Vec<Edit> {
    let pointer = target.pointer();
    let Some(view) = document.get(&pointer) else { return Vec::new() };
    match target {
        Target::Pointer(pointer) => at(pointer, view, document),
        _ => vec![Edit::set(pointer, remains(target, view))],
    }
}

/// The placeholder of an element.
fn remains(target: &Target, view: View<'_>) -> Json {
    let kind = view.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
    let names: &[&str] = match target {
        // 4.3: a recording-set without its recordings, and an incomplete dialog without a disposition, break a rule.
        Target::Dialog(_) => match kind.as_ref() {
            "recording-set" => &["type", "recordings"],
            "incomplete" => &["type", "disposition"],
            _ => &["type"],
        },
        Target::DialogContent(_) => &DIALOG,
        Target::Analysis(_) => &["type", "dialog", "vendor"],
        Target::Attachment(_) => &["start", "party", "dialog"],
        Target::Party(_) | Target::Pointer(_) => &[],
    };
    // What kind of content it was is no content.
    let has_kind_of_content = matches!(target, Target::DialogContent(_));
    let mut kept = serde_json::Map::new();
    let is_kept = |name: &str| names.contains(&name) || (has_kind_of_content && name == "mediatype");
    for (name, value) in view.members().filter(|(name, _)| is_kept(name)) {
        kept.insert(name.into_owned(), value.to_value());
    }
    serde_json::Value::Object(kept).into()
}

/// What is at a pointer: a member goes, an element becomes empty.
fn at(pointer: &str, view: View<'_>, document: &Document) -> Vec<Edit> {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return Vec::new() };
    let Some(around) = document.get(parent) else { return Vec::new() };
    if around.kind() == Kind::Array {
        let empty = match view.kind() {
            Kind::Object => "{}",
            Kind::Array => "[]",
            Kind::String => "\"\"",
            _ => "null",
        };
        return Json::parse(empty).map(|empty| Edit::set(pointer, empty)).into_iter().collect();
    }
    let mut edits = vec![Edit::remove(pointer)];
    let is_content = parent.matches('/').count() == 2;
    let with_it: &[&str] = match name {
        "body" if is_content => &["encoding", "content_hash", "alg", "signature"],
        "url" if is_content => &["content_hash", "alg", "signature"],
        _ => &[],
    };
    let present = with_it.iter().filter(|name| around.get(name).is_some());
    edits.extend(present.map(|name| Edit::remove(child_pointer(parent, name))));
    edits
}
