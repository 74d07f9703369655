//! Messages to Slack.

use std::time::Duration;

use vconductor_core::Class;
use vconductor_tests::vendors::slack::{Posted, Slack};

use super::*;

async fn slack(channels: &[&str]) -> (Vendor, Posted) {
    let slack = Slack::new(KEY, channels);
    let posted = slack.posted();
    (Vendor::start(slack).await, posted)
}

fn alert(vendor: &Vendor, more: Value) -> Arc<dyn Link> {
    let mut options = json!({"token": KEY, "default_channel_name": "alerts", "url": "https://view.test/{vcon_id}",
        "base_url": format!("{}/api", vendor.url)});
    let Value::Object(more) = more else { panic!("options are a map") };
    options.as_object_mut().unwrap().extend(more);
    link("links.post_analysis_to_slack", options).unwrap()
}

fn frustrated(team: Option<&str>) -> Value {
    let mut vcon = vcon(json!([
        {"type": "summary", "dialog": 0, "vendor": "openai", "body": "Wants <!channel> & money."},
        {"type": "customer_frustration", "dialog": 0, "vendor": "openai", "body": "NEEDS REVIEW: very angry"},
        {"type": "customer_frustration", "dialog": 0, "vendor": "other", "body": "all is well"},
    ]));
    if let Some(team) = team {
        let body = json!({"name": "Main Street", "team": {"name": team}}).to_string();
        vcon["attachments"] = json!([{"type": "strolid_dealer", "body": body, "encoding": "json"}]);
    }
    vcon
}

fn channels(posted: &Posted) -> Vec<String> {
    posted.all().iter().map(|message| message["channel"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_needs_review_is_posted_and_marked() {
    let (vendor, posted) = slack(&["alerts", "team-north-alerts"]).await;
    for (team, expected) in [
        (None, &["alerts"][..]),
        (Some("North Team"), &["team-north-alerts", "alerts"]),
        (Some("Strolid"), &["alerts"]),
        (Some("../general"), &["alerts"]),
    ] {
        let before = posted.all().len();
        let after = done(&alert(&vendor, json!({})), &frustrated(team)).await;
        assert_eq!(channels(&posted)[before..], *expected, "{team:?}");
        let marks: Vec<_> =
            after["analysis"].as_array().unwrap().iter().map(|entry| entry.get("was_posted_to_slack")).collect();
        assert_eq!(marks, [None, Some(&json!(true)), None]);
        let again = done(&alert(&vendor, json!({})), &after).await;
        assert_eq!((again, posted.all().len()), (after, before + expected.len()), "what is marked is not posted again");
    }
    let message = posted.all().into_iter().find(|message| message["channel"] == "team-north-alerts").unwrap();
    assert_eq!(message["text"], "Wants <!channel> & money. #Main Street");
    let blocks = message["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks[1]["text"]["text"], "Wants &lt;!channel&gt; &amp; money. #Main Street");
    assert_eq!(blocks[2]["accessory"]["url"], format!("https://view.test/{UUID}"));
    assert_eq!(blocks[2]["accessory"]["action_id"], "button-action");
    let plain = alert(&vendor, json!({"url": "https://view.test/calls"}));
    done(&plain, &frustrated(None)).await;
    let url = posted.all().last().unwrap()["blocks"][2]["accessory"]["url"].clone();
    assert_eq!(url, format!("https://view.test/calls?_vcon_id=\"{UUID}\""));
}

#[tokio::test]
async fn a_missing_channel_of_a_team_is_told_in_the_default_channel_and_fails() {
    let (vendor, posted) = slack(&["alerts"]).await;
    let link = alert(&vendor, json!({}));
    let stage = LinkStage::new(UUID);
    for _ in 0..2 {
        let ran = run(&stage, &link, &frustrated(Some("north"))).await;
        let error = ran.result.unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{error}");
        assert!(
            error.message().contains("channel_not_found") && error.message().contains("team-north-alerts"),
            "{error}"
        );
    }
    // The notice and the message, each once; only the team's channel was tried again.
    assert_eq!((channels(&posted), vendor.calls().len()), (vec!["alerts".to_owned(); 2], 4));
    assert!(posted.all()[0]["text"].as_str().unwrap().contains("team-north-alerts"));
}

#[tokio::test]
async fn nothing_is_posted_twice_and_faults_have_their_class() {
    let (vendor, posted) = slack(&["alerts", "team-north-alerts"]).await;
    let link = alert(&vendor, json!({}));
    let stage = LinkStage::new(UUID);
    vendor.will(Fault::Slow(Duration::ZERO));
    vendor.will(Fault::RetryAfter(429, "3"));
    let error = run(&stage, &link, &frustrated(Some("north"))).await.result.unwrap_err();
    assert_eq!((error.is_retryable(), error.wait()), (true, Some(Duration::from_secs(3))));
    // The team's channel has it, the default channel was refused.
    let before = posted.all().len();
    stage.clock.advance(Duration::from_secs(4));
    run(&stage, &link, &frustrated(Some("north"))).await.result.unwrap();
    assert_eq!(channels(&posted)[before..], ["alerts"], "the team's channel had it already");
    let (other, _) = slack(&["somewhere"]).await;
    let error = failed(&alert(&other, json!({})), &frustrated(None)).await;
    assert_eq!(error.class(), Class::Configuration, "{error}");
    let error = failed(&alert(&other, json!({"token": "xoxb-wrong"})), &frustrated(None)).await;
    assert!(error.class() == Class::Configuration && error.help_text().unwrap().contains("token"), "{error}");
    vendor.will(Fault::Status(500));
    assert!(failed(&alert(&vendor, json!({})), &frustrated(None)).await.is_retryable());
}

#[tokio::test]
async fn further_messages_go_into_the_thread_of_the_first() {
    let (vendor, posted) = slack(&["alerts"]).await;
    let mut vcon = frustrated(None);
    vcon["analysis"][2]["body"] = "NEEDS REVIEW as well".into();
    done(&alert(&vendor, json!({"thread": true})), &vcon).await;
    let all = posted.all();
    assert_eq!(
        (all.len(), all[0].get("thread_ts"), all[1]["thread_ts"].as_str()),
        (2, None, Some("1767225600.000000"))
    );
}

#[test]
fn what_slack_needs_must_be_there() {
    for options in [
        json!({"token": "", "default_channel_name": "a"}),
        json!({"token": "t", "default_channel_name": ""}),
        json!({"token": "t"}),
    ] {
        let error = link("links.post_analysis_to_slack", options.clone()).err().unwrap();
        assert_eq!(error.class(), Class::Configuration, "{options}");
    }
}
