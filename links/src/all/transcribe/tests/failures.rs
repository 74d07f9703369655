//! Every way in which a vendor fails, and what is never told when it does.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::plugin::Outcome;

use super::{KEY, QUICK, external, inline, link, next_run, stage, tone, vcon, written};
use crate::vendors::deepgram::Deepgram;
use crate::vendors::groq_audio::GroqAudio;
use crate::vendors::hugging_face::HuggingFace;
use crate::vendors::openai_audio::OpenAiAudio;
use crate::vendors::vfun::Vfun;
use crate::vendors::{Fault, Vendor};

/// Each vendor with the options that reach it.
async fn all() -> Vec<(Vendor, Value)> {
    let deepgram = Vendor::start(Deepgram::new(&[KEY])).await;
    let openai = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    let groq = Vendor::start(GroqAudio::new(&[KEY])).await;
    let face = Vendor::start(HuggingFace::new(&[KEY], "/m")).await;
    let vfun = Vendor::start(Vfun::new(&[KEY])).await;
    let options = |vendor: &str, url: String| json!({"vendor": vendor, "api_key": KEY, "base_url": url, "timeout": QUICK.as_secs_f64(), "cache": "off"});
    let urls = [
        options("deepgram", deepgram.url.clone()),
        options("openai", format!("{}/v1", openai.url)),
        options("groq", format!("{}/openai/v1", groq.url)),
        options("hugging_face", format!("{}/m", face.url)),
        options("vfun", format!("{}/wtf", vfun.url)),
    ];
    [deepgram, openai, groq, face, vfun].into_iter().zip(urls).collect()
}

#[tokio::test]
async fn the_class_of_a_failure_is_that_of_its_status() {
    let before = vcon(&[inline(&tone(1), &json!([0, 1]))]);
    for (vendor, options) in all().await {
        for (fault, class, wait) in [
            (Fault::Status(400), Class::Permanent, None),
            (Fault::Status(401), Class::Configuration, None),
            (Fault::Status(402), Class::Configuration, None),
            (Fault::Status(403), Class::Configuration, None),
            (Fault::Status(413), Class::Permanent, None),
            (Fault::Status(429), Class::Retryable, None),
            (Fault::RetryAfter(429, "7"), Class::Retryable, Some(7)),
            (Fault::Status(500), Class::Retryable, None),
            (Fault::RetryAfter(503, "9"), Class::Retryable, Some(9)),
            (Fault::Status(529), Class::Retryable, None),
            (Fault::Slow(Duration::from_secs(30)), Class::Retryable, None),
            (Fault::CutOff, Class::Retryable, None),
            (Fault::NoJson, Class::Retryable, None),
        ] {
            let (case, calls) = (format!("{} {fault:?}", options["vendor"]), vendor.calls().len());
            vendor.will(fault);
            let link = link(&options);
            let ran = stage().run(&link, &before).await;
            let error = ran.result.as_ref().err().unwrap_or_else(|| panic!("{case}: no failure"));
            assert_eq!(error.class(), class, "{case}: {}", error.chain_text());
            assert_eq!(error.wait(), wait.map(Duration::from_secs), "{case}");
            assert!(ran.requested.edits.is_empty(), "{case}: an error is no transcript");
            assert_eq!(vendor.calls().len() - calls, 1, "{case}: not tried again in place");
            assert!(!format!("{} {error:?} {:?}", error.chain_text(), ran.requested.notes).contains(KEY), "{case}");
        }
        let ran = stage().run(&link(&options), &before).await;
        assert_eq!(written(&ran, &before).len(), 1, "{}", options["vendor"]);
    }
}

