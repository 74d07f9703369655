//! Lists of turns without a provider's mark: `[{speaker, message}]` as vCon generators write it, and
//! `[{parties, start, duration, text}]` as redaction tools write it, with a date as `start`; also inside of an object,
//! as `turns`, `utterances`, `messages` (also of sessions of language models), `dialogue`.

use serde_json::Value;

use super::super::fields::{confidence, filled, index, list, number, seconds};
use super::super::{Origin, Speaker, Transcript, Turn};
use crate::vcon::Date;

const CONTAINERS: [&str; 5] = ["turns", "utterances", "messages", "dialogue", "transcript"];
const TEXTS: [&str; 5] = ["message", "text", "content", "transcript", "utterance"];
const SPEAKERS: [&str; 4] = ["speaker", "speaker_label", "role", "name"];

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let items = value.as_array().map(Vec::as_slice);
    let items = items.or_else(|| CONTAINERS.iter().map(|name| list(value, name)).find(|items| !items.is_empty()))?;
    let has_text = |item: &&Value| said(item).is_some();
    // Generators leave an empty list at the end.
    if items.is_empty() || items.iter().filter(has_text).count() * 2 < items.len() {
        return None;
    }
    let origin_time = items.iter().find_map(date);
    let turns = items.iter().map(|item| turn(item, origin_time)).collect();
    Some(Transcript { turns, origin: Origin::default(), ..Transcript::default() })
}

/// What was said: a string, or blocks of which some are text, as in sessions of language models.
fn said(item: &Value) -> Option<String> {
    if let Some(text) = TEXTS.iter().find_map(|name| filled(item, name)) {
        return Some(text.to_owned());
    }
    let blocks = list(item, "content").iter().filter_map(|block| filled(block, "text"));
    Some(blocks.collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty())
}

/// The date of a turn, in seconds.
fn date(item: &Value) -> Option<f64> {
    let written = filled(item, "start")?;
    Some(Date::parse(written)?.timestamp().as_millisecond() as f64 / 1000.0)
}

fn turn(item: &Value, origin_time: Option<f64>) -> Turn {
    let relative = date(item).zip(origin_time).map(|(time, origin)| (time - origin).max(0.0));
    let start = relative.or_else(|| seconds(item, "start"));
    let duration = number(item, "duration").filter(|seconds| (0.0..=31_536_000.0).contains(seconds));
    Turn {
        text: said(item).unwrap_or_default(),
        start,
        end: seconds(item, "end").or_else(|| Some(start? + duration?)),
        speaker: SPEAKERS.iter().find_map(|name| item.get(name).and_then(Speaker::of)),
        party: index(item, "parties").or_else(|| index(item, "party")),
        confidence: confidence(item, "confidence"),
        ..Turn::default()
    }
}
