//! From which time of the drafts a vCon is, told by its shape.
//!
//! The member `vcon` cannot tell: it is `0.4.0` from core-01 to core-04, and libraries write old values into new shapes
//! (format digest, section 1). Each [`Evidence`] is a member or value that only some drafts have.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::document::{Kind, View, child_pointer};

/// The drafts, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// Before the first draft (2022).
    PreDraft,
    /// `0.0.1`: draft-petrie-vcon, vcon-container-00 and -01.
    V0_0_1,
    /// `0.0.2`: vcon-container-02 and -03.
    V0_0_2,
    /// `0.3.0`: vcon-core-00.
    V0_3_0,
    /// vcon-core-01, the first with `0.4.0`.
    Core01,
    /// vcon-core-02.
    Core02,
    /// vcon-core-03.
    Core03,
    /// vcon-core-04.
    Core04,
    /// What is planned behind core-04.
    Later,
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Era::PreDraft => "before 0.0.1",
            Era::V0_0_1 => "0.0.1",
            Era::V0_0_2 => "0.0.2",
            Era::V0_3_0 => "0.3.0",
            Era::Core01 => "core-01",
            Era::Core02 => "core-02",
            Era::Core03 => "core-03",
            Era::Core04 => "core-04",
            Era::Later => "after core-04",
        })
    }
}

impl Serialize for Era {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something in a vCon that only some drafts have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where it is.
    pub pointer: String,
    /// The first draft that has it.
    pub since: Era,
    /// The last draft that has it.
    pub until: Era,
}

/// The time of a vCon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// The oldest draft that it may be of.
    pub since: Era,
    /// The newest draft that it may be of.
    pub until: Era,
    /// Whether no single draft has all that is in it, as libraries of mixed age write; then `since` and `until` span the
    /// whole mixture.
    pub is_mixed: bool,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_mixed, self.since == self.until) {
            (true, _) => write!(f, "a mixture of {} to {}", self.since, self.until),
            (false, true) => write!(f, "{}", self.since),
            (false, false) => write!(f, "{} to {}", self.since, self.until),
        }
    }
}

/// Judges an unsigned vCon.
pub fn shape(root: View<'_>) -> Shape {
    let mut found = Found(Vec::new());
    found.top(root);
    for (list, look) in LISTS {
        let elements = root.get(list).into_iter().flat_map(|view| view.elements()).enumerate();
        for (index, element) in elements.filter(|(_, element)| element.kind() == Kind::Object) {
            look(&mut found, &format!("/{list}/{index}"), element);
        }
    }
    let evidence = found.0;
    // Without any evidence it may be of every draft.
    let since = evidence.iter().map(|one| one.since).max().unwrap_or(Era::V0_0_1);
    let until = evidence.iter().map(|one| one.until).min().unwrap_or(Era::Core04);
    let is_mixed = since > until;
    Shape { since: since.min(until), until: until.max(since), is_mixed, evidence }
}

