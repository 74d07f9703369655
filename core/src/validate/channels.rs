//! Who speaks on which channel: check 38. Only the media itself tells how many channels there are.

use base64::Engine as _;

use super::Findings;
use super::object::Object;
use super::place::Place;
use crate::audio;
use crate::document::{Kind, View};
use crate::vcon::BASE64_URL;

/// Compares `parties` with inline audio.
pub(super) fn check(dialog: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    let Some(parties) = dialog.get("parties") else { return };
    if dialog.text("type").as_deref() != Some("recording") || dialog.text("encoding").as_deref() != Some("base64url") {
        return;
    }
    if let Some(body) = dialog.text("body")
        && let Ok(bytes) = BASE64_URL.decode(body.as_bytes())
    {
        compare(&bytes, parties, place, found);
    }
}

/// Compares `parties` with a recording. What is no audio that can be probed says nothing.
pub(super) fn compare(recording: &[u8], parties: View<'_>, place: &Place<'_>, found: &mut Findings) {
    let Ok(info) = audio::probe(recording) else { return };
    let channels = usize::from(info.channels);
    let entries = if parties.kind() == Kind::Array { parties.len() } else { 1 };
    // A plain list on a single channel is a mix of all of them.
    let is_by_channel = parties.elements().any(|element| matches!(element.kind(), Kind::Array | Kind::Null));
    let is_wrong = if channels > 1 { entries != channels } else { is_by_channel && entries != channels };
    if is_wrong {
        let message = format!("`parties` has {entries} entries for {channels} channels of audio");
        found.advice(38, &place.name("parties"), message);
    }
}
