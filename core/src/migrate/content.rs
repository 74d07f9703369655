//! The content of dialogs, analyses and attachments: names, encoding, body, media type.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::content_hash;
use super::object::Object;
use crate::audio;
use crate::document::{Document, Json, Kind};
use crate::vcon::base64_bytes;

/// Members of every kind of content, for which null means absent.
const NAMES: [&str; 10] = [
    "mediatype",
    "mimetype",
    "filename",
    "encoding",
    "url",
    "content_hash",
    "alg",
    "signature",
    "schema_version",
    "must_support",
];

/// Whether the draft demands a media type for inline content (4.3.8, 4.4.5; of analyses it only advises).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mediatype {
    Demanded,
    Advised,
}

/// Brings the content of an object that may have content into its newest form.
pub(super) fn migrate(object: &mut Object<'_>, need: Mediatype) {
    object.drop_nulls(&NAMES);
    object.renamed("must_support", "critical", "2.5", "0.4.0");
    if object.text("mimetype").is_some_and(|text| is_mediatype(&text)) {
        object.renamed("mimetype", "mediatype", "4.3.8", "0.0.2");
    } else if object.value("mimetype").is_some() {
        object.keep("mimetype", "this is no media type (type/subtype)");
    }
    content_hash::migrate(object);
    null_body(object);
    encoding(object);
    if need == Mediatype::Demanded {
        mediatype(object);
    }
}

/// `type/subtype` and whatever parameters follow.
pub(super) fn is_mediatype(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let essence = text.split(';').next().unwrap_or_default();
    essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype.trim_end()))
}

/// A null body is content only under the encoding `json`; an empty one beside a URL says nothing.
fn null_body(object: &mut Object<'_>) {
    let Some(body) = object.get("body") else { return };
    let is_json = object.text("encoding").is_some_and(|encoding| encoding == "json");
    if body.is_null() && !is_json {
        object.remove("body");
        object.because("body", "2.3.1", "null is the same as absent, except as JSON content");
    } else if object.value("url").is_some() && object.text("body").is_some_and(|text| text.is_empty()) {
        object.remove("body");
        if object.get("encoding").is_some() {
            object.remove("encoding");
        }
        object.because("body", "2.4", "content lies at `url`; an empty body beside it says nothing");
    }
}

/// Brings `encoding` and `body` together: one of three encodings, and JSON as itself instead of as text.
fn encoding(object: &mut Object<'_>) {
    let Some(body) = object.value("body") else { return };
    let encoding = object.text("encoding").map(|encoding| encoding.to_ascii_lowercase());
    if body.kind() != Kind::String {
        if object.value("encoding").is_none_or(|encoding| encoding.as_str().is_none_or(|text| text != "json")) {
            object.set("encoding", Json::string("json"));
            object.because("encoding", "2.3.2", "a body that is no string is JSON");
        }
        return;
    }
    let text = body.as_str().unwrap_or_default().into_owned();
    if text.is_empty() {
        return;
    }
    match encoding.as_deref() {
        Some("base64" | "base64url") => base64url(object, &text),
        Some("json") => {
            native(object, &text);
            small_letters(object, "json");
        }
        Some("none") => small_letters(object, "none"),
        Some(_) => object.keep("encoding", "this is none of `base64url`, `json` and `none`"),
        None if object.value("encoding").is_some() => {}
        None => guessed(object, &text),
    }
}

/// Core-04, 2.3.2: names are case sensitive.
fn small_letters(object: &mut Object<'_>, name: &str) {
    if object.text("encoding").is_none_or(|encoding| encoding != name) {
        object.set("encoding", Json::string(name));
        object.because("encoding", "2.3.2", "encodings are written in small letters");
    }
}