type Look = fn(&mut Found, &str, View<'_>);

const LISTS: [(&str, Look); 4] = [
    ("parties", Found::party),
    ("dialog", Found::dialog),
    ("analysis", Found::analysis),
    ("attachments", Found::attachment),
];

/// A member that counts where it has a value: name, first and last draft.
type Member = (&'static str, Era, Era);

const TOP: &[Member] = &[
    ("appended", Era::PreDraft, Era::V0_3_0),
    ("must_support", Era::V0_3_0, Era::V0_3_0),
    ("group", Era::PreDraft, Era::Core01),
    ("extensions", Era::V0_3_0, Era::Later),
    ("critical", Era::Core01, Era::Later),
    ("amended", Era::Core01, Era::Later),
    ("sessions", Era::Later, Era::Later),
    ("events", Era::Later, Era::Later),
];

const CONTENT: &[Member] = &[
    ("mimetype", Era::PreDraft, Era::V0_0_1),
    ("alg", Era::PreDraft, Era::V0_0_1),
    ("signature", Era::PreDraft, Era::V0_0_1),
    ("schema_version", Era::PreDraft, Era::V0_0_1),
    ("mediatype", Era::V0_0_2, Era::Later),
    ("content_hash", Era::V0_0_2, Era::Later),
];

const PARTY: &[Member] = &[
    ("jCard", Era::PreDraft, Era::Core01),
    ("timezone", Era::PreDraft, Era::Core01),
    ("did", Era::V0_3_0, Era::Later),
    ("sip", Era::V0_3_0, Era::Later),
    ("type", Era::Core03, Era::Later),
    ("org", Era::Core03, Era::Later),
    ("dept", Era::Core03, Era::Later),
];

const DIALOG: &[Member] = &[
    ("message_id", Era::V0_0_2, Era::Later),
    ("application", Era::V0_0_2, Era::Later),
    ("transfer-target", Era::PreDraft, Era::V0_0_2),
    ("target-dialog", Era::PreDraft, Era::V0_0_2),
    ("transfer_target", Era::V0_3_0, Era::Later),
    ("target_dialog", Era::V0_3_0, Era::Later),
    ("recordings", Era::Core03, Era::Later),
    ("recording_set", Era::Core03, Era::Later),
];

const ANALYSIS: &[Member] = &[
    ("transcript", Era::PreDraft, Era::PreDraft),
    ("vendor_schema", Era::PreDraft, Era::V0_0_1),
    ("vendor_product", Era::PreDraft, Era::V0_0_1),
    ("attachment", Era::Core03, Era::Later),
];

const ATTACHMENT: &[Member] = &[("type", Era::PreDraft, Era::Core01), ("dialog", Era::V0_0_2, Era::Later)];

struct Found(Vec<Evidence>);

impl Found {
    fn add(&mut self, pointer: String, since: Era, until: Era) {
        self.0.push(Evidence { pointer, since, until });
    }

    fn members(&mut self, at: &str, view: View<'_>, members: &[Member]) {
        for (name, since, until) in members {
            if view.get(name).is_some_and(|value| !value.is_null() && !is_hollow(value)) {
                self.add(child_pointer(at, name), *since, *until);
            }
        }
    }

    fn date(&mut self, at: &str, view: View<'_>, name: &str) {
        let text = view.get(name).and_then(|value| value.as_str());
        // RFC 2822 begins with the day of the week.
        if text.is_some_and(|text| text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.contains(", ")) {
            self.add(child_pointer(at, name), Era::PreDraft, Era::PreDraft);
        }
    }

    fn top(&mut self, root: View<'_>) {
        self.members("", root, TOP);
        self.date("", root, "created_at");
    }

    fn party(&mut self, at: &str, party: View<'_>) {
        self.members(at, party, PARTY);
    }

    fn dialog(&mut self, at: &str, dialog: View<'_>) {
        self.members(at, dialog, CONTENT);
        self.members(at, dialog, DIALOG);
        self.date(at, dialog, "start");
        let kind = dialog.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
        if kind == "recording-set" {
            self.add(child_pointer(at, "type"), Era::Core03, Era::Later);
        }
        if matches!(kind.as_ref(), "incomplete" | "transfer")
            && let Some(name) = ["mediatype", "filename"].into_iter().find(|name| dialog.get(name).is_some())
        {
            self.add(child_pointer(at, name), Era::PreDraft, Era::Core03);
        }
        match dialog.get("session_id").map(|session| session.kind()) {
            Some(Kind::String) => self.add(child_pointer(at, "session_id"), Era::PreDraft, Era::V0_3_0),
            Some(Kind::Object) => self.add(child_pointer(at, "session_id"), Era::Core01, Era::Later),
            _ => {}
        }
        if kind == "transfer" {
            let lists = ["transfer_target", "original", "consultation", "target_dialog"];
            for name in lists.into_iter().filter(|name| dialog.get(name).is_some_and(|it| it.kind() == Kind::Array)) {
                self.add(child_pointer(at, name), Era::Core02, Era::Core03);
            }
        }
        let history = dialog.get("party_history").into_iter().flat_map(|list| list.elements()).enumerate();
        for (index, _) in history.filter(|(_, event)| event.get("button").is_some()) {
            self.add(format!("{at}/party_history/{index}/button"), Era::Core01, Era::Later);
        }
        self.body(at, dialog);
    }

    fn analysis(&mut self, at: &str, analysis: View<'_>) {
        self.members(at, analysis, CONTENT);
        self.members(at, analysis, ANALYSIS);
        self.body(at, analysis);
    }

    fn attachment(&mut self, at: &str, attachment: View<'_>) {
        self.members(at, attachment, CONTENT);
        self.members(at, attachment, ATTACHMENT);
        self.date(at, attachment, "start");
        self.body(at, attachment);
    }

    /// Under `json` the body was text up to core-02 and is a value since core-03.
    fn body(&mut self, at: &str, content: View<'_>) {
        let is_json = content.get("encoding").and_then(|view| view.as_str()).is_some_and(|text| text == "json");
        if is_json && content.get("body").is_some_and(|body| matches!(body.kind(), Kind::Object | Kind::Array)) {
            self.add(child_pointer(at, "body"), Era::Core03, Era::Later);
        }
    }
}

/// `[]` and `{}` are written by libraries of every age.
fn is_hollow(value: View<'_>) -> bool {
    matches!(value.kind(), Kind::Object | Kind::Array) && value.is_empty()
}
