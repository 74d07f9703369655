//! Writing a transcript into the vCon.

use jiff::Timestamp;
use serde_json::{Value, json};
use vconductor_core::document::{Edit, NewAnalysis};
use vconductor_core::recording::channel_parties;
use vconductor_core::transcript::{self, Speaker, Transcript, attribute, wtf};
use vconductor_core::vcon::{Dialog, Vcon};

use super::options::Format;
use super::vendor::Vendor;

/// The type of the analysis that a vendor's transcript becomes.
pub(super) fn kind(format: Format, vendor: &dyn Vendor) -> &'static str {
    if format == Format::Wtf || is_wtf(vendor) { wtf::NAME } else { "transcript" }
}

fn is_wtf(vendor: &dyn Vendor) -> bool {
    vendor.account().label == "vfun"
}

/// How sure the vendor is of all of it, as far as it says.
pub(super) fn confidence(body: &Value, vendor: &dyn Vendor) -> Option<f64> {
    body["confidence"].as_f64().or_else(|| transcript::read(body, Some(vendor.account().label))?.confidence)
}

/// The edits that write an answer, whose native body is `body`, as the transcript of a dialog; `None`: there are no words in
/// it.
pub(super) fn edits(
    answer: &Value,
    body: &Value,
    vendor: &dyn Vendor,
    format: Format,
    vcon: &Vcon,
    dialog: &Dialog<'_>,
    now: Timestamp,
) -> Option<Vec<Edit>> {
    let (label, index) = (vendor.account().label, dialog.index());
    if is_wtf(vendor) {
        let analysis = NewAnalysis::new(wtf::NAME, label).dialog(index).body(body.clone());
        return Some(vec![Edit::AddAnalysis(analysis.mediatype("application/json").schema(wtf::SCHEMA))]);
    }
    if format == Format::Native {
        let mut analysis = NewAnalysis::new("transcript", label).dialog(index).body(body.clone());
        if let Some(opts) = vendor.opts() {
            analysis = analysis.member("vendor_schema", json!({"opts": opts}));
        }
        return Some(vec![Edit::AddAnalysis(analysis)]);
    }
    let mut transcript = transcript::read(answer, Some(label))?;
    if transcript.origin.model.is_none() {
        transcript.origin.model = Some(vendor.account().model.clone());
    }
    attribute(&mut transcript, vcon, Some(index));
    name_channels(&mut transcript, vcon, dialog);
    let mut edits = vec![Edit::AddAnalysis(wtf::analysis(&transcript, index, now))];
    let listed = vcon.document().get("/extensions");
    let mut extensions: Vec<Value> =
        listed.into_iter().flat_map(|list| list.elements()).map(|name| name.to_value()).collect();
    if !extensions.iter().any(|name| name == wtf::NAME) {
        // Set and not appended: each dialog of a run asks for it.
        extensions.push(json!(wtf::NAME));
        edits.push(Edit::set("/extensions", Value::from(extensions)));
    }
    Some(edits)
}

/// Gives the turns of a channel the party on it as speaker.
fn name_channels(transcript: &mut Transcript, vcon: &Vcon, dialog: &Dialog<'_>) {
    let channels = transcript.turns.iter().filter_map(|turn| turn.channel).max().map_or(0, |most| most + 1);
    let parties = channel_parties(dialog, u16::try_from(channels).unwrap_or(u16::MAX));
    for turn in transcript.turns.iter_mut().filter(|turn| turn.speaker.is_none()) {
        let Some(channel) = turn.channel else { continue };
        let party =
            turn.party.or_else(|| <[usize; 1]>::try_from(parties.get(channel)?.clone()).ok().map(|[only]| only));
        turn.party = party;
        let speaker = Speaker::Number(i64::try_from(party.unwrap_or(channel)).unwrap_or(i64::MAX));
        let name = party.and_then(|party| vcon.parties().find(|known| known.index() == party)?.name());
        if let Some(name) = name.filter(|_| !transcript.labels.iter().any(|(known, _)| *known == speaker)) {
            transcript.labels.push((speaker.clone(), name.into_owned()));
        }
        turn.speaker = Some(speaker);
    }
}
