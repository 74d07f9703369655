//! Signed and encrypted vCons against implementations that know nothing of ours, in both directions.
//!
//! `scripts/setup` installs them for Python under `target/venv`. Where they are missing the tests say so, and fail under CI.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use vconductor_core::jose::{
    Chains, ContentEncryption, EncryptOptions, KeyEncryption, Keys, SignOptions, SignatureAlgorithm, Signers, Trust,
    decrypt, encrypt, sign, verify,
};
use vconductor_core::vcon::Vcon;
use vconductor_tests::authority::{Authority, Kind, Signer};

const UUID: &str = "019e7046-e960-809c-9add-0bb4caa5cfa9";
const TEXT: &str = r#"{"uuid": "019e7046-e960-809c-9add-0bb4caa5cfa9", "n": 1e3, "parties": [ ]}"#;

const SIGNATURES: [(Kind, &str, SignatureAlgorithm); 4] = [
    (Kind::Rsa, "RSA", SignatureAlgorithm::Rs256),
    (Kind::Rsa, "RSA", SignatureAlgorithm::Ps256),
    (Kind::P256, "EC", SignatureAlgorithm::Es256),
    (Kind::Ed25519, "OKP", SignatureAlgorithm::EdDsa),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Python that has the libraries.
fn python() -> Option<PathBuf> {
    let python = root().join("target/venv/bin/python");
    let there = Command::new(&python).args(["-c", "import jwcrypto, joserfc"]).status();
    if there.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    let message = "NOT RUN: jwcrypto and joserfc are not installed under target/venv; run scripts/setup";
    assert!(std::env::var_os("CI").is_none(), "{message}");
    eprintln!("{message}");
    None
}

/// Somebody with keys, and the folder in which both sides meet.
struct Meeting {
    python: PathBuf,
    folder: tempfile::TempDir,
    signer: Signer,
    root: String,
    parameters: Value,
}

impl Meeting {
    fn new(python: &Path, kind: Kind, family: &str) -> Meeting {
        let authority = Authority::new();
        let signer = authority.signer(kind, "a.example.com");
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("key.pem", &signer.key), ("public.pem", &signer.public), ("chain.pem", &signer.chain)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let parameters = json!({"kind": family, "uuid": UUID});
        Meeting { python: python.to_owned(), folder, signer, root: authority.root, parameters }
    }

    fn keys(&self) -> Keys {
        Keys::read("a", self.signer.bundle().as_bytes()).unwrap()
    }

    /// Has the other side do something.
    fn other(&self, what: &str, library: &str, input: &[u8]) -> Result<Vec<u8>, String> {
        std::fs::write(self.folder.path().join("input.vcon"), input).unwrap();
        std::fs::write(self.folder.path().join("parameters.json"), self.parameters.to_string()).unwrap();
        let script = root().join("tests/interop/jose.py");
        let arguments = [script.as_os_str(), what.as_ref(), library.as_ref(), self.folder.path().as_os_str()];
        let done = Command::new(&self.python).args(arguments).output().unwrap();
        match done.status.success() {
            true => Ok(std::fs::read(self.folder.path().join("output.vcon")).unwrap()),
            false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
        }
    }
}

#[test]
fn our_signatures_are_verified_by_others() {
    let Some(python) = python() else { return };
    for (kind, family, algorithm) in SIGNATURES {
        let meeting = Meeting::new(&python, kind, family);
        let keys = meeting.keys();
        let options = SignOptions { algorithm: Some(algorithm), ..SignOptions::default() };
        let signed = sign(&Vcon::read(TEXT).unwrap(), &[keys.signer(None).unwrap()], &options).unwrap();
        for library in ["jwcrypto", "joserfc"] {
            let payload = meeting.other("verify", library, &signed.to_bytes());
            assert_eq!(payload.as_deref(), Ok(TEXT.as_bytes()), "{library} {algorithm}");
            // The other side does look: an altered payload is refused by it.
            let mut altered = signed.document().root().to_value();
            altered["payload"] = json!("e30");
            assert!(meeting.other("verify", library, altered.to_string().as_bytes()).is_err(), "{library} {algorithm}");
        }
    }
}

#[test]
fn signatures_of_others_are_verified_by_us() {
    let Some(python) = python() else { return };
    for (kind, family, algorithm) in SIGNATURES {
        let mut meeting = Meeting::new(&python, kind, family);
        meeting.parameters["algorithm"] = json!(algorithm.as_str());
        let anchors = Keys::read("root", meeting.root.as_bytes()).unwrap();
        let trust = Trust::nobody("2026-11-25T00:00:00Z".parse().unwrap()).anchors(&anchors);
        for library in ["jwcrypto", "joserfc"] {
            let signed = meeting.other("sign", library, TEXT.as_bytes()).unwrap();
            let signed = Vcon::read(signed).unwrap();
            let verdict = verify(signed.document(), &trust, &Chains::none());
            assert!(verdict.is_accepted(Signers::All), "{library} {algorithm}: {}", verdict.refusal());
            assert_eq!(verdict.signatures[0].algorithm.as_deref(), Some(algorithm.as_str()), "{library}");
        }
    }
}

/// A signed vCon to encrypt.
fn signed(meeting: &Meeting) -> Vcon {
    let keys = meeting.keys();
    sign(&Vcon::read(TEXT).unwrap(), &[keys.signer(None).unwrap()], &SignOptions::default()).unwrap()
}

#[test]
fn what_we_encrypt_is_decrypted_by_another() {
    let Some(python) = python() else { return };
    let meeting = Meeting::new(&python, Kind::Rsa, "RSA");
    let (keys, signed) = (meeting.keys(), signed(&meeting));
    for content in ContentEncryption::ALL {
        for key in KeyEncryption::ALL {
            // joserfc looks for `enc` in a protected header only, where the draft does not have it.
            for (protect_enc, library) in [(false, "jwcrypto"), (true, "jwcrypto"), (true, "joserfc")] {
                let options = EncryptOptions { content, key, gzip: false, protect_enc };
                let encrypted = encrypt(&signed, &[&keys.keys()[0]], &options).unwrap();
                let plaintext = meeting.other("decrypt", library, &encrypted.to_bytes());
                assert_eq!(plaintext.as_deref(), Ok(&signed.to_bytes()[..]), "{library} {content:?} {key:?}");
            }
        }
    }
}

#[test]
fn what_others_encrypt_is_decrypted_by_us() {
    let Some(python) = python() else { return };
    let mut meeting = Meeting::new(&python, Kind::Rsa, "RSA");
    let (keys, signed) = (meeting.keys(), signed(&meeting));
    for content in ContentEncryption::ALL {
        for key in KeyEncryption::ALL {
            meeting.parameters["algorithm"] = json!(key.as_str());
            meeting.parameters["encryption"] = json!(content.as_str());
            for library in ["jwcrypto", "joserfc"] {
                let encrypted = meeting.other("encrypt", library, &signed.to_bytes()).unwrap();
                let encrypted = Vcon::read(encrypted).unwrap();
                let decrypted = decrypt(encrypted.document(), &keys).unwrap();
                assert_eq!(decrypted.vcon.to_bytes(), signed.to_bytes(), "{library} {content:?} {key:?}");
            }
        }
    }
}
