//! Keys in all their forms.

use super::*;
use crate::jose::encoding::encode;

#[test]
fn jwks_are_read_and_named() {
    // RFC 8037, appendix A.1, and RFC 7515, appendix A.3: public test keys of the standards.
    let set = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
         "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
         "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    ]});
    let keys = Keys::read("set.json", set.to_string().as_bytes()).unwrap();
    let names: Vec<_> = keys.private().map(Key::name).collect();
    assert_eq!(names, ["ed", "ec"]);
    assert_eq!(keys.keys()[1].public().kind(), KeyKind::P256);
    // RFC 8037, appendix A.4: Ed25519 has one signature only.
    let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let key = keys.keys()[0].private.as_ref().unwrap();
    let signature = key.sign(SignatureAlgorithm::EdDsa, input).unwrap();
    assert_eq!(
        encode(&signature),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    assert!(keys.keys()[0].public().verifies(SignatureAlgorithm::EdDsa, input, &signature));
    assert_eq!(keys.signer(Some("ed")).unwrap().name(), "ed");
    let error = keys.signer(Some("rsa")).unwrap_err();
    assert_eq!(error.help_text(), Some("there are: ed, ec"));
}

#[test]
fn a_chain_finds_its_key_also_in_another_file_and_the_newest_signs() {
    let authority = Authority::new();
    let (old, new) = (
        authority.signer_of(&Kind::P256.key(), "old", Years(2020, 2030)),
        authority.signer_of(&Kind::Rsa.key(), "new", Years(2025, 2035)),
    );
    let keys = keys(&[&new.key, &old.bundle(), &new.chain, &authority.root]);
    let names: Vec<_> = keys.private().map(|key| key.chain()[0].name()).collect();
    assert_eq!(names, ["new", "old"]);
    assert_eq!(keys.keys()[0].chain().len(), 3, "up to the root that is there");
    assert_eq!(keys.signer(None).unwrap().name(), "key0", "the one with the newest certificate");
}

#[test]
fn nothing_of_a_bad_key_is_shown() {
    let authority = Authority::new();
    let pem = authority.signer(Kind::Rsa, "a").key;
    let broken = pem.replacen("MII", "MIJ", 1);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let secret = r#"{"kty":"OKP","crv":"Ed25519","d":"c2VjcmV0","x":"c2VjcmV0"}"#;
    for source in [&broken, encrypted, secret, "", "{}", "hello", "{\"keys\":[]}", "0"] {
        let error = Keys::read("k", source.as_bytes()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert_eq!(error.class(), crate::Class::Configuration);
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("MIJ"), "{shown}");
    }
    assert!(Keys::read("k", encrypted.as_bytes()).unwrap_err().message().contains("passphrase"));
    let keys = keys(&[&pem]);
    let middle = &pem[100..140];
    assert!(!format!("{keys:?}").contains(middle) && format!("{keys:?}").contains("private half"));
}

#[test]
fn short_and_strange_keys_are_refused() {
    // Certificates with keys that cannot be used are read: they may stand in a chain.
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let error = Keys::read("k", p384.public_key_pem().as_bytes()).unwrap_err();
    assert!(error.message().contains("not P-256"), "{error}");
    assert!(Keys::read("k", p384.serialize_pem().as_bytes()).is_err());
}
