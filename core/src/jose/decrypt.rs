//! Decrypting vCons (RFC 7516, section 5.2).

use serde::Serialize;

use super::algorithm::{ContentEncryption, KeyEncryption};
use super::content::{Sealed, random};
use super::encoding::{MOST_INFLATED, decode, gunzip};
use super::fault::{Fault, Reason};
use super::header::Headers;
use super::keys::{Key, Keys};
use super::payload::Payload;
use crate::document::{Document, Kind, View};
use crate::vcon::{Form, Vcon};

/// The most recipients that a vCon may have: each costs a private-key operation per key.
const MOST_RECIPIENTS: usize = 64;

/// What the headers of an encrypted vCon say, as far as that is known without a key.
#[derive(Debug, Clone, Serialize)]
pub struct Envelope {
    /// The uuid that stands outside.
    pub uuid: Option<String>,
    /// `enc`.
    pub encryption: Option<String>,
    /// `alg` of each recipient.
    pub recipients: Vec<Option<String>>,
    /// Why no key could open it.
    pub faults: Vec<Fault>,
    /// What is odd.
    pub warnings: Vec<Fault>,
}

/// A decrypted vCon.
#[derive(Debug, Clone)]
pub struct Decrypted {
    /// The signed vCon inside; its signatures are not verified yet.
    pub vcon: Vcon,
    /// Which recipient's share was opened.
    pub recipient: usize,
    /// The name of the key that did.
    pub key: String,
    /// What is odd.
    pub warnings: Vec<Fault>,
}

/// A recipient's share of the content key.
struct Share {
    encryption: ContentEncryption,
    algorithm: KeyEncryption,
    encrypted_key: Vec<u8>,
}

/// An encrypted vCon whose shape is right.
struct Parsed {
    envelope: Envelope,
    /// `Err`: why nobody can open this share here.
    shares: Vec<Result<Share, Fault>>,
    aad: Vec<u8>,
    sealed: Sealed,
}

/// Looks at everything that can be checked without a key.
pub fn check_encrypted(encrypted: &Document) -> Envelope {
    match parse(encrypted) {
        Ok(mut parsed) => {
            let faults = parsed.shares.into_iter().filter_map(Result::err);
            parsed.envelope.faults.extend(faults);
            parsed.envelope
        }
        Err(fault) => {
            let (recipients, warnings) = (Vec::new(), Vec::new());
            Envelope { uuid: None, encryption: None, recipients, faults: vec![fault], warnings }
        }
    }
}

/// Decrypts with whichever of the private keys fits.
///
/// # Errors
/// The shape is wrong, or an algorithm is not supported; or [`Reason::NotDecryptable`], which says the same whether a key
/// is missing or something was altered (RFC 7516, section 11.5); or the content is no signed vCon of the uuid outside.
pub fn decrypt(encrypted: &Document, keys: &Keys) -> Result<Decrypted, Fault> {
    let Opened { envelope, plaintext, recipient, key } = open_content(encrypted, keys)?;
    let fault = |reason, what: String| Fault::new(reason, "/ciphertext", what);
    let text = gunzip(plaintext, MOST_INFLATED)
        .map_err(|what| fault(Reason::Compression, format!("the plaintext cannot be decompressed: {what}")))?;
    let not_signed = |what: &str| fault(Reason::PlaintextNotSigned, format!("the plaintext is no signed vCon: {what}"));
    let vcon = Vcon::read(text).map_err(|error| not_signed(error.message()))?;
    match vcon.form() {
        Form::Signed => {}
        Form::Unsigned => return Err(not_signed("it is an unsigned one")),
        Form::Encrypted => return Err(not_signed("it is a further encrypted one")),
    }
    let inside = Payload::of(vcon.document()).ok().and_then(|payload| payload.innermost().ok()?.id());
    if let (Some(outside), Some(inside)) = (&envelope.uuid, inside)
        && !outside.eq_ignore_ascii_case(&inside)
    {
        let message = format!("the header names vCon {outside}, inside is vCon {inside}");
        return Err(Fault::new(Reason::EnvelopeUuidMismatch, "/unprotected/uuid", message));
    }
    Ok(Decrypted { vcon, recipient, key, warnings: envelope.warnings })
}

