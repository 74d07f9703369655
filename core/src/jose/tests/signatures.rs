//! Our own signatures.

use super::*;
use crate::jose::encoding::{decode, encode};

const ALL: [(Kind, SignatureAlgorithm); 4] = [
    (Kind::Rsa, SignatureAlgorithm::Rs256),
    (Kind::Rsa, SignatureAlgorithm::Ps256),
    (Kind::P256, SignatureAlgorithm::Es256),
    (Kind::Ed25519, SignatureAlgorithm::EdDsa),
];

#[test]
fn every_algorithm_signs_and_verifies_compressed_or_not() {
    let authority = Authority::new();
    for (kind, algorithm) in ALL {
        let signer = authority.signer(kind, "signer.example.com");
        let keys = keys(&[&signer.bundle()]);
        for gzip in [false, true] {
            let options = SignOptions { algorithm: Some(algorithm), gzip, x5u: None };
            let signed = sign(&vcon(), &[keys.signer(None).unwrap()], &options).unwrap();
            assert_eq!((signed.form(), signed.uuid().unwrap().to_string().as_str()), (Form::Signed, UUID));
            let verdict = judge(&signed, &trusting(&authority));
            assert!(verdict.is_accepted(Signers::All), "{algorithm}: {}", verdict.refusal());
            assert_eq!(verdict.all_warnings().count(), 0, "{algorithm}");
            assert_eq!(verdict.compressed, gzip);
            assert_eq!(verdict.uuid.as_deref(), Some(UUID));
            let signature = &verdict.signatures[0];
            assert_eq!(signature.algorithm.as_deref(), Some(algorithm.as_str()));
            assert_eq!(signature.certificate.as_ref().unwrap().name(), "signer.example.com");
            assert_eq!(signature.standing, Standing::Anchor { anchor: "Test Root".to_owned(), lenient: false });
            let payload = Payload::of(signed.document()).unwrap();
            assert_eq!(payload.to_bytes(), TEXT, "what was signed is byte-equal");
        }
    }
}

#[test]
fn headers_stand_where_the_draft_wants_them_and_no_name_stands_twice() {
    let signed = signed_by(&Authority::new().signer(Kind::Rsa, "a")).document().root().to_value();
    let signature = &signed["signatures"][0];
    let protected: Value = serde_json::from_slice(&decode(signature["protected"].as_str().unwrap()).unwrap()).unwrap();
    let header = signature["header"].as_object().unwrap();
    assert_eq!(header.keys().collect::<Vec<_>>(), ["alg", "uuid", "x5c"]);
    assert_eq!((header["alg"].as_str(), header["uuid"].as_str()), (Some("RS256"), Some(UUID)));
    assert_eq!(header["x5c"].as_array().unwrap().len(), 2);
    assert_eq!(protected["cty"], "application/vcon");
    assert!(protected.as_object().unwrap().keys().all(|name| !header.contains_key(name)));
}

#[test]
fn several_sign_at_once_and_again_for_the_archive() {
    let authority = Authority::new();
    let signers = [authority.signer(Kind::P256, "one"), authority.signer(Kind::Ed25519, "two")];
    let keys = keys(&[&signers[0].bundle(), &signers[1].bundle()]);
    let both: Vec<_> = keys.private().collect();
    let signed = sign(&vcon(), &both, &SignOptions::default()).unwrap();
    assert_eq!(judge(&signed, &trusting(&authority)).signatures.len(), 2);
    let later = Authority::new();
    let archivist = later.signer(Kind::Rsa, "archive");
    let archive_keys = super::keys(&[&archivist.bundle()]);
    let options = SignOptions { gzip: true, ..SignOptions::default() };
    let again = sign(&signed, &[archive_keys.signer(None).unwrap()], &options).unwrap();
    // The outer signature counts, whatever became of the inner ones.
    let verdict = judge(&again, &trusting(&later));
    assert!(verdict.is_accepted(Signers::All), "{}", verdict.refusal());
    let nested = verdict.nested.as_deref().unwrap();
    assert!(!nested.is_accepted(Signers::Any) && nested.is_intact());
    assert_eq!(verdict.uuid.as_deref(), Some(UUID));
    let payload = Payload::of(again.document()).unwrap();
    assert_eq!(payload.to_bytes(), signed.to_bytes());
    assert_eq!(payload.innermost().unwrap().to_bytes(), TEXT);
}

