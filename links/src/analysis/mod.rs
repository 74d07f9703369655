//! What links have in common that make an analysis of what was said: whether they work on a vCon, on which texts, and
//! how a language model is configured.

mod gate;
mod options;
mod source;

use vconductor_core::document::NewAnalysis;
use vconductor_core::http::Url;
use vconductor_core::transcript::wtf;
use vconductor_core::vcon::Vcon;

pub(crate) use gate::{Gate, OnlyIf, SamplingRate};
pub(crate) use options::model_options;
pub(crate) use source::{Source, SourceOptions};

/// The types under which transcripts are found, whoever wrote them.
pub(crate) const TRANSCRIPTS: [&str; 2] = [source::TRANSCRIPT, wtf::NAME];

/// An analysis of these dialogs: one index where it is one, as vcon-server writes it.
pub(crate) fn analysis_of(dialogs: &[usize], kind: &str, vendor: &str) -> NewAnalysis {
    let analysis = NewAnalysis::new(kind, vendor);
    match dialogs {
        [] => analysis,
        [only] => analysis.dialog(*only),
        several => analysis.dialogs(several),
    }
}

/// Where Hugging Face says whose a key is, for an address of its own; somebody's own server has no such thing.
pub(crate) fn hugging_face_account(url: &Url) -> Option<&'static str> {
    let host = url.host_str().unwrap_or_default();
    let is_theirs = host == "huggingface.co" || host.ends_with(".huggingface.co");
    is_theirs.then_some("https://huggingface.co/api/whoami-v2")
}

/// Whether an analysis of this type speaks of the dialog; one that names none speaks of the only one.
pub(crate) fn speaks_of(vcon: &Vcon, dialogs: &[usize], dialog: usize) -> bool {
    if dialogs.is_empty() { vcon.dialogs().nth(1).is_none() } else { dialogs.contains(&dialog) }
}

/// Whether there is an analysis of this type for the dialog.
pub(crate) fn is_analysed(vcon: &Vcon, kind: &str, dialog: usize) -> bool {
    vcon.analyses()
        .filter(|analysis| analysis.kind().is_some_and(|found| found == kind))
        .any(|analysis| speaks_of(vcon, &analysis.dialogs(), dialog))
}
