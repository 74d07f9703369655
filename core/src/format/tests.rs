//! Wrappings, names and versions; broken and hostile ones, too.

use std::io::{BufReader, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::document::Document;

const VCON: &str =
    r#"{"uuid":"019f15a6-a752-826f-9dd8-dd37220d739c","created_at":"2026-09-10T14:00:00Z","parties":[]}"#;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_vcon_is_read_plain_and_compressed() {
    let limits = Limits::default();
    let uuid = Some("019f15a6-a752-826f-9dd8-dd37220d739c".to_owned());
    assert_eq!(read(VCON, &limits).unwrap().id(), uuid);
    assert_eq!(read(gzip(VCON.as_bytes()), &limits).unwrap().id(), uuid);
    assert_eq!(read(format!("\u{feff}{VCON}"), &limits).unwrap().id(), uuid);
}

#[test]
fn what_a_careful_reader_refuses_says_why() {
    let limits = Limits { bytes: 1 << 20, inflated: 6 << 20, ..Limits::default() };
    let message = |bytes: Vec<u8>| read(bytes, &limits).unwrap_err().chain_text();
    assert!(message(vec![b' '; 2 << 20]).contains("more than the 1048576 that are read"));
    assert!(message(gzip(&vec![b' '; 5 << 20])).contains("more than 250 times as much"));
    assert!(message(gzip(&vec![b' '; 8 << 20])).contains("inflate to more than the 6291456"));
    assert!(message([gzip(VCON.as_bytes()), b"x".to_vec()].concat()).contains("1 bytes follow the end"));
    let cut = gzip(VCON.as_bytes());
    assert!(message(cut[..cut.len() / 2].to_vec()).contains("the gzip data is broken"));
    assert!(message(b"PK\x03\x04 and no more".to_vec()).contains("the ZIP cannot be read"));
    let twice = gzip(&gzip(VCON.as_bytes()));
    assert!(read(twice, &limits).unwrap_err().help_text().is_some_and(|help| help.contains("gzip")));
}

/// A stream shows at its end that something follows, but what came before is not lost.
#[test]
fn a_stream_is_inflated_member_by_member() {
    let two = [gzip(b"one\n"), gzip(b"two\n"), vec![0; 100]].concat();
    for size in [1, 2, 7, 4096] {
        let mut text = String::new();
        GzipReader::new(BufReader::with_capacity(size, &two[..])).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
        let followed = [&two[..], b"more"].concat();
        let mut bytes = Vec::new();
        let error = GzipReader::new(BufReader::with_capacity(size, &followed[..])).read_to_end(&mut bytes).unwrap_err();
        assert_eq!(bytes, b"one\ntwo\n");
        assert!(error.to_string().contains("follows the end"), "{error}");
    }
}

#[test]
fn names_and_media_types_promise_what_is_worth_a_look() {
    for (name, kind) in [
        ("a.vcon", Some(Kind::Vcon)),
        ("a.vcon.json", Some(Kind::Vcon)),
        ("A.JSON", Some(Kind::Vcon)),
        ("a.vcon.gz", Some(Kind::Compressed)),
        ("a.vconz", Some(Kind::Bundle)),
        ("a.ndjson", Some(Kind::Lines)),
        ("a.mp3", None),
        ("vcon", None),
    ] {
        assert_eq!(Kind::of_name(name), kind, "{name}");
    }
    for (mediatype, kind) in [
        ("application/vcon", Some(Kind::Vcon)),
        ("application/vcon+json; charset=utf-8", Some(Kind::Vcon)),
        ("Application/VCON+gzip", Some(Kind::Compressed)),
        ("audio/wav", None),
        ("", None),
    ] {
        assert_eq!(Kind::of_mediatype(mediatype), kind, "{mediatype}");
    }
}

#[test]
fn a_version_is_told_by_members_and_not_by_what_the_vcon_says() {
    for (members, version) in [
        (r#""vcon":"0.0.1""#, Version::V0_4_0),
        (r#""vcon":"0.4.0","dialog":[{"mimetype":"text/plain"}]"#, Version::V0_0_1),
        (r#""dialog":[{"mediatype":"text/plain"}],"attachments":[{"alg":"SHA-512"}]"#, Version::V0_0_1),
        (r#""dialog":[{"transfer-target":0}]"#, Version::V0_0_2),
        (r#""group":[{}]"#, Version::V0_0_2),
        (r#""group":[],"appended":null"#, Version::V0_4_0),
        (r#""must_support":["x"]"#, Version::V0_3_0),
        (r#""analysis":[{"transcript":"hello"}],"dialog":[{"mimetype":"x"}]"#, Version::PreDraft),
    ] {
        let document = Document::parse(format!("{{{members}}}")).unwrap();
        assert_eq!(Version::of(document.root()), version, "{members}");
    }
}

#[test]
fn the_payload_of_a_signed_vcon_is_opened_without_its_key() {
    use base64::Engine as _;
    let open = |payload: &[u8]| {
        let payload_text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
        let jws = Document::parse(format!(r#"{{"payload":"{payload_text}","signatures":[{{}}]}}"#)).unwrap();
        payload_of(&jws)
    };
    assert_eq!(open(VCON.as_bytes()).unwrap(), VCON);
    assert_eq!(open(&gzip(VCON.as_bytes())).unwrap(), VCON);
    assert!(open(b"no json").is_err());
    let bomb = Document::parse(format!(
        r#"{{"payload":"{}"}}"#,
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(gzip(&vec![b' '; 2 << 20]))
    ));
    let limits = Limits { inflated: 1 << 20, ..Limits::default() };
    assert!(payload(bomb.unwrap().root(), &limits).is_err());
    for jws in [r#"{"payload":7}"#, r#"{"payload":"***"}"#, "{}"] {
        assert!(payload_of(&Document::parse(jws).unwrap()).is_err(), "{jws}");
    }
}

fn payload_of(jws: &Document) -> crate::Result<String> {
    payload(jws.root(), &Limits::default()).map(|payload| payload.document.root().text().into_owned())
}

proptest! {
    /// Bytes from strangers are judged, whatever they are, and never cost more than the limits say.
    #[test]
    fn nothing_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), wrap in 0..4) {
        let limits = Limits { inflated: 1 << 16, ..Limits::default() };
        let bytes = match wrap {
            0 => bytes,
            1 => [b"\x1f\x8b\x08\x00".to_vec(), bytes].concat(),
            2 => gzip(&bytes),
            _ => [b"PK\x03\x04".to_vec(), bytes].concat(),
        };
        drop(open(bytes.clone(), &limits));
        drop(read(bytes, &limits));
    }
}
