//! What a command line says about the conversations that are made of its files.

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::Offset;
use vconductor_core::import::{Options, Party};

/// What a command line says about the conversations that are made of its files.
#[derive(Debug, Args)]
#[command(next_help_heading = "What becomes a vCon")]
pub(crate) struct ImportOptions {
    /// A party, in order; of a recording, one per channel: tel, sip, mailto, name, role, uuid
    #[arg(long, value_name = "NAME=VALUE,...")]
    party: Vec<Party>,
    /// When the conversation began, where its file does not say; by default the file's time
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// The offset of times that are written without one, for example +02:00; by default UTC
    #[arg(long, value_name = "OFFSET", value_parser = offset, allow_hyphen_values = true)]
    utc_offset: Option<Offset>,
    /// Write transcripts in the World Transcription Format as well
    #[arg(long)]
    wtf: bool,
}

impl ImportOptions {
    pub(crate) fn options(&self) -> Options {
        Options { parties: self.party.clone(), start: self.start, offset: self.utc_offset, wtf: self.wtf }
    }
}

/// `+02:00`, `-0530`, `+2`, `Z`.
fn offset(text: &str) -> Result<Offset, String> {
    let wrong = || format!("`{text}` is no offset such as +02:00");
    if matches!(text, "Z" | "z" | "UTC") {
        return Ok(Offset::UTC);
    }
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(wrong()),
    };
    let digits: String = text[1..].chars().filter(|character| *character != ':').collect();
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.as_str(), "0"),
        4 => digits.split_at(2),
        _ => return Err(wrong()),
    };
    let parse = |digits: &str| digits.parse::<i8>().map_err(|_| wrong());
    let time = Time::new(parse(hours)?, parse(minutes)?, 0, 0).map_err(|_| wrong())?;
    Offset::from_seconds(sign * (i32::from(time.hour()) * 3600 + i32::from(time.minute()) * 60)).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        for (text, seconds) in [("+02:00", 7200), ("-0530", -19_800), ("+2", 7200), ("Z", 0)] {
            assert_eq!(offset(text).unwrap().seconds(), seconds, "{text}");
        }
        for wrong in ["", "2", "+", "+123", "+99:00", "+ä", "CET"] {
            assert!(offset(wrong).is_err(), "{wrong}");
        }
    }
}