#[test]
fn what_cannot_be_signed_says_why() {
    let authority = Authority::new();
    let signer = authority.signer(Kind::P256, "a");
    let bare = keys(&[&signer.key]);
    let key = bare.signer(None).unwrap();
    let error = sign(&vcon(), &[key], &SignOptions::default()).unwrap_err();
    assert!(error.message().contains("no certificate belongs to it"), "{error}");
    let options = SignOptions { algorithm: Some(SignatureAlgorithm::Rs256), ..SignOptions::default() };
    let whole = keys(&[&signer.bundle()]);
    let error = sign(&vcon(), &[whole.signer(None).unwrap()], &options).unwrap_err();
    assert!(error.message().contains("cannot sign with RS256"), "{error}");
    let options = SignOptions { x5u: Some("http://example.com/c.pem".to_owned()), ..SignOptions::default() };
    assert!(sign(&vcon(), &[key], &options).is_err());
    let nameless = Vcon::read(r#"{"parties":[]}"#).unwrap();
    assert!(sign(&nameless, &[whole.signer(None).unwrap()], &SignOptions::default()).is_err());
    let encrypted = Vcon::read(r#"{"ciphertext":"","recipients":[]}"#).unwrap();
    assert!(sign(&encrypted, &[whole.signer(None).unwrap()], &SignOptions::default()).is_err());
}

#[test]
fn a_chain_behind_a_url_verifies_once_fetched() {
    let authority = Authority::new();
    let signer = authority.signer(Kind::P256, "a");
    let keys = keys(&[&signer.bundle()]);
    let url = "https://example.com/chain.pem";
    let options = SignOptions { x5u: Some(url.to_owned()), ..SignOptions::default() };
    let signed = sign(&vcon(), &[keys.signer(None).unwrap()], &options).unwrap();
    assert!(signed.document().get("/signatures/0/header/x5c").is_none());
    let mut chains = Chains::none();
    chains.insert(url, signer.chain.as_bytes()).unwrap();
    assert!(verify(signed.document(), &trusting(&authority), &chains).is_accepted(Signers::Any));
    let mut others = Chains::none();
    others.insert(url, authority.signer(Kind::P256, "b").chain.as_bytes()).unwrap();
    let verdict = verify(signed.document(), &trusting(&authority), &others);
    assert_eq!(reasons(&verdict), [Reason::HeaderConflict], "the thumbprint binds the certificate");
}

#[test]
fn a_known_key_needs_no_chain() {
    let signer = Authority::new().signer(Kind::Ed25519, "a");
    let signed = signed_by(&signer);
    let known = at("2026-11-25T00:00:00Z").keys(&keys(&[&signer.public]));
    let verdict = judge(&signed, &known);
    assert!(verdict.is_accepted(Signers::All));
    assert_eq!(verdict.signatures[0].standing, Standing::Key { name: "key0".to_owned() });
    // Also where the chain was left out, as one early library does.
    let bare = changed(&signed, |value| {
        value["signatures"][0]["header"].as_object_mut().unwrap().remove("x5c");
    });
    let verdict = verify(&bare, &known, &Chains::none());
    assert!(verdict.is_accepted(Signers::All), "{}", verdict.refusal());
    assert_eq!(verdict.all_warnings().map(|fault| fault.reason).collect::<Vec<_>>(), [Reason::CertificateMissing]);
    let other = at("2026-11-25T00:00:00Z").keys(&keys(&[&Kind::Ed25519.key().public_key_pem()]));
    assert_eq!(reasons(&verify(&bare, &other, &Chains::none())), [Reason::CertificateMissing]);
}

#[test]
fn a_payload_is_kept_to_the_letter() {
    // Base64url of another text with the same meaning is another payload.
    let authority = Authority::new();
    let signed = signed_by(&authority.signer(Kind::P256, "a"));
    let other = TEXT.replace("[ ]", "[]");
    let document = changed(&signed, |value| value["payload"] = json!(encode(other.as_bytes())));
    assert_eq!(reasons(&verify(&document, &trusting(&authority), &Chains::none())), [Reason::SignatureWrong]);
}
