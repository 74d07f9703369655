//! What a file is, by its first bytes.

use super::Format;

/// Bytes that [`sniff`] wants to see.
pub(super) const HEAD: usize = 4096;

/// What is said of bytes that resemble nothing.
pub(super) const UNKNOWN: &str = "its first bytes belong to no format that we know";

/// What the first bytes look like.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Audio in a format that we probe.
    Audio(Format),
    /// Something else, in words.
    Else(&'static str),
}

pub(super) fn sniff(head: &[u8]) -> Found {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if (at(0, b"RIFF") || at(0, b"RF64")) && at(8, b"WAVE") {
        return Found::Audio(Format::Wav);
    }
    if at(0, b"OggS") {
        return Found::Audio(Format::Ogg);
    }
    if at(0, b"fLaC") {
        return Found::Audio(Format::Flac);
    }
    if at(4, b"ftyp") {
        return Found::Audio(Format::M4a);
    }
    if at(0, b"ID3") || mp3_start(head).is_some() {
        return Found::Audio(Format::Mp3);
    }
    Found::Else(other(head))
}

/// Where the first two MPEG frames follow each other. Two, since a single frame header is only 11 fixed
/// bits and turns up in any data; not only at the start, since recorders that cut a stream leave half a frame there.
pub(super) fn mp3_start(head: &[u8]) -> Option<usize> {
    (0..head.len().saturating_sub(3)).find(|&start| {
        frame_length(&head[start..]).is_some_and(|length| {
            let next = &head[(start + length).min(head.len())..];
            // A file of a single frame is too short to matter; one that ends here may be exactly that.
            if next.is_empty() { start == 0 && head.len() < HEAD } else { frame_length(next).is_some() }
        })
    })
}

/// Bytes of the MPEG audio frame that starts here (ISO 11172-3, 2.4.2.3), free format excluded.
fn frame_length(frame: &[u8]) -> Option<usize> {
    /// Kilobits per second: MPEG 1 layers I, II, III, then MPEG 2 layer I, and II with III.
    const BIT_RATES: [[usize; 15]; 5] = [
        [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    let &[first, second, third, _, ..] = frame else { return None };
    if first != 0xff || second & 0xe0 != 0xe0 {
        return None;
    }
    let halvings = match second >> 3 & 3 {
        0 => 2,
        2 => 1,
        3 => 0,
        _ => return None,
    };
    let layer = 4 - usize::from(second >> 1 & 3);
    let rates = match (halvings, layer) {
        (_, 4) => return None,
        (0, layer) => BIT_RATES[layer - 1],
        (_, 1) => BIT_RATES[3],
        _ => BIT_RATES[4],
    };
    let bit_rate = *rates.get(usize::from(third >> 4))? * 1000;
    let sample_rate = [44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))? >> halvings;
    let padding = usize::from(third >> 1 & 1);
    if bit_rate == 0 {
        return None;
    }
    Some(match layer {
        1 => (12 * bit_rate / sample_rate + padding) * 4,
        3 if halvings > 0 => 72 * bit_rate / sample_rate + padding,
        _ => 144 * bit_rate / sample_rate + padding,
    })
}

fn other(head: &[u8]) -> &'static str {
    const MAGICS: &[(&[u8], &str)] = &[
        (b"%PDF", "it is a PDF"),
        (b"PK\x03\x04", "it is a ZIP archive"),
        (b"\x1f\x8b", "it is gzip-compressed"),
        (b"\x89PNG", "it is a PNG image"),
        (b"\xff\xd8\xff", "it is a JPEG image"),
        (b"GIF8", "it is a GIF image"),
        (b"\x1a\x45\xdf\xa3", "it is Matroska or WebM"),
        (b"FORM", "it is AIFF"),
        (b"#!AMR", "it is AMR"),
        (b".snd", "it is Sun audio (AU)"),
        (b"caff", "it is Core Audio (CAF)"),
        (b"\x30\x26\xb2\x75", "it is Windows Media (WMA)"),
        (b"RIFF", "it is a RIFF file, but not WAVE (AVI?)"),
    ];
    if head.is_empty() {
        return "it is empty";
    }
    if let Some((_, what)) = MAGICS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return what;
    }
    if let &[0xff, second, ..] = head
        && second & 0xf6 == 0xf0
    {
        return "it is raw AAC (ADTS)";
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let start = text[..text.len().min(14)].to_ascii_lowercase();
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") || start.starts_with(b"<head") {
        return "it looks like HTML (an error or login page?)";
    }
    if start.starts_with(b"<") {
        return "it looks like XML (an error answer of a storage?)";
    }
    if start.starts_with(b"{") || start.starts_with(b"[") {
        return "it looks like JSON";
    }
    if is_text(head) {
        return "it looks like text";
    }
    if head.iter().all(|byte| *byte == 0) {
        return "it holds only zero bytes";
    }
    UNKNOWN
}

fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may be cut in two.
        Err(error) if error.error_len().is_none() => return is_text(&head[..error.valid_up_to()]),
        Err(_) => return false,
    };
    text.chars().all(|character| !character.is_control() || character.is_whitespace())
}
