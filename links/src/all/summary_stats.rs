//! `links.summary_stats`: who spoke how much, out of the transcript.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vconductor_core::document::Edit;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::transcript::{Speaker, Transcript, Turn, find};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

use crate::analysis::{analysis_of, is_analysed, speaks_of};

/// Who writes the analysis.
const VENDOR: &str = "vconductor";

/// Seconds that two turns must lie over each other to be more than an inaccuracy of the provider.
const OVERLAP: f64 = 0.2;

/// Counts turns, words, time of talk and silence, interruptions and confidence of each dialog, in all and for each
/// participant, and writes them as an analysis. It reads the transcript and calls nobody.
///
/// A turn interrupts another one when it begins at least 0.2 seconds before the other ends and goes on behind it; a word
/// of assent in between is none. Times are in seconds; what the transcript does not tell is left out.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// The `type` of the analysis that is written.
    analysis_type: String,
}

impl Default for Options {
    fn default() -> Self {
        Options { analysis_type: "summary_stats".to_owned() }
    }
}

struct SummaryStats {
    analysis_type: String,
}

register_link!(SummaryStats);

impl LinkPlugin for SummaryStats {
    const MODULE: &'static str = "links.summary_stats";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = true;
    const EXAMPLE: &'static str = "\
figures:
  module: links.summary_stats
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        if options.analysis_type.trim().is_empty() {
            return Err(Error::configuration("option `analysis_type` is empty").help("write a type"));
        }
        Ok(SummaryStats { analysis_type: options.analysis_type })
    }
}

#[async_trait]
impl Link for SummaryStats {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let found = find(vcon);
        let mut done = BTreeSet::new();
        for dialog in vcon.dialogs() {
            let index = dialog.index();
            if is_analysed(vcon, &self.analysis_type, index) {
                continue;
            }
            let Some((place, of)) = found.iter().enumerate().find(|(_, of)| speaks_of(vcon, &of.dialogs, index)) else {
                continue;
            };
            // One transcript of several dialogs is counted once.
            if !done.insert(place) {
                continue;
            }
            let dialogs: &[usize] = if of.dialogs.len() > 1 { &of.dialogs } else { &[index] };
            let body = figures(&of.transcript, dialog.duration(), vcon);
            context.edit(Edit::AddAnalysis(analysis_of(dialogs, &self.analysis_type, VENDOR).body(body)));
        }
        Ok(Outcome::Continue)
    }
}

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

fn figures(transcript: &Transcript, duration: Option<f64>, vcon: &Vcon) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link_stage::LinkStage;

    async fn stats(vcon: Value) -> Vec<Value> {
        let vcon = Vcon::read(vcon.to_string()).unwrap();
        let link = SummaryStats::new("figures", Options::default()).unwrap();
        let ran = LinkStage::new("u").run(&link, &vcon).await;
        assert_eq!(ran.result.as_ref().unwrap(), &Outcome::Continue);
        let applied = ran.applied(&vcon).unwrap();
        let written = applied.analyses().filter(|analysis| analysis.kind().unwrap() == "summary_stats");
        written
            .map(|analysis| {
                let entry: Value = analysis.entry().get("body").map(|body| body.to_value()).unwrap();
                serde_json::from_str(entry.as_str().unwrap()).unwrap()
            })
            .collect()
    }

    fn word(text: &str, start: f64, end: f64, speaker: u32) -> Value {
        json!({"word": text, "start": start, "end": end, "confidence": 0.5, "speaker": speaker})
    }

    #[tokio::test]
    async fn figures_are_counted_from_words_and_times() {
        let words = [
            word("hello", 0.0, 1.0, 0),
            word("there", 1.0, 2.0, 0),
            // Comes in before the other is done, and goes on.
            word("wait", 1.5, 4.0, 1),
            word("yes", 6.0, 7.0, 0),
        ];
        let body = json!({"transcript": "hello there wait yes", "confidence": 0.5, "words": words});
        let vcon = json!({"uuid": "u", "parties": [{"name": "Ann"}], "dialog": [{"type": "recording", "duration": 10}],
            "analysis": [{"type": "transcript", "dialog": [0], "vendor": "deepgram", "body": body}]});
        let stats = stats(vcon).await;
        assert_eq!(
            stats,
            [
                json!({"duration": 10.0, "turns": 3, "words": 4, "talk_time": 5.0, "longest_turn": 2.5, "interruptions": 1,
                "words_per_minute": 48.0, "confidence": 0.5, "silence": 5.0, "overlap": 0.5,
                "participants": [
                    {"speaker": "Speaker 0", "turns": 2, "words": 3, "talk_time": 3.0, "longest_turn": 2.0,
                     "interruptions": 0, "words_per_minute": 60.0, "confidence": 0.5, "talk_share": 0.545},
                    {"speaker": "Speaker 1", "turns": 1, "words": 1, "talk_time": 2.5, "longest_turn": 2.5,
                     "interruptions": 1, "words_per_minute": 24.0, "confidence": 0.5, "talk_share": 0.455},
                ]})
            ]
        );
    }

    #[tokio::test]
    async fn what_a_transcript_does_not_tell_is_left_out() {
        let turns = json!([{"speaker": "Ann", "message": "One two."}, {"speaker": "Bo", "message": "Three."}]);
        let vcon = json!({"uuid": "u", "parties": [{"name": "Ann", "role": "agent"}], "dialog": [{"type": "recording"}],
            "analysis": [{"type": "transcript", "dialog": 0, "vendor": "openai", "body": turns}]});
        assert_eq!(
            stats(vcon).await,
            [json!({"turns": 2, "words": 3, "participants": [
                {"party": 0, "name": "Ann", "role": "agent", "turns": 1, "words": 2},
                {"speaker": "Bo", "turns": 1, "words": 1},
            ]})]
        );
        assert!(stats(json!({"uuid": "u", "dialog": [{"type": "recording"}]})).await.is_empty());
    }
}
