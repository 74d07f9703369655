//! Attacks on signatures, made from good ones.

use super::*;
use crate::jose::encoding::{decode, encode, gzip};

/// Judges a good signature after a change, with its root trusted.
fn after(kind: Kind, change: impl FnOnce(&mut Value)) -> (Verdict, Vec<Reason>) {
    let authority = Authority::new();
    let signed = signed_by(&authority.signer(kind, "a"));
    let verdict = verify(&changed(&signed, change), &trusting(&authority), &Chains::none());
    let reasons = reasons(&verdict);
    (verdict, reasons)
}

fn protected(header: &Value) -> Value {
    encode(header.to_string().as_bytes()).into()
}

#[test]
fn algorithms_that_prove_nothing_are_refused() {
    for alg in ["none", "None", "HS256", "HS512", ""] {
        let (_, reasons) = after(Kind::Rsa, |value| value["signatures"][0]["header"]["alg"] = json!(alg));
        assert_eq!(reasons, [Reason::AlgorithmRefused], "{alg}");
        let (_, reasons) = after(Kind::Rsa, |value| {
            value["signatures"][0]["header"].as_object_mut().unwrap().remove("alg");
            value["signatures"][0]["protected"] = protected(&json!({"alg": alg}));
            value["signatures"][0]["signature"] = json!("");
        });
        assert_eq!(reasons, [Reason::AlgorithmRefused], "protected {alg}");
    }
    let (_, reasons) = after(Kind::Rsa, |value| value["signatures"][0]["header"]["alg"] = json!("ES512"));
    assert_eq!(reasons, [Reason::AlgorithmUnsupported]);
    let (_, reasons) = after(Kind::Rsa, |value| {
        value["signatures"][0]["header"].as_object_mut().unwrap().remove("alg");
    });
    assert_eq!(reasons, [Reason::AlgorithmMissing]);
}

#[test]
fn an_algorithm_of_another_kind_of_key_is_refused() {
    for alg in ["ES256", "EdDSA"] {
        let (_, reasons) = after(Kind::Rsa, |value| value["signatures"][0]["header"]["alg"] = json!(alg));
        assert_eq!(reasons, [Reason::AlgorithmMismatch], "{alg}");
    }
    // The same kind of key, but another padding.
    let (_, reasons) = after(Kind::Rsa, |value| value["signatures"][0]["header"]["alg"] = json!("PS256"));
    assert_eq!(reasons, [Reason::SignatureWrong]);
}

#[test]
fn the_protected_header_counts_and_a_different_one_is_refused() {
    let (_, reasons) = after(Kind::P256, |value| {
        let text = value["signatures"][0]["protected"].as_str().unwrap();
        let mut header: Value = serde_json::from_slice(&decode(text).unwrap()).unwrap();
        header["alg"] = json!("RS256");
        value["signatures"][0]["protected"] = protected(&header);
    });
    assert_eq!(reasons, [Reason::HeaderConflict]);
    let (_, reasons) = after(Kind::P256, |value| {
        value["signatures"][0]["protected"] = encode(br#"{"cty":"a","cty":"b"}"#).into();
    });
    assert_eq!(reasons, [Reason::MalformedSignature], "a name twice in one header");
}

#[test]
fn altered_parts_are_found() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change, Reason); 7] = [
        (
            "payload",
            |value| value["payload"] = encode(TEXT.replace("1e3", "1e4").as_bytes()).into(),
            Reason::SignatureWrong,
        ),
        (
            "signature",
            |value| {
                let mut bytes = decode(value["signatures"][0]["signature"].as_str().unwrap()).unwrap();
                bytes[5] ^= 1;
                value["signatures"][0]["signature"] = encode(&bytes).into();
            },
            Reason::SignatureWrong,
        ),
        ("empty signature", |value| value["signatures"][0]["signature"] = json!(""), Reason::SignatureWrong),
        ("no signature", |value| value["signatures"][0]["signature"] = json!(null), Reason::MalformedSignature),
        (
            "protected",
            |value| {
                let text = value["signatures"][0]["protected"].as_str().unwrap();
                let mut header: Value = serde_json::from_slice(&decode(text).unwrap()).unwrap();
                header["cty"] = json!("text/plain");
                value["signatures"][0]["protected"] = protected(&header);
            },
            Reason::SignatureWrong,
        ),
        ("crit", |value| value["signatures"][0]["header"]["crit"] = json!(["b64"]), Reason::CriticalHeader),
        (
            "uuid",
            |value| value["signatures"][0]["header"]["uuid"] = json!("019f15a6-a752-826f-b9a2-279e0d16bc46"),
            Reason::UuidMismatch,
        ),
    ];
    for kind in Kind::ALL {
        for (name, change, expected) in changes {
            let (verdict, reasons) = after(kind, change);
            assert_eq!(reasons, [expected], "{name} of {kind:?}");
            assert!(!verdict.is_accepted(Signers::Any) && !verdict.is_intact());
        }
    }
}

