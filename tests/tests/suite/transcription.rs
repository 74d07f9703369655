//! Transcription in a whole engine: conductors that are killed, a vendor that refuses, a vendor that is crowded.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vconductor_tests::campaign::long_recording;
use vconductor_tests::stage::{Stage, uuid};
use vconductor_tests::vendors::openai_audio::OpenAiAudio;
use vconductor_tests::vendors::{Fault, Vendor};

const KEY: &str = "sk-planted-0123456789abcdef";

/// A tone of 8 bits at 8 kHz, silent for 2 s before each full 20 s.
fn recording(seconds: u32) -> Vec<u8> {
    let length = seconds * 8000;
    let mut bytes = Vec::new();
    for (text, numbers) in [
        ("RIFF", vec![36 + length]),
        ("WAVEfmt ", vec![16, 0x0001_0001, 8000, 8000, 0x0008_0001]),
        ("data", vec![length]),
    ] {
        bytes.extend_from_slice(text.as_bytes());
        numbers.iter().for_each(|number: &u32| bytes.extend_from_slice(&number.to_le_bytes()));
    }
    bytes.extend((0..length).map(|sample| if sample % 160_000 >= 144_000 || sample % 16 < 8 { 128u8 } else { 200 }));
    bytes
}

pub(crate) fn vcon(id: &str, seconds: u32) -> String {
    // Each its own sound: a result is kept by content.
    let mut sound = recording(seconds);
    sound.extend_from_slice(id.as_bytes());
    json!({
        "uuid": id, "created_at": "2026-01-02T03:04:05Z", "parties": [{"tel": "+12025550123"}], "analysis": [], "attachments": [],
        "dialog": [{
            "type": "recording", "start": "2026-01-02T03:04:05Z", "parties": [0], "mediatype": "audio/x-wav", "encoding": "base64url",
            "body": URL_SAFE_NO_PAD.encode(sound),
        }],
    })
    .to_string()
}

pub(crate) fn configuration(vendor: &Vendor, more: &str, chain: &str) -> String {
    format!(
        "links:\n  transcribe:\n    module: links.transcribe\n    options:\n      vendor: openai\n      api_key: {KEY}\n      \
         base_url: {}/v1\n{more}chains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n{chain}",
        vendor.url
    )
}

/// A conductor as a process of its own, which can be killed.
fn start(config: &Path, store: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_conductor_under_test"))
        .arg("run")
        .arg(config)
        .arg("--store")
        .arg(format!("embedded:{}", store.display()))
        .arg("--until-idle")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the conductor starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conductor_that_is_killed_between_parts_pays_for_none_of_them_twice() {
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    for _ in 0..8 {
        vendor.will(Fault::Slow(Duration::from_millis(300)));
    }
    let stage = Stage::new();
    let id = uuid(1);
    stage.give("in", &id, &vcon(&id, 100)).await;
    let config = stage.folder().join("chain.yml");
    let options = "      max_chunk_duration: 25\n      silence_len: 1000\n      parallel: 1\n";
    std::fs::write(&config, configuration(&vendor, options, "    links: [transcribe]\n")).expect("a configuration");
    let mut killed = start(&config, &stage.folder().join("store"));
    let began = Instant::now();
    while vendor.calls().len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "the vendor is not called");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    killed.kill().expect("a conductor to kill");
    killed.wait().expect("its end");
    let mut second = start(&config, &stage.folder().join("store"));
    let status = tokio::task::spawn_blocking(move || second.wait()).await.expect("a thread").expect("its end");
    assert!(status.success(), "{status}");
    let body = stage.document(&id).await["analysis"][0]["body"].clone();
    let body: Value = serde_json::from_str(body.as_str().expect("JSON text")).expect("JSON");
    let parts = body["chunked_transcription"]["total_chunks"].as_u64().expect("parts") as usize;
    assert!(parts >= 4, "{parts} parts");
    let twice = vendor.paid() - parts;
    println!("{parts} parts, {} paid, {twice} of them twice", vendor.paid());
    assert_eq!(twice, 1, "the one that was in flight, and no other");
    assert_eq!(stage.take("out").await.get(&id), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_429_costs_time_only() {
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    vendor.limit(4, Duration::from_secs(1));
    let stage = Stage::new();
    for number in 0..10 {
        stage.give("in", &uuid(number), &vcon(&uuid(number), 1)).await;
    }
    let chain = "    links: [{link: transcribe, retry: {attempts: 20, base: 100ms, cap: 1s}}]\n";
    stage.run(&configuration(&vendor, "", chain)).await;
    assert_eq!(stage.take("out").await.len(), 10);
    assert!(vendor.answered(429) > 0, "the vendor was never crowded");
    assert_eq!((vendor.paid(), stage.dead("DLQ:in").await.len()), (10, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_asked_about_once_and_its_runs_wait() {
    let vendor = Vendor::start(OpenAiAudio::new(&["sk-another"])).await;
    let stage = Stage::new();
    for number in 0..10 {
        stage.give("in", &uuid(number), &vcon(&uuid(number), 1)).await;
    }
    let conductor = stage.start(&configuration(&vendor, "", "    concurrency: 1\n    links: [transcribe]\n"));
    conductor.until("the vendor refuses", Duration::from_secs(30), async || vendor.answered(401) > 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    conductor.stop().await;
    assert_eq!(vendor.calls().len(), 1, "a key that is out is not tried with every vCon");
    assert_eq!(stage.dead("DLQ:in").await.len(), 0, "the link is held, and its runs wait");
    assert!(!stage.pending("in").await.is_idle());
    for number in 0..10 {
        let document = stage.document(&uuid(number)).await;
        assert_eq!(document["analysis"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_recording_is_cut_and_comes_back_on_one_time_line() {
    let binary = Path::new(env!("CARGO_BIN_EXE_conductor_under_test"));
    let found = long_recording::run(binary, 7).await.expect("a transcript");
    println!("{found:?}");
    assert_eq!(found.breaches, Vec::<String>::new());
    // Cut in the silence after five minutes, for both channels.
    assert_eq!(found.parts, 4);
    assert!(found.at_once > 1, "one after the other");
    assert!(found.largest < 25_000_000, "{} bytes", found.largest);
    assert!(found.memory < 300 << 20, "{} bytes", found.memory);
}
