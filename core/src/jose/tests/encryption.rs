//! Encryption, and attacks on it.

use super::*;
use crate::jose::encoding::{decode, encode};

/// A signed vCon, encrypted for two, with their private keys.
fn encrypted(options: &EncryptOptions) -> (Vcon, Vcon, [Keys; 2]) {
    let signed = signed_by(&Authority::new().signer(Kind::P256, "a"));
    let keys = [Kind::Rsa.key(), Kind::Rsa.key()];
    let public = super::keys(&[&keys[0].public_key_pem(), &keys[1].public_key_pem()]);
    let encrypted = encrypt(&signed, &public.keys().iter().collect::<Vec<_>>(), options).unwrap();
    (signed, encrypted, keys.map(|key| super::keys(&[&key.serialize_pem()])))
}

#[test]
fn every_recipient_opens_it_with_every_algorithm() {
    for content in ContentEncryption::ALL {
        for (key, gzip) in [(KeyEncryption::RsaOaep, false), (KeyEncryption::RsaOaep256, true)] {
            let options = EncryptOptions { content, key, gzip, protect_enc: gzip };
            let (signed, encrypted, holders) = encrypted(&options);
            assert_eq!(encrypted.form(), Form::Encrypted);
            let envelope = check_encrypted(encrypted.document());
            assert_eq!((envelope.faults, envelope.warnings), (vec![], vec![]));
            assert_eq!(envelope.uuid.as_deref(), Some(UUID));
            for (number, holder) in holders.iter().enumerate() {
                let decrypted = decrypt(encrypted.document(), holder).unwrap();
                assert_eq!((decrypted.recipient, decrypted.key.as_str()), (number, "key0"));
                assert_eq!(decrypted.vcon.to_bytes(), signed.to_bytes(), "byte-equal");
            }
            // Rotation: whichever of several keys fits.
            let mut many = super::keys(&[&Kind::P256.key().serialize_pem(), &Kind::Rsa.key().serialize_pem()]);
            many.add(holders[1].clone());
            assert_eq!(decrypt(encrypted.document(), &many).unwrap().recipient, 1);
        }
    }
}

#[test]
fn headers_stand_where_the_draft_has_them() {
    let (_, encrypted, _) = encrypted(&EncryptOptions::default());
    let value = encrypted.document().root().to_value();
    assert_eq!(value["unprotected"], json!({"cty": "application/vcon", "enc": "A256CBC-HS512", "uuid": UUID}));
    assert_eq!(value["recipients"][1]["header"], json!({"alg": "RSA-OAEP"}));
    let names: Vec<_> = value.as_object().unwrap().keys().collect();
    assert_eq!(names, ["unprotected", "recipients", "iv", "ciphertext", "tag"]);
}

