//! The content hash of media, as the vCon drafts write it.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// `sha512-` and the base64url digest of `bytes` without padding (86 characters). The digest is over
/// the media itself, not over its base64 text in a vCon (vCon core, ContentHash).
pub fn content_hash(bytes: &[u8]) -> String {
    text(&Sha512::digest(bytes))
}

/// [`content_hash`] of what `reader` yields, read piece by piece.
///
/// # Errors
/// When reading fails.
pub fn content_hash_of(reader: impl Read) -> std::io::Result<String> {
    Ok(text(&digest::<Sha512>(reader)?))
}

/// The SHA-256 of what `reader` yields, in hexadecimal.
///
/// # Errors
/// When reading fails.
pub(crate) fn sha256_of(reader: impl Read) -> std::io::Result<String> {
    Ok(hexadecimal(&digest::<Sha256>(reader)?))
}

/// Whether `bytes` have the hash that `token` names, such as `sha512-...`; `None` when its algorithm is not known (known
/// are the SHA-2 family's four) or it is no token. The digest may be padded, in the other alphabet, or in hexadecimal, as
/// libraries have written it.
pub fn matches_token(bytes: &[u8], token: &str) -> Option<bool> {
    // Memory is read without errors.
    matches_token_of(bytes, token).ok().flatten()
}

/// [`matches_token`] of what `reader` yields, read piece by piece.
///
/// # Errors
/// When reading fails.
pub(crate) fn matches_token_of(reader: impl Read, token: &str) -> std::io::Result<Option<bool>> {
    // base64url itself contains hyphens.
    let Some((algorithm, expected)) = token.split_once('-') else { return Ok(None) };
    let actual = match algorithm {
        "sha512" => digest::<Sha512>(reader)?,
        "sha384" => digest::<Sha384>(reader)?,
        "sha256" => digest::<Sha256>(reader)?,
        "sha224" => digest::<Sha224>(reader)?,
        _ => return Ok(None),
    };
    let plain = expected.trim_end_matches('=').replace('+', "-").replace('/', "_");
    Ok(Some(plain == URL_SAFE_NO_PAD.encode(&actual) || expected.eq_ignore_ascii_case(&hexadecimal(&actual))))
}

fn digest<D: Digest>(mut reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut hasher = D::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_vec()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(digest: &[u8]) -> String {
    format!("sha512-{}", URL_SAFE_NO_PAD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_every_spelling_are_compared() {
        let token = content_hash(b"abc");
        assert_eq!(matches_token(b"abc", &token), Some(true));
        assert_eq!(matches_token(b"abd", &token), Some(false));
        assert_eq!(matches_token(b"abc", &format!("{}==", token.replace('_', "/"))), Some(true));
        let sha256 = "sha256-ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
        assert_eq!(matches_token(b"abc", sha256), Some(true));
        let hexadecimal = "sha256-BA7816BF8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(matches_token(b"abc", hexadecimal), Some(true));
        assert_eq!(matches_token(b"abc", "md5-kAFQmDzST7DWlj99KOF_cg"), None);
        assert_eq!(matches_token(b"abc", "sha512"), None);
    }

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
