//! Which party of the vCon said what.

use super::{Speaker, Transcript};
use crate::vcon::{Party, Vcon};

/// Sets the party of each turn where the vCon lets one tell: by the channel, when the recording has a party per channel,
/// and by the speaker's name, when it is the name or the role of one party.
pub fn attribute(transcript: &mut Transcript, vcon: &Vcon, dialog: Option<usize>) {
    let channels = dialog
        .and_then(|index| vcon.dialogs().find(|dialog| dialog.index() == index))
        .map(|dialog| dialog.channels())
        .unwrap_or_default();
    let parties: Vec<Party<'_>> = vcon.parties().collect();
    let named: Vec<(Speaker, usize)> = transcript
        .speakers()
        .into_iter()
        .filter_map(|speaker| Some((speaker.clone(), party_of(&transcript.label(speaker), &parties)?)))
        .collect();
    for turn in &mut transcript.turns {
        if turn.party.is_some_and(|party| !parties.iter().any(|known| known.index() == party)) {
            turn.party = None;
        }
        let by_channel = turn.channel.and_then(|channel| match channels.get(channel)?.as_slice() {
            [only] => Some(*only),
            _ => None,
        });
        let by_name = turn
            .speaker
            .as_ref()
            .and_then(|speaker| named.iter().find(|(known, _)| known == speaker))
            .map(|(_, party)| *party);
        turn.party = turn.party.or(by_channel).or(by_name);
    }
}

/// The one party that is called so: by its whole name, its role, or, when only one has it, a part of its name.
fn party_of(label: &str, parties: &[Party<'_>]) -> Option<usize> {
    let label = label.trim().to_lowercase();
    let same = |text: Option<std::borrow::Cow<'_, str>>| text.is_some_and(|text| text.trim().to_lowercase() == label);
    let only = |indices: Vec<usize>| match indices.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let those = |accept: &dyn Fn(&Party<'_>) -> bool| {
        only(parties.iter().filter(|party| accept(party)).map(Party::index).collect())
    };
    let has_word = |party: &Party<'_>| {
        party.name().is_some_and(|name| {
            let name = name.to_lowercase();
            label.chars().count() > 1 && name.split_whitespace().any(|word| word == label)
        })
    };
    those(&|party| same(party.name()))
        .or_else(|| those(&|party| same(party.role())))
        .or_else(|| those(&|party| same(party.mailto()) || same(party.tel())))
        .or_else(|| those(&has_word))
}
