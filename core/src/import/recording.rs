//! A vCon around a recording.

use jiff::Timestamp;

use super::made::{Content, NewDialog, NewVcon, date};
use super::transcribed::{Companion, add};
use super::{Made, Options, Party};
use crate::Result;
use crate::media::probe;

/// Makes a vCon of the bytes of sound or video.
/// Without a given start the file's time is the start of the dialog, for want of a
/// better one. A recording with several channels gets a party per channel, which is how a vCon says how many there are.
///
/// # Errors
/// If the bytes are no recording that can be read.
pub fn recording(bytes: &[u8], filename: Option<&str>, modified: Option<Timestamp>, options: &Options) -> Result<Made> {
    recording_with_transcripts(bytes, filename, modified, &[], options)
}

/// The same, with the transcripts that lie beside the recording as analyses.
///
/// # Errors
/// If the bytes are no recording that can be read.
pub fn recording_with_transcripts(
    bytes: &[u8],
    filename: Option<&str>,
    modified: Option<Timestamp>,
    transcripts: &[Companion],
    options: &Options,
) -> Result<Made> {
    let media = probe(bytes)?;
    let start = options.start.or(modified).unwrap_or_else(Timestamp::now);
    let channels = media.channels.map_or(1, usize::from);
    let mut parties = options.parties.clone();
    if channels > 1 {
        parties.resize(parties.len().max(channels), Party::default());
    }
    let heard = if channels > 1 { channels } else { parties.len() };
    let dialog = NewDialog {
        r#type: "recording",
        start: date(start)?,
        duration: media.duration.map(|duration| (duration.as_secs_f64() * 1000.0).round() / 1000.0),
        parties: (heard > 0).then(|| (0..heard).collect()),
        mediatype: Some(media.mediatype.to_owned()),
        filename: filename.map(str::to_owned),
        content: Some(Content::bytes(bytes)),
        ..NewDialog::default()
    };
    let mut vcon = NewVcon { parties, dialog: vec![dialog], ..NewVcon::default() };
    for transcript in transcripts {
        add(&mut vcon, transcript, options.wtf);
    }
    vcon.make()
}
