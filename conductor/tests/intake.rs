//! Conversations from what is not a vCon: `vcon import` and `ingest` over real files of every kind.

mod place;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use place::Place;
use serde_json::Value;

const START: [&str; 2] = ["--start", "2026-03-01T10:00:00Z"];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A place with copies of fixtures under their own names.
fn place(names: &[&str]) -> Place {
    let place = Place::new();
    for name in names {
        place.write(Path::new(name).file_name().unwrap().to_str().unwrap(), fixture(name));
    }
    place
}

/// The vCons that are made of `paths`, each of which the newest draft finds no fault with.
fn imported(place: &Place, paths: &[&str]) -> Vec<Value> {
    let done = place.run(&[&["vcon", "import"], paths, &START].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    let again = place.run(&[&["vcon", "import"], paths, &START].concat());
    assert_eq!(again.stdout, done.stdout, "importing twice makes the same");
    place.write("made.jsonl", &done.stdout);
    let checked = place.run(&["validate", "--strict", "made.jsonl", "--output", "jsonl"]);
    for line in checked.stdout.lines() {
        let report: Value = serde_json::from_str(line).unwrap();
        assert_eq!(report["errors"], Value::Array(Vec::new()), "{}", done.stdout);
        // Names that nobody validated (30), what a transcript alone does not tell: who took part, the sound (37, 62), and
        // where the media of a bundle lay (24).
        for warning in report["warnings"].as_array().unwrap() {
            let (check, pointer) = (warning["check"].as_u64().unwrap(), warning["pointer"].as_str().unwrap());
            assert!([30, 37, 62].contains(&check) || check == 24 && pointer.ends_with("/meta"), "{warning}");
        }
    }
    std::fs::remove_file(place.0.path().join("made.jsonl")).unwrap();
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn shown(place: &Place, vcon: &Value) -> String {
    place.write("made.vcon", vcon.to_string());
    let done = place::done(place.command(&["show", "made.vcon"]).env("COLUMNS", "80"));
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    std::fs::remove_file(place.0.path().join("made.vcon")).unwrap();
    done.stdout
}

#[test]
fn a_mailbox_becomes_its_threads() {
    let place = place(&["mail/support.mbox"]);
    let done = place.run(&["vcon", "import", "support.mbox", "--out", "threads/"]);
    insta::assert_snapshot!("mailbox", done.all());
    let vcons = imported(&place, &["support.mbox"]);
    assert_eq!(vcons.len(), 2);
    for vcon in &vcons {
        let written = place.0.path().join(format!("threads/{}.vcon", vcon["uuid"].as_str().unwrap()));
        assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(written).unwrap()).unwrap(), *vcon);
    }
    insta::assert_snapshot!("mail_thread", shown(&place, &vcons[0]));
    let attachment = &vcons[0]["attachments"][0];
    assert_eq!((&attachment["filename"], &attachment["dialog"]), (&"invoice.pdf".into(), &0.into()), "{attachment}");
    assert!(!vcons[0].to_string().contains("<script>"), "of HTML beside plain text nothing is kept");
    assert!(vcons[1]["dialog"][0]["body"].as_str().unwrap().contains("Ten per cent off everything"));
}

#[test]
fn mails_in_files_of_their_own_are_one_thread_in_any_order_and_folder() {
    let place = Place::new();
    place.write("inbox/b.eml", fixture("mail/refund_1.eml")).write("a.eml", fixture("mail/refund_2.eml"));
    place.write("Maildir/tmp/x", "").write("Maildir/cur/1.host:2,S", fixture("mail/refund_1.eml"));
    let vcons = imported(&place, &["a.eml", "inbox"]);
    assert_eq!((vcons.len(), vcons[0]["dialog"].as_array().unwrap().len()), (1, 2));
    // The same thread, whatever box it lies in.
    assert_eq!(imported(&place, &["Maildir", "a.eml"]), vcons);
}

#[test]
fn chats_of_every_kind_become_conversations() {
    let place = place(&["messages/whatsapp.txt", "messages/messages.csv", "messages/messages.jsonl"]);
    let chat = imported(&place, &["whatsapp.txt", "--utc-offset", "+01:00"]);
    insta::assert_snapshot!("whatsapp", shown(&place, &chat[0]));
    let table = imported(&place, &["messages.csv"]);
    let counts: Vec<usize> = table.iter().map(|vcon| vcon["dialog"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [2, 1], "two conversations");
    let lines = imported(&place, &["messages.jsonl"]);
    let said: Vec<&str> =
        lines[0]["dialog"].as_array().unwrap().iter().map(|it| it["body"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), said), (1, vec!["Hi", "Hello Ann"]), "all lines are one conversation");
}

