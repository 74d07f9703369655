//! Recordings and transcripts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{Companion, Kind, Options, Party, recognise, recording, recording_with_transcripts, transcript};
use super::{options, vcon};

fn file(name: &str) -> Bytes {
    std::fs::read(format!("{}/../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap().into()
}

fn of_recording(name: &str, options: &Options) -> Value {
    let time: Timestamp = "2023-11-14T22:13:20.25Z".parse().unwrap();
    vcon(&recording(&file(&format!("audio/{name}")), Some(name), Some(time), options).unwrap())
}

fn of_transcript(source: impl Into<Bytes>, options: &Options) -> Value {
    let companion = Companion::read(source.into(), Some("call.json")).unwrap();
    vcon(&transcript(&companion, None, options).unwrap())
}

#[test]
fn a_recording_becomes_a_vcon_that_tells_what_it_is() {
    let parties = vec!["name=Alice,tel=+15550100".parse().unwrap()];
    let vcon = of_recording("ab_call.mp3", &Options { parties, ..Options::default() });
    let dialog = &vcon["dialog"][0];
    assert_eq!(vcon["vcon"], "0.4.0");
    assert_eq!(dialog["type"], "recording");
    assert_eq!(dialog["start"], "2023-11-14T22:13:20.25Z");
    assert_eq!(dialog["mediatype"], "audio/x-mp3");
    assert_eq!(dialog["filename"], "ab_call.mp3");
    assert_eq!(dialog["encoding"], "base64url");
    assert_eq!(URL_SAFE_NO_PAD.decode(dialog["body"].as_str().unwrap()).unwrap(), file("audio/ab_call.mp3"));
    assert!(dialog["content_hash"].as_str().unwrap().starts_with("sha512-"));
    assert!(dialog["duration"].as_f64().unwrap() > 1.0);
    assert_eq!(vcon["parties"][0], json!({"tel": "+15550100", "name": "Alice"}));
}

#[test]
fn every_known_format_is_taken_and_others_are_refused() {
    for name in ["ab_call.wav", "ab_call.flac", "ab_call.m4a", "ab_call_opus.ogg", "ab_call_vorbis.ogg"] {
        assert_eq!(recognise(&file(&format!("audio/{name}")), None), Some(Kind::Recording), "{name}");
        let vcon = of_recording(name, &Options::default());
        let parties = vcon["parties"].as_array().unwrap().len();
        assert_ne!(parties, 1, "{name}: one channel says nothing about who speaks");
        assert_eq!(vcon["dialog"][0]["parties"].as_array().map_or(0, Vec::len), parties, "{name}");
    }
    assert!(recording(b"GIF89a", None, None, &Options::default()).is_err());
    assert_eq!(recognise(b"GIF89a\0", None), None);
}

#[test]
fn a_transcript_beside_a_recording_is_its_analysis() {
    let source = file("transcripts/provider/deepgram_sample.json");
    let companion = Companion::read(source.clone(), Some("call.json")).unwrap();
    let options = Options { wtf: true, ..Options::default() };
    let made = recording_with_transcripts(&file("audio/ab_call.mp3"), None, None, &[companion], &options).unwrap();
    let vcon = vcon(&made);
    assert_eq!(vcon["dialog"].as_array().unwrap().len(), 1);
    let analysis = &vcon["analysis"][0];
    assert_eq!(
        (&analysis["type"], &analysis["vendor"], &analysis["dialog"]),
        (&json!("transcript"), &json!("deepgram"), &json!(0))
    );
    assert_eq!((&analysis["product"], &analysis["encoding"]), (&json!("nova-2"), &json!("json")));
    let body = &analysis["body"];
    assert_eq!(*body, serde_json::from_slice::<Value>(&source).unwrap());
    assert_eq!(vcon["analysis"][1]["type"], "wtf_transcription");
    assert_eq!(vcon["extensions"], json!(["wtf_transcription"]));
}

#[test]
fn every_transcript_file_becomes_a_vcon() {
    for folder in ["provider", "wtf"] {
        let path = format!("{}/../tests/fixtures/transcripts/{folder}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(path).unwrap() {
            let source = std::fs::read(entry.unwrap().path()).unwrap();
            assert_eq!(recognise(&source, None), Some(Kind::Transcript));
            let vcon = of_transcript(source, &Options::default());
            assert_eq!(vcon["dialog"][0]["type"], "recording");
            assert!(vcon["dialog"][0]["duration"].as_f64().unwrap() > 1.0);
            let is_wtf = vcon["analysis"][0]["type"] == "wtf_transcription";
            assert_eq!(is_wtf, folder == "wtf");
            assert_eq!(vcon.get("extensions").is_some(), is_wtf);
        }
    }
}

#[test]
fn speakers_and_channels_become_parties() {
    let list = json!([{"speaker": "Agent", "message": "Hello!"}, {"speaker": "Customer", "message": "Hi."},
        {"speaker": "Agent", "message": "Bye."}]);
    let vcon = of_transcript(list.to_string(), &options());
    assert_eq!(vcon["parties"], json!([{"name": "Agent", "role": "agent"}, {"name": "Customer", "role": "customer"}]));
    assert_eq!(vcon["extensions"], json!(["CC"]));
    assert_eq!(vcon["dialog"][0]["parties"], json!([0, 1]));
    assert_eq!(vcon["dialog"][0]["start"], "2026-03-01T10:00:00Z");

    let given = Options { parties: vec![Party::named("Customer"), Party::named("Agent")], ..options() };
    let vcon = of_transcript(list.to_string(), &given);
    assert_eq!(vcon["parties"].as_array().unwrap().len(), 2, "the given ones are recognised");

    let sentence =
        |channel: usize| json!({"media_channel": channel, "transcript": "x", "start_time": "0", "end_time": "1"});
    let vcon = of_transcript(json!({"sentences": [sentence(1), sentence(2)]}).to_string(), &options());
    assert_eq!((&vcon["parties"], &vcon["dialog"][0]["parties"]), (&json!([{}, {}]), &json!([0, 1])));
}

#[test]
fn text_with_speakers_is_the_conversation_itself_and_captions_are_a_transcript() {
    let vcon = of_transcript("Ann: Hi\nBob: Hello\nAnn: Bye\n", &options());
    assert_eq!(vcon["dialog"][0]["type"], "text");
    assert_eq!(vcon["dialog"][0]["body"], "Ann: Hi\nBob: Hello\nAnn: Bye");
    assert_eq!(vcon["analysis"], json!([]));
    let vcon = of_transcript("WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>Hi\n", &options());
    assert_eq!((&vcon["dialog"][0]["type"], &vcon["dialog"][0]["duration"]), (&json!("recording"), &json!(2.0)));
    assert_eq!(
        (&vcon["analysis"][0]["mediatype"], &vcon["analysis"][0]["encoding"]),
        (&json!("text/vtt"), &json!("none"))
    );
    assert!(Companion::read(Bytes::from_static(b"{\"error\": 1}"), None).is_err());
    assert!(Companion::read(Bytes::from_static(b"\xff\xfe"), None).is_err());
}

#[test]
fn a_party_is_written_as_pairs() {
    let party: Party = "tel=+1555, name=Alice A.".parse().unwrap();
    assert_eq!(serde_json::to_string(&party).unwrap(), r#"{"tel":"+1555","name":"Alice A."}"#);
    assert!("phone=1".parse::<Party>().unwrap_err().contains("none of tel"));
    assert!("Alice".parse::<Party>().is_err());
}
