//! Analyses that are not transcripts.

use vconductor_core::transcript::{Place, find};
use vconductor_core::vcon::{Analysis, Body, Vcon};

use super::text::{beginning, json, line, lines, size, without_query};

/// How much of an analysis is shown.
const LONGEST: usize = 2_000;

/// An analysis.
#[derive(Debug, Default)]
pub(in crate::cli::show) struct Note {
    /// Its type.
    pub(in crate::cli::show) kind: String,
    /// Who made it, of what.
    pub(in crate::cli::show) origin: String,
    /// What it says.
    pub(in crate::cli::show) text: String,
}

pub(super) fn notes(vcon: &Vcon) -> Vec<Note> {
    let transcripts = find(vcon);
    let is_shown = |analysis: &Analysis<'_>| {
        !transcripts
            .iter()
            .any(|found| found.place == Place::Analysis(analysis.index()) && !found.transcript.turns.is_empty())
    };
    let dialogs = vcon.dialogs().count();
    vcon.analyses().filter(is_shown).map(|analysis| note(&analysis, dialogs)).collect()
}

fn note(analysis: &Analysis<'_>, dialogs: usize) -> Note {
    let own = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| line(&text)).filter(|text| !text.is_empty());
    let mut origin: Vec<String> = [own(analysis.vendor()), own(analysis.product())].into_iter().flatten().collect();
    origin.dedup();
    let of = analysis.dialogs();
    if dialogs > 1 && !of.is_empty() && of.len() < dialogs {
        let of: Vec<String> = of.iter().take(8).map(usize::to_string).collect();
        origin.push(format!("of dialog {}", of.join(", ")));
    }
    let text = match analysis.body() {
        Ok(Body::Text(text)) => lines(&text),
        Ok(Body::Json(value)) => json(&value),
        Ok(Body::Bytes(bytes)) => size(bytes.len()),
        Ok(Body::None) => analysis.url().map(|url| without_query(&url)).unwrap_or_default(),
        Err(error) => format!("unreadable: {}", line(&error.chain_text())),
    };
    Note {
        kind: own(analysis.kind()).unwrap_or_else(|| "analysis".to_owned()),
        origin: origin.join(" "),
        text: beginning(&text, LONGEST),
    }
}