/// The alphabet for URLs and no padding (RFC 7515, section 2).
fn base64url(object: &mut Object<'_>, text: &str) {
    let Ok(bytes) = base64_bytes(text) else {
        return object.keep("body", "this is not base64url");
    };
    let right = !text.bytes().any(|byte| matches!(byte, b'+' | b'/' | b'=') || byte.is_ascii_whitespace());
    if !right {
        object.set("body", Json::string(&URL_SAFE_NO_PAD.encode(bytes)));
    }
    if object.text("encoding").is_none_or(|encoding| encoding != "base64url") {
        object.set("encoding", Json::string("base64url"));
    }
    object.because("body", "2.3.2", "bytes are written in base64url without padding");
}

/// JSON that was written as text, as until core-02, becomes the value itself. Returns whether it was such text.
fn native(object: &mut Object<'_>, text: &str) -> bool {
    let Some(value) = container(text) else { return false };
    object.set("body", value);
    object.because("body", "2.3.1", "under the encoding `json` the body is the value itself since core-03");
    true
}

/// The object or array that `text` holds, if nothing about it is odd and it is not too deep for its new place.
fn container(text: &str) -> Option<Json> {
    if !text.trim_start().starts_with(['{', '[']) || text.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let value = Document::parse(text.to_owned()).ok()?;
    Document::parse(format!("[[[{text}]]]")).ok()?;
    value.warnings().is_empty().then(|| value.to_json())
}

/// The encoding of a body that has none, as the draft lets applications guess it.
fn guessed(object: &mut Object<'_>, text: &str) {
    let mediatype = object.text("mediatype").map(|mediatype| mediatype.to_ascii_lowercase());
    let mediatype = mediatype.as_deref().unwrap_or_default();
    let is_binary = ["audio/", "video/", "image/", "application/pdf"].iter().any(|start| mediatype.starts_with(start));
    let may_be_json = mediatype.is_empty() || mediatype.contains("json");
    if is_binary && base64_bytes(text).is_ok() {
        base64url(object, text);
        return;
    }
    if may_be_json && container(text).is_some() {
        object.set("encoding", Json::string("json"));
        object.because("encoding", "2.3.2", "the body is JSON");
        native(object, text);
        return;
    }
    object.set("encoding", Json::string("none"));
    object.because("encoding", "2.3.2", "the body is text");
}

/// Names the media type of inline content that has none, where the content itself shows it.
fn mediatype(object: &mut Object<'_>) {
    if object.value("mediatype").is_some() || object.value("mimetype").is_some() {
        return;
    }
    let Some(body) = object.get("body") else { return };
    let text = body.as_str();
    if text.as_deref().is_some_and(str::is_empty) {
        return;
    }
    let found = match object.text("encoding").as_deref() {
        Some("json") => Some("application/json"),
        Some("none") if text.is_some() => Some("text/plain"),
        Some("base64url") => text.and_then(|text| base64_bytes(&text).ok()).and_then(|bytes| sniffed(&bytes)),
        _ => None,
    };
    let found = found.or_else(|| by_name(&object.text("filename")?));
    if let Some(found) = found {
        object.set("mediatype", Json::string(found));
        object.because("mediatype", "4.3.8", "inline content has a media type; this one was found from the content");
    }
}

/// What bytes show to be.
fn sniffed(bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"%PDF-") {
        Some("application/pdf")
    } else if starts(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if starts(&[0xff, 0xd8, 0xff]) {
        Some("image/jpeg")
    } else if starts(b"GIF8") {
        Some("image/gif")
    } else {
        audio::probe(bytes).ok().map(|found| found.mediatype())
    }
}

fn by_name(filename: &str) -> Option<&'static str> {
    let (_, extension) = filename.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "wav" => "audio/x-wav",
        "mp3" => "audio/x-mp3",
        "m4a" => "audio/x-mp4",
        "ogg" | "opus" => "audio/ogg",
        "mp4" => "video/x-mp4",
        "ogv" => "video/ogg",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "json" => "application/json",
        "txt" => "text/plain",
        "html" => "text/html",
        _ => return None,
    })
}