/// The bytes inside, not looked at yet.
pub(super) struct Opened {
    envelope: Envelope,
    pub(super) plaintext: Vec<u8>,
    recipient: usize,
    key: String,
}

/// Decrypts without a look at what comes out.
///
/// # Errors
/// As those of [`decrypt`], without those of the content.
pub(super) fn open_content(encrypted: &Document, keys: &Keys) -> Result<Opened, Fault> {
    let Parsed { envelope, shares, aad, sealed } = parse(encrypted)?;
    let private: Vec<&Key> = keys.private().collect();
    if private.is_empty() {
        return Err(Fault::new(Reason::NotDecryptable, "", "no private key was given"));
    }
    let (plaintext, recipient, key) = open(&shares, &private, &aad, &sealed)?;
    Ok(Opened { envelope, plaintext, recipient, key })
}

/// Opens the content with the first share that gives the right key.
fn open(
    shares: &[Result<Share, Fault>],
    keys: &[&Key],
    aad: &[u8],
    sealed: &Sealed,
) -> Result<(Vec<u8>, usize, String), Fault> {
    let refused = || {
        let message = "none of the given keys opens it: it is for somebody else, or it was altered";
        Fault::new(Reason::NotDecryptable, "", message)
    };
    if let Some(fault) = all_unusable(shares) {
        return Err(fault);
    }
    let mut opened_share = false;
    for (number, share) in shares.iter().enumerate() {
        let Ok(share) = share else { continue };
        for key in keys {
            let content_key = key.private.as_ref().and_then(|key| key.decrypt(share.algorithm, &share.encrypted_key));
            let Some(content_key) = content_key.filter(|key| key.len() == share.encryption.key_length()) else {
                continue;
            };
            opened_share = true;
            if let Some(plaintext) = share.encryption.open(&content_key, aad, sealed) {
                return Ok((plaintext, number, key.name().to_owned()));
            }
        }
    }
    // Also where no share could be opened the content is tried once, so that time does not tell which of both failed.
    if !opened_share && let Some(Ok(share)) = shares.iter().find(|share| share.is_ok()) {
        let key = random(share.encryption.key_length()).unwrap_or_default();
        drop(share.encryption.open(&key, aad, sealed));
    }
    Err(refused())
}

/// The first fault, when every share has one.
fn all_unusable(shares: &[Result<Share, Fault>]) -> Option<Fault> {
    shares.iter().all(Result::is_err).then(|| shares.iter().find_map(|share| share.as_ref().err().cloned()))?
}

fn parse(encrypted: &Document) -> Result<Parsed, Fault> {
    let root = encrypted.root();
    let bytes = |name: &str| {
        let pointer = format!("/{name}");
        let text = root.get(name).and_then(|view| view.as_str());
        let text = text.ok_or_else(|| malformed(&pointer, "is missing or no string"))?;
        decode(&text).ok_or_else(|| malformed(&pointer, "is not base64url without padding"))
    };
    // An early draft spelled it so.
    let ciphertext = if root.get("ciphertext").is_some() { "ciphertext" } else { "cyphertext" };
    let sealed = Sealed { iv: bytes("iv")?, ciphertext: bytes(ciphertext)?, tag: bytes("tag")? };
    let recipients = root.get("recipients").filter(|view| view.kind() == Kind::Array);
    let count = recipients.map_or(0, |view| view.len());
    if !(1..=MOST_RECIPIENTS).contains(&count) {
        return Err(malformed("/recipients", &format!("is no list of 1 to {MOST_RECIPIENTS} recipients")));
    }
    let mut aad = root.get("protected").and_then(|view| view.as_str()).unwrap_or_default().into_owned();
    if let Some(further) = root.get("aad").and_then(|view| view.as_str()) {
        aad = format!("{aad}.{further}");
    }
    let common = headers(root, None, 0)?;
    let uuid = common.text("uuid").map(str::to_owned);
    let encryption = common.text("enc").map(str::to_owned);
    let mut envelope = Envelope { uuid, encryption, recipients: Vec::new(), faults: Vec::new(), warnings: Vec::new() };
    let mut shares = Vec::new();
    for (number, recipient) in recipients.into_iter().flat_map(|view| view.elements()).enumerate() {
        let headers = headers(root, Some(recipient), number)?;
        headers.check_critical()?;
        envelope.warnings.extend(headers.duplicates()?);
        envelope.encryption = envelope.encryption.or_else(|| headers.text("enc").map(str::to_owned));
        envelope.recipients.push(headers.text("alg").map(str::to_owned));
        let share = share(recipient, &headers, number, &sealed);
        // Lengths are wrong for all recipients or for none.
        match share {
            Err(fault) if fault.reason == Reason::MalformedJwe => return Err(fault),
            share => shares.push(share),
        }
    }
    Ok(Parsed { envelope, shares, aad: aad.into_bytes(), sealed })
}

