//! One mail, as far as a conversation needs it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use mail_parser::{Address, HeaderValue, Message, MessageParser, MimeHeaders, PartType};

use super::super::Party;
use crate::vcon::Date;
use crate::{Error, Result};

/// The largest mail; providers refuse less.
const LARGEST: usize = 150 << 20;
/// The most parts of a mail.
const MOST_PARTS: usize = 5_000;
/// The most addresses of a header field: more are a mailing, not a conversation.
const MOST_ADDRESSES: usize = 1_000;
/// The most ids that are looked at in `References`, from the end: the nearest ancestors.
const MOST_REFERENCES: usize = 200;

/// A mail.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// The file that it was read from, for people; empty where nobody said.
    pub source: String,
    /// `Message-ID` without its brackets.
    pub id: Option<String>,
    /// The ids of earlier mails that it names in `References` and `In-Reply-To`.
    pub references: Vec<String>,
    /// When it was sent, as RFC 3339.
    pub date: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The senders.
    pub from: Vec<Party>,
    /// The recipients in the order To, Cc, Bcc.
    pub to: Vec<Party>,
    /// The text: the plain one, or the HTML one's words.
    pub text: String,
    /// What is attached; of a mail that is HTML only, also that.
    pub enclosures: Vec<Enclosure>,
}

/// Something attached to a mail.
#[derive(Debug, Clone)]
pub struct Enclosure {
    /// The media type, without parameters.
    pub mediatype: String,
    /// The name without any path.
    pub filename: Option<String>,
    /// The decoded content.
    pub content: Bytes,
}

impl Mail {
    /// Reads a mail. Damaged parts are read as far as they go.
    ///
    /// # Errors
    /// Permanent: it is larger than 150 MiB, has more than 5000 parts, or no header.
    pub fn read(bytes: &[u8]) -> Result<Mail> {
        if bytes.len() > LARGEST {
            return Err(Error::permanent(format!("the mail is larger than {} MiB", LARGEST >> 20)));
        }
        // A parser of others on input of strangers: a fault in it must cost this mail, not the process.
        let parsed = catch_unwind(AssertUnwindSafe(|| MessageParser::default().parse(bytes)));
        let message = match parsed {
            Ok(Some(message)) => message,
            Ok(None) => return Err(Error::permanent("this is no mail: it has no header")),
            Err(_) => return Err(Error::permanent("the structure of the mail is inconsistent")),
        };
        if message.parts.len() > MOST_PARTS {
            return Err(Error::permanent(format!("the mail has more than {MOST_PARTS} parts")));
        }
        Ok(of(&message))
    }
}

fn of(message: &Message<'_>) -> Mail {
    let mut references = ids(message.references());
    references.extend(ids(message.in_reply_to()));
    let keep = references.len().saturating_sub(MOST_REFERENCES);
    let mut to = Vec::new();
    for field in [message.to(), message.cc(), message.bcc()] {
        to.extend(addresses(field));
    }
    let from = addresses(message.from()).into_iter();
    let from: Vec<Party> = if message.from().is_some() { from.collect() } else { addresses(message.sender()) };
    let mut enclosures: Vec<Enclosure> = message.attachments().map(enclosure).collect();
    let has_plain = message.text_bodies().any(|part| matches!(part.body, PartType::Text(_)));
    if !has_plain && let Some(PartType::Html(html)) = message.html_part(0).map(|part| &part.body) {
        enclosures.insert(
            0,
            Enclosure {
                mediatype: "text/html".to_owned(),
                filename: Some("message.html".to_owned()),
                content: Bytes::copy_from_slice(html.as_bytes()),
            },
        );
    }
    Mail {
        source: String::new(),
        id: message.message_id().map(str::to_owned),
        references: references.split_off(keep),
        date: date(message),
        subject: message.subject().map(one_line).filter(|subject| !subject.is_empty()),
        from,
        to,
        text: text(message),
        enclosures,
    }
}

/// All text parts in their order: a mail may go on behind a picture.
fn text(message: &Message<'_>) -> String {
    let texts = (0..message.text_body_count()).filter_map(|index| message.body_text(index));
    let texts: Vec<String> = texts.map(|text| text.replace("\r\n", "\n").trim_end().to_owned()).collect();
    texts.join("\n\n").trim_start_matches('\n').to_owned()
}

/// The `Date`, or, when it is missing or impossible, when the last relay received the mail.
fn date(message: &Message<'_>) -> Option<String> {
    let received = message.received().and_then(mail_parser::Received::date);
    let dates = message.date().copied().into_iter().chain(received);
    dates.map(|date| date.to_rfc3339()).find(|date| Date::parse(date).is_some())
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => vec![id.trim().to_owned()],
        HeaderValue::TextList(ids) => ids.iter().map(|id| id.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn addresses(field: Option<&Address<'_>>) -> Vec<Party> {
    let all = field.into_iter().flat_map(|field| field.iter()).take(MOST_ADDRESSES);
    let party = |address: &mail_parser::Addr<'_>| Party {
        mailto: address.address().map(|text| one_line(text).replace(' ', "")).filter(|text| !text.is_empty()),
        name: address.name().map(one_line).filter(|name| !name.is_empty()),
        ..Party::default()
    };
    all.map(party).filter(|party| *party != Party::default()).collect()
}

fn one_line(text: &str) -> String {
    text.split(|character: char| character.is_whitespace() || character.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn enclosure(part: &mail_parser::MessagePart<'_>) -> Enclosure {
    let mediatype = part.content_type().map(|kind| match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase(),
        None => kind.ctype().to_ascii_lowercase(),
    });
    let fallback = match &part.body {
        PartType::Text(_) => "text/plain",
        PartType::Html(_) => "text/html",
        PartType::Message(_) => "message/rfc822",
        _ => "application/octet-stream",
    };
    let is_valid = |kind: &String| {
        kind.split_once('/').is_some_and(|(one, two)| {
            let token = |text: &str| {
                !text.is_empty()
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
            };
            token(one) && token(two)
        })
    };
    Enclosure {
        mediatype: mediatype.filter(is_valid).unwrap_or_else(|| fallback.to_owned()),
        filename: part.attachment_name().and_then(base_name),
        content: match &part.body {
            PartType::Message(message) => Bytes::copy_from_slice(message.raw_message()),
            _ => Bytes::copy_from_slice(part.contents()),
        },
    }
}

/// The last part of a path: a name must not lead anywhere.
fn base_name(name: &str) -> Option<String> {
    let last = one_line(name.rsplit(['/', '\\']).next().unwrap_or_default());
    (!last.trim_matches('.').is_empty()).then(|| last.chars().take(255).collect())
}
