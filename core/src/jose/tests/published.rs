//! The signatures and encrypted vCons of the IETF and of other implementations.

use super::*;

/// Every fixture whose signature must verify, with its root.
const SIGNED: [(&str, &str); 6] = [
    ("valid/ietf-core-03/ab_call_ext_rec_signed.vcon", "py-vcon/fake_ca_root.crt"),
    ("valid/ietf-history/container03_ab_call_ext_rec_signed.vcon", "py-vcon/fake_ca_root.crt"),
    ("valid/synthetic-jose/jws_rs256_pyvcon_style.json", "py-vcon/fake_ca_root.crt"),
    ("valid/synthetic-jose/jws_ps256.json", "interop/ca_root.crt"),
    ("valid/synthetic-jose/jws_rs256_disjoint_headers.json", "interop/ca_root.crt"),
    ("valid/synthetic-jose/jws_two_signatures.json", "interop/ca_root.crt"),
];

const NOW: &str = "2026-11-25T00:00:00Z";

#[test]
fn published_signatures_verify_with_the_lenient_chain() {
    for (path, root) in SIGNED {
        let signed = published(path);
        let trust = at(NOW).anchors(&certificates(&[root]));
        let verdict = judge(&signed, &trust.clone().lenient(true));
        assert!(verdict.is_accepted(Signers::Any), "{path}: {}", verdict.refusal());
        assert!(verdict.signatures.iter().all(|signature| signature.intact == Some(true)), "{path}");
        let lenient = verdict.signatures.iter().any(
            |signature| matches!(&signature.standing, Standing::Anchor { anchor, lenient: true } if anchor == "fakevcon.io"),
        );
        assert!(lenient, "the result says that the chain was excused: {path}");
        // Without the option the same chains are refused for what they are.
        let verdict = judge(&signed, &trust);
        assert!(!verdict.is_accepted(Signers::Any) && verdict.is_intact(), "{path}");
        assert!(reasons(&verdict).contains(&Reason::LegacyCertificate), "{path}: {:?}", reasons(&verdict));
        // Without anything to believe in they are intact, and no more.
        let verdict = judge(&signed, &at(NOW));
        assert!(verdict.is_intact() && !verdict.is_accepted(Signers::Any), "{path}");
        assert!(verdict.signatures.iter().all(|signature| signature.standing == Standing::Unasked), "{path}");
    }
}

#[test]
fn equal_duplicates_are_accepted_with_a_warning() {
    let verdict = judge(&published("valid/ietf-core-03/ab_call_ext_rec_signed.vcon"), &at(NOW));
    let warned: Vec<_> = verdict.all_warnings().map(|fault| (fault.reason, fault.pointer.as_str())).collect();
    assert!(warned.contains(&(Reason::HeaderConflict, "/signatures/0/header/alg")), "{warned:?}");
    assert!(warned.contains(&(Reason::HeaderConflict, "/signatures/0/header/x5c")), "{warned:?}");
    let verdict = judge(&published("valid/synthetic-jose/jws_rs256_disjoint_headers.json"), &at(NOW));
    let warned: Vec<_> = verdict.all_warnings().map(|fault| fault.reason).collect();
    assert_eq!(warned, [Reason::AlgorithmMissing], "the draft wants alg in the unprotected header");
}

#[test]
fn several_signers_are_judged_one_by_one() {
    let signed = published("valid/synthetic-jose/jws_two_signatures.json");
    let both = at(NOW).anchors(&certificates(&["interop/ca_root.crt", "py-vcon/fake_ca_root.crt"])).lenient(true);
    assert!(judge(&signed, &both).is_accepted(Signers::All));
    let one = at(NOW).anchors(&certificates(&["interop/ca_root.crt"])).lenient(true);
    let verdict = judge(&signed, &one);
    assert!(verdict.is_accepted(Signers::Any) && !verdict.is_accepted(Signers::All));
    assert_eq!(reasons(&verdict), [Reason::ChainUntrusted]);
}

