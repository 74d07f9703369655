//! vCons from what is not a vCon: mail, chats, recordings, transcripts.
//!
//! [`recognise`] says from a file's bytes what it is. Recordings and transcripts become a vCon each; mails and messages
//! are gathered first, since a conversation lies in several of them: [`Gathered`] puts them together.
//!
//! Everything is read from strangers. Markup is text here and never executed, no link in it is followed, sizes and counts are
//! bounded, and what cannot be read is refused with the reason while the rest goes on.

pub mod chat;
mod gathered;
mod kind;
mod made;
pub mod mail;
mod party;
mod recording;
#[cfg(test)]
mod tests;
mod transcribed;

use jiff::Timestamp;
use jiff::tz::Offset;

pub use gathered::Gathered;
pub use kind::{Kind, recognise};
pub use made::Made;
pub use party::Party;
pub use recording::{recording, recording_with_transcripts};
pub use transcribed::{Companion, transcript};

/// What is known about the conversations beside the files.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The parties, in their order.
    pub parties: Vec<Party>,
    /// When the conversation began, where the file does not say.
    pub start: Option<Timestamp>,
    /// The offset from UTC of times that are written without one.
    pub offset: Option<Offset>,
    /// Whether transcripts are also written in the World Transcription Format.
    pub wtf: bool,
}