#[test]
fn messages_in_files_of_their_own_are_one_conversation() {
    let names = ["SMS2_Bob_12345678902.txt", "SMS1_Alice_12345678901.txt", "SMS4_Bob_12345678902.txt"];
    let place = place(&names.map(|name| format!("messages/{name}")).each_ref().map(String::as_str));
    let vcons = imported(&place, &["."]);
    assert_eq!((vcons.len(), vcons[0]["dialog"].as_array().unwrap().len()), (1, 3));
    assert_eq!(vcons[0]["parties"][0]["name"], "Alice");
}

#[test]
fn a_recording_takes_the_transcript_beside_it_along() {
    let place = Place::new();
    place.write("calls/call.wav", fixture("audio/ab_call.wav"));
    place.write("calls/call.json", fixture("transcripts/provider/deepgram_sample.json"));
    place.write("calls/other.json", fixture("transcripts/provider/whisper_sample.json"));
    let vcons = imported(&place, &["calls", "--party", "name=Agent,role=agent", "--party", "name=Caller", "--wtf"]);
    let kinds = |vcon: &Value| -> Vec<String> {
        vcon["analysis"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(vcons.len(), 2, "the transcript is not a conversation of its own");
    for vcon in &vcons {
        assert_eq!(kinds(vcon), ["transcript", "wtf_transcription"]);
        assert_eq!(vcon["extensions"], serde_json::json!(["wtf_transcription", "CC"]));
    }
    assert_eq!(vcons[0]["dialog"][0]["mediatype"], "audio/x-wav");
    assert_eq!(vcons[0]["analysis"][0]["vendor"], "deepgram");
    insta::assert_snapshot!("recording", shown(&place, &vcons[0]));
    let transcript = imported(&place, &["calls/call.json"]);
    assert_eq!(transcript.len(), 1, "named alone it is one");
}

#[test]
fn transcripts_of_every_service_become_conversations() {
    let root = format!("{}/../tests/fixtures/transcripts", env!("CARGO_MANIFEST_DIR"));
    let mut vendors = BTreeSet::new();
    for folder in ["provider", "wtf"] {
        for file in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
            let path = file.unwrap().path();
            let place = Place::new();
            place.write("t.json", std::fs::read(&path).unwrap());
            let vcons = imported(&place, &["t.json"]);
            assert_eq!(vcons.len(), 1, "{}", path.display());
            vendors.insert(vcons[0]["analysis"][0]["vendor"].as_str().unwrap().to_owned());
            assert!(shown(&place, &vcons[0]).contains("transcript"), "{}", path.display());
        }
    }
    for vendor in ["assemblyai", "deepgram", "whisper", "speechmatics"] {
        assert!(vendors.contains(vendor), "{vendors:?}");
    }
}

#[test]
fn what_is_no_conversation_is_refused_with_the_reason_and_the_rest_is_made() {
    let place = place(&["mail/refund_1.eml"]);
    place.write("gif.wav", "GIF89a").write("folder/notes.txt", "Buy milk.\n").write("empty.eml", "");
    place
        .write("broken.json", "{\"text\": ")
        .write("odd.json", "{\"a\": 1}")
        .write("prices.csv", "item,price\nmilk,1\n");
    let paths = ["gif.wav", "folder", "empty.eml", "broken.json", "odd.json", "prices.csv", "refund_1.eml"];
    let done = place.run(&[&["vcon", "import"], &paths[..]].concat());
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    insta::assert_snapshot!("refused", format!("exit {}\n{}", done.code, done.stderr));
    let done = place.run(&["vcon", "import", "refund_1.eml", "folder/notes.txt", "--out", "one.vcon"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(!place.0.path().join("one.vcon").exists(), "nothing is written when it is not clear what");
}

#[test]
fn taking_the_same_in_again_makes_the_same_vcons() {
    let place = Place::new();
    place.write("in/support.mbox", fixture("mail/support.mbox")).write("in/call.mp3", fixture("audio/ab_call.mp3"));
    place.write("in/a.vcon", "{\"uuid\": \"018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10\", \"parties\": []}");
    place.write("in/whatsapp.txt", fixture("messages/whatsapp.txt")).write("in/notes.txt", "Buy milk.\n");
    let taken = || -> BTreeSet<String> {
        let done = place.run(&["ingest", "--list", "calls", "--output", "jsonl", "in"]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["uuid"].as_str().unwrap().to_owned();
        done.stdout.lines().map(line).collect()
    };
    let first = taken();
    assert_eq!(first.len(), 5);
    assert_eq!(taken(), first);
    let done = place.run(&["ingest", "--list", "calls", "in"]);
    assert!(done.stdout.starts_with("5 taken in to `calls`, 0 refused, 1 other file skipped"), "{}", done.stdout);
}

#[test]
fn videos_and_bundles_come_with_their_content() {
    let place = place(&["video/video.webm", "video/silent.mp4", "vcon/valid/synthetic-container/bundle.vconz"]);
    let vcons = imported(&place, &["silent.mp4", "video.webm", "bundle.vconz"]);
    let told: Vec<(&Value, &Value)> =
        vcons.iter().map(|vcon| (&vcon["dialog"][0]["mediatype"], &vcon["dialog"][0]["encoding"])).collect();
    let inline = Value::from("base64url");
    assert_eq!(
        told,
        [(&"video/x-mp4".into(), &inline), (&"video/webm".into(), &inline), (&"audio/x-mp3".into(), &inline)]
    );
    assert!((2.9..3.1).contains(&vcons[1]["dialog"][0]["duration"].as_f64().unwrap()));
    assert!(shown(&place, &vcons[2]).contains("✓ 1 content has the hash that the vCon gives"));
    let done = place.run(&["ingest", "--list", "calls", "bundle.vconz"]);
    assert!(done.stdout.starts_with("1 taken in to `calls`, 0 refused"), "{}", done.all());
    let stored = place.run(&["show", "01a07da8-c2bb-83e5-b9a2-279e0d16bc46", "--output", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&stored.stdout).unwrap(), vcons[2], "the media are in the store");
}

#[test]
fn transcripts_go_out_in_other_forms_and_come_in_again() {
    let place =
        place(&["transcripts/provider/deepgram_sample.json", "vcon/valid/ietf-core-03/ab_call_ext_rec_analysis.vcon"]);
    let call = "ab_call_ext_rec_analysis.vcon";
    insta::assert_snapshot!("transcript_list", place.run(&["vcon", "transcript", call]).all());
    let listed = place.run(&["vcon", "transcript", call, "--output", "jsonl"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap()["pointer"], "/analysis/0");
    insta::assert_snapshot!("transcript_vtt", place.run(&["vcon", "transcript", call, "--to", "vtt"]).stdout);
    let done = place.run(&["vcon", "transcript", "deepgram_sample.json", "--to", "wtf", "--out", "d.wtf.json"]);
    assert_eq!(done.all(), "exit 0\n--- stdout\n--- stderr\n");
    let vcon = &imported(&place, &["d.wtf.json"])[0];
    assert_eq!(
        (&vcon["analysis"][0]["type"], &vcon["extensions"][0]),
        (&"wtf_transcription".into(), &"wtf_transcription".into())
    );
    // What was said, by whom and when, is what it was before.
    let text = |name: &str| place.run(&["vcon", "transcript", name, "--to", "srt"]).stdout;
    assert_eq!(text("d.wtf.json"), text("deepgram_sample.json"));
    let none = place.run(&["vcon", "transcript", call, "--to", "text", "--number", "7"]);
    assert_eq!(none.code, 1, "{}", none.stderr);
    let odd = place.run(&["vcon", "transcript", "gone.json"]);
    assert_eq!(odd.code, 65, "{}", odd.stderr);
}

#[test]
fn compressed_files_are_what_is_in_them() {
    let place = Place::new();
    for (name, content) in
        [("call.wav.gz", fixture("audio/ab_call.wav")), ("box.mbox.gz", fixture("mail/support.mbox"))]
    {
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(&content).unwrap();
        place.write(name, zip.finish().unwrap());
    }
    let vcons = imported(&place, &["."]);
    assert_eq!(vcons.len(), 3);
    assert_eq!(vcons[0]["dialog"][0]["filename"], "call.wav");
    assert_eq!(vcons[1]["dialog"].as_array().unwrap().len(), 2);
}
