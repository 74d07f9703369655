//! Who speaks on which channel.

use crate::vcon::Dialog;

/// The parties on each of `channels` channels of a dialog's recording, as indices into the vCon's parties; a channel of
/// which nothing is known, or that is unused, is empty.
///
/// An entry of `parties` per channel says it (vCon core, `parties` of a dialog). A recording of one channel is everyone's. Where
/// their numbers differ nothing is known but for two channels of which only the originator is told: callers are recorded first.
pub fn channel_parties(dialog: &Dialog<'_>, channels: u16) -> Vec<Vec<usize>> {
    let channels = usize::from(channels);
    if channels <= 1 {
        return vec![dialog.parties(); channels];
    }
    let by_channel = dialog.channels();
    if by_channel.len() == channels {
        return by_channel;
    }
    let mut known = vec![Vec::new(); channels];
    if let (2, Some(originator)) = (channels, dialog.entry().index("originator")) {
        known[0] = vec![originator];
        let others: Vec<usize> = dialog.parties().into_iter().filter(|party| *party != originator).collect();
        if let [other] = others[..] {
            known[1] = vec![other];
        }
    }
    known
}
