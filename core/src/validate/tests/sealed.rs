//! Forms and wrappings: text that is not well-formed, signed, encrypted, compressed and bundled vCons, and media.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{SOUND, changed, checked, strict, told};
use crate::audio::content_hash;
use crate::document::View;
use crate::format::Limits;
use crate::validate::{Findings, Form, Mode, Seals, Validator};

const UUID: &str = "019e7045-10b8-8023-9add-0bb4caa5cfa9";

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A JWS around `payload` with one signature, whose headers are given as JSON.
fn jws(payload: &[u8], protected: &str, header: &str) -> String {
    format!(
        r#"{{"payload":"{}","signatures":[{{"protected":"{}","header":{header},"signature":"QUJD"}}]}}"#,
        URL_SAFE_NO_PAD.encode(payload),
        encoded(protected),
    )
}

fn header(members: &str) -> String {
    format!(r#"{{"x5c":["MIIB"],"uuid":"{UUID}"{members}}}"#)
}

/// What is found in a sound vCon that is signed with these headers.
fn signed(protected: &str, header: &str) -> Vec<String> {
    told(&checked(&strict(), jws(SOUND.as_bytes(), protected, header)))
}

#[test]
fn a_text_that_is_not_well_formed_is_check_3() {
    for text in ["", "{", "{}x", "{\"uuid\": nope}", "[1,]", "\u{feff}{}", "{\"uuid\":1,\"uuid\":1}", "{\"a\":NaN}"] {
        let report = checked(&strict(), text);
        assert!(report.fails() && told(&report)[0].starts_with("E3"), "{text}: {:?}", told(&report));
        assert_eq!(report.form, Form::Unparsable, "{text}");
    }
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(told(&checked(&strict(), deep)), ["E3 "]);
    assert_eq!(told(&checked(&strict(), b"{\"a\":\"\xff\"}".to_vec())), ["E3 "]);
    let text = SOUND.replacen("Alice", "\\ud800", 1);
    assert_eq!(told(&checked(&strict(), text)), ["E3 /parties/0/name"]);
    let twice = SOUND.replacen("\"validation\": \"none\"", "\"validation\": \"none\", \"validation\": \"x\"", 1);
    assert_eq!(told(&checked(&strict(), twice.clone())), ["E3 /parties/0/validation"]);
    // What can be read is read when the mode allows it, and judged further.
    let tolerant = checked(&Validator::default(), format!("\u{feff}{twice}"));
    assert!(!tolerant.fails() && tolerant.form == Form::Unsigned);
    assert_eq!(told(&tolerant), ["E3 ", "E3 /parties/0/validation"]);
}

#[test]
fn what_is_no_object_or_no_vcon_is_refused_in_both_modes() {
    for validator in [strict(), Validator::default()] {
        for text in ["[]", "\"text\"", "7", "null"] {
            let report = checked(&validator, text);
            assert_eq!((told(&report), report.form), (vec!["E1 ".to_owned()], Form::NotVcon), "{text}");
            assert!(report.fails());
        }
        let report = checked(&validator, "{\"created_at\": \"2026-09-10T14:00:00Z\", \"name\": 1}");
        assert_eq!(told(&report), ["E4 /uuid", "W22 ", "W24 /name"]);
        assert!(report.fails() && report.form == Form::NotVcon);
    }
}

/// The documented list: unreadable, unsafe, unidentifiable. Everything else is let pass.
#[test]
fn the_tolerant_mode_fails_on_its_list_only() {
    for edits in [
        "/uuid = 7",
        "/created_at = \"2026-02-30T14:00:00Z\"",
        "/critical = [1]",
        "/critical = [\"x\"];; /extensions = [\"x\"]",
        "/parties = {}",
        "/dialog/- = \"text\"",
        "/dialog/0/body = \"abd\";; /dialog/0/content_hash = \"sha256-ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0\"",
    ] {
        assert!(checked(&Validator::default(), changed(edits)).fails(), "{edits}");
    }
    for edits in [
        "/uuid -",
        "/uuid = \"SAMPLE-1234\"",
        "/created_at -",
        "/created_at = 1757512800",
        "/created_at = \"Thu, 10 Sep 2026 14:00:00 GMT\"",
        "/extensions = 7",
        "/parties = null",
        "/vcon = \"0.0.1\"",
        "/dialog/0/type = \"video\"",
        "/dialog/0/body = \"a+b/\";; /dialog/0/encoding = \"base64url\"",
        "/dialog/1/url = \"file:///etc/passwd\"",
        "/redacted = {}",
    ] {
        let report = checked(&Validator::default(), changed(edits));
        assert!(!report.fails() && !report.found.is_empty(), "{edits}");
        assert!(checked(&strict(), changed(edits)).fails(), "{edits}");
    }
}

#[test]
fn a_sound_signature_is_let_pass_and_its_payload_is_judged() {
    let report = checked(&strict(), jws(SOUND.as_bytes(), r#"{"typ":"JWT"}"#, &header(r#","alg":"RS256""#)));
    assert_eq!((told(&report), report.form, report.fails()), (vec![], Form::Signed, false));
    assert!(report.notes[0].contains("not verified"), "{:?}", report.notes);
    let inside = report.payload.unwrap();
    assert_eq!((told(&inside), inside.form), (vec![], Form::Unsigned));
    // Compressed, and with a fault inside.
    let text = gzip(changed("/created_at -").as_bytes());
    let report = checked(&strict(), jws(&text, "{}", &header(r#","alg":"PS256""#)));
    assert_eq!(told(&report), Vec::<String>::new());
    assert!(report.fails());
    assert_eq!(told(&report.payload.unwrap()), ["E7 /created_at"]);
}

#[test]
fn faults_of_headers_are_found() {
    let alg = |alg: &str| format!(r#"{{"alg":"{alg}"}}"#);
    let both = header(r#","alg":"RS256""#);
    assert_eq!(signed(&alg("RS256"), &header("")), ["W93 /signatures/0/header"]);
    assert_eq!(signed("{}", &header("")), ["E93 /signatures/0/header"]);
    for refused in ["none", "None", "HS256", "HS512", "RSA1_5", ""] {
        assert_eq!(signed(&alg(refused), &header("")), ["E93 /signatures/0/header/alg"], "{refused}");
        // The header that nobody signed cannot make it better.
        let found = signed(&alg(refused), &both);
        assert_eq!(found, ["E93 /signatures/0/header/alg", "E94 /signatures/0/header/alg"], "{refused}");
    }
    assert_eq!(signed(&alg("RS256"), &both), ["W94 /signatures/0/header"]);
    assert_eq!(signed(&alg("ES256"), &both), ["E94 /signatures/0/header/alg"]);
    let bare = format!(r#"{{"alg":"RS256","uuid":"{UUID}"}}"#);
    assert_eq!(signed("{}", &bare), ["E92 /signatures/0/header"]);
    let x5u = |url: &str| format!(r#"{{"alg":"RS256","uuid":"{UUID}","x5u":"{url}"}}"#);
    assert_eq!(signed("{}", &x5u("https://example.com/chain.pem")), Vec::<String>::new());
    assert_eq!(signed("{}", &x5u("http://example.com/chain.pem")), ["E104 /signatures/0/header/x5u"]);
    assert_eq!(signed(r#"{"crit":["exp"],"exp":1}"#, &both), ["E106 /signatures/0/header"]);
    assert_eq!(signed("{}", &header(r#","alg":"RS256","crit":["x"]"#)), ["E106 /signatures/0/header/crit"]);
}

#[test]
fn faults_of_the_frame_are_found() {
    let sound = jws(SOUND.as_bytes(), "{}", &header(r#","alg":"RS256""#));
    let with = |from: &str, to: &str| told(&checked(&strict(), sound.replacen(from, to, 1)));
    assert_eq!(with("\"signature\":\"QUJD\"", "\"signature\":\"Q+==\""), ["E91 /signatures/0/signature"]);
    assert_eq!(with(",\"signature\":\"QUJD\"", ""), ["E91 /signatures/0"]);
    assert_eq!(with("\"protected\":\"e30\"", "\"protected\":\"W10\""), ["E91 /signatures/0/protected"]);
    assert_eq!(with("\"protected\":\"e30\"", "\"protected\":7"), ["E91 /signatures/0/protected"]);
    let payload = encoded(SOUND);
    let lone = format!(r#"{{"payload":"{payload}","signatures":[]}}"#);
    assert_eq!(told(&checked(&strict(), lone))[0], "E90 /signatures");
    let flat = format!(r#"{{"payload":"{payload}","protected":"e30","signature":"QUJD"}}"#);
    assert_eq!(told(&checked(&strict(), flat))[0], "E90 /signatures");
    let number =
        r#"{"payload":7,"signatures":[{"protected":"e30","header":{"alg":"RS256","x5c":[]},"signature":"QUJD"}]}"#;
    assert_eq!(told(&checked(&strict(), number)), ["E90 /payload", "E98 /payload"]);
    let headless = sound.replacen("\"header\":", "\"heather\":", 1);
    let found = told(&checked(&strict(), headless));
    assert!(found.contains(&"E91 /signatures/0".to_owned()), "{found:?}");
}

#[test]
fn the_payload_must_be_the_vcon_that_the_header_names() {
    let alg = r#"{"alg":"RS256","x5c":["MIIB"]}"#;
    assert_eq!(signed("{}", alg), ["W97 /signatures"]);
    let other = header(r#","alg":"RS256""#).replace("cfa9", "cfa8");
    assert_eq!(signed("{}", &other), ["E97 /signatures/0/header/uuid"]);
    let upper = header(r#","alg":"RS256""#).replace(UUID, &UUID.to_uppercase());
    assert_eq!(signed("{}", &upper), Vec::<String>::new());
    for payload in ["[]", "{\"a\":1}", "no json", ""] {
        let report = checked(&strict(), jws(payload.as_bytes(), "{}", &header(r#","alg":"RS256""#)));
        assert_eq!(told(&report), ["E98 /payload"], "{payload}");
    }
    let mixed = jws(SOUND.as_bytes(), "{}", &header(r#","alg":"RS256""#)).replacen('{', "{\"parties\":[],", 1);
    assert_eq!(told(&checked(&strict(), mixed)), ["E2 "]);
    assert_eq!(told(&checked(&strict(), SOUND.replacen('{', "{\"payload\":\"\",", 1)))[0], "E2 ");
}

/// An archive signs again what was signed, and only so often.
#[test]
fn signatures_in_signatures_are_followed_within_bounds() {
    let again = |text: &str| jws(text.as_bytes(), "{}", &header(r#","alg":"RS256""#));
    let twice = again(&again(SOUND));
    let report = checked(&strict(), twice);
    assert_eq!((told(&report), report.fails()), (vec![], false));
    assert_eq!(report.payload.unwrap().payload.unwrap().form, Form::Unsigned);
    let deep = (0..12).fold(SOUND.to_owned(), |text, _| again(&text));
    let report = checked(&strict(), deep);
    assert!(report.fails());
}

const JWE: &str = r#"{"unprotected":{"cty":"application/vcon","enc":"A256CBC-HS512","uuid":"019e7045-10b8-8023-9add-0bb4caa5cfa9"},
  "recipients":[{"header":{"alg":"RSA-OAEP"},"encrypted_key":"QUJD"}],"iv":"QUJD","ciphertext":"QUJD","tag":"QUJD"}"#;

#[test]
fn an_encrypted_vcon_is_recognised_and_its_frame_is_judged() {
    let report = checked(&strict(), JWE);
    assert_eq!((told(&report), report.form, report.fails()), (vec![], Form::Encrypted, false));
    assert!(report.notes[0].contains("not decryptable"), "{:?}", report.notes);
    let with = |from: &str, to: &str| told(&checked(&strict(), JWE.replacen(from, to, 1)));
    assert_eq!(with("\"tag\":\"QUJD\"", "\"tag\":7"), ["E99 /tag"]);
    assert_eq!(with("\"iv\":\"QUJD\",", ""), ["E99 /iv"]);
    assert_eq!(with("\"ciphertext\"", "\"cyphertext\""), ["E99 /ciphertext"]);
    assert_eq!(with("\"unprotected\":{", "\"other\":{"), ["E100 /unprotected", "E99 /unprotected"]);
    assert_eq!(with("\"recipients\":[{", "\"recipients\":[],\"x\":[{"), ["E99 /recipients"]);
    assert_eq!(with("RSA-OAEP", "RSA1_5"), ["E100 /recipients/0"]);
    assert_eq!(with("RSA-OAEP", "dir"), ["E100 /recipients/0"]);
    assert_eq!(with("A256CBC-HS512", "A256GCM"), Vec::<String>::new());
    assert_eq!(with("A256CBC-HS512", "A128CBC-HS256"), ["E100 /unprotected"]);
    assert_eq!(with("\"iv\"", "\"protected\":\"eyJjcml0IjpbXX0\",\"iv\""), ["E106 /protected"]);
}

/// Decrypts to a given text, and finds every signature right.
struct Opens(&'static str);

impl Seals for Opens {
    fn verify(&self, _: View<'_>, _: bool, _: &mut Findings) -> Vec<String> {
        vec!["signed by a test".to_owned()]
    }

    fn decrypt(&self, _: View<'_>, _: &mut Findings) -> Option<Bytes> {
        let signed = jws(SOUND.as_bytes(), "{}", &header(r#","alg":"RS256""#));
        Some(match self.0 {
            "signed" => signed.into(),
            "compressed" => gzip(signed.as_bytes()).into(),
            "another" => jws(
                changed("/uuid = \"019e7045-10b8-8023-9add-0bb4caa5cfa8\"").as_bytes(),
                "{}",
                &header(r#","alg":"RS256""#).replace("cfa9", "cfa8"),
            )
            .into(),
            other => other.to_owned().into(),
        })
    }
}

#[test]
fn what_is_encrypted_must_be_signed_and_be_the_vcon_that_the_header_names() {
    for (inside, expected) in [
        ("signed", vec![]),
        ("compressed", vec![]),
        (SOUND, vec!["E102 /ciphertext"]),
        ("no json", vec!["E102 /ciphertext"]),
        ("another", vec!["E103 /unprotected/uuid"]),
    ] {
        let opens = Opens(inside);
        let validator = Validator { mode: Mode::Strict, seals: Some(&opens), ..Validator::default() };
        let report = checked(&validator, JWE);
        assert_eq!(told(&report), expected, "{inside}");
        assert_eq!(report.fails(), !expected.is_empty(), "{inside}");
    }
}

#[test]
fn gzip_is_bounded_and_ends_where_it_ends() {
    assert_eq!(told(&checked(&strict(), gzip(SOUND.as_bytes()))), Vec::<String>::new());
    let two: Vec<u8> = [gzip(&SOUND.as_bytes()[..100]), gzip(&SOUND.as_bytes()[100..]), vec![0; 512]].concat();
    assert_eq!(told(&checked(&strict(), two)), Vec::<String>::new(), "several members, padded with zeros");
    let followed = [gzip(SOUND.as_bytes()), b"more".to_vec()].concat();
    assert_eq!(told(&checked(&strict(), followed)), ["E105 "]);
    let cut = gzip(SOUND.as_bytes());
    assert_eq!(told(&checked(&strict(), cut[..cut.len() - 9].to_vec())), ["E3 "]);
    let bomb = gzip(format!("{SOUND}{}", " ".repeat(6 << 20)).as_bytes());
    let report = checked(&Validator::default(), bomb.clone());
    assert_eq!((told(&report), report.fails()), (vec!["E105 ".to_owned()], true));
    let limits = Limits { inflated: 1 << 20, ..Limits::default() };
    let report = checked(&Validator { limits, ..Validator::default() }, bomb);
    assert_eq!((told(&report), report.fails()), (vec!["E105 ".to_owned()], true));
}

fn bundle(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const MANIFEST: (&str, &[u8]) = ("manifest.json", br#"{"format":"vcon-bundle","version":"1.0"}"#);

#[test]
fn every_vcon_of_a_bundle_is_judged_and_the_bundle_itself() {
    let vcon = format!("vcons/{UUID}.json");
    let file = format!("files/{}.mp3", content_hash(b"sound"));
    let sound = bundle(&[MANIFEST, (&vcon, SOUND.as_bytes()), (&file, b"sound")]);
    let reports = strict().check(sound);
    assert_eq!(reports.iter().map(|(name, _)| name.as_deref()).collect::<Vec<_>>(), [None, Some(&*vcon)]);
    assert!(reports.iter().all(|(_, report)| !report.fails()));

    let found = |entries: &[(&str, &[u8])]| told(&strict().check(bundle(entries)).remove(0).1);
    assert_eq!(found(&[(&vcon, SOUND.as_bytes())]), ["E107 manifest.json"]);
    assert_eq!(found(&[("manifest.json", b"{}"), (&vcon, SOUND.as_bytes())]), ["E107 manifest.json"]);
    assert_eq!(found(&[MANIFEST, (&file, b"noise")]), [format!("E107 {file}")]);
    assert_eq!(found(&[MANIFEST, ("files/call.mp3", b"x")]), ["E107 files/call.mp3"]);
    let other = "vcons/019e7045-10b8-8023-9add-0bb4caa5cfa8.json";
    assert_eq!(found(&[MANIFEST, (other, SOUND.as_bytes())]), [format!("E107 {other}")]);
    for name in ["../evil.json", "/etc/passwd", "vcons/../../x", "a\\b", "C:/x", "vcons/./x"] {
        assert_eq!(found(&[MANIFEST, (name, b"x")]), [format!("E107 {name}")]);
    }
    assert_eq!(found(&[MANIFEST, ("extensions/x.json", b"{}"), ("vcons/", b"")]), Vec::<String>::new());
    let upper = format!("vcons/{}.json", UUID.to_uppercase());
    assert_eq!(found(&[MANIFEST, (&vcon, SOUND.as_bytes()), (&upper, SOUND.as_bytes())]), [format!("E107 {upper}")]);
}

#[test]
fn a_bundle_is_bounded_and_a_broken_one_is_named() {
    let vcon = format!("vcons/{UUID}.json");
    let sound = bundle(&[MANIFEST, (&vcon, SOUND.as_bytes())]);
    let fails = |limits: Limits, bytes: &[u8]| {
        let report = checked(&Validator { limits, ..Validator::default() }, bytes);
        assert_eq!((told(&report), report.form), (vec!["E107 ".to_owned()], Form::Bundle));
    };
    fails(Limits { entries: 1, ..Limits::default() }, &sound);
    fails(Limits { inflated: 100, ..Limits::default() }, &sound);
    fails(Limits::default(), &sound[..sound.len() - 30]);
    let broken = checked(&strict(), gzip(&sound));
    assert_eq!(told(&broken), ["E3 "], "{:?}", broken.found);
}

/// A WAV of silence.
fn wav(channels: u16) -> Vec<u8> {
    let samples = vec![0_u8; usize::from(channels) * 2 * 800];
    let mut file = b"RIFF".to_vec();
    file.extend((36 + samples.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(8000_u32.to_le_bytes());
    file.extend((8000 * 2 * u32::from(channels)).to_le_bytes());
    file.extend((2 * channels).to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend((samples.len() as u32).to_le_bytes());
    file.extend(samples);
    file
}

#[test]
fn parties_are_compared_with_the_channels_of_a_recording() {
    let found = |channels: u16, parties: &str| {
        let body = URL_SAFE_NO_PAD.encode(wav(channels));
        let recording = format!(
            r#"{{"type":"recording","start":"2026-09-10T14:00:00Z","parties":{parties},"mediatype":"audio/x-wav","encoding":"base64url","body":"{body}"}}"#
        );
        told(&checked(&strict(), changed(&format!("/dialog/0 = {recording}"))))
    };
    for (channels, parties) in
        [(1, "0"), (1, "[0, 1]"), (1, "[[0, 1]]"), (2, "[0, 1]"), (2, "[[0, 2], 1]"), (2, "[0, null]")]
    {
        assert_eq!(found(channels, parties), Vec::<String>::new(), "{channels} {parties}");
    }
    for (channels, parties) in [(2, "0"), (2, "[0]"), (2, "[0, 1, 2]"), (1, "[0, null]"), (1, "[[0], [1]]")] {
        assert_eq!(found(channels, parties), ["W38 /dialog/0/parties"], "{channels} {parties}");
    }
}
