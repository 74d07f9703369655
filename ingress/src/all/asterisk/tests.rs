//! Records and events as Asterisk writes them.

use jiff::tz::Offset;
use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::http::{HeaderMap, HeaderValue, Method};
use vconductor_core::ingress::{Disposition, Phase};
use vconductor_core::plugin::IngressPlugin as _;

use super::*;

fn asterisk(more: &Value) -> Result<Asterisk> {
    let mut options = json!({"user": "pbx", "password": "p"});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Asterisk::new("main", serde_json::from_value(options).unwrap())
}

fn delivery(body: &Value) -> Delivery {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    Delivery { method: Method::POST, query: String::new(), headers, body: Bytes::from(body.to_string()), at: 0 }
}

fn read(body: &Value) -> Result<Vec<Event>, Refused> {
    asterisk(&json!({})).unwrap().read(&delivery(body))
}

fn record() -> Value {
    json!({
        "accountcode": "", "src": "+14158675309", "dst": "1001", "dcontext": "from-trunk", "clid": "\"Ann Lee\" <+14158675309>",
        "channel": "PJSIP/trunk-1", "dstchannel": "PJSIP/1001-2", "lastapp": "Dial", "start": "2026-07-14 09:00:00", "answer": "2026-07-14 09:00:02",
        "end": "2026-07-14 09:00:15", "duration": "15", "billsec": 13, "disposition": "ANSWERED", "uniqueid": "1784019600.12",
        "linkedid": "1784019600.12", "recordingfile": "2026/07/14/1784019600.12.wav",
    })
}

#[test]
fn a_record_with_a_recording_is_one() {
    let events = read(&record()).unwrap();
    let [Event::Recording(recording)] = &events[..] else { panic!("{events:?}") };
    let from = recording.call.from.as_ref().unwrap();
    assert_eq!((from.tel.as_deref(), from.name.as_deref()), (Some("+14158675309"), Some("Ann Lee")));
    assert_eq!((recording.id.as_str(), recording.duration), ("1784019600.12", Some(13.0)));
    assert_eq!(recording.start.unwrap().to_string(), "2026-07-14T09:00:02Z");
    assert_eq!(recording.media.filename.as_deref(), Some("1784019600.12.wav"));
    let in_berlin = asterisk(&json!({"offset": "+02:00"})).unwrap().read(&delivery(&record())).unwrap();
    assert!(
        matches!(&in_berlin[..], [Event::Recording(one)] if one.start.unwrap().to_string() == "2026-07-14T07:00:02Z")
    );
}

#[test]
fn a_record_of_a_call_that_nobody_took_has_a_reason() {
    for (word, disposition) in [
        ("NO ANSWER", Disposition::NoAnswer),
        ("BUSY", Disposition::Busy),
        ("FAILED", Disposition::Failed),
        ("CONGESTION", Disposition::Congestion),
    ] {
        let mut record = record();
        record["disposition"] = json!(word);
        assert!(
            matches!(&read(&record).unwrap()[..], [Event::Call(call)] if call.disposition == Some(disposition)),
            "{word}"
        );
    }
    let mut unrecorded = record();
    unrecorded["recordingfile"] = json!("");
    assert!(
        matches!(&read(&unrecorded).unwrap()[..], [Event::Call(call)] if call.disposition.is_none() && call.phase == Some(Phase::Ended))
    );
}

#[test]
fn a_recording_that_ari_has_finished_is_of_its_channel() {
    let finished = json!({
        "type": "RecordingFinished", "application": "app", "timestamp": "2026-07-14T09:00:15.500+0000",
        "recording": {"name": "calls/1", "format": "wav", "state": "done", "target_uri": "channel:1784019600.12", "duration": 13},
    });
    let events = read(&finished).unwrap();
    let [Event::Recording(recording)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((recording.call.id.as_str(), recording.media.id.as_deref()), ("1784019600.12", Some("calls/1")));
    assert_eq!(
        (recording.media.filename.as_deref(), recording.start.unwrap().to_string().as_str()),
        (Some("1.wav"), "2026-07-14T09:00:02.5Z")
    );
    let began = json!({
        "type": "StasisStart", "channel": {
            "id": "1784019600.12", "caller": {"name": "Ann", "number": "+14158675309"}, "dialplan": {"exten": "1001"}, "creationtime": "2026-07-14T09:00:00.000+0000",
        },
    });
    assert!(
        matches!(&read(&began).unwrap()[..], [Event::Call(call)] if call.has_parties() && call.id == "1784019600.12")
    );
    assert_eq!(read(&json!({"type": "ChannelDtmfReceived"})).unwrap(), []);
}

#[test]
fn what_is_wrong_is_refused() {
    for body in [json!({}), json!([]), json!(1), json!({"type": "RecordingFinished"}), json!({"type": "StasisStart"})] {
        assert!(read(&body).is_err(), "{body}");
    }
    for (text, seconds) in [("", Some(0)), ("+02:00", Some(7200)), ("-0330", Some(-12_600)), ("utc", Some(0))] {
        assert_eq!(read::offset(text).map(Offset::seconds), seconds, "{text}");
    }
    for wrong in ["2", "+2", "+99:00", "+02:99", "Europe/Berlin", "+é"] {
        assert_eq!(read::offset(wrong), None, "{wrong}");
    }
    for (option, value) in [
        ("user", json!("")),
        ("password", json!("")),
        ("recordings", json!("here")),
        ("offset", json!("Berlin")),
        ("ari", json!("http://pbx:8088/ari")),
    ] {
        let error = asterisk(&json!({option: value})).err().unwrap();
        assert!(error.class() == Class::Configuration && error.chain_text().contains(option), "{option}: {error}");
    }
}