#[tokio::test]
async fn an_empty_account_is_a_fault_of_the_configuration_whatever_the_status() {
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    let error = json!({"message": "You exceeded your current quota", "type": "insufficient_quota", "param": null,
        "code": "insufficient_quota"});
    vendor.will(Fault::Answer(crate::vendors::Answer::json(429, &json!({"error": error}))));
    let options = json!({"vendor": "openai", "api_key": KEY, "base_url": format!("{}/v1", vendor.url)});
    let before = vcon(&[inline(&tone(1), &json!([0, 1]))]);
    let error = stage().run(&link(&options), &before).await.result.unwrap_err();
    assert_eq!(error.class(), Class::Configuration, "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_transcript_is_none() {
    let before = vcon(&[inline(&tone(1), &json!([0, 1]))]);
    for (vendor, options) in all().await {
        for body in [json!({"error": "Model is too busy"}), json!({}), json!([]), json!(null), json!({"text": 5})] {
            vendor.will(Fault::Answer(crate::vendors::Answer::json(200, &body)));
            let ran = stage().run(&link(&options), &before).await;
            assert!(ran.result.unwrap_err().is_retryable(), "{}: {body}", options["vendor"]);
            assert!(ran.requested.edits.is_empty());
        }
    }
}

#[tokio::test]
async fn the_next_vendor_is_asked_when_one_fails_for_good_and_never_after_a_result() {
    let before = vcon(&[inline(&tone(1), &json!([0, 1]))]);
    let first = Vendor::start(Deepgram::new(&[KEY])).await;
    let second = Vendor::start(OpenAiAudio::new(&["sk-other"])).await;
    let options = json!({
        "vendor": "deepgram", "api_key": KEY, "base_url": first.url, "cache": "off",
        "fallback": [{"vendor": "openai", "api_key": "sk-other", "base_url": format!("{}/v1", second.url), "model": "whisper-1"}],
    });
    let vendor_of = |ran: &crate::link_stage::Ran| written(ran, &before)[0]["vendor"].as_str().unwrap().to_owned();
    for status in [400, 402] {
        first.will(Fault::Status(status));
        let ran = stage().run(&link(&options), &before).await;
        assert_eq!(vendor_of(&ran), "openai", "{status}");
        assert!(ran.requested.notes[0].contains("the next vendor is asked"));
    }
    // What may go away by itself is waited for twice.
    let transcribe = link(&options);
    let mut stage = stage();
    for attempt in 1..=3 {
        stage.step.attempt = attempt;
        first.will(Fault::Status(503));
        let ran = stage.run(&transcribe, &before).await;
        match attempt {
            3 => assert_eq!(vendor_of(&ran), "openai"),
            _ => assert!(ran.result.unwrap_err().is_retryable()),
        }
    }
    // Without a key that is taken, the next one is asked at once.
    let transcribe = link(&options);
    let held = next_run(&stage);
    for _ in 0..2 {
        first.will(Fault::Status(401));
        assert_eq!(vendor_of(&next_run(&held).run(&transcribe, &before).await), "openai");
    }
    assert_eq!(second.calls().len(), 5);
    // A result that is not wanted is a result.
    let mut options = options;
    options["minimum_confidence"] = json!(0.999);
    let ran = self::stage().run(&link(&options), &before).await;
    assert_eq!((written(&ran, &before).len(), second.calls().len()), (0, 5));
}

#[tokio::test]
async fn one_dialog_that_cannot_be_transcribed_does_not_keep_the_others_from_it() {
    let vendor = Vendor::start(Deepgram::new(&[KEY])).await;
    let options = json!({"vendor": "deepgram", "api_key": KEY, "base_url": vendor.url});
    let mut broken = inline(b"this is no recording, whatever it says", &json!([0, 1]));
    broken["filename"] = json!("x\"\r\n.wav");
    let before = vcon(&[broken, inline(&tone(1), &json!([0, 1]))]);
    let stage = stage();
    let error = stage.run(&link(&options), &before).await.result.unwrap_err();
    assert_eq!(error.class(), Class::Permanent);
    assert!(error.chain_text().contains("dialog 0"), "{}", error.chain_text());
    assert_eq!((vendor.paid(), stage.parts().len()), (1, 1), "the second one is kept");
}

/// Everything that a program says while a test runs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn planted_secrets_are_told_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    // For the whole process: with one for a thread, what another thread meets first is taken as not wanted.
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let secrets = [KEY, "url-secret-42", "usage-token-0123456789"];
    let report = crate::link_stage::Receiver::start().await.unwrap();
    for (vendor, mut options) in all().await {
        options["cache"] = json!("30d");
        options["channels"] = json!("mixed");
        options["send_ai_usage_data_to_url"] = json!(report.url);
        options["ai_usage_api_token"] = json!("usage-token-0123456789");
        let mut dialog = external(61.0);
        dialog["content_hash"] =
            json!("sha512-GLy6IPaIUM1GqzZqfIPZlWjaDsNgNvZM0iCONNThnH0a75fhUM6cYzLZ5GynSURREvZwmOh54-2lRRieyj82UQ");
        let by_url = options["vendor"] == "deepgram";
        let before = vcon(&[if by_url { dialog } else { inline(&tone(1), &json!([0, 1])) }]);
        let link = link(&options);
        for fault in [400, 500, 401] {
            let url = if by_url { super::URL } else { "" };
            vendor.will(Fault::Echo(fault, format!("your key {KEY} and {url} are wrong")));
            let stage = stage();
            let ran = stage.run(&link, &before).await;
            let error = ran.result.unwrap_err();
            let holds = stage.services.coordination.holds().await.unwrap();
            let told =
                format!("{} {error:?} {:?} {holds:?} {:?}", error.chain_text(), ran.requested.notes, stage.parts());
            let leaked = secrets.iter().find(|secret| told.contains(**secret));
            assert_eq!(leaked, None, "{}: {told}", options["vendor"]);
        }
        let stage = stage();
        let link = super::link(&options);
        let ran = stage.run(&link, &before).await;
        assert_eq!(*ran.result.as_ref().unwrap(), Outcome::Continue, "{:?}", ran.result);
        let told = format!("{:?} {:?}", ran.requested.edits, stage.parts());
        assert_eq!(secrets.iter().find(|secret| told.contains(**secret)), None, "{}", options["vendor"]);
    }
    assert!(report.received().iter().any(|call| call.header("authorization") == "Bearer usage-token-0123456789"));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("taken out"), "what the link says is in the log");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
