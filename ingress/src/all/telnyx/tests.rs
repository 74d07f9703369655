//! The signature with a key of our own, and events as Telnyx documents them.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use vconductor_core::Class;
use vconductor_core::http::{HeaderMap, HeaderValue, Method};
use vconductor_core::ingress::{Channels, Direction, Disposition, Phase};
use vconductor_core::plugin::IngressPlugin as _;

use super::*;

const NOW: i64 = 1_784_019_600;

struct Scene {
    key: Ed25519KeyPair,
    telnyx: Telnyx,
}

impl Scene {
    fn new() -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let options = json!({"public_key": STANDARD.encode(key.public_key().as_ref())});
        let telnyx = Telnyx::new("main", serde_json::from_value(options).unwrap()).unwrap();
        Scene { key, telnyx }
    }

    /// A delivery whose signature is over `signed`.
    fn delivery(&self, signed: &str, timestamp: &str, body: &str) -> Delivery {
        let signature = STANDARD.encode(self.key.sign(signed.as_bytes()).as_ref());
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("telnyx-signature-ed25519", HeaderValue::from_str(&signature).unwrap());
        headers.insert("telnyx-timestamp", HeaderValue::from_str(timestamp).unwrap());
        Delivery {
            method: Method::POST,
            query: String::new(),
            headers,
            body: Bytes::from(body.to_owned()),
            at: NOW * 1000,
        }
    }

    fn read(&self, event_type: &str, payload: &Value) -> Result<Vec<Event>, Refused> {
        let body = json!({"data": {
            "record_type": "event", "event_type": event_type, "id": "e", "occurred_at": "2026-07-14T09:00:00.5Z", "payload": payload,
        }});
        self.telnyx.read(&self.delivery("", "0", &body.to_string()))
    }
}

#[test]
fn the_signature_is_over_time_bar_and_body() {
    let scene = Scene::new();
    let verify =
        |signed: &str, timestamp: &str, body: &str| scene.telnyx.verify(&scene.delivery(signed, timestamp, body));
    let now = NOW.to_string();
    verify(&format!("{NOW}|{{}}"), &now, "{}").unwrap();
    // What existing adapters check, and Telnyx never sent.
    assert!(verify(&format!("{NOW}.{{}}"), &now, "{}").is_err());
    assert!(verify(&format!("{NOW}|{{}}"), &now, "{} ").is_err(), "another body");
    assert!(verify(&format!("{NOW}|{{}}"), &(NOW + 1).to_string(), "{}").is_err(), "another time");
    for stale in [NOW - 301, NOW + 301] {
        assert!(verify(&format!("{stale}|{{}}"), &stale.to_string(), "{}").is_err(), "{stale}");
    }
    verify(&format!("{}|{{}}", NOW - 300), &(NOW - 300).to_string(), "{}").unwrap();
    assert!(verify("soon|{}", "soon", "{}").is_err());
    let other = Scene::new();
    assert!(scene.telnyx.verify(&other.delivery(&format!("{NOW}|{{}}"), &now, "{}")).is_err(), "another key");
    for missing in ["telnyx-signature-ed25519", "telnyx-timestamp"] {
        let mut delivery = scene.delivery(&format!("{NOW}|{{}}"), &now, "{}");
        delivery.headers.remove(missing);
        assert!(scene.telnyx.verify(&delivery).is_err(), "{missing}");
    }
    let mut garbled = scene.delivery(&format!("{NOW}|{{}}"), &now, "{}");
    garbled.headers.insert("telnyx-signature-ed25519", HeaderValue::from_static("c2hvcnQ="));
    assert!(scene.telnyx.verify(&garbled).is_err());
}

