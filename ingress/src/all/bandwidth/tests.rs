//! HTTP Basic, and callbacks as Bandwidth documents them.

use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::http::{HeaderMap, HeaderValue, Method};
use vconductor_core::ingress::{Channels, Direction, Disposition, Phase};
use vconductor_core::plugin::IngressPlugin as _;

use super::*;

fn options() -> Value {
    json!({"account": "9900000", "user": "hooks", "password": "p", "api_user": "u", "api_password": "a"})
}

fn bandwidth() -> Bandwidth {
    Bandwidth::new("main", serde_json::from_value(options()).unwrap()).unwrap()
}

fn delivery(authorization: Option<&str>, body: &Value) -> Delivery {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json; charset=utf-8"));
    if let Some(value) = authorization {
        headers.insert("authorization", HeaderValue::from_str(value).unwrap());
    }
    Delivery { method: Method::POST, query: String::new(), headers, body: Bytes::from(body.to_string()), at: 0 }
}

fn read(body: &Value) -> Result<Vec<Event>, Refused> {
    bandwidth().read(&delivery(None, body))
}

fn available() -> Value {
    json!({
        "eventType": "recordingAvailable", "eventTime": "2026-07-14T09:00:20.000Z", "accountId": "9900000", "applicationId": "app",
        "to": "+18005551212", "from": "+14158675309", "direction": "inbound", "callId": "c-1", "recordingId": "r-1", "channels": 2,
        "startTime": "2026-07-14T09:00:02Z", "endTime": "2026-07-14T09:00:15Z", "duration": "PT13.67S", "fileFormat": "wav",
        "callUrl": "https://voice.bandwidth.com/api/v2/accounts/9900000/calls/c-1",
        "mediaUrl": "https://voice.bandwidth.com/api/v2/accounts/9900000/calls/c-1/recordings/r-1/media", "tag": "vip", "status": "complete",
    })
}

#[test]
fn only_user_and_password_open() {
    let verify = |given: Option<&str>| bandwidth().verify(&delivery(given, &json!({}))).is_ok();
    assert!(verify(Some(&format!("Basic {}", STANDARD.encode("hooks:p")))));
    for wrong in
        [None, Some(String::new()), Some(format!("Basic {}", STANDARD.encode("hooks:q"))), Some("Bearer p".to_owned())]
    {
        assert!(!verify(wrong.as_deref()), "{wrong:?}");
    }
}

#[test]
fn a_recording_is_fetched_when_it_is_available_and_not_before() {
    let events = read(&available()).unwrap();
    let [Event::Recording(recording)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((recording.id.as_str(), recording.call.id.as_str(), recording.duration), ("r-1", "c-1", Some(13.67)));
    assert_eq!((recording.channels, recording.call.direction), (Channels::OwnLegFirst, Some(Direction::Inbound)));
    assert!(recording.call.has_parties() && recording.call.tags["tag"] == "vip");
    assert_eq!(recording.start.unwrap().to_string(), "2026-07-14T09:00:02Z");
    for (kind, status) in
        [("recordingComplete", "complete"), ("transcriptionAvailable", "complete"), ("recordingAvailable", "error")]
    {
        let mut other = available();
        other["eventType"] = json!(kind);
        other["status"] = json!(status);
        assert_eq!(read(&other).unwrap(), [], "{kind} {status}");
    }
    let mut partial = available();
    partial["status"] = json!("partial");
    assert_eq!(read(&partial).unwrap().len(), 1, "what there is of it is worth having");
}

#[test]
fn a_call_that_nobody_took_is_told() {
    let ended = |cause: &str, answered: bool| {
        let mut body = json!({
            "eventType": "disconnect", "accountId": "9900000", "callId": "c-1", "from": "+14158675309", "to": "+18005551212",
            "direction": "outbound", "cause": cause, "startTime": "2026-07-14T09:00:00Z", "endTime": "2026-07-14T09:00:20Z",
        });
        if answered {
            body["answerTime"] = json!("2026-07-14T09:00:05Z");
        }
        let events = read(&body).unwrap();
        let [Event::Call(call)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(call.phase, Some(Phase::Ended));
        call.disposition
    };
    for (cause, disposition) in [
        ("busy", Disposition::Busy),
        ("timeout", Disposition::NoAnswer),
        ("cancel", Disposition::HungUp),
        ("rejected", Disposition::Failed),
    ] {
        assert_eq!(ended(cause, false), Some(disposition), "{cause}");
        assert_eq!(ended(cause, true), None, "{cause}");
    }
}

#[test]
fn messages_come_as_a_list() {
    let message = |kind: &str| {
        json!({
            "time": "2026-07-14T09:00:01Z", "type": kind, "to": "+18005551212", "description": "",
            "message": {
                "id": "m-1", "owner": "+18005551212", "applicationId": "app", "time": "2026-07-14T09:00:00Z", "segmentCount": 1,
                "direction": "in", "to": ["+18005551212", "+18005551213"], "from": "+14158675309", "text": "hello",
                "media": ["https://messaging.bandwidth.com/api/v2/users/9900000/media/1/0.smil", "https://messaging.bandwidth.com/api/v2/users/9900000/media/1/1.png"],
            },
        })
    };
    let events =
        read(&json!([message("message-received"), message("message-sending"), message("message-failed")])).unwrap();
    let [Event::Message(read_)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((read_.to.len(), read_.media.len(), read_.application.as_deref()), (2, 1, Some("mms")));
    assert_eq!(read_.tags["direction"], "inbound");
    let events = read(&json!([message("message-delivered")])).unwrap();
    assert!(matches!(&events[..], [Event::Message(one)] if one.tags["direction"] == "outbound"));
}

#[test]
fn what_is_not_bandwidths_is_refused() {
    let mut other = available();
    other["accountId"] = json!("1");
    assert!(matches!(read(&other), Err(Refused::Unproved { .. })));
    for body in [json!(1), json!({}), json!([1]), json!([{"type": "message-received"}]), json!({"eventType": "answer"})]
    {
        assert!(matches!(read(&body), Err(Refused::Unreadable { .. })), "{body}");
    }
    for (option, value) in [
        ("password", json!("")),
        ("api_password", json!("")),
        ("account", json!("")),
        ("user", json!("a:b")),
        ("media_hosts", json!(["https://x"])),
        ("api_hosts", json!([""])),
    ] {
        let mut options = options();
        options[option] = value;
        let error = Bandwidth::new("main", serde_json::from_value(options).unwrap()).err().unwrap();
        assert!(error.class() == Class::Configuration && error.chain_text().contains(option), "{option}: {error}");
    }
}
