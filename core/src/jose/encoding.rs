//! base64url as JOSE has it, and the compression around payloads.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

/// What every gzip member begins with (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most bytes that a compressed payload may hold.
pub(super) const MOST_INFLATED: usize = 512 << 20;

/// base64url without padding (RFC 7515, section 2).
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url; padding, blanks and other alphabets are refused, as RFC 7515 demands.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// base64 with padding, as `x5c` has it (RFC 7515, section 4.1.6).
pub(super) fn encode_standard(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes an element of `x5c`. Some producers write it with the other alphabet, or broken into lines.
pub(super) fn decode_standard(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    STANDARD.decode(&compact).ok().or_else(|| decode(compact.trim_end_matches('=')))
}

/// Whether the bytes are compressed.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP_MAGIC)
}

/// Compresses.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::default());
    // Writing into memory does not fail.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// Decompresses one gzip member of at most `most` bytes, behind which nothing may stand. Other bytes pass through.
///
/// # Errors
/// What is wrong, for the message.
pub(super) fn gunzip(bytes: Vec<u8>, most: usize) -> Result<Bytes, &'static str> {
    if !is_gzip(&bytes) {
        return Ok(bytes.into());
    }
    let mut decoder = GzDecoder::new(&bytes[..]);
    let mut inflated = Vec::new();
    let read = (&mut decoder).take(most as u64 + 1).read_to_end(&mut inflated);
    if read.is_err() {
        return Err("the compressed data is broken");
    }
    if inflated.len() > most {
        return Err("the compressed data holds more than is accepted");
    }
    match decoder.into_inner() {
        [] => Ok(inflated.into()),
        _ => Err("something stands behind the compressed data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflation_is_bounded_and_complete() {
        let packed = gzip(&[b'a'; 10_000]);
        assert!(packed.len() < 100);
        assert_eq!(gunzip(packed.clone(), 10_000).unwrap().len(), 10_000);
        assert!(gunzip(packed.clone(), 9_999).unwrap_err().contains("more than"));
        assert!(gunzip([&packed[..], b"x"].concat(), 10_000).unwrap_err().contains("behind"));
        assert!(gunzip(packed[..packed.len() - 1].to_vec(), 10_000).unwrap_err().contains("broken"));
        assert_eq!(gunzip(b"{}".to_vec(), 1).unwrap(), "{}");
    }

    #[test]
    fn base64url_is_strict() {
        assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
        for wrong in ["-_8=", "+/8", "-_9", "-_8\n", " -_8"] {
            assert!(decode(wrong).is_none(), "{wrong:?}");
        }
    }
}
