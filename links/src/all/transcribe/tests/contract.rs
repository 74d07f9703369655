//! What vcon-server's links write, as JSON: the tables of its contract, sections 2.6 to 2.11.

use serde_json::{Value, json};

use super::{KEY, URL, configured, external, inline, stage, tone, vcon, written};
use crate::vendors::Vendor;
use crate::vendors::deepgram::Deepgram;
use crate::vendors::groq_audio::GroqAudio;
use crate::vendors::hugging_face::HuggingFace;
use crate::vendors::openai_audio::OpenAiAudio;
use crate::vendors::vfun::Vfun;

#[tokio::test]
async fn deepgram_gets_the_url_and_gives_the_first_alternative() {
    let vendor = Vendor::start(Deepgram::new(&[KEY]).hears("Good morning", 0.75)).await;
    let api = json!({"model": "nova-2", "smart_format": true, "detect_language": true, "keywords": ["Acme", "Zeta"]});
    let options = json!({"DEEPGRAM_KEY": KEY, "minimum_duration": 30, "api": api, "base_url": vendor.url});
    let mut alias = options.clone();
    alias["cache"] = json!("off");
    let before = vcon(&[external(45.0)]);
    for (module, options) in [
        ("links.deepgram_link", alias),
        ("links.transcribe", json!({"vendor": "deepgram", "vendor_options": options, "cache": "off"})),
        ("links.transcribe", json!({"vendor": "deepgram", "transcribe_options": options, "cache": "off"})),
    ] {
        let ran = stage().run(configured(module, &options).as_ref(), &before).await;
        let word = |word: &str, start: f64| {
            json!({
                "word": word.to_lowercase(), "start": start, "end": start + 30.75 * 0.5, "confidence": 0.75, "punctuated_word": word,
            })
        };
        let expected = json!([{
            "type": "transcript", "dialog": 0, "vendor": "deepgram", "encoding": "json",
            "body": {
                "transcript": "Good morning", "confidence": 0.75, "words": [word("Good", 0.0), word("morning", 30.75)],
                "detected_language": "en",
            },
            "vendor_schema": {"opts": {"minimum_duration": 30, "minimum_confidence": 0.5, "api": api}},
        }]);
        assert_eq!(Value::from(written(&ran, &before)), expected, "{module}");
        let usage = ran.requested.usage.unwrap();
        assert_eq!(usage.units["audio_seconds"], 61.5);
        assert!((usage.cost.unwrap() - 61.5 / 60.0 * 0.0043).abs() < 1e-9);
    }
    let query = [
        ("model", "nova-2"),
        ("smart_format", "true"),
        ("detect_language", "true"),
        ("keywords", "Acme"),
        ("keywords", "Zeta"),
    ];
    for call in vendor.calls() {
        let mut got: Vec<_> = call.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        got.sort_unstable();
        let mut query = query;
        query.sort_unstable();
        assert_eq!(got, query, "no more than the operator asked for");
        assert_eq!(call.json().unwrap(), json!({"url": URL}));
    }
}

#[tokio::test]
async fn which_dialogs_are_transcribed() {
    let vendor = Vendor::start(Deepgram::new(&[KEY])).await;
    let options = json!({"DEEPGRAM_KEY": KEY, "api": {"model": "nova-2"}, "base_url": vendor.url, "cache": "off"});
    let link = configured("links.deepgram_link", &options);
    let recording = |changes: &Value| {
        let mut dialog = external(61.0);
        for (name, value) in changes.as_object().unwrap() {
            dialog[name] = value.clone();
        }
        dialog
    };
    let known = |dialog: Value, kind: &str| json!([{"type": kind, "dialog": dialog, "vendor": "x", "body": "{}", "encoding": "json"}]);
    for (dialog, analysis, expected) in [
        (recording(&json!({})), json!([]), 1),
        (recording(&json!({"type": "text"})), json!([]), 0),
        (recording(&json!({"url": ""})), json!([]), 0),
        (recording(&json!({"url": null})), json!([]), 0),
        (recording(&json!({"duration": 59.9})), json!([]), 0),
        (recording(&json!({"duration": 60})), json!([]), 1),
        (recording(&json!({})), known(json!(0), "transcript"), 0),
        (recording(&json!({})), known(json!([0]), "transcript"), 0),
        (recording(&json!({})), known(json!(1), "transcript"), 1),
        (recording(&json!({})), known(json!(0), "summary"), 1),
    ] {
        let calls = vendor.calls().len();
        let mut before: Value = serde_json::from_slice(&vcon(std::slice::from_ref(&dialog)).to_bytes()).unwrap();
        before["analysis"] = analysis.clone();
        let before = vconductor_core::vcon::Vcon::read(before.to_string()).unwrap();
        let ran = stage().run(link.as_ref(), &before).await;
        let added = written(&ran, &before).len() - analysis.as_array().unwrap().len();
        assert_eq!((added, vendor.calls().len() - calls), (expected, expected), "{dialog} {analysis}");
        assert_eq!(
            ran.requested.notes.is_empty(),
            expected == 1 || dialog["type"] == "text",
            "{:?}",
            ran.requested.notes
        );
    }
}