#[test]
fn a_protected_enc_stands_there_alone_and_is_authenticated() {
    let options = EncryptOptions { protect_enc: true, ..EncryptOptions::default() };
    let (_, encrypted, holders) = encrypted(&options);
    let value = encrypted.document().root().to_value();
    assert_eq!(decode(value["protected"].as_str().unwrap()).unwrap(), br#"{"enc":"A256CBC-HS512"}"#);
    assert_eq!(value["unprotected"], json!({"cty": "application/vcon", "uuid": UUID}));
    let moved = changed(&encrypted, |value| {
        value.as_object_mut().unwrap().remove("protected");
        value["unprotected"]["enc"] = json!("A256CBC-HS512");
    });
    assert_eq!(decrypt(&moved, &holders[0]).unwrap_err().reason, Reason::NotDecryptable);
}

/// Flips a bit of what a pointer leads to.
fn flip(value: &mut Value, pointer: &str) {
    let place = value.pointer_mut(pointer).unwrap();
    let mut bytes = decode(place.as_str().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *place = encode(&bytes).into();
}

#[test]
fn whatever_was_altered_the_refusal_is_the_same() {
    for content in ContentEncryption::ALL {
        let (_, encrypted, holders) = encrypted(&EncryptOptions { content, ..EncryptOptions::default() });
        let mut messages = Vec::new();
        for pointer in ["/tag", "/ciphertext", "/iv"] {
            let altered = changed(&encrypted, |value| flip(value, pointer));
            messages.push(decrypt(&altered, &holders[0]).unwrap_err());
        }
        let altered = changed(&encrypted, |value| {
            flip(value, "/recipients/0/encrypted_key");
        });
        messages.push(decrypt(&altered, &holders[0]).unwrap_err());
        let other_aad = changed(&encrypted, |value| value["protected"] = encode(b"{\"typ\":\"x\"}").into());
        messages.push(decrypt(&other_aad, &holders[0]).unwrap_err());
        let shorter = changed(&encrypted, |value| {
            let bytes = decode(value["ciphertext"].as_str().unwrap()).unwrap();
            value["ciphertext"] = encode(&bytes[..bytes.len() - 16]).into();
        });
        messages.push(decrypt(&shorter, &holders[0]).unwrap_err());
        messages.push(decrypt(encrypted.document(), &super::keys(&[&Kind::Rsa.key().serialize_pem()])).unwrap_err());
        assert_eq!(messages[0].reason, Reason::NotDecryptable);
        assert!(messages.iter().all(|fault| *fault == messages[0]), "no oracle: {messages:?}");
        // The other recipient's share is untouched.
        let altered = changed(&encrypted, |value| flip(value, "/recipients/0/encrypted_key"));
        assert_eq!(decrypt(&altered, &holders[1]).unwrap().recipient, 1);
    }
}

#[test]
fn algorithms_cannot_be_swapped() {
    let (_, encrypted, holders) = encrypted(&EncryptOptions::default());
    for (pointer, value, expected) in [
        ("/unprotected/enc", json!("A256GCM"), Reason::MalformedJwe),
        ("/unprotected/enc", json!("A128CBC-HS256"), Reason::EncryptionUnsupported),
        ("/recipients/0/header/alg", json!("RSA-OAEP-256"), Reason::NotDecryptable),
        ("/unprotected/zip", json!("DEF"), Reason::EncryptionUnsupported),
        ("/unprotected/crit", json!(["x"]), Reason::CriticalHeader),
        ("/recipients/0/header/enc", json!("A256GCM"), Reason::HeaderConflict),
        ("/tag", json!(""), Reason::MalformedJwe),
        ("/tag", json!("AAAA"), Reason::MalformedJwe),
        ("/iv", json!("AAAA"), Reason::MalformedJwe),
        ("/iv", json!(null), Reason::MalformedJwe),
        ("/recipients", json!([]), Reason::MalformedJwe),
        ("/unprotected/uuid", json!("019f15a6-a752-826f-b9a2-279e0d16bc46"), Reason::EnvelopeUuidMismatch),
    ] {
        let altered = changed(&encrypted, |whole| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            whole.pointer_mut(parent).unwrap()[name] = value.clone();
        });
        assert_eq!(decrypt(&altered, &holders[0]).unwrap_err().reason, expected, "{pointer} = {value}");
    }
    for algorithm in ["RSA1_5", "dir", "none", "A256KW"] {
        let altered = changed(&encrypted, |value| {
            for recipient in value["recipients"].as_array_mut().unwrap() {
                recipient["header"]["alg"] = json!(algorithm);
            }
        });
        assert_eq!(decrypt(&altered, &holders[0]).unwrap_err().reason, Reason::EncryptionUnsupported, "{algorithm}");
    }
}

/// What other software may have encrypted.
fn raw(plaintext: &[u8], key: &Keys) -> Document {
    let content = ContentEncryption::A256Gcm;
    let content_key = crate::jose::content::random(32).unwrap();
    let protected = encode(br#"{"enc":"A256GCM","alg":"RSA-OAEP"}"#);
    let sealed = content.seal(&content_key, protected.as_bytes(), plaintext.to_vec()).unwrap();
    let wrapped = key.keys()[0].public().encrypt(KeyEncryption::RsaOaep, &content_key).unwrap();
    // Everything twice, as py-vcon writes it.
    let value = json!({
        "protected": protected,
        "unprotected": {"enc": "A256GCM", "uuid": UUID},
        "recipients": [{"header": {"alg": "RSA-OAEP", "enc": "A256GCM"}, "encrypted_key": encode(&wrapped)}],
        "iv": encode(&sealed.iv), "cyphertext": encode(&sealed.ciphertext), "tag": encode(&sealed.tag),
    });
    Document::from_value(&value).unwrap()
}

#[test]
fn the_plaintext_must_be_a_signed_vcon() {
    let key = keys(&[&Kind::Rsa.key().serialize_pem()]);
    let signed = signed_by(&Authority::new().signer(Kind::P256, "a"));
    let decrypted = decrypt(&raw(&signed.to_bytes(), &key), &key).unwrap();
    assert_eq!(decrypted.vcon.to_bytes(), signed.to_bytes());
    assert!(decrypted.warnings.iter().all(|fault| fault.reason == Reason::HeaderConflict));
    assert!(!decrypted.warnings.is_empty());
    for plaintext in [TEXT.as_bytes(), b"hello", b"{\"ciphertext\":\"\",\"recipients\":[]}"] {
        assert_eq!(decrypt(&raw(plaintext, &key), &key).unwrap_err().reason, Reason::PlaintextNotSigned);
    }
}

#[test]
fn only_signed_vcons_are_encrypted_and_only_for_rsa() {
    let rsa = keys(&[&Kind::Rsa.key().public_key_pem()]);
    let rsa = &rsa.keys()[0];
    let error = encrypt(&vcon(), &[rsa], &EncryptOptions::default()).unwrap_err();
    assert!(error.message().contains("unsigned"), "{error}");
    let signed = signed_by(&Authority::new().signer(Kind::P256, "a"));
    assert!(encrypt(&signed, &[], &EncryptOptions::default()).is_err());
    let curve = keys(&[&Kind::P256.key().public_key_pem()]);
    let error = encrypt(&signed, &[rsa, &curve.keys()[0]], &EncryptOptions::default()).unwrap_err();
    assert!(error.message().contains("P-256"), "{error}");
}
