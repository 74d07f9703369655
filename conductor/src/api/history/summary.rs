//! A conversation in a few members.

use serde_json::{Map, Value, json};
use vconductor_core::transcript;
use vconductor_core::vcon::{Date, Dialog, Party, Vcon};

/// The tag that says the direction, as the ingress adapters write it.
const DIRECTION: &str = "direction";

/// A point in time as it is answered: UTC, with milliseconds.
pub(super) fn time(date: Date) -> String {
    date.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Whether it is a call, and not only text: recorded, transferred, or one that did not come about.
pub(super) fn is_call(vcon: &Vcon) -> bool {
    vcon.dialogs()
        .any(|dialog| dialog.is_recording() || matches!(dialog.kind().as_deref(), Some("incomplete" | "transfer")))
}

/// `inbound`, `outbound` or what else the tag says.
pub(super) fn direction(vcon: &Vcon) -> Option<String> {
    vcon.tags().into_iter().find(|tag| tag.name == DIRECTION)?.value
}

/// Whether it has a tag, `name` or `name:value`.
pub(super) fn has_tag(vcon: &Vcon, wanted: &str) -> bool {
    tags(vcon).iter().any(|tag| tag == wanted || tag.split_once(':').is_some_and(|(name, _)| name == wanted))
}

fn tags(vcon: &Vcon) -> Vec<String> {
    let written = vcon.tags().into_iter().map(|tag| match tag.value {
        Some(value) => format!("{}:{value}", tag.name),
        None => tag.name,
    });
    written.collect()
}

/// When it began: its first dialog, else the vCon.
pub(super) fn start(vcon: &Vcon) -> Option<String> {
    let first = vcon.dialogs().filter_map(|dialog| dialog.start()).min_by_key(|date| date.timestamp());
    first.map(time).or_else(|| Some(vcon.created_at()?.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()))
}

/// Seconds from its beginning to its end, as far as dialogs say when they began and how long they took.
pub(super) fn duration(vcon: &Vcon) -> Option<f64> {
    let spans: Vec<(i64, f64)> = vcon
        .dialogs()
        .filter_map(|dialog| Some((dialog.start()?.timestamp().as_millisecond(), dialog.duration()?)))
        .collect();
    let Some(begin) = spans.iter().map(|(start, _)| *start).min() else {
        return vcon.dialogs().filter_map(|dialog| dialog.duration()).reduce(|one, other| one + other);
    };
    let end = spans.iter().map(|(start, seconds)| (start - begin) as f64 / 1000.0 + seconds).fold(0.0, f64::max);
    Some((end * 1000.0).round() / 1000.0)
}

/// A party with the members by which people know it.
pub(super) fn party(party: &Party<'_>) -> Value {
    let mut told = Map::from_iter([("party".to_owned(), json!(party.index()))]);
    let members = [("name", party.name()), ("tel", party.tel()), ("mailto", party.mailto()), ("role", party.role())];
    for (name, text) in members {
        if let Some(text) = text {
            told.insert(name.to_owned(), json!(text));
        }
    }
    Value::Object(told)
}

/// A conversation as an entry of a list.
pub(super) fn call(uuid: &str, vcon: &Vcon) -> Value {
    let parties: Vec<Value> = vcon.parties().map(|one| party(&one)).collect();
    let originator = vcon.dialogs().find_map(|dialog| dialog.originator()).unwrap_or(0);
    let to: Vec<&Value> = parties.iter().filter(|party| party["party"] != json!(originator)).collect();
    let recordings: Vec<usize> = vcon.dialogs().filter(has_audio).map(|dialog| dialog.index()).collect();
    let disposition = vcon.dialogs().find_map(|dialog| dialog.disposition().map(|text| text.into_owned()));
    json!({
        "uuid": uuid,
        "start": start(vcon),
        "duration": duration(vcon),
        "direction": direction(vcon),
        "from": parties.get(originator),
        "to": to,
        "subject": vcon.subject(),
        "disposition": disposition,
        "tags": tags(vcon),
        "recordings": recordings,
        "transcripts": transcript::find(vcon).len(),
    })
}

/// Whether there is sound to be had of a dialog.
pub(super) fn has_audio(dialog: &Dialog<'_>) -> bool {
    dialog.is_recording() && (dialog.url().is_some() || dialog.entry().get("body").is_some())
}
