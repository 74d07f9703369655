//! Verifying signed vCons (RFC 7515, section 5.2; draft-ietf-vcon-vcon-core-04, section 5).

use serde_json::Value;

use super::algorithm::SignatureAlgorithm;
use super::certificate::Certificate;
use super::encoding::{decode, decode_standard};
use super::fault::{Fault, Reason};
use super::header::Headers;
use super::payload::{MOST_LAYERS, Payload};
use super::trust::{MOST_CERTIFICATES, Standing, Trust};
use super::verdict::{SignatureVerdict, Verdict};
use super::x5u::Chains;
use crate::document::{Document, Kind, View};
use crate::vcon::{Form, Vcon};

/// The most signatures that a vCon may have: each costs time.
const MOST_SIGNATURES: usize = 32;

/// Members of the unsigned and the encrypted form, which have no place beside a payload (check 2).
const MEMBERS_OF_OTHER_FORMS: [&str; 7] =
    ["uuid", "created_at", "parties", "dialog", "analysis", "attachments", "ciphertext"];

/// Verifies a signed vCon.
///
/// The exact text of payload and protected headers is what counts; nothing is serialised again. `chains` are those that
/// were fetched for `x5u`. Whatever is wrong stands in the verdict; ask it whether the vCon is accepted.
pub fn verify(signed: &Document, trust: &Trust, chains: &Chains) -> Verdict {
    layer(signed, trust, chains, 0)
}

fn layer(signed: &Document, trust: &Trust, chains: &Chains, depth: usize) -> Verdict {
    let mut verdict = Verdict {
        uuid: None,
        at: trust.at(),
        compressed: false,
        signatures: Vec::new(),
        faults: Vec::new(),
        nested: None,
    };
    let root = signed.root();
    if let Some(member) = MEMBERS_OF_OTHER_FORMS.into_iter().find(|name| root.get(name).is_some()) {
        let message = format!("`{member}` stands beside the payload, where nobody signed it");
        verdict.faults.push(Fault::new(Reason::Mixed, format!("/{member}"), message));
    }
    match Payload::of(signed) {
        Ok(payload) => {
            verdict.compressed = payload.is_compressed();
            if payload.vcon().form() == Form::Signed && depth < MOST_LAYERS {
                let nested = layer(payload.vcon().document(), trust, chains, depth + 1);
                verdict.nested = Some(Box::new(nested));
            }
            match payload.innermost() {
                Ok(vcon) => verdict.uuid = vcon.document().get("/uuid").and_then(|view| view.as_str()).map(Into::into),
                Err(fault) => verdict.faults.push(fault),
            }
        }
        Err(fault) => verdict.faults.push(fault),
    }
    let signatures = root.get("signatures").filter(|view| view.kind() == Kind::Array);
    let count = signatures.map_or(0, |view| view.len());
    if count == 0 || count > MOST_SIGNATURES {
        let message = match count {
            0 => "`signatures` holds no signature".to_owned(),
            _ => format!("`signatures` holds more than {MOST_SIGNATURES} signatures"),
        };
        verdict.faults.push(Fault::new(Reason::MalformedJws, "/signatures", message));
        return verdict;
    }
    let payload = root.get("payload").and_then(|view| view.as_str()).unwrap_or_default();
    for (number, view) in signatures.into_iter().flat_map(|view| view.elements()).enumerate() {
        let pointer = format!("/signatures/{number}");
        let mut signature = one(view, &pointer, &payload, trust, chains);
        compare_uuids(&mut signature, verdict.uuid.as_deref(), &pointer);
        verdict.signatures.push(signature);
    }
    verdict
}

fn compare_uuids(signature: &mut SignatureVerdict, inside: Option<&str>, pointer: &str) {
    let pointer = format!("{pointer}/header/uuid");
    match (&signature.uuid, inside) {
        (Some(header), Some(inside)) if !header.eq_ignore_ascii_case(inside) => {
            let message = format!("the header names vCon {header}, the payload is vCon {inside}");
            signature.faults.push(Fault::new(Reason::UuidMismatch, pointer, message));
            signature.standing = Standing::Refused;
        }
        (None, _) => {
            let message = "the header does not name the vCon's uuid".to_owned();
            signature.warnings.push(Fault::new(Reason::UuidMismatch, pointer, message));
        }
        _ => {}
    }
}