fn malformed(pointer: &str, what: &str) -> Fault {
    Fault::new(Reason::MalformedJwe, pointer, format!("`{}` {what}", pointer.trim_start_matches('/')))
}

/// The headers that hold for one recipient, or those for all.
fn headers(root: View<'_>, recipient: Option<View<'_>>, number: usize) -> Result<Headers, Fault> {
    let mut headers = Headers::default();
    if let Some(protected) = root.get("protected") {
        headers.add_protected(protected, "/protected", Reason::MalformedJwe)?;
    }
    if let Some(unprotected) = root.get("unprotected") {
        headers.add(unprotected, "/unprotected", Reason::MalformedJwe)?;
    }
    if let Some(header) = recipient.and_then(|recipient| recipient.get("header")) {
        headers.add(header, &format!("/recipients/{number}/header"), Reason::MalformedJwe)?;
    }
    Ok(headers)
}

fn share(recipient: View<'_>, headers: &Headers, number: usize, sealed: &Sealed) -> Result<Share, Fault> {
    let pointer = format!("/recipients/{number}");
    if let Some((_, place)) = headers.get("zip") {
        let message = "`zip` is not supported; the draft compresses by `application/vcon+gzip`";
        return Err(Fault::new(Reason::EncryptionUnsupported, place, message));
    }
    let unsupported = |name: &str, supported: &str| match headers.get(name) {
        Some((value, place)) => {
            let value: String = value.as_str().unwrap_or("no string").chars().take(40).collect();
            let message = format!("`{name}` is `{value}`, which is not supported ({supported} are)");
            Fault::new(Reason::EncryptionUnsupported, place, message)
        }
        None => malformed(&pointer, &format!("has no `{name}` in any header")),
    };
    let encryption = headers.text("enc").and_then(ContentEncryption::named);
    let encryption = encryption.ok_or_else(|| unsupported("enc", "A256CBC-HS512 and A256GCM"))?;
    let algorithm = headers.text("alg").and_then(KeyEncryption::named);
    let algorithm = algorithm.ok_or_else(|| unsupported("alg", "RSA-OAEP and RSA-OAEP-256"))?;
    for (name, is, wanted) in
        [("iv", sealed.iv.len(), encryption.iv_length()), ("tag", sealed.tag.len(), encryption.tag_length())]
    {
        if is != wanted {
            let what = format!("has {is} bytes; {} needs {wanted}", encryption.as_str());
            return Err(malformed(&format!("/{name}"), &what));
        }
    }
    let encrypted_key = recipient.get("encrypted_key").and_then(|view| view.as_str());
    let encrypted_key = encrypted_key.and_then(|text| decode(&text));
    let encrypted_key =
        encrypted_key.ok_or_else(|| malformed(&format!("{pointer}/encrypted_key"), "is missing or not base64url"))?;
    Ok(Share { encryption, algorithm, encrypted_key })
}