#[test]
fn a_foreign_certificate_or_key_is_found() {
    let (mine, theirs) = (Authority::new(), Authority::new());
    let signed = signed_by(&theirs.signer(Kind::P256, "a"));
    // Same names, another root; and the root itself inside of `x5c` changes nothing.
    assert_eq!(reasons(&judge(&signed, &trusting(&mine))), [Reason::ChainUntrusted]);
    let root = keys(&[&theirs.root]).certificates()[0].der().to_vec();
    let with_root = changed(&signed, |value| {
        let chain = value["signatures"][0]["header"]["x5c"].as_array_mut().unwrap();
        chain.push(crate::jose::encoding::encode_standard(&root).into());
    });
    assert_eq!(reasons(&verify(&with_root, &trusting(&mine), &Chains::none())), [Reason::ChainUntrusted]);
    assert!(verify(&with_root, &trusting(&theirs), &Chains::none()).is_accepted(Signers::Any));
    // A trusted certificate before a signature of somebody else: the thumbprint speaks first, then the signature.
    let good = signed_by(&mine.signer(Kind::P256, "a")).document().root().to_value();
    let swapped = changed(&signed, |value| {
        value["signatures"][0]["header"]["x5c"] = good["signatures"][0]["header"]["x5c"].clone();
    });
    assert_eq!(reasons(&verify(&swapped, &trusting(&mine), &Chains::none())), [Reason::HeaderConflict]);
    let swapped = changed(&signed, |value| {
        value["signatures"][0]["header"]["x5c"] = good["signatures"][0]["header"]["x5c"].clone();
        value["signatures"][0]["protected"] = good["signatures"][0]["protected"].clone();
    });
    assert_eq!(reasons(&verify(&swapped, &trusting(&mine), &Chains::none())), [Reason::SignatureWrong]);
}

#[test]
fn dates_and_constraints_of_certificates_hold() {
    let authority = Authority::new();
    for (years, expected) in [(Years(2001, 2002), Reason::Expired), (Years(2080, 2090), Reason::NotYetValid)] {
        let signed = signed_by(&authority.signer_of(&Kind::P256.key(), "a", years));
        assert_eq!(reasons(&judge(&signed, &trusting(&authority))), [expected]);
        // Also for a certificate that is an anchor itself, and where no anchor was given.
        let signer = authority.signer_of(&Kind::P256.key(), "a", years);
        let pinned = at("2026-11-25T00:00:00Z").anchors(&keys(&[&signer.chain]));
        assert_eq!(reasons(&judge(&signed_by(&signer), &pinned)), [expected]);
        assert_eq!(reasons(&judge(&signed, &at("2026-11-25T00:00:00Z"))), [expected]);
    }
    let signed = signed_by(&authority.issued_by_signer("a"));
    for lenient in [false, true] {
        let trust = trusting(&authority).lenient(lenient);
        assert_eq!(reasons(&judge(&signed, &trust)), [Reason::ChainUntrusted], "an ordinary signer is no authority");
    }
}

#[test]
fn a_broken_signature_is_not_made_good_by_another() {
    let authority = Authority::new();
    let (one, two) = (authority.signer(Kind::P256, "one"), authority.signer(Kind::Rsa, "two"));
    let keys = keys(&[&one.bundle(), &two.bundle()]);
    let signed = sign(&vcon(), &keys.private().collect::<Vec<_>>(), &SignOptions::default()).unwrap();
    let broken = changed(&signed, |value| value["signatures"][1]["signature"] = json!("AAAA"));
    let verdict = verify(&broken, &trusting(&authority), &Chains::none());
    assert!(verdict.signatures[0].is_trusted() && !verdict.is_accepted(Signers::Any));
    // One that cannot be checked here says nothing against the first.
    let unknown = changed(&signed, |value| value["signatures"][1]["header"]["alg"] = json!("ES512"));
    let verdict = verify(&unknown, &trusting(&authority), &Chains::none());
    assert!(verdict.is_accepted(Signers::Any) && !verdict.is_accepted(Signers::All));
}

#[test]
fn shapes_are_bounded() {
    for (change, expected) in [
        (json!({"signatures": []}), Reason::MalformedJws),
        (json!({"payload": "e30="}), Reason::MalformedJws),
        (json!({"payload": 1}), Reason::MalformedJws),
        (json!({"payload": encode(&gzip(TEXT.as_bytes())[..40])}), Reason::Compression),
        (json!({"payload": encode(b"{\"ciphertext\":\"\",\"recipients\":[]}")}), Reason::PayloadNotVcon),
        (json!({"parties": []}), Reason::Mixed),
    ] {
        let (verdict, reasons) = after(Kind::P256, |value| {
            for (name, member) in change.as_object().unwrap() {
                value[name] = member.clone();
            }
        });
        assert_eq!(reasons[0], expected, "{change}");
        assert!(!verdict.is_accepted(Signers::Any));
    }
    let (_, reasons) = after(Kind::P256, |value| {
        let one = value["signatures"][0].clone();
        value["signatures"] = vec![one; 33].into();
    });
    assert_eq!(reasons, [Reason::MalformedJws]);
    let (_, reasons) = after(Kind::P256, |value| {
        let one = value["signatures"][0]["header"]["x5c"][0].clone();
        value["signatures"][0]["header"]["x5c"] = vec![one; 11].into();
    });
    assert_eq!(reasons, [Reason::CertificateUnreadable]);
    for wrong in [json!([]), json!("x"), json!(["%%"]), json!(["AAAA"])] {
        let (_, reasons) = after(Kind::P256, |value| value["signatures"][0]["header"]["x5c"] = wrong.clone());
        assert_eq!(reasons, [Reason::CertificateUnreadable], "{wrong}");
    }
}
