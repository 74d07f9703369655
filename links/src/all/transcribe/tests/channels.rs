//! Who is on which channel, and who speaks: chosen by looking at the recording.

use serde_json::{Value, json};

use super::{KEY, external, inline, link, stage, tone, turns, vcon, wav, written};
use crate::vendors::deepgram::Deepgram;
use crate::vendors::openai_audio::OpenAiAudio;
use crate::vendors::{Call, Vendor};

fn parameters(call: &Call) -> Vec<String> {
    let mut all: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn two_parties_on_two_channels_are_separate_and_mono_is_diarised() {
    let stereo = wav(4, 2, |_, _| false);
    let vendor = Vendor::start(Deepgram::new(&[KEY]).hears("Hello Bob", 0.9)).await;
    let base = json!({"vendor": "deepgram", "api_key": KEY, "base_url": vendor.url, "cache": "off"});
    for (recording, parties, options, expected) in [
        (&stereo, json!([0, 1]), json!({}), "multichannel=true"),
        (&stereo, json!([[0], [1]]), json!({}), "multichannel=true"),
        (&stereo, json!([0]), json!({}), "diarize_model=latest"),
        (&stereo, json!([0, 1]), json!({"channels": "mixed"}), "diarize_model=latest"),
        (&stereo, json!([0, 1]), json!({"channels": "mixed", "diarize": false}), ""),
        (&stereo, json!([0]), json!({"channels": "separate"}), "multichannel=true"),
        (&tone(4), json!([0, 1]), json!({}), "diarize_model=latest"),
        (&tone(4), json!([0, 1]), json!({"channels": "separate"}), "diarize_model=latest"),
        (&tone(4), json!([0, 1]), json!({"diarize": false}), ""),
        (&stereo, json!([0, 1]), json!({"api": {"diarize": true}}), "diarize=true"),
    ] {
        let mut all = base.clone();
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let before = vcon(&[inline(recording, &parties)]);
        let ran = stage().run(&link(&all), &before).await;
        assert_eq!(written(&ran, &before).len(), 1);
        let asked = parameters(vendor.calls().last().unwrap());
        let mut wanted = vec!["model=nova-3".to_owned(), "smart_format=true".to_owned()];
        wanted.extend((!expected.is_empty()).then(|| expected.to_owned()));
        wanted.sort_unstable();
        assert_eq!(asked, wanted, "{parties} {options}");
    }
}

#[tokio::test]
async fn channels_become_parties() {
    let before = vcon(&[inline(&wav(4, 2, |_, _| false), &json!([1, 0]))]);
    let vendor = Vendor::start(Deepgram::new(&[KEY]).hears("Hello", 0.9)).await;
    let mut options = json!({"vendor": "deepgram", "api_key": KEY, "base_url": vendor.url, "cache": "off"});
    let ran = stage().run(&link(&options), &before).await;
    let native = &written(&ran, &before)[0];
    assert_eq!(
        native["body"]["results"]["channels"].as_array().unwrap().len(),
        2,
        "no half of the conversation is lost"
    );
    assert_eq!(turns(&native["body"]), ["0.0 channel 0: Hello", "0.0 channel 1: Hello too"]);
    assert_eq!(ran.requested.usage.as_ref().unwrap().units["audio_seconds"], 8.0, "each channel is billed");

    options["format"] = json!("wtf");
    let ran = stage().run(&link(&options), &before).await;
    let wtf = &written(&ran, &before)[0];
    assert_eq!(
        (&wtf["type"], &wtf["schema"], &wtf["vendor"]),
        (&json!("wtf_transcription"), &json!("wtf-1.0"), &json!("deepgram"))
    );
    assert_eq!(turns(&wtf["body"]), ["0.0 Bob: Hello", "0.0 Ann: Hello too"]);
    let after = ran.applied(&before).unwrap();
    assert_eq!(after.normalised()["extensions"], json!(["wtf_transcription"]));
    let again = stage().run(&link(&options), &after).await;
    assert!(again.requested.edits.is_empty(), "it has a transcript in this form");
}

#[tokio::test]
async fn a_vendor_that_knows_no_channels_gets_them_one_by_one() {
    let before = vcon(&[inline(&wav(6, 2, |channel, second| (second < 3.0) == (channel == 1)), &json!([0, 1]))]);
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY]).hears("Yes. No.")).await;
    let base = json!({"vendor": "openai", "api_key": KEY, "base_url": format!("{}/v1", vendor.url), "cache": "off"});
    let with = |model: &str, format: &str| {
        let mut options = base.clone();
        options["model"] = json!(model);
        options["format"] = json!(format);
        link(&options)
    };
    let ran = stage().run(&with("whisper-1", "native"), &before).await;
    let body = &written(&ran, &before)[0]["body"];
    assert_eq!(turns(body), ["0.0 channel 0: Yes.", "0.0 channel 1: Yes.", "3.0 channel 0: No.", "3.0 channel 1: No."]);
    assert_eq!(body["segments"][0]["words"][0]["word"], "Yes");
    assert_eq!(vendor.calls().len(), 2);
    for call in vendor.calls() {
        let form = call.form().unwrap();
        assert_eq!(form.text("response_format").as_deref(), Some("verbose_json"));
        assert_eq!(form.texts("timestamp_granularities[]"), ["segment", "word"]);
        let info = vconductor_core::audio::probe(&form.file("file").unwrap().bytes).unwrap();
        assert_eq!((info.channels, info.duration.as_secs_f64().round()), (1, 6.0));
    }
    let ran = stage().run(&with("gpt-4o-transcribe", "wtf"), &before).await;
    assert_eq!(turns(&written(&ran, &before)[0]["body"]), ["0.0 Ann: Yes. No.", "0.0 Bob: Yes. No."]);
}

