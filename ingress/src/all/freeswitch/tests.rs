//! Records in every encoding of mod_json_cdr.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::http::{HeaderMap, HeaderValue, Method, Url};
use vconductor_core::ingress::{Channels, Direction, Disposition};
use vconductor_core::plugin::IngressPlugin as _;

use super::*;

fn freeswitch(more: &Value) -> FreeSwitch {
    let mut options = json!({"user": "fs", "password": "p", "recordings": "/recordings"});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    FreeSwitch::new("main", serde_json::from_value(options).unwrap()).unwrap()
}

fn delivery(mediatype: &'static str, body: String) -> Delivery {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(mediatype));
    Delivery { method: Method::POST, query: "uuid=a_u".to_owned(), headers, body: Bytes::from(body), at: 0 }
}

fn record() -> Value {
    json!({
        "core-uuid": "c", "switchname": "pbx", "channel_data": {"state": "CS_REPORTING"},
        "variables": {
            "uuid": "u-1", "direction": "inbound", "caller_id_number": "%2B14158675309", "caller_id_name": "Ann%20Lee", "destination_number": "1001",
            "start_epoch": "1784019600", "start_uepoch": "1784019600500000", "answer_epoch": "1784019602", "duration": "15", "billsec": "13",
            "hangup_cause": "NORMAL_CLEARING", "record_file": "%2Frecordings%2F2026%2Fu-1.wav", "RECORD_STEREO": "true", "record_seconds": "13",
        },
        "app_log": {"applications": [{"app_name": "answer", "app_data": ""}, {"app_name": "record_session", "app_data": "/recordings/log.wav"}]},
        "callflow": [{"caller_profile": {"caller_id_number": "1", "destination_number": "2"}}],
    })
}

fn read(record: &Value, more: &Value) -> Vec<Event> {
    freeswitch(more).read(&delivery("application/json", record.to_string())).unwrap()
}

#[test]
fn a_record_is_read_in_every_encoding() {
    let text = record().to_string();
    let mut form = Url::parse("http://x/").unwrap();
    form.query_pairs_mut().append_pair("cdr", &text);
    let bodies = [
        ("application/json", text.clone()),
        ("application/x-www-form-urlencoded", form.query().unwrap().to_owned()),
        ("application/x-www-form-base64-encoded", format!("cdr={}", STANDARD.encode(&text))),
    ];
    for (mediatype, body) in bodies {
        let events = freeswitch(&json!({})).read(&delivery(mediatype, body)).unwrap();
        let [Event::Recording(recording)] = &events[..] else { panic!("{mediatype}: {events:?}") };
        assert_eq!((recording.id.as_str(), recording.media.url.as_str()), ("u-1", "/recordings/2026/u-1.wav"));
        assert_eq!((recording.channels, recording.duration), (Channels::OwnLegFirst, Some(13.0)));
        let call = &recording.call;
        let from = call.from.as_ref().unwrap();
        assert_eq!((from.tel.as_deref(), from.name.as_deref()), (Some("+14158675309"), Some("Ann Lee")));
        assert_eq!(
            (call.to.as_ref().unwrap().tel.as_deref(), call.direction),
            (Some("1001"), Some(Direction::Inbound))
        );
        assert_eq!(call.start.unwrap().to_string(), "2026-07-14T09:00:00.5Z");
        assert_eq!(call.disposition, None);
    }
    for (mediatype, body) in [
        ("application/json", "{".to_owned()),
        ("application/x-www-form-urlencoded", "x=1".to_owned()),
        ("application/x-www-form-base64-encoded", "cdr=!".to_owned()),
        ("application/json", "{}".to_owned()),
    ] {
        assert!(freeswitch(&json!({})).read(&delivery(mediatype, body)).is_err(), "{mediatype}");
    }
}

#[test]
fn values_are_decoded_only_where_they_are_encoded() {
    let mut plain = record();
    plain["variables"]["caller_id_number"] = json!("+14158675309");
    plain["variables"]["caller_id_name"] = json!("100%25");
    let name = |plain: &Value, encoded: bool| {
        let events = read(plain, &json!({"encode_values": encoded}));
        let [Event::Recording(recording)] = &events[..] else { panic!("{events:?}") };
        recording.call.from.clone().unwrap()
    };
    assert_eq!(name(&plain, false).name.as_deref(), Some("100%25"));
    assert_eq!(
        (name(&plain, true).name.as_deref(), name(&plain, true).tel.as_deref()),
        (Some("100%"), Some("+14158675309")),
        "a plus is no blank"
    );
    plain["variables"]["caller_id_name"] = json!("%zz%4");
    assert_eq!(name(&plain, true).name.as_deref(), Some("%zz%4"));
}

#[test]
fn the_recording_is_found_where_the_call_put_it() {
    let place = |remove: &[&str], add: &[(&str, &str)]| {
        let mut record = record();
        let variables = record["variables"].as_object_mut().unwrap();
        remove.iter().for_each(|name| drop(variables.remove(*name)));
        for (name, value) in add {
            variables.insert((*name).to_owned(), json!(value));
        }
        match &read(&record, &json!({}))[..] {
            [Event::Recording(recording)] => Some(recording.media.url.clone()),
            _ => None,
        }
    };
    assert_eq!(place(&[], &[("recording_url", "https://m/1.wav")]).as_deref(), Some("https://m/1.wav"));
    assert_eq!(
        place(&["record_file"], &[("record_path", "/r/"), ("record_name", "a.wav")]).as_deref(),
        Some("/r/a.wav")
    );
    assert_eq!(place(&["record_file"], &[]).as_deref(), Some("/recordings/log.wav"));
    let mut none = record();
    none["variables"].as_object_mut().unwrap().remove("record_file");
    none["app_log"] = json!({"applications": [{"app_name": "record_session", "app_data": "{a=b}/r/x.wav"}]});
    assert!(matches!(&read(&none, &json!({}))[..], [Event::Recording(one)] if one.media.url == "/r/x.wav"));
    none["app_log"] = json!(null);
    assert!(
        matches!(&read(&none, &json!({}))[..], [Event::Call(call)] if call.disposition.is_none()),
        "it went well unrecorded"
    );
}

#[test]
fn a_call_that_nobody_took_has_a_reason() {
    for (cause, disposition) in [
        ("USER_BUSY", Disposition::Busy),
        ("NO_ANSWER", Disposition::NoAnswer),
        ("ORIGINATOR_CANCEL", Disposition::HungUp),
        ("SWITCH_CONGESTION", Disposition::Congestion),
        ("UNALLOCATED_NUMBER", Disposition::Failed),
    ] {
        let mut record = record();
        record["variables"]["billsec"] = json!("0");
        record["variables"]["answer_epoch"] = json!("0");
        record["variables"]["hangup_cause"] = json!(cause);
        assert!(
            matches!(&read(&record, &json!({}))[..], [Event::Call(call)] if call.disposition == Some(disposition)),
            "{cause}"
        );
    }
}

#[test]
fn options_that_are_wrong_are_refused() {
    for (option, value) in [
        ("user", json!("")),
        ("user", json!("a:b")),
        ("password", json!("")),
        ("recordings", json!("here")),
        ("media_hosts", json!([""])),
    ] {
        let mut options = json!({"user": "fs", "password": "p"});
        options[option] = value;
        let error = FreeSwitch::new("main", serde_json::from_value(options).unwrap()).err().unwrap();
        assert!(error.class() == Class::Configuration && error.chain_text().contains(option), "{option}: {error}");
    }
}
