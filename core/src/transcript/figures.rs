//! Who spoke how much.

use serde_json::{Map, Value, json};

use super::{Speaker, Transcript, Turn};
use crate::vcon::Vcon;

/// Seconds that two turns must lie over each other to be more than an inaccuracy of the provider.
const OVERLAP: f64 = 0.2;

/// By whom a turn is: the party where that is known, else the channel or the speaker.
#[derive(Debug, Clone, PartialEq)]
enum Who {
    Party(usize),
    Channel(usize),
    Speaker(Speaker),
    Unknown,
}

fn who(turn: &Turn) -> Who {
    match (turn.party, &turn.speaker, turn.channel) {
        (Some(party), ..) => Who::Party(party),
        (None, Some(speaker), _) => Who::Speaker(speaker.clone()),
        (None, None, Some(channel)) => Who::Channel(channel),
        (None, None, None) => Who::Unknown,
    }
}

/// What is counted of one participant, or of all.
#[derive(Debug, Default)]
struct Count {
    turns: u64,
    words: u64,
    interruptions: u64,
    longest: f64,
    spans: Vec<(f64, f64)>,
    confidence: (f64, u64),
}

impl Count {
    fn add(&mut self, turn: &Turn) {
        self.turns += 1;
        let timed = turn.words.iter().filter(|word| !word.is_punctuation).count();
        self.words += if timed > 0 { timed } else { turn.text.split_whitespace().count() } as u64;
        if let Some((start, end)) = span(turn) {
            self.spans.push((start, end));
            self.longest = self.longest.max(end - start);
        }
        if let Some(confidence) = turn.confidence {
            self.confidence = (self.confidence.0 + confidence, self.confidence.1 + 1);
        }
    }

    /// Seconds in which somebody speaks; what lies over each other counts once.
    fn talk_time(&self) -> Option<f64> {
        let mut spans = self.spans.clone();
        spans.sort_by(|one, two| one.0.total_cmp(&two.0));
        let (mut sum, mut until) = (0.0, 0.0_f64);
        for (start, end) in &spans {
            sum += (end - start.max(until)).max(0.0);
            until = until.max(*end);
        }
        (!spans.is_empty()).then_some(sum)
    }

    fn write(&self, into: &mut Map<String, Value>) {
        into.insert("turns".into(), self.turns.into());
        into.insert("words".into(), self.words.into());
        if let Some(talk_time) = self.talk_time() {
            into.insert("talk_time".into(), rounded(talk_time));
            into.insert("longest_turn".into(), rounded(self.longest));
            into.insert("interruptions".into(), self.interruptions.into());
            if talk_time > 0.0 {
                into.insert("words_per_minute".into(), rounded(self.words as f64 * 60.0 / talk_time));
            }
        }
        if self.confidence.1 > 0 {
            into.insert("confidence".into(), rounded(self.confidence.0 / self.confidence.1 as f64));
        }
    }
}

fn span(turn: &Turn) -> Option<(f64, f64)> {
    turn.start.zip(turn.end).filter(|(start, end)| end >= start)
}

/// Milliseconds are as exact as any provider is.
fn rounded(number: f64) -> Value {
    json!((number * 1000.0).round() / 1000.0)
}

/// Counts turns, words, time of talk and silence, interruptions and confidence, in all and for each participant, as
/// `links.summary_stats` writes them. Times are in seconds; what the transcript does not tell is left out. `duration` is that
/// of the dialog, where the vCon says it.
///
/// A turn interrupts another one when it begins at least 0.2 seconds before the other ends and goes on behind it.
pub fn figures(transcript: &Transcript, duration: Option<f64>, vcon: &Vcon) -> Value {
    let mut all = Count::default();
    let mut each: Vec<(Who, Count)> = Vec::new();
    let mut floor: Option<(Who, f64, f64)> = None;
    for turn in &transcript.turns {
        let speaking = who(turn);
        all.add(turn);
        let position = each.iter().position(|(known, _)| *known == speaking).unwrap_or_else(|| {
            each.push((speaking.clone(), Count::default()));
            each.len() - 1
        });
        let count = &mut each[position].1;
        count.add(turn);
        let Some((start, end)) = span(turn) else { continue };
        if let Some((holder, began, until)) = &floor
            && *holder != speaking
            && *began < start
            && until - start >= OVERLAP
            && end >= *until
        {
            count.interruptions += 1;
            all.interruptions += 1;
        }
        if floor.as_ref().is_none_or(|(.., until)| end > *until) {
            floor = Some((speaking, start, end));
        }
    }
    let mut body = Map::new();
    let duration = duration.or(transcript.duration);
    if let Some(duration) = duration {
        body.insert("duration".into(), rounded(duration));
    }
    all.write(&mut body);
    let spoken = all.talk_time();
    if let (Some(duration), Some(talk_time)) = (duration, spoken) {
        body.insert("silence".into(), rounded((duration - talk_time).max(0.0)));
    }
    if let Some(talk_time) = spoken {
        let sum: f64 = each.iter().filter_map(|(_, count)| count.talk_time()).sum();
        body.insert("overlap".into(), rounded((sum - talk_time).max(0.0)));
    }
    if !body.contains_key("confidence")
        && let Some(confidence) = transcript.confidence
    {
        body.insert("confidence".into(), rounded(confidence));
    }
    let sum: f64 = each.iter().filter_map(|(_, count)| count.talk_time()).sum();
    let participants = each.iter().map(|(who, count)| {
        let mut entry = named(who, transcript, vcon);
        count.write(&mut entry);
        if let Some(talk_time) = count.talk_time().filter(|_| sum > 0.0) {
            entry.insert("talk_share".into(), rounded(talk_time / sum));
        }
        Value::Object(entry)
    });
    body.insert("participants".into(), participants.collect());
    Value::Object(body)
}

/// Who it is, for people and programs.
fn named(who: &Who, transcript: &Transcript, vcon: &Vcon) -> Map<String, Value> {
    let mut entry = Map::new();
    match who {
        Who::Party(index) => {
            entry.insert("party".into(), (*index).into());
            if let Some(party) = vcon.parties().find(|party| party.index() == *index) {
                for (name, text) in [("name", party.name()), ("role", party.role())] {
                    if let Some(text) = text {
                        entry.insert(name.into(), text.into());
                    }
                }
            }
        }
        Who::Channel(channel) => {
            entry.insert("channel".into(), (*channel).into());
        }
        Who::Speaker(speaker) => {
            entry.insert("speaker".into(), transcript.label(speaker).into());
        }
        Who::Unknown => {}
    }
    entry
}
