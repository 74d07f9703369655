//! Signatures and encryption: any document gets a verdict, and one that was tampered with is never accepted as something
//! that nobody signed.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use vconductor_core::document::Document;
use vconductor_core::jose::{
    Chains, EncryptOptions, Keys, Payload, SignOptions, Signers, Trust, check_encrypted, decrypt, encrypt, sign, verify,
};
use vconductor_core::vcon::Vcon;

#[path = "../../src/authority.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests")]
mod authority;

const PLAIN: &str = r#"{"uuid":"019e7046-e960-809c-9add-0bb4caa5cfa9","created_at":"2026-09-10T14:00:00Z","parties":[]}"#;

struct World {
    keys: Keys,
    trust: Trust,
    signed: String,
    encrypted: String,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let authority = authority::Authority::new();
        let signer = authority.signer(authority::Kind::Rsa, "Signer");
        let keys = Keys::read("signer", signer.bundle().as_bytes()).expect("a key");
        let anchors = Keys::read("root", authority.root.as_bytes()).expect("a root");
        let trust = Trust::nobody("2026-11-25T00:00:00Z".parse().expect("a time")).anchors(&anchors);
        let key = keys.signer(None).expect("a private key");
        let plain = Vcon::read(PLAIN).expect("a vCon");
        let signed = sign(&plain, &[key], &SignOptions::default()).expect("signed");
        let encrypted = encrypt(&signed, &[key], &EncryptOptions::default()).expect("encrypted");
        let text = |vcon: &Vcon| String::from_utf8(vcon.to_bytes().to_vec()).expect("JSON");
        let (signed, encrypted) = (text(&signed), text(&encrypted));
        World { keys, trust, signed, encrypted }
    })
}

// The first byte says what the rest is: a document, or changes to a signed or an encrypted one (place, byte).
fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let world = world();
    let text = match kind % 3 {
        0 => rest.to_vec(),
        1 => changed(&world.signed, rest),
        _ => changed(&world.encrypted, rest),
    };
    let Ok(document) = Document::parse(text) else {
        return;
    };
    let verdict = verify(&document, &world.trust, &Chains::default());
    if verdict.is_accepted(Signers::Any) {
        let payload = Payload::of(&document).expect("an accepted vCon has a payload");
        let vcon = payload.innermost().expect("an accepted vCon has an unsigned vCon inside");
        assert_eq!(&vcon.to_bytes()[..], PLAIN.as_bytes(), "somebody else's words were accepted");
    }
    drop(check_encrypted(&document));
    if let Ok(opened) = decrypt(&document, &world.keys) {
        assert_eq!(&opened.vcon.to_bytes()[..], world.signed.as_bytes(), "an altered content was opened");
    }
});

fn changed(text: &str, changes: &[u8]) -> Vec<u8> {
    let mut text = text.as_bytes().to_vec();
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % text.len();
        text[place] = change[2];
    }
    text
}