#[tokio::test]
async fn a_transcript_that_deepgram_is_not_sure_of_is_not_written() {
    let vendor = Vendor::start(Deepgram::new(&[KEY]).hears("mumble", 0.49)).await;
    let mut options = json!({"DEEPGRAM_KEY": KEY, "api": {"model": "nova-2"}, "base_url": vendor.url, "cache": "off"});
    let before = vcon(&[external(61.0)]);
    let ran = stage().run(configured("links.deepgram_link", &options).as_ref(), &before).await;
    assert!(written(&ran, &before).is_empty());
    assert!(ran.requested.notes[0].contains("sure by 0.49"), "{:?}", ran.requested.notes);
    options["minimum_confidence"] = json!(0.4);
    let ran = stage().run(configured("links.deepgram_link", &options).as_ref(), &before).await;
    assert_eq!(written(&ran, &before).len(), 1);
}

#[tokio::test]
async fn deepgrams_models_through_a_litellm_proxy() {
    let vendor = Vendor::start(OpenAiAudio::new(&["sk-litellm-0123456789"]).litellm().hears("Hello there.")).await;
    let options = json!({
        "LITELLM_PROXY_URL": format!("{}/", vendor.url), "LITELLM_MASTER_KEY": "sk-litellm-0123456789",
        "api": {"model": "nova-2"}, "minimum_duration": 1, "cache": "off",
    });
    let before = vcon(&[inline(&tone(2), &json!([0, 1]))]);
    let ran = stage().run(configured("links.deepgram_link", &options).as_ref(), &before).await;
    let expected = json!([{
        "type": "transcript", "dialog": 0, "vendor": "deepgram", "encoding": "json", "body": {"transcript": "Hello there."},
        "vendor_schema": {"opts": {"minimum_duration": 1, "minimum_confidence": 0.5, "api": {"model": "nova-2"}}},
    }]);
    assert_eq!(Value::from(written(&ran, &before)), expected);
    let form = vendor.calls()[0].form().unwrap();
    assert_eq!(form.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["model", "file"]);
    assert_eq!(form.text("model").as_deref(), Some("nova-2"));

    let silent = Vendor::start(OpenAiAudio::new(&["sk-litellm-0123456789"]).litellm().hears("")).await;
    let mut options = options;
    options["LITELLM_PROXY_URL"] = json!(silent.url);
    let ran = stage().run(configured("links.deepgram_link", &options).as_ref(), &before).await;
    assert!(written(&ran, &before).is_empty(), "no text from the proxy is no result");
}

#[tokio::test]
async fn openai_in_the_three_ways_that_vcon_server_knows() {
    let open = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    let azure = Vendor::start(OpenAiAudio::new(&[KEY]).azure("gpt-4o-transcribe")).await;
    let proxy = Vendor::start(OpenAiAudio::new(&[KEY]).litellm()).await;
    let before = vcon(&[inline(&tone(4), &json!([0, 1]))]);
    let defaults = json!({
        "model": "gpt-4o-transcribe", "language": "en", "minimum_duration": 3, "max_chunk_duration": 480,
        "use_silence_chunking": true, "silence_thresh": -40, "silence_len": 2000, "AZURE_OPENAI_ENDPOINT": null,
        "AZURE_OPENAI_API_VERSION": "2024-10-21",
    });
    let with = |changes: Value| {
        let mut opts = defaults.clone();
        opts.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        opts
    };
    for (vendor, options, opts) in [
        (&open, json!({"OPENAI_API_KEY": KEY, "base_url": format!("{}/v1", open.url)}), defaults.clone()),
        (
            &open,
            json!({"api_key": KEY, "model": "whisper-1", "minimum_duration": 4, "base_url": format!("{}/v1", open.url)}),
            with(json!({"model": "whisper-1", "minimum_duration": 4})),
        ),
        (
            &azure,
            json!({
                "AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": azure.url, "AZURE_OPENAI_API_VERSION": "2025-01-01",
                "OPENAI_API_KEY": "not this one",
            }),
            with(json!({"AZURE_OPENAI_ENDPOINT": azure.url, "AZURE_OPENAI_API_VERSION": "2025-01-01"})),
        ),
        (&proxy, json!({"LITELLM_PROXY_URL": proxy.url, "LITELLM_MASTER_KEY": KEY}), defaults.clone()),
    ] {
        let ran = stage().run(configured("links.openai_transcribe", &options).as_ref(), &before).await;
        let whisper = options["model"] == "whisper-1";
        let usage = if whisper {
            json!({"type": "duration", "seconds": 4})
        } else {
            json!({
                "type": "tokens", "input_tokens": 40, "output_tokens": 12, "total_tokens": 52,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 40},
            })
        };
        let expected = json!([{
            "type": "transcript", "dialog": 0, "vendor": "openai", "encoding": "json",
            "body": {"text": "Hello. My bill is wrong.", "usage": usage}, "vendor_schema": {"opts": opts},
        }]);
        assert_eq!(Value::from(written(&ran, &before)), expected, "{options}");
        let calls = vendor.calls();
        let form = calls.last().unwrap().form().unwrap();
        assert_eq!(form.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["model", "file"]);
        let unit = if whisper { "audio_seconds" } else { "input_tokens" };
        assert!(ran.requested.usage.unwrap().units[unit] > 0.0);
    }
}

