//! `links.summary_stats`: who spoke how much, out of the transcript.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::document::Edit;
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::transcript::{figures, find};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

use crate::analysis::{TRANSCRIPTS, analysis_of, is_analysed, speaks_of};

/// Who writes the analysis.
const VENDOR: &str = "vconductor";

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

    fn facts(&self) -> Facts {
        Facts::analysis(TRANSCRIPTS, &self.analysis_type)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