#[tokio::test]
async fn openais_models_are_asked_for_what_they_have() {
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    let base = json!({"vendor": "openai", "api_key": KEY, "base_url": format!("{}/v1", vendor.url), "cache": "off"});
    let before = vcon(&[inline(&tone(31), &json!([0, 1]))]);
    for (options, fields, expected) in [
        (json!({"model": "gpt-4o-transcribe"}), vec!["model"], vec!["-1.0 Hello. My bill is wrong."]),
        (
            json!({"model": "gpt-4o-transcribe-diarize"}),
            vec!["model", "response_format", "chunking_strategy"],
            vec!["0.0 Speaker A: Hello.", "15.5 Speaker B: My bill is wrong."],
        ),
        (
            json!({"model": "gpt-transcribe", "api": {"keywords": ["Acme"], "temperature": 0.2}, "prompt": "A call."}),
            vec!["model", "prompt", "keywords[]", "temperature"],
            vec!["-1.0 Hello. My bill is wrong."],
        ),
        (
            json!({"model": "whisper-1", "language": "en", "timestamps": "segment"}),
            vec!["model", "response_format", "timestamp_granularities[]", "language"],
            vec!["0.0 Hello.", "15.5 My bill is wrong."],
        ),
        (json!({"model": "whisper-1", "timestamps": "none"}), vec!["model"], vec!["-1.0 Hello. My bill is wrong."]),
    ] {
        let mut all = base.clone();
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let ran = stage().run(&link(&all), &before).await;
        assert_eq!(turns(&written(&ran, &before)[0]["body"]), expected, "{options}");
        let form = vendor.calls().last().unwrap().form().unwrap();
        let names: Vec<_> =
            form.fields.iter().map(|field| field.name.as_str()).filter(|name| *name != "file").collect();
        assert_eq!(names, fields, "{options}");
    }
}

#[tokio::test]
async fn captured_answers_are_read() {
    let fixture = |name: &str| -> Value {
        let path = format!("{}/../tests/fixtures/transcripts/provider/{name}_sample.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let deepgram = Vendor::start(Deepgram::new(&[KEY]).answers(fixture("deepgram"))).await;
    let openai = Vendor::start(OpenAiAudio::new(&[KEY]).answers(fixture("whisper"))).await;
    let before = vcon(&[external(61.0)]);
    let inline = vcon(&[inline(&tone(9), &json!([0, 1]))]);
    for (options, before, text) in [
        (
            json!({"vendor": "deepgram", "base_url": deepgram.url, "channels": "mixed"}),
            &before,
            fixture("deepgram")["results"]["channels"][0]["alternatives"][0]["transcript"].clone(),
        ),
        (
            json!({"vendor": "openai", "base_url": format!("{}/v1", openai.url)}),
            &inline,
            fixture("whisper")["text"].clone(),
        ),
    ] {
        let mut options = options;
        options["api_key"] = json!(KEY);
        options["cache"] = json!("off");
        options["format"] = json!("wtf");
        let ran = stage().run(&link(&options), before).await;
        let body = &written(&ran, before)[0]["body"];
        assert_eq!(body["transcript"]["text"], text);
        assert_eq!(body["transcript"]["duration"], 8.5);
        assert!(!body["segments"].as_array().unwrap().is_empty());
    }
}
