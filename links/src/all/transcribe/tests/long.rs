//! Recordings that are cut.

use std::time::Duration;

use serde_json::json;

use super::{KEY, inline, link, stage, turns, vcon, wav, written};
use crate::vendors::openai_audio::OpenAiAudio;
use crate::vendors::{Fault, Vendor};

/// 60 s of a tone on each channel, silent for 2 s before each full 20 s.
fn recording(channels: u16) -> Vec<u8> {
    wav(60, channels, |_, second| second % 20.0 >= 18.0)
}

#[tokio::test]
async fn parts_are_transcribed_side_by_side_and_put_on_one_time_line() {
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY]).hears("Hello. Bye.")).await;
    let options = json!({
        "vendor": "openai", "api_key": KEY, "base_url": format!("{}/v1", vendor.url), "model": "gpt-4o-transcribe-diarize",
        "max_chunk_duration": 25, "silence_len": 1000, "parallel": 2, "cache": "off",
    });
    let before = vcon(&[inline(&recording(1), &json!([0, 1]))]);
    for _ in 0..3 {
        vendor.will(Fault::Slow(Duration::from_millis(100)));
    }
    let stage = stage();
    let ran = stage.run(&link(&options), &before).await;
    let body = &written(&ran, &before)[0]["body"];
    let said = turns(body);
    assert_eq!(said.len(), 6, "{said:?}");
    assert_eq!((vendor.calls().len(), vendor.most_at_once()), (3, 2));
    assert_eq!(said[0], "0.0 Speaker A: Hello.");
    assert!(
        said[2].starts_with("19.") && said[2].ends_with("Speaker A (part 2): Hello."),
        "cut in the silence: {said:?}"
    );
    assert_eq!(body["duration"], 60.0);
    assert_eq!(body["chunked_transcription"]["total_chunks"], 3);
    let billed = ran.requested.usage.unwrap().units["audio_seconds"];
    assert!((60.0..=63.0).contains(&billed), "each part is billed by full seconds: {billed}");
    assert_eq!(stage.parts().len(), 4, "three parts, and the dialog");
}

#[tokio::test]
async fn a_part_that_failed_is_asked_for_alone() {
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    let options = json!({
        "vendor": "openai", "api_key": KEY, "base_url": format!("{}/v1", vendor.url), "max_chunk_duration": 25,
        "silence_len": 1000, "parallel": 3, "cache": "off", "channels": "separate",
    });
    let before = vcon(&[inline(&recording(2), &json!([0, 1]))]);
    let (stage, link) = (stage(), link(&options));
    vendor.will(Fault::Status(503));
    vendor.will(Fault::CutOff);
    let error = stage.run(&link, &before).await.result.unwrap_err();
    assert!(error.is_retryable());
    let kept = stage.parts().len();
    assert!((1..6).contains(&kept), "what was with the vendor is waited for and kept: {kept}");
    let ran = stage.run(&link, &before).await;
    assert_eq!(written(&ran, &before).len(), 1);
    assert_eq!(vendor.answered(503), 1);
    assert_eq!(vendor.paid(), 7, "six parts, and the one whose answer was cut off");
    assert_eq!(stage.parts().len(), 7);
    let before_again = vendor.calls().len();
    stage.run(&link, &before).await.result.unwrap();
    assert_eq!(vendor.calls().len(), before_again);
}

#[tokio::test]
async fn silence_is_not_paid_for() {
    let vendor = Vendor::start(OpenAiAudio::new(&[KEY])).await;
    let options = json!({
        "vendor": "openai", "api_key": KEY, "base_url": format!("{}/v1", vendor.url), "max_chunk_duration": 25,
        "cache": "off",
    });
    let quiet = wav(60, 1, |_, second| second >= 14.0);
    let before = vcon(&[inline(&quiet, &json!([0, 1]))]);
    let ran = stage().run(&link(&options), &before).await;
    assert_eq!(written(&ran, &before)[0]["body"]["text"], "Hello. My bill is wrong.");
    assert_eq!(vendor.calls().len(), 1);
}
