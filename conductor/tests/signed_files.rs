//! `vcon sign`, `verify`, `encrypt` and `decrypt` from outside: results, exit codes, and what is said.

#[allow(dead_code, unreachable_pub, reason = "a public module of the crate of suites")]
#[path = "../../tests/src/authority.rs"]
mod authority;
mod place;

use std::path::Path;

use serde_json::Value;

use authority::{Authority, Kind};
use place::Place;

const CALL: &str =
    r#"{"uuid":"018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10", "created_at":"2024-01-02T03:04:05Z","n":1e3,"parties":[]}"#;

/// A place with a call, an authority and two signers.
fn prepared() -> Place {
    let place = Place::new();
    let authority = Authority::new();
    place.write("call.vcon", CALL).write("root.pem", &authority.root);
    for (name, kind) in [("one", Kind::Rsa), ("two", Kind::Ed25519)] {
        let signer = authority.signer(kind, &format!("{name}.example.com"));
        place.write(&format!("{name}.key"), &signer.key).write(&format!("{name}.crt"), &signer.chain);
    }
    place
}

fn read(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.0.path().join(name)).unwrap()
}

fn fixture(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(path).to_str().unwrap().to_owned()
}

#[test]
fn a_vcon_goes_signed_and_encrypted_to_its_reader() {
    let place = prepared();
    let sign =
        ["vcon", "sign", "call.vcon", "--key", "one.key", "--key", "two.key", "--cert", "one.crt", "--cert", "two.crt"];
    let done = place.run(&[&sign[..], &["--gzip", "--out", "signed.vcon"]].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(done.stdout.contains("signed by one, two"), "{}", done.stdout);
    let done = place.run(&["vcon", "verify", "signed.vcon", "--trust", "root.pem", "--all-signers"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(done.stdout.contains("accepted") && done.stdout.contains("two.example.com"), "{}", done.stdout);
    assert!(done.stdout.contains("trusted through `Test Root`") && !done.stdout.contains("\u{1b}"), "{}", done.stdout);
    let done =
        place.run(&["vcon", "encrypt", "signed.vcon", "--to", "one.crt", "--out", "sent.vcon", "--output", "json"]);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (done.code, &report[0]["what"], &report[0]["written"]),
        (0, &"encrypted for one".into(), &"sent.vcon".into())
    );
    let done = place.run(&["vcon", "decrypt", "sent.vcon", "--key", "two.key", "--key", "one.key"]);
    assert_eq!((done.code, done.stdout.trim_end()), (0, read(&place, "signed.vcon").as_str()));
    let done = place.run(&["vcon", "verify", "signed.vcon", "--trust", "root.pem", "--payload", "-"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, CALL), "the vCon itself, byte for byte");
}

#[test]
fn what_is_not_trusted_is_65_and_gives_no_payload() {
    let place = prepared();
    place.run(&["vcon", "sign", "call.vcon", "--key", "one.key", "--cert", "one.crt", "--out", "signed.vcon"]);
    for (arguments, expected) in [
        (vec![], "nobody is trusted"),
        (vec!["--trust", "two.crt", "--at", "2100-01-01T00:00:00Z"], "expired at 2090-01-01"),
        (vec!["--trust", "other.pem"], "leads to no trust anchor"),
    ] {
        place.write("other.pem", Authority::new().root);
        let verify = ["vcon", "verify", "signed.vcon", "--payload", "payload.vcon"];
        let done = place.run(&[&verify[..], &arguments].concat());
        assert_eq!(done.code, 65, "{}", done.all());
        assert!(done.stdout.contains("refused") && done.stdout.contains(expected), "{}", done.stdout);
        assert!(!place.0.path().join("payload.vcon").exists());
    }
    let done = place.run(&["vcon", "verify", "call.vcon"]);
    assert_eq!((done.code, done.stderr.as_str()), (65, "error: call.vcon: this vCon is not signed\n"));
    let done = place.run(&["vcon", "decrypt", "signed.vcon", "--key", "one.key"]);
    assert_eq!((done.code, done.stdout.as_str()), (65, ""));
}

#[test]
fn published_files_and_attacks_on_them() {
    let place = Place::new();
    let trust = fixture("certificates/interop/ca_root.crt");
    let verify = |name: &str, arguments: &[&str]| {
        let file = fixture(&format!("vcon/{name}.json"));
        let done = place.run(&[&["vcon", "verify", &file, "--trust", &trust, "--output", "jsonl"], arguments].concat());
        let verdict: Value = serde_json::from_str(&done.stdout).unwrap();
        let reason = verdict["signatures"][0]["faults"][0]["reason"].as_str().unwrap_or_default().to_owned();
        (done.code, verdict["accepted"] == true, reason)
    };
    let at = ["--at", "2026-11-25T00:00:00Z", "--offline"];
    let lenient = [&at[..], &["--lenient-chain"]].concat();
    assert_eq!(verify("valid/synthetic-jose/jws_ps256", &lenient), (0, true, String::new()));
    assert_eq!(verify("valid/synthetic-jose/jws_ps256", &at), (65, false, "legacy_certificate".to_owned()));
    for (name, reason) in [
        ("jws_payload_tampered", "signature_wrong"),
        ("jws_hs256_confusion", "algorithm_refused"),
        ("jws_expired_cert", "expired"),
        ("jws_uuid_mismatch", "uuid_mismatch"),
    ] {
        assert_eq!(verify(&format!("invalid/jose/{name}"), &lenient), (65, false, reason.to_owned()), "{name}");
    }
}

#[test]
fn inputs_are_overwritten_only_when_told() {
    let place = prepared();
    let sign = |arguments: &[&str]| {
        place.run(&[&["vcon", "sign", "--key", "one.key", "--cert", "one.crt"], arguments].concat())
    };
    assert_eq!(sign(&["call.vcon", "--out", "call.vcon"]).code, 2);
    assert_eq!(sign(&["call.vcon", "--out", "."]).code, 2);
    assert_eq!(read(&place, "call.vcon"), CALL);
    place.write("other.vcon", CALL.replace("7a10", "7a11"));
    assert_eq!(sign(&["call.vcon", "other.vcon"]).code, 2, "two results do not fit into stdout");
    place.write("broken.vcon", "{");
    let done = sign(&["call.vcon", "broken.vcon", "other.vcon", "--in-place"]);
    assert_eq!(done.code, 65, "{}", done.all());
    assert!(done.stderr.contains("broken.vcon") && read(&place, "broken.vcon") == "{", "{}", done.stderr);
    assert!(["call.vcon", "other.vcon"].iter().all(|name| read(&place, name).contains("\"signatures\"")));
}

#[test]
fn keys_come_from_the_environment_and_are_never_shown() {
    let place = prepared();
    let key = read(&place, "one.key");
    let mut command =
        place.command(&["vcon", "sign", "call.vcon", "--key", "env:SIGNING_KEY", "--cert", "one.crt", "-vvv"]);
    let done = place::done(command.env("SIGNING_KEY", &key));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let middle = key.lines().nth(3).unwrap();
    assert!(!done.stdout.contains(middle) && !done.stderr.contains(middle));
    let broken = key.replace(middle, &middle.to_lowercase());
    let mut command =
        place.command(&["vcon", "sign", "call.vcon", "--key", "env:SIGNING_KEY", "--cert", "one.crt", "-vvv"]);
    let done = place::done(command.env("SIGNING_KEY", &broken));
    assert_eq!((done.code, done.stdout.as_str()), (78, ""), "{}", done.stderr);
    assert!(done.stderr.contains("SIGNING_KEY") && !done.stderr.contains(&middle.to_lowercase()), "{}", done.stderr);
    assert_eq!(place.run(&["vcon", "sign", "call.vcon", "--key", "env:NOT_SET"]).code, 2);
    assert_eq!(place.run(&["vcon", "sign", "call.vcon", "--key", "gone.key"]).code, 2);
    let done = place.run(&["vcon", "sign", "call.vcon", "--key", "one.key"]);
    assert_eq!(done.code, 78, "no certificate: {}", done.all());
}

/// What `validate` finds: exit code, checks of errors and warnings, and the line of JSON.
fn validated(place: &Place, file: &str, arguments: &[&str]) -> (i32, Vec<u64>, Vec<u64>, Value) {
    let done = place.run(&[&["validate", file, "--output", "jsonl"][..], arguments].concat());
    assert_eq!(done.stderr, "", "{file} {arguments:?}");
    let line: Value = serde_json::from_str(&done.stdout).unwrap();
    let checks = |level: &str| -> Vec<u64> {
        let rows = line[level].as_array().unwrap().iter();
        rows.map(|row| row["check"].as_u64().unwrap()).filter(|check| (95..=103).contains(check)).collect()
    };
    (done.code, checks("errors"), checks("warnings"), line)
}

#[test]
fn validate_verifies_with_trust_and_opens_with_a_key() {
    let place = prepared();
    place.run(&["vcon", "sign", "call.vcon", "--key", "one.key", "--cert", "one.crt", "--out", "signed.vcon"]);
    place.run(&["vcon", "encrypt", "signed.vcon", "--to", "one.crt", "--out", "sent.vcon"]);
    let (code, errors, _, line) = validated(&place, "signed.vcon", &["--trust", "root.pem"]);
    assert_eq!((code, errors), (0, vec![]));
    assert!(line["notes"][0].as_str().unwrap().contains("trusted through `Test Root`"), "{line}");
    // Whose signature it is was not asked, but it was compared with its certificate.
    let (code, _, _, line) = validated(&place, "signed.vcon", &["--strict"]);
    assert_eq!((code, line["notes"][0].as_str().unwrap().contains("intact")), (0, true), "{line}");
    place.write("other.pem", Authority::new().root);
    let (code, errors, ..) = validated(&place, "signed.vcon", &["--trust", "other.pem"]);
    assert_eq!((code, errors), (65, vec![96]));
    place.write("altered.vcon", read(&place, "signed.vcon").replacen("\"payload\":\"", "\"payload\":\"IC", 1));
    for arguments in [&[][..], &["--trust", "root.pem"]] {
        let (code, errors, ..) = validated(&place, "altered.vcon", arguments);
        assert_eq!((code, errors.first()), (65, Some(&95)));
    }

    let (code, errors, _, line) = validated(&place, "sent.vcon", &[]);
    assert_eq!((code, errors, &line["payload"]), (0, vec![], &Value::Null));
    assert!(line["notes"][0].as_str().unwrap().contains("not decryptable without its private key"), "{line}");
    let (code, errors, _, line) = validated(&place, "sent.vcon", &["--key", "one.key", "--trust", "root.pem"]);
    assert_eq!((code, errors), (0, vec![]));
    let signed = &line["payload"];
    assert_eq!((&signed["form"], &signed["payload"]["form"]), (&"signed".into(), &"unsigned".into()));
    assert!(signed["notes"][0].as_str().unwrap().contains("trusted through `Test Root`"), "{line}");
    assert!(signed["payload"]["warnings"].as_array().unwrap().iter().any(|row| row["check"] == 24), "member `n`");
    let mut other: Vec<&str> = vec!["--key", "two.key"];
    let (code, errors, ..) = validated(&place, "sent.vcon", &other);
    assert_eq!((code, errors), (65, vec![101]));
    other.extend(["--key", "one.key"]);
    assert_eq!(validated(&place, "sent.vcon", &other).0, 0, "any key that fits");
}

#[test]
fn validate_judges_the_attacks_of_the_pack() {
    let place = Place::new();
    let jose = |name: &str| fixture(&format!("vcon/invalid/jose/{name}.json"));
    let root = fixture("certificates/interop/ca_root.crt");
    let trust = ["--trust", &*root, "--lenient-chain"];
    for (name, arguments, expected) in [
        ("jws_payload_tampered", &[][..], 95),
        ("jws_expired_cert", &["--strict"][..], 96),
        ("jws_expired_cert", &trust[..], 96),
        ("jws_uuid_mismatch", &[], 97),
        ("jws_payload_not_vcon", &[], 98),
        ("jws_untrusted_root", &["--trust", &*fixture("certificates/interop/ca2_root.crt")][..], 96),
    ] {
        let (code, errors, ..) = validated(&place, &jose(name), arguments);
        assert_eq!((code, errors), (65, vec![expected]), "{name} {arguments:?}");
    }
    for (name, expected) in
        [("jws_and_unsigned_mixed", 2), ("jws_critical_header", 106), ("jws_hs256_confusion", 93), ("jws_no_x5c", 92)]
    {
        let (code, _, _, line) = validated(&place, &jose(name), &["--strict"]);
        let errors = line["errors"].as_array().unwrap();
        assert!(code == 65 && errors.iter().any(|row| row["check"] == expected), "{name}: {line}");
    }
}
