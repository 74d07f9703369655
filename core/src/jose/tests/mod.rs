//! Signed and encrypted vCons: published ones, our own, and attacks on both, each refused for its own reason.

mod attacks;
mod encryption;
mod keys;
mod published;
mod seals;
mod signatures;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::document::Document;
use crate::vcon::{Form, Vcon};

#[allow(dead_code, unreachable_pub, reason = "a public module of the crate of suites")]
#[path = "../../../../tests/src/authority.rs"]
mod authority;

use authority::{Authority, Kind, Signer, Years};

/// A vCon as it may come: odd spelling that must survive.
const TEXT: &str = r#"{"uuid": "019e7046-e960-809c-9add-0bb4caa5cfa9",
 "created_at":"2026-09-10T14:00:00Z", "x": 1e3, "parties": [ ]}"#;

const UUID: &str = "019e7046-e960-809c-9add-0bb4caa5cfa9";

fn vcon() -> Vcon {
    Vcon::read(TEXT).unwrap()
}

fn file(path: &str) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn published(path: &str) -> Vcon {
    Vcon::read(file(&format!("vcon/{path}"))).unwrap()
}

fn keys(sources: &[&str]) -> Keys {
    let mut keys = Keys::default();
    for (number, source) in sources.iter().enumerate() {
        keys.add(Keys::read(&format!("key{number}"), source.as_bytes()).unwrap());
    }
    keys
}

fn certificates(paths: &[&str]) -> Keys {
    let mut keys = Keys::default();
    for path in paths {
        keys.add(Keys::read(path, &file(&format!("certificates/{path}"))).unwrap());
    }
    keys
}

/// Trusts the root of `authority` at the time of writing.
fn trusting(authority: &Authority) -> Trust {
    at("2026-11-25T00:00:00Z").anchors(&keys(&[&authority.root]))
}

fn at(time: &str) -> Trust {
    Trust::nobody(time.parse().unwrap())
}

fn signed_by(signer: &Signer) -> Vcon {
    let keys = keys(&[&signer.bundle()]);
    sign(&vcon(), &[keys.signer(None).unwrap()], &SignOptions::default()).unwrap()
}

/// The document after a change.
fn changed(vcon: &Vcon, change: impl FnOnce(&mut Value)) -> Document {
    let mut value = vcon.document().root().to_value();
    change(&mut value);
    Document::from_value(&value).unwrap()
}

fn reasons(verdict: &Verdict) -> Vec<Reason> {
    verdict.all_faults().map(|fault| fault.reason).collect()
}

fn judge(signed: &Vcon, trust: &Trust) -> Verdict {
    verify(signed.document(), trust, &Chains::none())
}