/// Judges one signature.
fn one(view: View<'_>, pointer: &str, payload: &str, trust: &Trust, chains: &Chains) -> SignatureVerdict {
    let mut verdict = SignatureVerdict {
        algorithm: None,
        certificate: None,
        intact: None,
        standing: Standing::Refused,
        uuid: None,
        faults: Vec::new(),
        warnings: Vec::new(),
    };
    if let Err(fault) = examine(view, pointer, payload, trust, chains, &mut verdict) {
        verdict.faults.push(fault);
    }
    if !verdict.faults.is_empty() {
        verdict.standing = Standing::Refused;
    }
    verdict
}

fn examine(
    view: View<'_>,
    pointer: &str,
    payload: &str,
    trust: &Trust,
    chains: &Chains,
    verdict: &mut SignatureVerdict,
) -> Result<(), Fault> {
    let malformed = |what: &str| Fault::new(Reason::MalformedSignature, pointer, what);
    let protected = view.get("protected").ok_or_else(|| malformed("the signature has no `protected` header"))?;
    let mut headers = Headers::default();
    headers.add_protected(protected, &format!("{pointer}/protected"), Reason::MalformedSignature)?;
    if let Some(header) = view.get("header").filter(|view| !view.is_null()) {
        headers.add(header, &format!("{pointer}/header"), Reason::MalformedSignature)?;
    }
    verdict.uuid = headers.text("uuid").map(str::to_owned);
    verdict.algorithm = headers.text("alg").map(str::to_owned);
    headers.check_critical()?;
    verdict.warnings.extend(headers.duplicates()?);
    let algorithm = allowed_algorithm(&headers, pointer)?;
    if !headers.has_unprotected("alg") {
        let message = "`alg` is not in the unprotected header, where the draft wants it";
        verdict.warnings.push(Fault::new(Reason::AlgorithmMissing, format!("{pointer}/header"), message));
    }
    let signature = view.get("signature").and_then(|view| view.as_str());
    let signature = signature.and_then(|text| decode(&text));
    let signature = signature.ok_or_else(|| malformed("`signature` is missing or not base64url"))?;
    let input = [protected.as_str().unwrap_or_default().as_bytes(), b".", payload.as_bytes()].concat();

    let chain = chain(&headers, pointer, chains);
    let chain = match chain {
        Ok(chain) => chain,
        Err(fault) => return by_known_key(&input, algorithm, &signature, trust, fault, verdict),
    };
    let own = &chain[0];
    verdict.certificate = Some(own.clone());
    if let Some((print, place)) = headers.get("x5t#S256")
        && print.as_str().and_then(decode).as_deref() != Some(&own.thumbprint())
    {
        return Err(Fault::new(Reason::HeaderConflict, place, "`x5t#S256` names another certificate"));
    }
    let unusable = |what: &str| {
        let message = format!("the certificate of `{}` cannot be used: {what}", own.name());
        Fault::new(Reason::CertificateUnreadable, pointer, message)
    };
    let key = own.key().map_err(unusable)?;
    if algorithm.key_kind() != key.kind() {
        let (name, kind) = (own.name(), key.kind().as_str());
        let message = format!("`alg` is {algorithm}, but the certificate of `{name}` holds a key of the kind {kind}");
        return Err(Fault::new(Reason::AlgorithmMismatch, pointer, message));
    }
    let intact = key.verifies(algorithm, &input, &signature);
    verdict.intact = Some(intact);
    if !intact {
        let message = format!("the payload was changed, or another key than that of `{}` signed it", own.name());
        return Err(Fault::new(Reason::SignatureWrong, format!("{pointer}/signature"), message));
    }
    verdict.standing = trust.judge(&chain, pointer)?;
    Ok(())
}

