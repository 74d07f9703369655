//! The signature in both forms, and the project's callbacks.

use serde_json::json;
use vconductor_core::Class;
use vconductor_core::http::{HeaderMap, HeaderName, HeaderValue, Method};
use vconductor_core::ingress::proof::hmac_sha1;
use vconductor_core::plugin::IngressPlugin as _;

use super::*;

const URL: &str = "https://hooks.example.com/ingress/main";
const FORM: &str = "application/x-www-form-urlencoded";

fn signalwire() -> SignalWire {
    let options = json!({
        "space": "example.signalwire.com", "project": "p-1", "signing_key": "12345", "api_token": "PT1", "public_url": URL,
    });
    SignalWire::new("main", serde_json::from_value(options).unwrap()).unwrap()
}

fn delivery(mediatype: &'static str, body: &str, header: &str, signed: &str) -> Delivery {
    let signature = STANDARD.encode(hmac_sha1(&Secret::new("12345"), &[signed.as_bytes()]));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(mediatype));
    headers.insert(HeaderName::from_bytes(header.as_bytes()).unwrap(), HeaderValue::from_str(&signature).unwrap());
    Delivery { method: Method::POST, query: String::new(), headers, body: Bytes::from(body.to_owned()), at: 0 }
}

#[test]
fn forms_are_signed_as_twilio_signs_and_json_as_it_is() {
    let signalwire = signalwire();
    for header in SIGNATURES {
        signalwire.verify(&delivery(FORM, "b=2&a=1", header, &format!("{URL}a1b2"))).unwrap();
        signalwire.verify(&delivery("application/json", "{\"a\": 1}", header, &format!("{URL}{{\"a\": 1}}"))).unwrap();
        assert!(signalwire.verify(&delivery(FORM, "b=2&a=2", header, &format!("{URL}a1b2"))).is_err());
        assert!(
            signalwire
                .verify(&delivery("application/json", "{\"a\": 2}", header, &format!("{URL}{{\"a\": 1}}")))
                .is_err()
        );
        assert!(signalwire.verify(&delivery("application/json", "{}", header, URL)).is_err());
    }
    assert!(signalwire.verify(&delivery(FORM, "b=2&a=1", "x-other", &format!("{URL}a1b2"))).is_err());
    // Of two headers the newer one counts, and it must be right.
    let mut both = delivery(FORM, "b=2&a=1", SIGNATURES[1], &format!("{URL}a1b2"));
    both.headers.insert(SIGNATURES[0], HeaderValue::from_static("AAAA"));
    assert!(signalwire.verify(&both).is_err());
}

#[test]
fn callbacks_of_the_project_are_read_and_others_refused() {
    let signalwire = signalwire();
    let read = |body: &str| signalwire.read(&delivery(FORM, body, SIGNATURES[0], ""));
    let events = read("AccountSid=p-1&CallSid=c&RecordingSid=r&RecordingUrl=https%3A%2F%2Fexample.signalwire.com%2Fr&RecordingStatus=completed").unwrap();
    assert!(
        matches!(&events[..], [Event::Recording(one)] if one.media.url == "https://example.signalwire.com/r.wav"),
        "{events:?}"
    );
    assert!(matches!(read("AccountSid=p-2&CallSid=c"), Err(Refused::Unproved { .. })));
    assert!(matches!(read("AccountSid=p-1"), Err(Refused::Unreadable { .. })));
}

#[test]
fn options_that_prove_nothing_are_refused() {
    let good = json!({
        "space": "example.signalwire.com", "project": "p-1", "signing_key": "12345", "api_token": "PT1", "public_url": URL,
    });
    for (option, value) in [
        ("signing_key", json!("")),
        ("api_token", json!(" ")),
        ("project", json!("")),
        ("space", json!("https://x")),
        ("public_url", json!("x")),
        ("api", json!("x")),
        ("media_hosts", json!(["a b"])),
    ] {
        let mut options = good.clone();
        options[option] = value;
        let error = SignalWire::new("main", serde_json::from_value(options).unwrap()).err().unwrap();
        assert!(error.class() == Class::Configuration && error.chain_text().contains(option), "{option}: {error}");
    }
}
