//! The checks that need keys, made by `validate`.

use super::*;
use crate::jose::encoding::{decode, encode};
use crate::validate::{Level, Mode, Report, Validator};

const NOW: &str = "2026-11-25T00:00:00Z";

/// Errors and warnings of the outermost form among the checks that need keys, and what is noted.
fn checked(bytes: impl Into<bytes::Bytes>, trust: Trust, keys: &Keys) -> (Vec<(u16, Level)>, Report) {
    let seals = KeySeals::new(trust, keys.clone());
    let validator = Validator { mode: Mode::Tolerant, seals: Some(&seals), ..Validator::default() };
    let report = validator.check(bytes).swap_remove(0).1;
    let sealed = report.found.iter().filter(|finding| (95..=103).contains(&finding.check));
    // A uuid that no header names is not the matter here.
    let found = sealed.map(|finding| (finding.check, finding.level(Mode::Tolerant)));
    (found.filter(|found| *found != (97, Level::Warning)).collect(), report)
}

#[test]
fn signatures_are_verified_with_and_without_anchors() {
    let none = Keys::default();
    let interop = || at(NOW).anchors(&certificates(&["interop/ca_root.crt"]));
    for (path, trust, expected) in [
        ("valid/synthetic-jose/jws_ps256.json", interop().lenient(true), None),
        ("valid/synthetic-jose/jws_ps256.json", interop(), Some((96, Level::Error))),
        ("valid/synthetic-jose/jws_ps256.json", at(NOW), None),
        ("valid/synthetic-jose/jws_x5u.json", interop().lenient(true), None),
        ("valid/ietf-core-03/ab_call_ext_rec_signed.vcon", at(NOW), None),
        ("invalid/jose/jws_payload_tampered.json", at(NOW), Some((95, Level::Error))),
        ("invalid/jose/jws_expired_cert.json", interop().lenient(true), Some((96, Level::Error))),
        ("invalid/jose/jws_expired_cert.json", at(NOW), Some((96, Level::Warning))),
        ("invalid/jose/jws_untrusted_root.json", at(NOW), None),
        ("invalid/jose/jws_uuid_mismatch.json", interop().lenient(true), Some((97, Level::Error))),
        ("invalid/jose/jws_payload_not_vcon.json", interop().lenient(true), Some((98, Level::Error))),
        (
            "invalid/jose/jws_untrusted_root.json",
            at(NOW).anchors(&certificates(&["interop/ca2_root.crt"])).lenient(true),
            Some((96, Level::Error)),
        ),
    ] {
        let (found, report) = checked(file(&format!("vcon/{path}")), trust, &none);
        assert_eq!(found, Vec::from_iter(expected), "{path}: {:?}", report.found);
        assert_eq!(report.notes.is_empty(), matches!(expected, Some((95 | 96, _))), "{path}: {:?}", report.notes);
    }
    let (_, report) =
        checked(file("vcon/valid/synthetic-jose/jws_ps256.json"), interop().lenient(true), &Keys::default());
    assert!(report.notes[0].contains("trusted through `fakevcon.io` with a lenient chain"), "{:?}", report.notes);
}

