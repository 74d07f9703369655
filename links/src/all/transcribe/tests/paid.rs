//! What is paid for, and that it is paid for once: kept results, callbacks, usage reports, limits, several keys.

use std::time::Duration;

use serde_json::{Value, json};
use vconductor_core::plugin::Outcome;
use vconductor_core::store::Resumption;

use super::{KEY, URL, configured, external, inline, link, next_run, stage, tone, vcon, written};
use crate::link_stage::{Answer, NOW, Receiver};
use crate::vendors::deepgram::Deepgram;
use crate::vendors::openai_audio::OpenAiAudio;
use crate::vendors::{Call, Fault, Vendor};

#[tokio::test]
async fn the_same_sound_with_the_same_options_is_paid_for_once() {
    let vendor = Vendor::start(Deepgram::new(&[KEY])).await;
    let options = json!({"vendor": "deepgram", "api_key": KEY, "base_url": vendor.url});
    let before = vcon(&[inline(&tone(2), &json!([0, 1])), inline(&tone(2), &json!([1, 0]))]);
    let first = stage();
    let ran = first.run(&link(&options), &before).await;
    assert_eq!((written(&ran, &before).len(), vendor.paid()), (2, 1));
    let usage = ran.requested.usage.unwrap();
    assert_eq!(usage.units["audio_seconds"], 2.0);
    let other_options = |name: &str, value: Value| {
        let mut options = options.clone();
        options[name] = value;
        options
    };
    for (options, paid) in [
        (options.clone(), 1),
        (other_options("api_key", json!([KEY, "another"])), 1),
        (other_options("format", json!("wtf")), 1),
        (other_options("limits", json!({"concurrency": 3})), 1),
        (other_options("model", json!("nova-2")), 2),
        (other_options("diarize", json!(false)), 3),
        (other_options("api", json!({"numerals": true})), 4),
        (other_options("cache", json!("off")), 5),
    ] {
        let ran = next_run(&first).run(&link(&options), &before).await;
        assert_eq!(written(&ran, &before).len(), 2);
        // Without keeping, both dialogs are paid for.
        let paid = if options["cache"] == "off" { paid + 1 } else { paid };
        assert_eq!(vendor.paid(), paid, "{options}");
    }
}

#[tokio::test]
async fn a_result_comes_by_callback_while_the_run_waits_outside() {
    let api = Deepgram::new(&[KEY]);
    let vendor = Vendor::start(api).await;
    let options = json!({
        "vendor": "deepgram", "api_key": KEY, "base_url": vendor.url, "channels": "mixed", "cache": "off",
        "callback": "https://pipeline.example.com/callbacks/{token}", "callback_timeout": "1h",
    });
    let before = vcon(&[external(61.0), external(62.0)]);
    let (stage, link) = (stage(), link(&options));
    let delivered = |call: &Call| {
        let mut body = Deepgram::new(&[]).body(call, 61.5, 1);
        body["metadata"]["request_id"] = json!("2479c8c8-8185-40ac-9ac6-f0874419f793");
        Resumption::Called(body)
    };
    let Outcome::Park { token, until } = stage.run(&link, &before).await.result.unwrap() else { panic!("it waits") };
    assert_eq!(until, NOW + 3_600_000);
    let call = vendor.calls()[0].clone();
    assert_eq!(call.parameter("callback"), Some(format!("https://pipeline.example.com/callbacks/{token}").as_str()));
    // A crash before the run waited: it waits again, and orders nothing.
    let again = stage.run(&link, &before).await.result.unwrap();
    assert_eq!((again, vendor.calls().len()), (Outcome::Park { token: token.clone(), until }, 1));
    // Somebody else's result is none.
    let foreign = Resumption::Called(json!({"metadata": {"request_id": "other"}, "results": {"channels": []}}));
    assert!(matches!(stage.resumed(&link, &before, foreign).await.result.unwrap(), Outcome::Park { .. }));
    // The first dialog's result orders the second one.
    let Outcome::Park { token: second, .. } = stage.resumed(&link, &before, delivered(&call)).await.result.unwrap()
    else {
        panic!("it waits for the second one")
    };
    assert_ne!(second, token);
    assert_eq!(vendor.calls().len(), 2);
    let ran = stage.resumed(&link, &before, delivered(&vendor.calls()[1])).await;
    let all = written(&ran, &before);
    assert_eq!((all.len(), vendor.calls().len()), (2, 2));
    assert_eq!(all[1]["body"]["transcript"], "hello I have a question about my bill");
}

