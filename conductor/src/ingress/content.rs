//! The parts of a dialog or attachment that are the same for all of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vconductor_core::audio::content_hash;
use vconductor_core::ingress::{Channels, Direction, Media};

pub(super) fn head(kind: &str, start: Timestamp) -> Map<String, Value> {
    let mut dialog = Map::new();
    dialog.insert("type".to_owned(), json!(kind));
    dialog.insert("start".to_owned(), json!(written_time(start)));
    dialog
}

/// The parties of a recording by its channels (core-04, section 4.3.4), and who began where that is not the first.
pub(super) fn heard(channels: Option<u16>, hold: Channels, direction: Option<Direction>) -> (Value, Option<usize>) {
    let called_first = match hold {
        Channels::Mixed => return (mixed(channels, &json!([0, 1])), None),
        Channels::CallerFirst => false,
        Channels::CalledFirst => true,
        Channels::OwnLegFirst => direction == Some(Direction::Outbound),
    };
    match (channels, called_first) {
        (Some(2), false) => (json!([0, 1]), None),
        (Some(2), true) => (json!([1, 0]), Some(0)),
        _ => (mixed(channels, &json!([0, 1])), None),
    }
}

/// Everybody in every channel.
pub(super) fn mixed(channels: Option<u16>, everybody: &Value) -> Value {
    match channels {
        None | Some(0 | 1) => everybody.clone(),
        Some(more) => Value::Array(vec![everybody.clone(); usize::from(more)]),
    }
}

pub(super) fn put_bytes(content: &mut Map<String, Value>, bytes: &[u8]) {
    content.insert("body".to_owned(), Value::String(URL_SAFE_NO_PAD.encode(bytes)));
    content.insert("encoding".to_owned(), json!("base64url"));
    content.insert("content_hash".to_owned(), json!(content_hash(bytes)));
}

/// The vendor's name of the file without its folders, or its id with the usual ending.
pub(super) fn filename(media: &Media, id: &str, mediatype: &str) -> String {
    let given = media.filename.as_deref().and_then(|name| name.rsplit(['/', '\\']).next());
    if let Some(name) = given.filter(|name| !name.is_empty() && !name.chars().any(char::is_control)) {
        return name.chars().take(200).collect();
    }
    let ending = match mediatype {
        "audio/x-wav" => "wav",
        "audio/x-mp3" => "mp3",
        "audio/x-mp4" => "m4a",
        "audio/ogg" | "video/ogg" => "ogg",
        "video/x-mp4" => "mp4",
        "image/jpeg" => "jpg",
        other => other.split_once('/').map_or("bin", |(_, kind)| kind.trim_start_matches("x-")),
    };
    let plain = |text: &str| -> String {
        text.chars()
            .map(|letter| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' })
            .take(150)
            .collect()
    };
    format!("{}.{}", plain(id), plain(ending))
}

pub(super) fn is_mediatype(text: &str) -> bool {
    let is_token = |part: &str| {
        (1..=100).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/').is_some_and(|(kind, name)| is_token(kind) && is_token(name))
}

pub(super) fn to_the_millisecond(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn written_time(time: Timestamp) -> String {
    time.round(jiff::Unit::Millisecond).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of core-04, section 4.3.4: a list of as many entries as the media have channels.
    #[test]
    fn every_channel_has_its_parties() {
        let outbound = Some(Direction::Outbound);
        for (channels, hold, direction, parties, originator) in [
            (Some(1), Channels::Mixed, None, json!([0, 1]), None),
            (None, Channels::CalledFirst, None, json!([0, 1]), None),
            (Some(2), Channels::Mixed, None, json!([[0, 1], [0, 1]]), None),
            (Some(2), Channels::CallerFirst, outbound, json!([0, 1]), None),
            (Some(2), Channels::CalledFirst, None, json!([1, 0]), Some(0)),
            (Some(2), Channels::OwnLegFirst, None, json!([0, 1]), None),
            (Some(2), Channels::OwnLegFirst, Some(Direction::Inbound), json!([0, 1]), None),
            (Some(2), Channels::OwnLegFirst, outbound, json!([1, 0]), Some(0)),
            (Some(3), Channels::CallerFirst, None, json!([[0, 1], [0, 1], [0, 1]]), None),
        ] {
            assert_eq!(heard(channels, hold, direction), (parties, originator), "{channels:?} {hold:?} {direction:?}");
        }
    }

    #[test]
    fn a_file_has_a_harmless_name() {
        let named =
            |name: &str| filename(&Media { filename: Some(name.to_owned()), ..Media::default() }, "RE1", "audio/x-wav");
        assert_eq!(named("a b.wav"), "a b.wav");
        assert_eq!(named("../../etc/passwd"), "passwd");
        assert_eq!(named("C:\\x\\y.wav"), "y.wav");
        assert_eq!(named("a\nb"), "RE1.wav");
        assert_eq!(filename(&Media::default(), "a/b c", "image/svg+xml"), "a_b_c.svg_xml");
        assert!(is_mediatype("image/svg+xml"));
        for wrong in ["image", "image/", "a b/c", "image/png; x=1", "text/html\r\nX: y"] {
            assert!(!is_mediatype(wrong), "{wrong}");
        }
    }
}
