//! The content hash of media, as the vCon drafts write it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha512};

/// `sha512-` and the base64url digest of `bytes` without padding (86 characters). The digest is over
/// the media itself, not over its base64 text in a vCon (vCon core, ContentHash).
pub fn content_hash(bytes: &[u8]) -> String {
    text(&Sha512::digest(bytes))
}

/// [`content_hash`] of what `reader` yields, read piece by piece.
///
/// # Errors
/// When reading fails.
pub fn content_hash_of(mut reader: impl std::io::Read) -> std::io::Result<String> {
    let mut hasher = Sha512::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(text(&hasher.finalize())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn text(digest: &[u8]) -> String {
    format!("sha512-{}", URL_SAFE_NO_PAD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-512 of "abc" (FIPS 180-4), in base64url.
    #[test]
    fn the_published_digest_is_met_in_one_piece_and_in_many() {
        let expected = "sha512-3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05ohkpkqJ0_BqDa6PCOj_uu9RU1EI2Q86A4qmslPpUyknw";
        assert_eq!(content_hash(b"abc"), expected);
        assert_eq!(content_hash_of(&b"abc"[..]).unwrap(), expected);
        let long = vec![7; 200_000];
        assert_eq!(content_hash_of(&long[..]).unwrap(), content_hash(&long));
    }
}
