//! What goes wrong, and what kind of failure it is.

use std::time::Duration;

use vconductor_core::Class;
use vconductor_tests::vendors::Answer;
use vconductor_tests::vendors::said::Said;

use super::*;

#[tokio::test]
async fn each_status_is_a_failure_of_its_class() {
    let quota = json!({"error": {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}});
    let poor = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."}});
    let long =
        json!({"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}});
    for (fault, class, help) in [
        (Fault::Status(400), Class::Permanent, ""),
        (Fault::Status(401), Class::Configuration, "key"),
        (Fault::Status(402), Class::Configuration, "credit"),
        (Fault::Status(403), Class::Configuration, "key"),
        (Fault::Status(404), Class::Configuration, "`model`"),
        (Fault::Status(413), Class::Permanent, ""),
        (Fault::Status(429), Class::Retryable, ""),
        (Fault::Status(500), Class::Retryable, ""),
        (Fault::Status(503), Class::Retryable, ""),
        (Fault::Status(529), Class::Retryable, ""),
        (Fault::Answer(Answer::json(429, &quota)), Class::Configuration, "credit"),
        (Fault::Answer(Answer::json(400, &poor)), Class::Configuration, "credit"),
        (Fault::Answer(Answer::json(400, &long)), Class::Permanent, "max_input_tokens"),
        (Fault::CutOff, Class::Retryable, ""),
        (Fault::NoJson, Class::Retryable, "URL"),
        (Fault::Slow(Duration::from_secs(3)), Class::Retryable, ""),
    ] {
        let (vendor, _) = openai().await;
        vendor.will(fault.clone());
        let link = link("links.analyze", at(&vendor, json!({"timeout": 1}))).unwrap();
        let error = failed(&link, &call()).await;
        assert_eq!(error.class(), class, "{fault:?}: {}", error.chain_text());
        assert!(error.help_text().unwrap_or_default().contains(help), "{fault:?}: {:?}", error.help_text());
    }
}

#[tokio::test]
async fn the_wait_that_a_provider_asks_for_is_handed_on() {
    let (vendor, _) = openai().await;
    vendor.will(Fault::RetryAfter(429, "7"));
    let error = failed(&link("links.analyze", at(&vendor, json!({}))).unwrap(), &call()).await;
    assert_eq!((error.is_retryable(), error.wait()), (true, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn refusals_and_half_answers_are_no_answers() {
    for (said, class, part) in [
        (Said::Refusal("I cannot help with that.".into()), Class::Permanent, "refuses"),
        (Said::Filtered, Class::Permanent, "filter"),
        (Said::CutOff("The customer".into()), Class::Permanent, "cut off"),
        (Said::Text(" \n".into()), Class::Retryable, "empty"),
    ] {
        for (module, options) in [("links.analyze", json!({})), ("links.detect_engagement", json!({}))] {
            let (vendor, speech) = openai().await;
            speech.will(said.clone());
            let link = link(module, at(&vendor, options)).unwrap();
            let stage = LinkStage::new(UUID);
            let ran = run(&stage, &link, &call()).await;
            let error = ran.result.unwrap_err();
            assert_eq!(error.class(), class, "{module} {said:?}: {error}");
            assert!(error.message().contains(part), "{module} {said:?}: {error}");
            assert!(ran.requested.usage.is_some(), "what was paid is counted");
            assert!(stage.parts().is_empty() && ran.requested.edits.is_empty());
        }
    }
}

#[tokio::test]
async fn an_answer_in_the_wrong_form_is_sent_back_once() {
    let (vendor, speech) = openai().await;
    speech.says("Yes, it does.");
    speech.says("```json\n{\"applies\": true}\n```");
    let options = json!({"tag_name": "a", "tag_value": "b", "evaluation_question": "Is it?"});
    let link = link("links.check_and_tag", at(&vendor, options)).unwrap();
    assert_eq!(tags(&done(&link, &call()).await), ["a:b"]);
    let calls = vendor.calls();
    let body = calls[1].json().unwrap();
    let messages: Vec<(&str, &str)> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["role"].as_str().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    assert_eq!(messages.iter().map(|(role, _)| *role).collect::<Vec<_>>(), ["system", "user", "assistant", "user"]);
    assert_eq!(messages[2].1, "Yes, it does.");
    assert!(messages[3].1.contains("not JSON"), "{}", messages[3].1);
    // Twice wrong is an error that says what is wrong, and not what was said.
    speech.says(r#"{"applies": "4111-1111"}"#);
    speech.says(r#"{"applies": "4111-1111"}"#);
    let other = vcon(json!([{"type": "transcript", "dialog": 0, "body": "other words"}]));
    let error = failed(&link, &other).await;
    assert_eq!(error.class(), Class::Permanent);
    assert!(error.message().contains("/applies") && !error.chain_text().contains("4111"), "{}", error.chain_text());
    assert_eq!(vendor.calls().len(), 4);
}

#[tokio::test]
async fn what_was_paid_is_not_paid_again() {
    let (vendor, speech) = openai().await;
    let link = link("links.analyze", at(&vendor, json!({}))).unwrap();
    let mut vcon = vcon(json!([
        {"type": "transcript", "dialog": 0, "body": "first"},
        {"type": "transcript", "dialog": 1, "body": "second"},
    ]));
    vcon["dialog"] = vec![vcon["dialog"][0].clone(); 2].into();
    let stage = LinkStage::new(UUID);
    speech.says("of the first");
    // The first dialog is answered, the second fails: the retry asks for the second alone.
    vendor.will(Fault::Slow(Duration::ZERO));
    vendor.will(Fault::Status(500));
    let ran = run(&stage, &link, &vcon).await;
    assert!(ran.result.unwrap_err().is_retryable());
    let again = run(&stage, &link, &vcon).await;
    again.result.as_ref().unwrap();
    assert_eq!((vendor.calls().len(), vendor.paid()), (3, 2));
    let applied = again.applied(&read(&vcon)).unwrap();
    let after: Value = serde_json::from_slice(&applied.to_bytes()).unwrap();
    assert_eq!(analyses(&after, "summary")[0]["body"], "of the first");
    // A new run of the same content asks nobody.
    let mut other = LinkStage::new("another");
    other.services = stage.services.clone();
    let known = run(&other, &link, &vcon).await;
    assert!(known.result.is_ok() && known.requested.usage.is_none());
    assert_eq!(vendor.paid(), 2);
}

#[tokio::test]
async fn a_limit_of_the_provider_is_kept_and_not_met() {
    let (vendor, _) = openai().await;
    let limits = json!({"limits": {"concurrency": 2}, "cache": "off"});
    let link = link("links.analyze", at(&vendor, limits)).unwrap();
    let stage = Arc::new(LinkStage::new(UUID));
    let runs = (0..12).map(|number| {
        let (stage, link) = (Arc::clone(&stage), Arc::clone(&link));
        tokio::spawn(async move {
            let mut own = LinkStage::new(&format!("uuid-{number}"));
            own.services = stage.services.clone();
            run(&own, &link, &call()).await.result.is_ok()
        })
    });
    for run in runs.collect::<Vec<_>>() {
        assert!(run.await.unwrap());
    }
    assert_eq!((vendor.paid(), vendor.most_at_once() <= 2), (12, true));
}