#[tokio::test]
async fn groq_hugging_face_and_vfun() {
    let groq = Vendor::start(GroqAudio::new(&[KEY])).await;
    let face = Vendor::start(HuggingFace::new(&[KEY], "/models/whisper")).await;
    let before = vcon(&[inline(&tone(31), &json!([0, 1]))]);
    let options = json!({"API_KEY": KEY, "base_url": format!("{}/openai/v1", groq.url), "Content-Type": "audio/flac"});
    let ran = stage().run(configured("links.groq_whisper", &options).as_ref(), &before).await;
    let expected = json!([{
        "type": "transcript", "dialog": 0, "vendor": "groq_whisper", "encoding": "json",
        "body": {"text": "Hello. My bill is wrong.", "x_groq": {"id": "req_01jxyz"}},
        "vendor_schema": {"opts": {"minimum_duration": 30, "Content-Type": "audio/flac"}},
    }]);
    assert_eq!(Value::from(written(&ran, &before)), expected);
    let form = groq.calls()[0].form().unwrap();
    assert_eq!(form.text("model").as_deref(), Some("whisper-large-v3-turbo"));
    assert_eq!(form.text("response_format").as_deref(), Some("json"));

    let url = format!("{}/models/whisper", face.url);
    let options = json!({"API_KEY": KEY, "API_URL": url});
    let ran = stage().run(configured("links.hugging_face_whisper", &options).as_ref(), &before).await;
    let expected = json!([{
        "type": "transcript", "dialog": 0, "vendor": "hugging_face_whisper", "encoding": "json",
        "body": {"text": "Hello. My bill is wrong."},
        "vendor_schema": {"opts": {"minimum_duration": 30, "API_URL": url, "Content-Type": "audio/flac"}},
    }]);
    assert_eq!(Value::from(written(&ran, &before)), expected);
    assert_eq!(&face.calls()[0].body[..], &tone(31)[..], "the bytes as they are");

    for twice in [false, true] {
        let server = if twice { Vfun::new(&[KEY]).encodes_twice() } else { Vfun::new(&[KEY]) };
        let vfun = Vendor::start(server).await;
        let options = json!({
            "vfun-server-url": format!("{}/wtf", vfun.url), "api-key": KEY, "language": "de", "diarize": true,
            "vfun-timeout": 300, "url-timeout": 60,
        });
        let ran = stage().run(configured("links.wtf_transcribe", &options).as_ref(), &before).await;
        let mut body = Vfun::body(31.0);
        body["transcript"]["language"] = json!("de");
        let expected = json!([{
            "type": "wtf_transcription", "dialog": 0, "vendor": "vfun", "encoding": "json", "body": body,
            "mediatype": "application/json", "schema": "wtf-1.0",
        }]);
        assert_eq!(Value::from(written(&ran, &before)), expected);
        let form = vfun.calls()[0].form().unwrap();
        assert_eq!((form.text("diarize").as_deref(), form.text("language").as_deref()), (Some("true"), Some("de")));
        assert_eq!(form.file("file-binary").unwrap().filename.as_deref(), Some("call.wav"));
        let again =
            stage().run(configured("links.wtf_transcribe", &options).as_ref(), &ran.applied(&before).unwrap()).await;
        assert_eq!((again.requested.edits.len(), vfun.calls().len()), (0, 1));
    }
    for module in ["links.groq_whisper", "links.hugging_face_whisper"] {
        let options = json!({"API_KEY": KEY, "base_url": url});
        let short = vcon(&[inline(&tone(29), &json!([0, 1]))]);
        let ran = stage().run(configured(module, &options).as_ref(), &short).await;
        assert!(written(&ran, &short).is_empty() && ran.requested.notes[0].contains("shorter than 30 s"), "{module}");
    }
}
