//! Content that is not read as text: recordings, files.

use std::borrow::Cow;

use vconductor_core::document::View;
use vconductor_core::vcon::{Attachment, Body, Entry, Vcon};

use super::people::{Person, name};
use super::text::{beginning, date, json, line, lines, size, without_query};

/// How much of a text attachment is shown.
const EXCERPT: usize = 400;

/// A file, inline or elsewhere.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::show) struct Media {
    /// Its index in the vCon.
    pub(in crate::cli::show) index: usize,
    /// The file's name, else what it is for, else what it is.
    pub(in crate::cli::show) title: String,
    /// What it is for, where that is not the title.
    pub(in crate::cli::show) purpose: Option<String>,
    /// The media type.
    pub(in crate::cli::show) mediatype: Option<String>,
    /// The size of inline content.
    pub(in crate::cli::show) size: Option<String>,
    /// Where external content lies.
    pub(in crate::cli::show) place: Option<String>,
    /// Who brought it, and when.
    pub(in crate::cli::show) origin: Option<String>,
    /// The text in it, or its beginning.
    pub(in crate::cli::show) excerpt: Option<String>,
    /// Inline bytes that a page can show or play.
    pub(in crate::cli::show) bytes: Option<Vec<u8>>,
}

/// The attachments, but for the tags.
pub(super) fn attachments(vcon: &Vcon, people: &[Person]) -> Vec<Media> {
    let attachments = vcon.attachments().filter(|attachment| !attachment.is_tags());
    attachments.map(|attachment| of_attachment(&attachment, people)).collect()
}

fn of_attachment(attachment: &Attachment<'_>, people: &[Person]) -> Media {
    let purpose = attachment.purpose().map(|purpose| line(&purpose)).filter(|purpose| !purpose.is_empty());
    let filename = attachment.filename().map(|name| line(&name)).filter(|name| !name.is_empty());
    let start = attachment.entry().text("start").map(|start| date(&start));
    // `party: 0, dialog: 0` is what producers write where there is none.
    let person = attachment.party().filter(|index| people.iter().any(|person| person.index == *index));
    let person = person.filter(|_| people.len() > 1).map(|index| name(people, index));
    let origin: Vec<String> = person.into_iter().chain(start).collect();
    let mut media = of_entry(attachment.entry(), attachment.body());
    media.index = attachment.index();
    media.title = filename
        .or_else(|| purpose.clone())
        .or_else(|| media.mediatype.clone())
        .unwrap_or_else(|| "attachment".to_owned());
    media.purpose = purpose.filter(|purpose| *purpose != media.title);
    media.origin = (!origin.is_empty()).then(|| origin.join(", "));
    media
}

/// The content of an entry.
pub(super) fn of_entry(entry: &Entry<'_>, body: vconductor_core::Result<Body<'_>>) -> Media {
    let mut media = Media {
        mediatype: entry.text("mediatype").map(|kind| line(&kind)).filter(|kind| !kind.is_empty()),
        place: entry.text("url").map(|url| without_query(&url)),
        ..Media::default()
    };
    match body {
        Ok(Body::None) => {}
        Ok(Body::Text(text)) => {
            media.size = Some(size(text.len()));
            media.excerpt = Some(beginning(&lines(&text), EXCERPT)).filter(|text| !text.is_empty());
        }
        Ok(Body::Json(value)) => {
            media.size = Some(size(value.to_string().len()));
            media.excerpt = Some(beginning(&json(&value), EXCERPT));
        }
        Ok(Body::Bytes(bytes)) => {
            media.size = Some(size(bytes.len()));
            media.bytes = Some(bytes);
        }
        Err(error) => media.excerpt = Some(format!("unreadable: {}", line(&error.chain_text()))),
    }
    media
}

/// The words of a document in HTML, as text.
pub(super) fn words(html: &str) -> String {
    vconductor_core::import::mail::words_of_html(html)
}

/// A string member as owned text.
pub(super) fn string<'a>(view: Option<View<'a>>) -> Option<Cow<'a, str>> {
    view.and_then(|view| view.as_str())
}
