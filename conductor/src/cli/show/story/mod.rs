//! A vCon as a person reads it: what happened, who said what, what was made of it. The renderers only lay it out.
//!
//! Everything in it comes from strangers: the texts here are free of control characters and of marks that turn the
//! direction of text around, and URLs have lost their queries, which may hold secrets.

mod integrity;
mod media;
mod notes;
mod parts;
mod people;
pub(super) mod text;

use vconductor_core::document::Tag;
use vconductor_core::vcon::{Form, Vcon};

pub(super) use integrity::{Check, Verdict};
pub(super) use media::Media;
pub(super) use notes::Note;
pub(super) use parts::{Part, Said};
pub(super) use people::Person;
use text::line;

/// A conversation.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// The subject, or what kind of conversation it is.
    pub(super) title: String,
    /// Names and values of the head, in the order in which they are shown.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Why there is nothing to read, or what to know before reading.
    pub(super) notices: Vec<String>,
    pub(super) people: Vec<Person>,
    pub(super) parts: Vec<Part>,
    pub(super) notes: Vec<Note>,
    pub(super) attachments: Vec<Media>,
    pub(super) tags: Vec<String>,
    pub(super) checks: Vec<Check>,
}

impl Story {
    /// Reads the conversation. A signed one is read from its payload; `seal` is what is known of its signatures.
    pub(super) fn of(vcon: &Vcon, seal: Vec<Check>) -> Story {
        let people = people::people(vcon);
        let parts = parts::parts(vcon, &people);
        let mut story = Story {
            title: title(vcon, &parts),
            facts: facts(vcon, &parts),
            notices: notices(vcon),
            notes: notes::notes(vcon),
            attachments: media::attachments(vcon, &people),
            tags: vcon.tags().iter().map(tag).collect(),
            checks: seal,
            people,
            parts,
        };
        story.checks.extend(integrity::contents(vcon));
        people::count_time(&mut story.people, &story.parts);
        story
    }

    /// What can be told of an encrypted vCon.
    pub(super) fn sealed(vcon: &Vcon) -> Story {
        let root = vcon.document().root();
        let text = |pointer: &str| vcon.document().get(pointer).and_then(|view| Some(line(&view.as_str()?)));
        let recipients = root.get("recipients").map_or(0, |recipients| recipients.len());
        let mut facts = vec![("vCon", vcon.id().unwrap_or_else(|| "without uuid".to_owned()))];
        let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
        fact("recipients", Some(recipients.to_string()));
        fact("content", text("/unprotected/cty"));
        fact("cipher", text("/unprotected/enc"));
        fact("keys", text("/recipients/0/header/alg"));
        Story {
            title: "Encrypted conversation".to_owned(),
            facts,
            notices: vec!["Only its recipients can read it: `vconductor vcon decrypt FILE --key KEY`.".to_owned()],
            ..Story::default()
        }
    }
}

fn title(vcon: &Vcon, parts: &[Part]) -> String {
    let subject = vcon.subject().map(|subject| line(&subject)).filter(|subject| !subject.is_empty());
    subject.unwrap_or_else(|| match kind(vcon, parts) {
        "" => "Conversation".to_owned(),
        kind => format!("{}{}", kind[..1].to_uppercase(), &kind[1..]),
    })
}

/// What one would call it.
fn kind(vcon: &Vcon, parts: &[Part]) -> &'static str {
    let has = |kind: &str| parts.iter().any(|part| part.kind == kind);
    let is_video = vcon.dialogs().any(|dialog| dialog.mediatype().is_some_and(|kind| kind.starts_with("video/")));
    match () {
        () if is_video || has("video") => "meeting",
        () if has("recording") || has("audio") || has("recording-set") => "call",
        () if parts.iter().any(|part| part.is_mail) => "mail",
        () if has("text") => "chat",
        () if has("incomplete") => "missed call",
        () => "",
    }
}

fn facts(vcon: &Vcon, parts: &[Part]) -> Vec<(&'static str, String)> {
    let own = |name: &str| vcon.entry().text(name).map(|text| line(&text)).filter(|text| !text.is_empty());
    let mut facts = vec![("vCon", vcon.id().unwrap_or_else(|| "without uuid".to_owned()))];
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("created", own("created_at").map(|date| text::date(&date)));
    fact("updated", own("updated_at").map(|date| text::date(&date)));
    let counted = match parts.len() {
        0 => None,
        1 => Some(kind(vcon, parts).to_owned()).filter(|kind| !kind.is_empty()),
        count => Some(format!("{} in {count} parts", kind(vcon, parts)).trim().to_owned()),
    };
    fact("kind", counted);
    let seconds: f64 = parts.iter().filter(|part| !part.is_within).filter_map(|part| part.duration).sum();
    fact("length", (seconds > 0.0).then(|| text::duration(seconds)));
    fact("version", own("vcon"));
    for (name, shown) in [("redacted", "redacted"), ("amended", "amends")] {
        if let Some(relation) = vcon.entry().get(name).filter(|relation| !relation.is_empty()) {
            let part = |name: &str| relation.get(name).and_then(|view| Some(line(&view.as_str()?)));
            let what = [part("type"), part("uuid").map(|uuid| format!("of {uuid}"))];
            let what: Vec<String> = what.into_iter().flatten().collect();
            fact(shown, Some(if what.is_empty() { "yes".to_owned() } else { what.join(" ") }));
        }
    }
    for name in ["extensions", "critical"] {
        let listed: Vec<String> = vcon
            .entry()
            .get(name)
            .into_iter()
            .flat_map(|list| list.elements())
            .filter_map(|name| Some(line(&name.as_str()?)))
            .collect();
        fact(name, (!listed.is_empty()).then(|| listed.join(", ")));
    }
    facts
}

fn notices(vcon: &Vcon) -> Vec<String> {
    let mut notices = Vec::new();
    if vcon.form() == Form::Unsigned && vcon.dialogs().next().is_none() && vcon.analyses().next().is_none() {
        notices.push("There is nothing to read in it: no dialog and no analysis.".to_owned());
    }
    notices
}

fn tag(tag: &Tag) -> String {
    match &tag.value {
        Some(value) if *value != tag.name => line(&format!("{}:{value}", tag.name)),
        _ => line(&tag.name),
    }
}
