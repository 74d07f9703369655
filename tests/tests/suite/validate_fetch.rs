//! `validate --fetch` over https: content, and chains of certificates behind a URL.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vconductor_core::audio::content_hash;
use vconductor_core::jose::{Keys, SignOptions, sign};
use vconductor_core::vcon::Vcon;
use vconductor_tests::authority::{Authority, Kind};
use vconductor_tests::servers::https::HttpsServer;

/// Exit code and the line for `vcon` in the folder of the server.
fn validated(server: &HttpsServer, folder: &Path, file: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
    command.args(["validate", file, "--output", "jsonl"]).args(arguments).current_dir(folder);
    let done = command.env("SSL_CERT_FILE", server.authority()).stdin(Stdio::null()).output().expect("validate runs");
    let line = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (done.status.code(), line)
}

fn checks(line: &Value) -> Vec<u64> {
    line["errors"].as_array().into_iter().flatten().filter_map(|row| row["check"].as_u64()).collect()
}

fn write_call(folder: &Path, url: &str, hash: &str) {
    let call = json!({
        "uuid": "019e7045-10b8-8023-9add-0bb4caa5cfa9", "created_at": "2026-09-10T14:00:00Z", "parties": [{}],
        "dialog": [{"type": "text", "start": "2026-09-10T14:00:00Z", "parties": 0, "url": url, "content_hash": hash}],
    });
    std::fs::write(folder.join("call.vcon"), call.to_string()).expect("a file");
}

#[test]
fn external_content_is_fetched_only_where_that_is_allowed_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.txt"), "hello").expect("a file");
    let server = HttpsServer::start(folder.path());
    let allowed = ["--fetch", "--allow", "127.0.0.1"];
    let right = content_hash(b"hello");
    write_call(folder.path(), &server.url("a.txt"), &right);
    let (code, line) = validated(&server, folder.path(), "call.vcon", &allowed);
    assert_eq!((code, line["errors"].as_array().map(Vec::len), line.get("notes")), (Some(0), Some(0), None), "{line}");
    // Without leave no private address is asked; without --fetch nothing at all.
    let (code, line) = validated(&server, folder.path(), "call.vcon", &["--fetch"]);
    assert!(code == Some(0) && line["notes"][0].as_str().is_some_and(|note| note.contains("loopback")), "{line}");
    let (_, line) = validated(&server, folder.path(), "call.vcon", &[]);
    assert_eq!(line.get("notes"), None, "{line}");
    std::fs::write(folder.path().join("a.txt"), "hellO").expect("a file");
    let (code, line) = validated(&server, folder.path(), "call.vcon", &allowed);
    assert_eq!((code, checks(&line)), (Some(65), vec![74]), "{line}");
    assert_eq!(line["errors"][0]["pointer"], "/dialog/0/content_hash");
    write_call(folder.path(), &server.url("missing.txt"), &right);
    let (code, line) = validated(&server, folder.path(), "call.vcon", &allowed);
    assert!(code == Some(0) && line["notes"][0].as_str().is_some_and(|note| note.contains("404")), "{line}");
}

#[test]
fn a_chain_behind_a_url_is_fetched_and_leads_to_the_anchor() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, others) = (Authority::new(), Authority::new());
    let signer = authority.signer(Kind::P256, "signer.example.com");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write("chain.pem", &signer.chain);
    write("root.pem", &authority.root);
    write("other.pem", &others.root);
    let server = HttpsServer::start(folder.path());
    let keys = Keys::read("signer", signer.bundle().as_bytes()).expect("a key");
    let options = SignOptions { x5u: Some(server.url("chain.pem")), ..SignOptions::default() };
    let call =
        json!({"uuid": "019e7045-10b8-8023-9add-0bb4caa5cfa9", "created_at": "2026-09-10T14:00:00Z", "parties": [{}]});
    let signed = sign(&Vcon::read(call.to_string()).expect("a vCon"), &[keys.signer(None).expect("a key")], &options);
    write("signed.vcon", &String::from_utf8_lossy(&signed.expect("it signs").to_bytes()));
    let validated = |arguments: &[&str]| validated(&server, folder.path(), "signed.vcon", arguments);

    let (code, line) = validated(&["--trust", "root.pem"]);
    let note = |line: &Value| line["notes"][0].as_str().unwrap_or_default().to_owned();
    assert!(code == Some(0) && note(&line).contains("was not fetched"), "{line}");
    let fetch = ["--fetch", "--allow", "127.0.0.1"];
    let (code, line) = validated(&[&["--trust", "root.pem"], &fetch[..]].concat());
    assert!(code == Some(0) && note(&line).contains("trusted through `Test Root`"), "{line}");
    let (code, line) = validated(&[&["--trust", "other.pem"], &fetch[..]].concat());
    assert_eq!((code, checks(&line)), (Some(65), vec![96]), "{line}");
    // Somebody puts the chain of another signer there.
    write("chain.pem", &authority.signer(Kind::P256, "another.example.com").chain);
    let (code, line) = validated(&[&["--trust", "root.pem"], &fetch[..]].concat());
    assert_eq!((code, checks(&line)), (Some(65), vec![94]), "{line}");
    let (_, line) = validated(&["--trust", "root.pem", "--fetch"]);
    assert!(note(&line).contains("loopback"), "{line}");
}