/// Without a chain, a key that was given can tell.
fn by_known_key(
    input: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
    trust: &Trust,
    fault: Fault,
    verdict: &mut SignatureVerdict,
) -> Result<(), Fault> {
    let Some((name, _)) = trust.known_keys().find(|(_, key)| key.verifies(algorithm, input, signature)) else {
        return Err(fault);
    };
    verdict.intact = Some(true);
    verdict.standing = Standing::Key { name: name.to_owned() };
    verdict.warnings.push(fault);
    Ok(())
}

fn allowed_algorithm(headers: &Headers, pointer: &str) -> Result<SignatureAlgorithm, Fault> {
    let Some((value, place)) = headers.get("alg") else {
        return Err(Fault::new(Reason::AlgorithmMissing, pointer, "no header has `alg`"));
    };
    let name = value.as_str().unwrap_or_default();
    if let Some(algorithm) = SignatureAlgorithm::named(name) {
        return Ok(algorithm);
    }
    let shown: String = name.chars().take(40).collect();
    if name.is_empty() || name.eq_ignore_ascii_case("none") || name.to_ascii_uppercase().starts_with("HS") {
        let message = format!("`alg` is `{shown}`: such a signature says nothing about who made it");
        return Err(Fault::new(Reason::AlgorithmRefused, place, message));
    }
    let message = format!("`alg` is `{shown}`, which is not supported (RS256, PS256, ES256, EdDSA are)");
    Err(Fault::new(Reason::AlgorithmUnsupported, place, message))
}

/// The signer's chain: at least one certificate, the signer's own first.
fn chain(headers: &Headers, pointer: &str, chains: &Chains) -> Result<Vec<Certificate>, Fault> {
    if let Some((value, place)) = headers.get("x5c") {
        let unreadable = |what: String| Fault::new(Reason::CertificateUnreadable, place.clone(), what);
        let texts = value.as_array().filter(|texts| (1..=MOST_CERTIFICATES).contains(&texts.len()));
        let texts =
            texts.ok_or_else(|| unreadable(format!("`x5c` is no list of 1 to {MOST_CERTIFICATES} certificates")))?;
        let certificates = texts.iter().enumerate().map(|(number, text)| {
            let der = text.as_str().and_then(decode_standard);
            let der = der.ok_or_else(|| unreadable(format!("certificate {number} of `x5c` is not base64")))?;
            Certificate::from_der(der).map_err(|what| unreadable(format!("certificate {number} of `x5c`: {what}")))
        });
        return certificates.collect();
    }
    match headers.get("x5u") {
        Some((Value::String(url), place)) => chains.get(url, &place),
        Some((_, place)) => Err(Fault::new(Reason::ChainUrl, place, "`x5u` is no string")),
        None => {
            let message = "neither `x5c` nor `x5u` says who signed";
            Err(Fault::new(Reason::CertificateMissing, pointer, message))
        }
    }
}

/// The `x5u` URLs of a signed vCon and of those inside it, at most one per signature.
pub(super) fn chain_urls(signed: &Document) -> Vec<String> {
    let mut urls = Vec::new();
    let mut inside: Option<Vcon> = None;
    for _ in 0..MOST_LAYERS {
        let document = inside.as_ref().map_or(signed, Vcon::document);
        let signatures = document.root().get("signatures").into_iter().flat_map(|view| view.elements());
        for view in signatures.take(MOST_SIGNATURES) {
            let mut headers = Headers::default();
            // What cannot be read is the business of the verification.
            if let Some(protected) = view.get("protected") {
                headers.add_protected(protected, "", Reason::MalformedSignature).ok();
            }
            if let Some(header) = view.get("header") {
                headers.add(header, "", Reason::MalformedSignature).ok();
            }
            if headers.get("x5c").is_none()
                && let Some(url) = headers.text("x5u")
                && !urls.iter().any(|known| known == url)
            {
                urls.push(url.to_owned());
            }
        }
        match Payload::of(document) {
            Ok(payload) if payload.vcon().form() == Form::Signed => inside = Some(payload.vcon().clone()),
            _ => break,
        }
    }
    urls
}