#[test]
fn what_is_encrypted_is_looked_into() {
    let authority = Authority::new();
    let signer = authority.signer(Kind::Rsa, "a");
    let keys = keys(&[&signer.bundle()]);
    let signed = signed_by(&signer);
    let encrypted = encrypt(&signed, &[&keys.keys()[0]], &EncryptOptions::default()).unwrap();
    let (found, report) = checked(encrypted.to_bytes(), trusting(&authority), &keys);
    assert_eq!(found, []);
    let inside = report.payload.as_deref().unwrap();
    assert!(inside.notes[0].contains("trusted through `Test Root`"), "{:?}", inside.notes);
    assert!(inside.payload.is_some(), "down to the conversation");
    let altered = changed(&encrypted, |value| value["tag"] = encode(&[7; 32]).into());
    // Of the alphabet, but 43 characters have two bits more than 32 bytes.
    let stray_bits = changed(&encrypted, |value| value["tag"] = format!("{}_", "A".repeat(42)).into());
    let unknown = changed(&encrypted, |value| value["unprotected"]["enc"] = "A128GCM".into());
    let uuid =
        changed(&encrypted, |value| value["unprotected"]["uuid"] = "019f15a6-a752-826f-b9a2-279e0d16bc46".into());
    for (document, keys, expected) in [
        (&altered, &keys, (101, Level::Error)),
        (&stray_bits, &keys, (99, Level::Error)),
        (&unknown, &keys, (100, Level::Error)),
        (encrypted.document(), &super::keys(&[&Kind::Rsa.key().serialize_pem()]), (101, Level::Error)),
        (&uuid, &keys, (103, Level::Error)),
    ] {
        let (found, report) = checked(document.to_bytes(), trusting(&authority), keys);
        assert_eq!(found, [expected], "{:?}", report.found);
    }
    let (found, report) = checked(encrypted.to_bytes(), trusting(&authority), &Keys::default());
    assert_eq!(found, []);
    assert!(report.notes[0].contains("not decryptable"), "{:?}", report.notes);
}

#[test]
fn what_was_signed_again_for_the_archive_may_have_expired() {
    let (authority, archive) = (Authority::new(), Authority::new());
    let signed = signed_by(&authority.signer_of(&Kind::P256.key(), "a", Years(2001, 2002)));
    let keys = keys(&[&archive.signer(Kind::P256, "archive").bundle()]);
    let again = sign(&signed, &[keys.signer(None).unwrap()], &SignOptions::default());
    let (found, report) = checked(again.unwrap().to_bytes(), trusting(&archive), &Keys::default());
    assert_eq!(found, []);
    let inside = report.payload.as_deref().unwrap();
    let of_96: Vec<_> = inside.found.iter().filter(|finding| finding.check == 96).collect();
    assert!(matches!(of_96[..], [only] if only.level(Mode::Strict) == Level::Hint), "{of_96:?}");
    // Alone it is refused.
    let (found, _) = checked(signed.to_bytes(), trusting(&archive), &Keys::default());
    assert_eq!(found, [(96, Level::Error)]);
}

#[test]
fn every_fault_of_an_encrypted_one_is_told_by_its_number() {
    let authority = Authority::new();
    let signer = authority.signer(Kind::Rsa, "a");
    let keys = keys(&[&signer.bundle()]);
    let encrypted = encrypt(&signed_by(&signer), &[&keys.keys()[0]], &EncryptOptions::default()).unwrap();
    let flipped = |text: &Value| {
        let mut bytes = decode(text.as_str().unwrap()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Value::from(encode(&bytes))
    };
    for (pointer, expected) in [
        ("/ciphertext", 101),
        ("/iv", 101),
        ("/tag", 101),
        ("/recipients/0/encrypted_key", 101),
        ("/recipients/0/header/alg", 100),
        ("/unprotected/enc", 100),
        ("/recipients/0/header/crit", 106),
        ("/unprotected/uuid", 103),
    ] {
        let altered = changed(&encrypted, |whole| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let place = &mut whole.pointer_mut(parent).unwrap()[name];
            *place = match expected {
                101 => flipped(place),
                103 => "019f15a6-a752-826f-b9a2-279e0d16bc46".into(),
                _ => json!(["x"]),
            };
        });
        let seals = KeySeals::new(trusting(&authority), keys.clone());
        let validator = Validator { seals: Some(&seals), ..Validator::default() };
        let report = validator.check(altered.to_bytes()).swap_remove(0).1;
        let errors: Vec<_> = report.of_level(Level::Error).map(|finding| finding.check).collect();
        assert_eq!(errors, [expected], "{pointer}: {:?}", report.found);
    }
}
