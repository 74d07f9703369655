//! The World Transcription Format: against the bodies of another converter, and against its own rules.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Transcript, read, wtf};
use super::{fixture, transcript, turns};

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn body(transcript: &Transcript) -> Value {
    Value::Object(wtf::body(transcript, now()))
}

/// The rules of the draft that a body can break.
fn assert_valid(body: &Value) {
    let unit = |value: &Value| value.as_f64().is_some_and(|confidence| (0.0..=1.0).contains(&confidence));
    let head = &body["transcript"];
    assert!(head["text"].is_string() && head["language"].is_string() && unit(&head["confidence"]), "{head}");
    assert!(head["duration"].as_f64().unwrap() >= 0.0);
    for (id, segment) in body["segments"].as_array().unwrap().iter().enumerate() {
        assert_eq!(segment["id"], id);
        assert!(segment["end"].as_f64().unwrap() > segment["start"].as_f64().unwrap(), "{segment}");
        assert!(segment["start"].as_f64().unwrap() >= 0.0 && segment["text"].is_string(), "{segment}");
        assert!(unit(&segment["confidence"]), "{segment}");
    }
    let words = body.get("words").and_then(Value::as_array).map_or(0, Vec::len);
    for (id, word) in body.get("words").and_then(Value::as_array).into_iter().flatten().enumerate() {
        assert_eq!(word["id"], id);
        assert!(
            word["end"].as_f64().unwrap() >= word["start"].as_f64().unwrap() && unit(&word["confidence"]),
            "{word}"
        );
    }
    let listed = body["segments"].as_array().unwrap().iter();
    let listed: Vec<u64> = listed
        .flat_map(|segment| segment["words"].as_array().into_iter().flatten())
        .map(|id| id.as_u64().unwrap())
        .collect();
    assert_eq!(listed, (0..words as u64).collect::<Vec<_>>(), "each word in one segment");
    let metadata = &body["metadata"];
    for name in ["created_at", "processed_at", "provider", "model"] {
        assert!(metadata[name].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    }
    assert_eq!(metadata["provider"], metadata["provider"].as_str().unwrap().to_lowercase());
}

/// Where `ours` differs from `theirs`: the places of both, but for those that one of them leaves out or has null.
fn differences(ours: &Value, theirs: &Value, place: &str, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(two)) => {
            for (name, member) in one {
                if let Some(other) = two.get(name).filter(|other| !other.is_null()) {
                    differences(member, other, &format!("{place}/{name}"), found);
                }
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (index, (member, other)) in one.iter().zip(two).enumerate() {
                differences(member, other, &format!("{place}/{index}"), found);
            }
        }
        (Value::Number(one), Value::Number(two)) => {
            if (one.as_f64().unwrap() - two.as_f64().unwrap()).abs() > 1e-9 {
                found.push(place.to_owned());
            }
        }
        _ if ours == theirs => {}
        _ => found.push(place.to_owned()),
    }
}

