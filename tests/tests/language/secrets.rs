//! What is secret stays secret, whatever goes wrong.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing_subscriber::fmt::MakeWriter;
use vconductor_tests::vendors::anthropic::Anthropic;
use vconductor_tests::vendors::deepgram::Deepgram;
use vconductor_tests::vendors::openai_audio::OpenAiAudio;
use vconductor_tests::vendors::slack::Slack;
use vconductor_tests::vendors::text_generation::TextGeneration;

use super::*;

const SECRETS: [&str; 7] = [
    "planted-openai-key",
    "planted-anthropic-key",
    "planted-usage-token",
    "planted-slack-token",
    "planted-face-key",
    "planted-audio-key",
    "planted-deepgram-key",
];

/// Everything that is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}

/// The names and labels of all metrics of this process.
#[derive(Clone, Default)]
struct Labels(Arc<Mutex<BTreeSet<String>>>);

impl Labels {
    fn note(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_string());
    }
}

impl Recorder for Labels {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

#[tokio::test]
async fn planted_secrets_come_out_nowhere() {
    let (log, labels) = (Log::default(), Labels::default());
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).init();
    metrics::set_global_recorder(labels.clone()).unwrap_or_else(|_| panic!("the first recorder"));
    let speech = Speech::new();
    let openai = Vendor::start(OpenAiLanguage::new(&SECRETS[..1], &speech)).await;
    let anthropic = Vendor::start(Anthropic::new(&SECRETS[1..2], &speech)).await;
    let slack = Vendor::start(Slack::new(SECRETS[3], &["alerts"])).await;
    let face = Vendor::start(TextGeneration::new(&SECRETS[4..5], "m", &speech)).await;
    let audio = Vendor::start(OpenAiAudio::new(&SECRETS[5..6])).await;
    let deepgram = Vendor::start(Deepgram::new(&SECRETS[6..])).await;
    let url = |vendor: &Vendor, path: &str| format!("{}{path}", vendor.url);
    let question = json!({"tag_name": "a", "tag_value": "b", "evaluation_question": "c"});
    let own = |more: Value| {
        let mut options = json!({"provider": "openai", "base_url": url(&openai, "/v1"), "OPENAI_API_KEY": SECRETS[0]});
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let rows = [
        (
            &openai,
            "links.analyze",
            own(json!({"send_ai_usage_data_to_url": "http://127.0.0.1:1/usage", "ai_usage_api_token": SECRETS[2]})),
        ),
        (&openai, "links.analyze_and_label", own(json!({}))),
        (&openai, "links.analyze_vcon", own(json!({}))),
        (&openai, "links.check_and_tag", own(question)),
        (&openai, "links.detect_engagement", own(json!({}))),
        (&openai, "links.assign_roles", own(json!({}))),
        (
            &anthropic,
            "links.analyze",
            json!({"provider": "anthropic", "base_url": url(&anthropic, "/v1"), "api_key": SECRETS[1], "model": "claude-haiku-4-5"}),
        ),
        (
            &slack,
            "links.post_analysis_to_slack",
            json!({"token": SECRETS[3], "default_channel_name": "alerts", "base_url": url(&slack, "/api")}),
        ),
        (
            &face,
            "links.hugging_llm_link",
            json!({"HUGGINGFACE_API_KEY": SECRETS[4], "model": "m", "base_url": url(&face, "/models")}),
        ),
        (
            &audio,
            "links.transcribe",
            json!({"vendor": "openai", "api_key": SECRETS[5], "base_url": url(&audio, "/v1"), "cache": "off"}),
        ),
        (
            &deepgram,
            "links.transcribe",
            json!({"vendor": "deepgram", "api_key": SECRETS[6], "base_url": url(&deepgram, ""), "cache": "off"}),
        ),
    ];
    let mut vcon = call();
    let review = json!({"type": "customer_frustration", "dialog": 0, "vendor": "x", "body": "NEEDS REVIEW"});
    vcon["analysis"].as_array_mut().unwrap().push(review);
    // A second of noise that nobody has transcribed yet.
    let mut recorded =
        b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0".to_vec();
    recorded.extend((0..8000).map(|sample: u32| if sample % 16 < 8 { 60 } else { 200 }));
    let mut dialog = vcon["dialog"][0].clone();
    dialog["body"] = URL_SAFE_NO_PAD.encode(recorded).into();
    vcon["dialog"].as_array_mut().unwrap().push(dialog);
    let mut shown = String::new();
    for (vendor, module, options) in rows {
        let secret = SECRETS.into_iter().find(|secret| options.to_string().contains(secret)).unwrap();
        for status in [200, 400, 401, 429, 500] {
            if status != 200 {
                // Vendors quote keys and input.
                vendor.will(Fault::Echo(status, format!("your key {secret} did {status}")));
            }
            let stage = LinkStage::new(UUID);
            let ran = run(&stage, &link(module, options.clone()).unwrap(), &vcon).await;
            let holds = stage.services.coordination.holds().await.unwrap();
            shown.push_str(&format!("{:?} {:?} {:?} {holds:?}\n", ran.result, ran.requested, stage.parts()));
            if let Ok(after) = ran.applied(&read(&vcon)) {
                shown.push_str(&String::from_utf8_lossy(&after.to_bytes()));
            }
        }
        assert!(vendor.answered(401) > 0, "{module} was called");
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    let labels = format!("{:?}", labels.0.lock().unwrap());
    assert!(log.contains("TRACE") && labels.contains("vconductor_tokens_total"), "both were listening");
    for secret in SECRETS {
        for (place, text) in [("results", &shown), ("log", &log), ("metrics", &labels)] {
            assert!(!text.contains(secret), "{secret} in the {place}: {text}");
        }
    }
    assert!(!labels.contains(UUID) && !labels.contains("refund"), "{labels}");
}
