//! The content hash of media, as the vCon drafts write it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

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

/// Whether `bytes` have the hash that `token` names, such as `sha512-...`; `None` when its algorithm is not known (known
/// are the SHA-2 family's four) or it is no token. The digest may be padded, in the other alphabet, or in hexadecimal, as
/// libraries have written it.
pub fn matches_token(bytes: &[u8], token: &str) -> Option<bool> {
    // base64url itself contains hyphens.
    let (algorithm, digest) = token.split_once('-')?;
    let actual = match algorithm {
        "sha512" => Sha512::digest(bytes).to_vec(),
        "sha384" => Sha384::digest(bytes).to_vec(),
        "sha256" => Sha256::digest(bytes).to_vec(),
        "sha224" => Sha224::digest(bytes).to_vec(),
        _ => return None,
    };
    let plain = digest.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let hexadecimal = || actual.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(plain == URL_SAFE_NO_PAD.encode(&actual) || digest.eq_ignore_ascii_case(&hexadecimal()))
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