/// The other converter writes `en-us` for `en`, its own clock, a default model and a default speaker, rounds, and takes
/// means where the provider says a confidence. Those are the differences, and no others.
#[test]
fn bodies_agree_with_those_of_the_published_converter() {
    for (name, expected) in [
        (
            "deepgram",
            // No region is claimed that nobody heard; it was processed at another time; the words of a speaker
            // are listed with the segment by both.
            &["/transcript/language", "/metadata/processed_at", "/speakers/0/segments"][..],
        ),
        (
            "assemblyai",
            &["/transcript/language", "/transcript/confidence", "/metadata/processed_at", "/speakers/A/segments"],
        ),
        ("whisper", &["/transcript/language", "/metadata/created_at", "/metadata/processed_at", "/metadata/model"]),
        ("canary", &["/transcript/language", "/metadata/created_at", "/metadata/processed_at"]),
    ] {
        let ours = transcript(&fixture(&format!("provider/{name}_sample.json")));
        let mut ours = body(&ours);
        assert_valid(&ours);
        // Members that each converter fills in its own way.
        for member in ["extensions", "quality"] {
            ours.as_object_mut().unwrap().remove(member);
        }
        let theirs = fixture(&format!("wtf/{name}_sample.wtf.json"));
        let mut found = Vec::new();
        differences(&ours, &theirs, "", &mut found);
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn bodies_are_read_and_written_without_loss() {
    for name in
        ["deepgram_sample.wtf", "assemblyai_sample.wtf", "canary_sample.wtf", "whisper_sample.wtf", "wtf_sample"]
    {
        let original = fixture(&format!("wtf/{name}.json"));
        let read = transcript(&original);
        let written = body(&read);
        assert_valid(&written);
        let mut found = Vec::new();
        differences(&written, &original, "", &mut found);
        // Times and confidences of speakers are computed from what they say.
        found.retain(|place| !place.starts_with("/speakers/"));
        assert_eq!(found, Vec::<String>::new(), "{name}");
        assert_eq!(transcript(&written).turns, read.turns, "{name}");
    }
    let meeting = transcript(&fixture("wtf/wtf-server_sample-wtf.json"));
    assert_eq!(
        turns(&meeting),
        [
            "0.00 2.10 Speaker 0: Hello, how can I help you today?",
            "2.50 5.00 Speaker 1: I'm having an issue with my account."
        ]
    );
}

#[test]
fn what_nobody_measured_is_named() {
    let list =
        json!([{"speaker": "Agent", "message": "Hello!"}, {"speaker": "Customer", "message": "I need some help."}]);
    let body = body(&transcript(&list));
    assert_valid(&body);
    assert_eq!(body["transcript"]["language"], "und");
    assert_eq!(body["metadata"]["provider"], "unknown");
    let warnings = body["quality"]["processing_warnings"].to_string();
    assert!(warnings.contains("times: those of 2 segments") && warnings.contains("confidence: 0"), "{warnings}");
    assert_eq!(body["quality"]["multiple_speakers"], true);
    assert_eq!(transcript(&body).confidence, None, "0 throughout is none");
}

#[test]
fn the_analysis_is_the_one_that_vcon_server_writes() {
    let analysis = wtf::analysis(&transcript(&fixture("provider/whisper_sample.json")), 2, now());
    let entry = serde_json::to_value(&analysis).unwrap();
    for (name, value) in [
        ("type", json!("wtf_transcription")),
        ("dialog", json!(2)),
        ("vendor", json!("whisper")),
        ("schema", json!("wtf-1.0")),
        ("encoding", json!("json")),
        ("mediatype", json!("application/json")),
    ] {
        assert_eq!(entry[name], value, "{name}");
    }
    assert!(entry["body"].as_str().unwrap().starts_with('{'));
}

/// Names that the readers look for, so that chance finds its way into them.
const NAMES: [&str; 44] = [
    "text",
    "segments",
    "words",
    "transcript",
    "results",
    "channels",
    "alternatives",
    "start",
    "end",
    "speaker",
    "confidence",
    "metadata",
    "monologues",
    "elements",
    "value",
    "ts",
    "end_ts",
    "type",
    "content",
    "start_time",
    "end_time",
    "Transcript",
    "ParticipantId",
    "Content",
    "BeginOffsetMillis",
    "EndOffsetMillis",
    "sentences",
    "media_channel",
    "chunks",
    "timestamp",
    "utterances",
    "language",
    "duration",
    "audio_duration",
    "model",
    "message",
    "paragraphs",
    "items",
    "transcripts",
    "word",
    "id",
    "avg_logprob",
    "speakers",
    "label",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-5i64..100_000).prop_map(Value::from),
        prop_oneof![
            Just("word"),
            Just("punctuation"),
            Just("2.9"),
            Just("1.5"),
            Just("-3"),
            Just("AGENT"),
            Just("nvidia/canary"),
            Just("A: b\nA: c"),
            Just("WEBVTT\n\n00:01.0 --> 99:99:99.9\n<v x"),
            Just("1\n00:00:01,0 --> x"),
            Just("é: ü"),
            Just("[Script Info]\nDialogue: 0,1,2,,,,,,,{a"),
            Just("2026-01-01T00:00:00Z"),
            Just("NaN"),
            Just("1e400"),
        ]
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(&NAMES[..]), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn whatever_is_read_is_a_valid_body(value in any_json()) {
        if let Some(found) = read(&value, Some("Acme")) {
            for turn in &found.turns {
                prop_assert!(!turn.text.is_empty());
                for time in [turn.start, turn.end].into_iter().flatten() {
                    prop_assert!(time.is_finite() && time >= 0.0);
                }
            }
            let written = body(&found);
            assert_valid(&written);
            let again = transcript(&written);
            prop_assert_eq!(&again.text, &found.text);
            prop_assert_eq!(again.turns.len(), found.turns.len().max(usize::from(!found.text.is_empty())));
            prop_assert_eq!(again.words().count(), found.words().count());
        }
    }

    #[test]
    fn no_damage_to_a_real_answer_makes_a_reader_panic(index in 0usize..6, place in any::<prop::sample::Index>(), with in any_json()) {
        let names = ["assemblyai_sample", "canary_sample", "deepgram_sample", "whisper_sample",
            "sample_speechmatics_response", "real_speechmatics_response"];
        let mut answer = fixture(&format!("provider/{}.json", names[index]));
        let mut places = Vec::new();
        collect(&answer, String::new(), &mut places);
        let place: &String = place.get(&places);
        *answer.pointer_mut(place).unwrap() = with;
        if let Some(found) = read(&answer, None) {
            assert_valid(&body(&found));
        }
    }
}

fn collect(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| collect(member, format!("{place}/{name}"), places));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, format!("{place}/{index}"), places));
        }
        _ => {}
    }
    places.push(place);
}