#[test]
fn chains_behind_urls_are_used_when_they_were_fetched() {
    let signed = published("valid/synthetic-jose/jws_x5u.json");
    let trust = at(NOW).anchors(&certificates(&["interop/ca_root.crt"])).lenient(true);
    let verdict = judge(&signed, &trust);
    assert_eq!(reasons(&verdict), [Reason::ChainUnavailable]);
    assert!(!verdict.is_intact(), "nothing was verified");
    assert!(Chains::are_named_in(signed.document()));
    let mut chains = Chains::none();
    let pem = [file("certificates/interop/cert.crt"), file("certificates/interop/mid.crt")].concat();
    chains.insert("https://example.com/chain.pem", &pem).unwrap();
    let verdict = verify(signed.document(), &trust, &chains);
    assert!(verdict.is_accepted(Signers::Any), "{}", verdict.refusal());
    // The signer's certificate itself is enough where it is at hand.
    let known = at(NOW).anchors(&certificates(&["interop/cert.crt"]));
    assert!(judge(&signed, &known).is_accepted(Signers::Any));
    let plain =
        changed(&signed, |value| value["signatures"][0]["header"]["x5u"] = json!("http://example.com/chain.pem"));
    assert_eq!(reasons(&verify(&plain, &trust, &chains)), [Reason::ChainUrl]);
}

#[test]
fn attacks_of_the_pack_are_refused_each_for_its_reason() {
    let trust = at(NOW).anchors(&certificates(&["interop/ca_root.crt", "py-vcon/fake_ca_root.crt"])).lenient(true);
    for (name, expected) in [
        ("jws_and_unsigned_mixed", Reason::Mixed),
        ("jws_critical_header", Reason::CriticalHeader),
        ("jws_expired_cert", Reason::Expired),
        ("jws_hs256_confusion", Reason::AlgorithmRefused),
        ("jws_no_x5c", Reason::CertificateMissing),
        ("jws_payload_not_vcon", Reason::PayloadNotVcon),
        ("jws_payload_tampered", Reason::SignatureWrong),
        ("jws_uuid_mismatch", Reason::UuidMismatch),
    ] {
        let signed = published(&format!("invalid/jose/{name}.json"));
        let verdict = judge(&signed, &trust);
        assert_eq!(reasons(&verdict), [expected], "{name}: {}", verdict.refusal());
        assert!(!verdict.is_accepted(Signers::Any), "{name}");
    }
    let signed = published("invalid/jose/jws_untrusted_root.json");
    assert!(judge(&signed, &trust).is_accepted(Signers::Any), "its own root is fine");
    let other = at(NOW).anchors(&certificates(&["interop/ca2_root.crt"])).lenient(true);
    assert_eq!(reasons(&judge(&signed, &other)), [Reason::ChainUntrusted], "a root of the same name with another key");
}

#[test]
fn the_expired_chain_was_fine_while_it_lasted() {
    let signed = published("invalid/jose/jws_expired_cert.json");
    let then = at("2025-04-22T12:00:00Z").anchors(&certificates(&["interop/ca_root.crt"])).lenient(true);
    let verdict = judge(&signed, &then);
    assert!(verdict.signatures[0].intact == Some(true));
    let early = at("2020-01-01T00:00:00Z").anchors(&certificates(&["interop/ca_root.crt"])).lenient(true);
    let signed = published("valid/synthetic-jose/jws_ps256.json");
    assert_eq!(reasons(&judge(&signed, &early)), [Reason::NotYetValid]);
}

#[test]
fn encrypted_ones_are_recognised_and_checked_without_their_keys() {
    for (name, encryption, recipients) in [
        ("jwe_a256gcm", "A256GCM", 1),
        ("jwe_draft_literal_no_protected", "A256CBC-HS512", 1),
        ("jwe_two_recipients", "A256CBC-HS512", 2),
    ] {
        let encrypted = published(&format!("valid/synthetic-jose/{name}.json"));
        let envelope = check_encrypted(encrypted.document());
        assert_eq!(envelope.faults, [], "{name}");
        assert_eq!(envelope.encryption.as_deref(), Some(encryption), "{name}");
        assert_eq!(envelope.recipients, vec![Some("RSA-OAEP".to_owned()); recipients], "{name}");
        assert_eq!(envelope.uuid.as_deref(), Some(UUID), "{name}");
        let foreign = keys(&[&Kind::Rsa.key().serialize_pem()]);
        let fault = decrypt(encrypted.document(), &foreign).unwrap_err();
        assert_eq!(fault.reason, Reason::NotDecryptable, "{name}");
    }
}
