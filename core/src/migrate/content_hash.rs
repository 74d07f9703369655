//! Digests of external content: from `alg` and `signature`, and from tokens in other spellings, to the draft's tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::object::Object;
use crate::document::{Json, Kind, View};
use crate::vcon::base64_bytes;

const SECTION: &str = "2.4.2";

/// Digest lengths in bytes by the name that a token begins with.
const DIGESTS: [(&str, usize); 4] = [("sha224", 28), ("sha256", 32), ("sha384", 48), ("sha512", 64)];

/// Makes `content_hash` of `alg` and `signature`, which up to 0.0.1 held the digest of what is at `url`, and mends the
/// spelling of tokens.
pub(super) fn migrate(object: &mut Object<'_>) {
    respell(object);
    if object.value("url").is_none() {
        return;
    }
    let (Some(alg), Some(signature)) = (object.text("alg"), object.text("signature")) else { return };
    let Some(token) = token(&alg, &signature) else {
        object.keep("signature", "`alg` and `signature` are no digest that `content_hash` can hold");
        return;
    };
    match object.value("content_hash") {
        None => object.set("content_hash", Json::string(&token)),
        Some(present) if says(&present.to_value(), &token) => {}
        Some(_) => return object.keep("signature", "`content_hash` is there with another value"),
    }
    object.remove("alg");
    object.remove("signature");
    object.because("content_hash", SECTION, "`alg` and `signature` are the token `content_hash` since 0.0.2");
}

/// Whether an object says the digest of what is at its URL, in one way or the other.
pub(super) fn is_said(view: View<'_>) -> bool {
    let text = |name: &str| view.get(name).and_then(|value| value.as_str());
    let older = || Some(token(&text("alg")?, &text("signature")?).is_some());
    match view.get("content_hash").filter(|value| !value.is_null()) {
        Some(token) => token.as_str().is_some_and(|text| respelled(&text).is_some()),
        None => older() == Some(true),
    }
}

fn says(present: &serde_json::Value, token: &str) -> bool {
    present == token || present.as_array().is_some_and(|tokens| tokens.iter().any(|one| one == token))
}

/// Writes tokens such as `SHA-512-...`, `sha256:...`, in hexadecimal or with padding, as the draft does.
fn respell(object: &mut Object<'_>) {
    let Some(present) = object.value("content_hash") else { return };
    let right = |text: &str| respelled(text).unwrap_or_else(|| text.to_owned());
    let new = match present.kind() {
        Kind::String => Json::string(&right(&present.as_str().unwrap_or_default())),
        Kind::Array if present.elements().all(|token| token.kind() == Kind::String) => {
            let tokens = present.elements().filter_map(|token| token.as_str()).map(|token| right(&token));
            serde_json::Value::from(tokens.collect::<Vec<_>>()).into()
        }
        _ => return,
    };
    if !present.equals(new.view()) {
        object.set("content_hash", new);
        object.because("content_hash", SECTION, "a token is the algorithm in small letters, `-`, and base64url");
    }
}

/// A token in the spelling of the draft, made of one in the spellings that libraries have used; `None` when it is none.
pub(crate) fn respelled(text: &str) -> Option<String> {
    DIGESTS.iter().find_map(|(name, _)| {
        // `sha512`, `SHA-512`: the separator is what follows the name.
        let long = format!("{}-{}", &name[..3], &name[3..]);
        let rest = [*name, &long].into_iter().find_map(|name| {
            let (start, rest) = text.split_at_checked(name.len())?;
            start.eq_ignore_ascii_case(name).then_some(rest)
        })?;
        token(name, rest.strip_prefix(['-', ':'])?)
    })
}

/// The token of an algorithm and a digest in base64 of either alphabet, padded or not, or in hexadecimal.
fn token(alg: &str, digest: &str) -> Option<String> {
    let name = alg.trim().to_ascii_lowercase().replace('-', "");
    let length = DIGESTS.iter().find(|(known, _)| *known == name)?.1;
    let digest = digest.trim();
    let bytes = hexadecimal(digest, length).or_else(|| base64_bytes(digest).ok())?;
    (bytes.len() == length).then(|| format!("{name}-{}", URL_SAFE_NO_PAD.encode(bytes)))
}

fn hexadecimal(text: &str, length: usize) -> Option<Vec<u8>> {
    if text.len() != 2 * length || !text.is_ascii() {
        return None;
    }
    (0..length).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_every_spelling_become_tokens() {
        let right = "sha256-ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (alg, digest) in [
            ("SHA-256", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"),
            ("sha256", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0="),
            ("SHA256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
            ("sha-256", hex),
        ] {
            assert_eq!(token(alg, digest).as_deref(), Some(right), "{alg} {digest}");
        }
        for text in [format!("SHA-256-{hex}"), format!("sha256:{hex}"), format!("{right}=")] {
            assert_eq!(respelled(&text).as_deref(), Some(right), "{text}");
        }
        assert_eq!(respelled(right).as_deref(), Some(right));
        for (alg, digest) in [("LMOTS_SHA256_N32_W8", hex), ("sha512", hex), ("sha256", "AA"), ("sha256", "no base64!")]
        {
            assert_eq!(token(alg, digest), None, "{alg}");
        }
    }
}