#[test]
fn a_saved_recording_is_of_its_leg() {
    let scene = Scene::new();
    let payload = json!({
        "call_leg_id": "leg", "call_session_id": "session", "connection_id": "1", "client_state": null, "channels": "dual",
        "recording_started_at": "2026-07-14T09:00:00.000000Z", "recording_ended_at": "2026-07-14T09:00:13.500000Z",
        "recording_id": "rec", "recording_urls": {"mp3": "https://s3.amazonaws.com/b/1.mp3?X-Amz-Signature=s"},
        "public_recording_urls": {},
    });
    let events = scene.read("call.recording.saved", &payload).unwrap();
    let [Event::Recording(recording)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((recording.id.as_str(), recording.call.id.as_str()), ("rec", "leg"));
    assert_eq!((recording.duration, recording.channels), (Some(13.5), Channels::OwnLegFirst));
    assert_eq!(recording.media.url, "https://s3.amazonaws.com/b/1.mp3?X-Amz-Signature=s", "the format that there is");
    assert!(!recording.call.has_parties(), "the event does not say who spoke");
    assert_eq!(recording.call.tags["call_session_id"], "session");
    let mut without = payload.clone();
    without.as_object_mut().unwrap().remove("recording_id");
    let events = scene.read("call.recording.saved", &without).unwrap();
    assert_eq!(events[0].key(), "recording leg/2026-07-14T09:00:00.000000Z");
    let mut nowhere = payload;
    nowhere["recording_urls"] = json!({});
    assert!(scene.read("call.recording.saved", &nowhere).is_err());
}

#[test]
fn the_events_of_a_call_are_kept() {
    let scene = Scene::new();
    let payload = |cause: &str| {
        json!({
            "call_leg_id": "leg", "call_session_id": "session", "from": "+15550100", "to": "sip:bob@example.com", "direction": "incoming",
            "hangup_cause": cause, "caller_id_name": "Ann",
        })
    };
    for (kind, phase) in [
        ("call.initiated", Phase::Begun),
        ("call.answered", Phase::Answered),
        ("call.bridged", Phase::Answered),
        ("call.hangup", Phase::Ended),
    ] {
        let events = scene.read(kind, &payload("normal_clearing")).unwrap();
        let [Event::Call(call)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((call.phase, call.disposition, call.direction), (Some(phase), None, Some(Direction::Inbound)));
        assert!(call.has_parties() && call.from.as_ref().unwrap().name.as_deref() == Some("Ann"));
        assert_eq!(call.start.is_some(), kind == "call.initiated");
    }
    for (cause, disposition) in [
        ("user_busy", Disposition::Busy),
        ("timeout", Disposition::NoAnswer),
        ("originator_cancel", Disposition::HungUp),
        ("call_rejected", Disposition::Failed),
    ] {
        let events = scene.read("call.hangup", &payload(cause)).unwrap();
        assert!(matches!(&events[..], [Event::Call(call)] if call.disposition == Some(disposition)), "{cause}");
    }
}

#[test]
fn messages_both_ways_are_read() {
    let scene = Scene::new();
    let payload = json!({
        "id": "m", "type": "MMS", "direction": "inbound", "text": "hello", "received_at": "2026-07-14T09:00:00.000+00:00",
        "from": {"phone_number": "+15550100", "carrier": "x"}, "to": [{"phone_number": "+15550101"}, {"phone_number": "+15550102"}],
        "media": [{"url": "https://media.telnyx.com/1.png", "content_type": "image/png"}],
    });
    for (kind, direction) in [("message.received", "inbound"), ("message.finalized", "outbound")] {
        let events = scene.read(kind, &payload).unwrap();
        let [Event::Message(message)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((message.to.len(), message.application.as_deref(), message.media.len()), (2, Some("mms"), 1));
        assert_eq!((message.tags["direction"].as_str(), message.sent.is_some()), (direction, true));
    }
    assert_eq!(scene.read("message.sent", &payload).unwrap(), [], "it is told of again when it is final");
}

#[test]
fn other_events_make_nothing_and_other_bodies_are_refused() {
    let scene = Scene::new();
    for kind in ["call.dtmf.received", "call.recording.error", "call.speak.ended", "fax.received"] {
        assert_eq!(scene.read(kind, &json!({"call_leg_id": "leg"})).unwrap(), [], "{kind}");
    }
    assert!(scene.read("call.hangup", &json!({})).is_err());
    for body in ["[]", "{}", "null", "{\"data\": 1}", "{\"data\": {\"event_type\": 1}}"] {
        assert!(scene.telnyx.read(&scene.delivery("", "0", body)).is_err(), "{body}");
    }
    for (option, value) in [
        ("public_key", json!("")),
        ("public_key", json!("c2hvcnQ=")),
        ("api", json!("x")),
        ("media_hosts", json!(["a b"])),
    ] {
        let mut options = json!({"public_key": STANDARD.encode([1; 32])});
        options[option] = value;
        let error = Telnyx::new("main", serde_json::from_value(options).unwrap()).err().unwrap();
        assert!(error.class() == Class::Configuration && error.chain_text().contains(option), "{option}: {error}");
    }
}