#[tokio::test]
async fn a_callback_that_never_comes_or_brings_an_error_is_a_failure() {
    let vendor = Vendor::start(Deepgram::new(&[KEY])).await;
    let options = json!({
        "vendor": "deepgram", "api_key": KEY, "base_url": vendor.url, "channels": "mixed", "cache": "off",
        "callback": "https://pipeline.example.com/callbacks",
    });
    let before = vcon(&[external(61.0)]);
    let error = json!({"err_code": "Bad Request", "err_msg": "corrupt data", "request_id": "2479c8c8-8185-40ac-9ac6-f0874419f793"});
    for (resumption, expected) in
        [(Resumption::TimedOut, "no result of deepgram came"), (Resumption::Called(error), "corrupt data")]
    {
        let (stage, link) = (stage(), link(&options));
        assert!(matches!(stage.run(&link, &before).await.result.unwrap(), Outcome::Park { .. }));
        let error = stage.resumed(&link, &before, resumption).await.result.unwrap_err();
        assert!(error.message().contains(expected) && !error.is_retryable(), "{error}");
    }
}

#[tokio::test]
async fn usage_is_reported_once_and_never_costs_the_call() {
    let vendor = Vendor::start(Deepgram::new(&[KEY])).await;
    let report = Receiver::start().await.unwrap();
    let options = json!({
        "DEEPGRAM_KEY": KEY, "api": {"model": "nova-2"}, "base_url": vendor.url, "cache": "off",
        "send_ai_usage_data_to_url": format!("{}/usage", report.url), "ai_usage_api_token": "token",
    });
    let before = vcon(&[external(61.0)]);
    let link = configured("links.deepgram_link", &options);
    report.will_answer("/usage", Answer::status(500));
    for paid in 1..=2 {
        let stage = stage();
        for _ in 0..2 {
            let ran = stage.run(link.as_ref(), &before).await;
            assert_eq!(written(&ran, &before).len(), 1);
        }
        assert_eq!((vendor.paid(), report.calls("/usage")), (paid, paid));
    }
    let call = &report.received()[1];
    assert_eq!(call.header("authorization"), "Bearer token");
    let mut body = call.json();
    body.as_object_mut().unwrap().remove("created_at");
    assert_eq!(
        body,
        json!({
            "record_id": "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10", "type": "VCON_PROCESSING", "sub_type": "DEEPGRAM_TRANSCRIBE",
            "unit_type": "seconds", "input_units": 62, "output_units": 0, "ai_model": "nova-3",
        })
    );
}

#[tokio::test]
async fn a_key_that_is_refused_or_over_its_limit_makes_room_for_the_next() {
    let vendor = Vendor::start(OpenAiAudio::new(&["sk-good-1", "sk-good-2"])).await;
    vendor.limit(2, Duration::from_secs(60));
    let options = json!({
        "vendor": "openai", "api_key": ["sk-refused", "sk-good-1", "sk-good-2"], "base_url": format!("{}/v1", vendor.url),
        "cache": "off",
    });
    let before = vcon(&[inline(&tone(1), &json!([0, 1]))]);
    let (first, link) = (stage(), link(&options));
    for _ in 0..4 {
        let ran = next_run(&first).run(&link, &before).await;
        assert_eq!(written(&ran, &before).len(), 1);
    }
    assert_eq!((vendor.paid(), vendor.answered(401)), (4, 1));
    let holds = first.services.coordination.holds().await.unwrap();
    assert!(holds.len() == 1 && holds[0].what.starts_with("key:openai:"), "{holds:?}");
    assert!(next_run(&first).run(&link, &before).await.result.unwrap_err().is_retryable());
}

#[tokio::test]
async fn the_length_of_a_recording_counts_where_the_vcon_does_not_say_it() {
    let vendor = Vendor::start(Deepgram::new(&[KEY])).await;
    let options = json!({"vendor": "deepgram", "api_key": KEY, "base_url": vendor.url, "minimum_duration": 3});
    let before = vcon(&[inline(&tone(2), &json!([0, 1])), inline(&tone(3), &json!([0, 1]))]);
    let ran = stage().run(&link(&options), &before).await;
    let dialogs: Vec<_> = written(&ran, &before).iter().map(|analysis| analysis["dialog"].clone()).collect();
    assert_eq!((dialogs, vendor.paid()), (vec![json!(1)], 1));
    vendor.will(Fault::Status(500));
    let far = vcon(&[external(61.0)]);
    let unreachable = stage().run(&link(&options), &far).await;
    assert!(unreachable.result.unwrap_err().is_retryable(), "{URL} is looked at before it is sent");
    assert_eq!(vendor.calls().len(), 1);
}
