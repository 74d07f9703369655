//! Which edits of parallel branches exclude each other.
//!
//! Branches see the same document and their edits are applied one branch after the other, so two edits conflict when
//! their order would matter. Where that depends on the document (a tags attachment is found by its content), they
//! count as conflicting: an error is better than a change that is lost.

use super::analysis::Identity;
use super::{Edit, pointer};

/// The place where an edit of `a` and an edit of `b` exclude each other, if there is one.
pub fn conflicts(a: &[Edit], b: &[Edit]) -> Option<String> {
    let b: Vec<_> = b.iter().map(touch).collect();
    a.iter().map(touch).find_map(|one| b.iter().find_map(|other| clash(&one, other).or_else(|| clash(other, &one))))
}

/// What an edit does to the document.
enum Touch<'a> {
    /// Writes the value at a pointer.
    Write(&'a str),
    /// Adds to the array at a pointer.
    Append(&'a str),
    /// Moves the elements of the array at a pointer.
    Shift(&'a str),
    Tag,
    Analysis(Identity),
}

fn touch(edit: &Edit) -> Touch<'_> {
    match edit {
        Edit::AddAnalysis(analysis) => Touch::Analysis(analysis.identity()),
        Edit::AddTag { .. } => Touch::Tag,
        Edit::Append { pointer, .. } => Touch::Append(pointer),
        Edit::Set { pointer, .. } => Touch::Write(pointer),
        Edit::Remove { pointer } => match pointer.rsplit_once('/') {
            // Without the document a member called `0` looks like an element.
            Some((array, token)) if pointer::index(token).is_some() => Touch::Shift(array),
            _ => Touch::Write(pointer),
        },
        Edit::Replace(_) | Edit::Rewrap(_) => Touch::Write(""),
    }
}

/// Whether `inner` is at or below `outer`.
fn covers(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The inner of two pointers of which one covers the other.
fn overlap(one: &str, other: &str) -> Option<String> {
    if covers(one, other) {
        Some(other.to_owned())
    } else if covers(other, one) {
        Some(one.to_owned())
    } else {
        None
    }
}

/// The rules, each written for one order of the two.
fn clash(one: &Touch<'_>, other: &Touch<'_>) -> Option<String> {
    match (one, other) {
        (Touch::Write(one), Touch::Write(other)) => overlap(one, other),
        (Touch::Write(place), Touch::Append(array)) => covers(place, array).then(|| (*array).to_owned()),
        (Touch::Shift(array), Touch::Write(place) | Touch::Append(place) | Touch::Shift(place)) => {
            overlap(array, place)
        }
        (Touch::Tag, Touch::Write(place)) => may_hold_tags(place).then(|| (*place).to_owned()),
        (Touch::Tag, Touch::Shift(place)) => overlap("/attachments", place),
        (Touch::Analysis(_), Touch::Write(place) | Touch::Shift(place)) => overlap("/analysis", place),
        (Touch::Analysis(one), Touch::Analysis(other)) if one == other => Some("/analysis".to_owned()),
        _ => None,
    }
}

/// Whether a write at `place` may reach what adding a tag reads and writes.
fn may_hold_tags(place: &str) -> bool {
    if covers(place, "/attachments") {
        return true;
    }
    let Some(inside) = place.strip_prefix("/attachments/") else { return false };
    match inside.split('/').nth(1) {
        Some(member) => ["purpose", "type", "encoding", "body"].contains(&member),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::NewAnalysis;
    use super::*;

    fn between(one: Edit, other: Edit) -> Option<String> {
        let (one, other) = ([one], [other]);
        let found = conflicts(&one, &other);
        assert_eq!(found, conflicts(&other, &one), "a conflict has no direction");
        found
    }

    fn set(pointer: &str) -> Edit {
        Edit::set(pointer, Value::Null)
    }

    fn append(pointer: &str) -> Edit {
        Edit::append(pointer, Value::Null)
    }

    #[test]
    fn writes_to_one_path_conflict() {
        assert_eq!(between(set("/subject"), set("/subject")).as_deref(), Some("/subject"));
        assert_eq!(between(set("/a"), set("/a/b/c")).as_deref(), Some("/a/b/c"));
        assert_eq!(between(set("/a"), Edit::remove("/a")).as_deref(), Some("/a"));
        assert_eq!(between(set("/a"), append("/a")).as_deref(), Some("/a"));
        assert_eq!(between(set("/ab"), set("/a")), None);
        assert_eq!(between(set("/a/1"), append("/a")), None);
        assert!(between(Edit::Replace(Value::Null.into()), Edit::tag("a", "b")).is_some());
    }

    #[test]
    fn removing_an_element_conflicts_with_its_array() {
        assert!(between(Edit::remove("/dialog/0"), Edit::remove("/dialog/1")).is_some());
        assert!(between(Edit::remove("/dialog/0"), set("/dialog/1/body")).is_some());
        assert!(between(Edit::remove("/attachments/0"), Edit::tag("a", "b")).is_some());
        assert_eq!(between(Edit::remove("/dialog/0"), set("/subject")), None);
        assert_eq!(between(Edit::remove("/dialog/0/body"), set("/dialog/1/body")), None);
    }

    #[test]
    fn additions_go_together() {
        assert_eq!(between(Edit::tag("a", "b"), Edit::tag("a", "c")), None);
        assert_eq!(between(append("/attachments"), append("/attachments")), None);
        assert_eq!(between(Edit::tag("a", "b"), append("/attachments")), None);
        assert_eq!(between(Edit::tag("a", "b"), set("/attachments/0/mediatype")), None);
        assert!(between(Edit::tag("a", "b"), set("/attachments/0/body/1")).is_some());
        let summary = || Edit::AddAnalysis(NewAnalysis::new("summary", "acme").dialog(0));
        assert!(between(summary(), summary()).is_some());
        assert_eq!(between(summary(), Edit::AddAnalysis(NewAnalysis::new("summary", "acme").dialog(1))), None);
        assert_eq!(between(summary(), append("/analysis")), None);
        assert!(between(summary(), set("/analysis/0/body")).is_some());
    }
}
