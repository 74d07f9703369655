//! What a file is, by its bytes; its name only where a format lies in the name.

use super::chat::{is_named_message, is_whatsapp};
use super::{chat, mail};
use crate::document::Document;
use crate::media::is_media;
use crate::transcript::{Format, read_text};

/// What conversations can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One mail.
    Mail,
    /// Many mails, one after another.
    Mailbox,
    /// One message of a chat, who and in which order being said by the file's name.
    NamedMessage,
    /// A chat that WhatsApp has exported.
    WhatsApp,
    /// Messages as a table: CSV, JSON or JSON Lines.
    Messages,
    /// Sound or video.
    Recording,
    /// A transcript of any shape.
    Transcript,
    /// Text of which nothing is known.
    PlainText,
}

impl Kind {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Mail => "mail",
            Kind::Mailbox => "mailbox",
            Kind::NamedMessage => "message",
            Kind::WhatsApp => "WhatsApp chat",
            Kind::Messages => "messages",
            Kind::Recording => "recording",
            Kind::Transcript => "transcript",
            Kind::PlainText => "text",
        }
    }
}

/// Says what the bytes are. `None`: nothing that a conversation can be made of. A vCon is to be recognised before, since
/// it is JSON as many other things are.
pub fn recognise(bytes: &[u8], filename: Option<&str>) -> Option<Kind> {
    if is_media(bytes) {
        return Some(Kind::Recording);
    }
    if mail::is_mailbox(bytes) {
        return Some(Kind::Mailbox);
    }
    // Mail may be in any character set.
    if mail::is_mail(bytes) {
        return Some(Kind::Mail);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() || text.contains('\0') {
        return None;
    }
    if is_whatsapp(text) {
        return Some(Kind::WhatsApp);
    }
    if chat::table(text, None).is_ok_and(|messages| !messages.is_empty()) {
        return Some(Kind::Messages);
    }
    if filename.is_some_and(is_named_message) {
        return Some(Kind::NamedMessage);
    }
    let is_object = text.trim_start().starts_with('{');
    match read_text(text, None)?.origin.format {
        // JSON that breaks off is no text that somebody wrote.
        Format::Text if is_object => Document::parse(text.to_owned()).is_ok().then_some(Kind::Transcript),
        Format::Text => Some(Kind::PlainText),
        _ => Some(Kind::Transcript),
    }
}
