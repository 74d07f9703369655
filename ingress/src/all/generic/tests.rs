//! Proofs and mappings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vconductor_core::Class;
use vconductor_core::http::signature::{SigningKey, hub_sign, sign};
use vconductor_core::http::{HeaderMap, HeaderName, HeaderValue, Method};
use vconductor_core::ingress::proof::hmac_sha1;
use vconductor_core::ingress::{Channels, Direction, Disposition};

use super::*;

const NOW: i64 = 1_614_265_330;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn generic(options: Value) -> Result<Generic> {
    Generic::new("main", serde_json::from_value(options).unwrap())
}

fn delivery(headers: &[(&str, &str)], body: &str) -> Delivery {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let body = Bytes::from(body.to_owned());
    Delivery { method: Method::POST, query: "campaign=a%20b".to_owned(), headers: map, body, at: NOW * 1000 }
}

/// The vector of the specification.
#[test]
fn standard_webhooks_are_verified() {
    let generic = generic(json!({"map": ".", "secret": [SECRET]})).unwrap();
    let body = r#"{"test": 2432232314}"#;
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let good = [("webhook-id", id), ("webhook-timestamp", "1614265330"), ("webhook-signature", signature)];
    generic.verify(&delivery(&good, body)).unwrap();
    for missing in 0..3 {
        let mut headers = good.to_vec();
        headers.remove(missing);
        assert!(generic.verify(&delivery(&headers, body)).is_err(), "{missing}");
    }
    assert!(generic.verify(&delivery(&good, r#"{"test": 2432232315}"#)).is_err());
    let replayed = [("webhook-id", "msg_other"), good[1], good[2]];
    assert!(generic.verify(&delivery(&replayed, body)).is_err());
    for stale in [NOW - 301, NOW + 301] {
        let text = stale.to_string();
        let key = SigningKey::parse(&Secret::new(SECRET)).unwrap();
        let signature = sign(&[key], id, stale, body.as_bytes()).unwrap();
        let headers = [good[0], ("webhook-timestamp", text.as_str()), ("webhook-signature", signature.as_str())];
        assert!(generic.verify(&delivery(&headers, body)).is_err(), "{stale}");
    }
    let other =
        super::tests::generic(json!({"map": ".", "secret": ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}));
    assert!(other.unwrap().verify(&delivery(&good, body)).is_err());
}

#[test]
fn signatures_of_every_form_are_verified() {
    let secret = Secret::new("It's a Secret to Everybody");
    let hub = generic(json!({"map": ".", "signature": {
        "secret": secret.expose(), "header": "X-Hub-Signature-256", "prefix": "sha256=",
    }}))
    .unwrap();
    let signature = hub_sign(&secret, b"Hello, World!");
    hub.verify(&delivery(&[("x-hub-signature-256", &signature)], "Hello, World!")).unwrap();
    assert!(hub.verify(&delivery(&[("x-hub-signature-256", &signature[7..])], "Hello, World!")).is_err());
    assert!(hub.verify(&delivery(&[("x-hub-signature-256", &signature)], "Hello, World")).is_err());
    assert!(hub.verify(&delivery(&[("x-hub-signature", &signature)], "Hello, World!")).is_err());

    let timed = generic(json!({"map": ".", "signature": {
        "secret": "s", "header": "x-sig", "prefix": "v0=", "hash": "sha1", "encoding": "base64",
        "signed": "v0:{timestamp}:{body}", "timestamp_header": "x-time",
    }}))
    .unwrap();
    let of = |time: i64| {
        let digest = hmac_sha1(&Secret::new("s"), &[format!("v0:{time}:body").as_bytes()]);
        format!("v0={}", STANDARD.encode(digest))
    };
    let at = |time: i64, signed: i64| {
        timed.verify(&delivery(&[("x-sig", &of(signed)), ("x-time", &time.to_string())], "body")).is_ok()
    };
    assert!(at(NOW, NOW) && at(NOW - 300, NOW - 300));
    assert!(!at(NOW, NOW - 1), "another time than the signed one");
    assert!(!at(NOW - 301, NOW - 301) && !at(NOW + 301, NOW + 301), "not fresh");
    assert!(timed.verify(&delivery(&[("x-sig", &of(NOW))], "body")).is_err());
}

#[test]
fn tokens_and_passwords_are_verified() {
    let bearer = generic(json!({"map": ".", "token": "t"})).unwrap();
    assert!(bearer.verify(&delivery(&[("authorization", "Bearer t")], "")).is_ok());
    assert!(bearer.verify(&delivery(&[("authorization", "Bearer u")], "")).is_err());
    assert!(bearer.verify(&delivery(&[], "")).is_err());
    let header = generic(json!({"map": ".", "token": "t", "token_header": "X-Token"})).unwrap();
    assert!(header.verify(&delivery(&[("x-token", "t")], "")).is_ok());
    assert!(header.verify(&delivery(&[("authorization", "Bearer t")], "")).is_err());
    assert!(header.verify(&delivery(&[("x-token", "t"), ("x-token", "t")], "")).is_err());
    let basic = generic(json!({"map": ".", "user": "ann", "password": "p"})).unwrap();
    let good = format!("Basic {}", STANDARD.encode("ann:p"));
    assert!(basic.verify(&delivery(&[("authorization", &good)], "")).is_ok());
    let refused = basic.verify(&delivery(&[], "")).unwrap_err();
    assert!(matches!(refused, Refused::Unproved { challenge: Some(_), .. }));
}

#[test]
fn exactly_one_proof_must_be_set_up() {
    for (options, word) in [
        (json!({"map": "."}), "no proof"),
        (json!({"map": ".", "token": ""}), "no proof"),
        (json!({"map": ".", "token": " "}), "`token`"),
        (json!({"map": ".", "user": "ann"}), "`password`"),
        (json!({"map": ".", "token": "t", "password": "p"}), "more than one"),
        (json!({"map": ".", "secret": ["short"]}), "`secret`"),
        (json!({"map": ". |", "token": "t"}), "`map`"),
        (json!({"map": ".", "token": "t", "media_hosts": ["https://a"]}), "`media_hosts`"),
        (json!({"map": ".", "signature": {"secret": "", "header": "x"}}), "`signature.secret`"),
        (json!({"map": ".", "signature": {"secret": "s", "header": ""}}), "`signature.header`"),
        (
            json!({"map": ".", "signature": {"secret": "s", "header": "x", "signed": "{timestamp}"}}),
            "`signature.signed`",
        ),
        (json!({"map": ".", "signature": {"secret": "s", "header": "x", "timestamp_header": "y"}}), "timestamp_header"),
    ] {
        let error = generic(options.clone()).err().unwrap_or_else(|| panic!("{options}"));
        assert!(error.class() == Class::Configuration && error.chain_text().contains(word), "{options}: {error}");
    }
}

/// What a program makes of a JSON body.
fn mapped(map: &str, body: &Value) -> Result<Vec<Event>, Refused> {
    let generic = generic(json!({"map": map, "token": "t"})).unwrap();
    generic.read(&delivery(&[("content-type", "application/json"), ("webhook-id", "w")], &body.to_string()))
}

#[test]
fn a_program_says_what_a_request_means() {
    let body = json!({"id": 7, "a": "+15550100", "b": "sip:bob@example.com", "url": "https://m.example/1.wav", "at": 1784019600});
    let map = ".body | {id, from: .a, to: [.b], direction: \"outgoing\", start: .at, duration: \"13.5\", recording: .url, \
               channels: \"caller_first\", tags: {queue: 3, none: null}}";
    let events = mapped(map, &body).unwrap();
    let [Event::Recording(recording)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((recording.id.as_str(), recording.channels), ("7", Channels::CallerFirst));
    assert_eq!(recording.call.direction, Some(Direction::Outbound));
    assert_eq!(recording.start.unwrap().to_string(), "2026-07-14T09:00:00Z");
    assert_eq!((recording.call.tags.len(), recording.call.tags["queue"].as_str()), (1, "3"));
    assert!(recording.call.has_parties() && recording.duration == Some(13.5));

    let events = mapped(".body | [{text: \"one\"}, {text: \"two\"}]", &body).unwrap();
    let ids: Vec<String> = events.iter().map(Event::key).collect();
    assert_eq!(ids, ["message w/0", "message w/1"], "without ids of their own they go by the delivery's");

    let events = mapped("{disposition: \"no-answer\", from: \"1001\"}", &body).unwrap();
    assert!(matches!(&events[..], [Event::Call(call)] if call.disposition == Some(Disposition::NoAnswer)));
    let events = mapped("{call: \"c\", from: \"1001\"}", &body).unwrap();
    assert!(matches!(&events[..], [Event::Call(call)] if call.id == "c" && call.disposition.is_none()));
    let events = mapped("{id: \"x\", vcon: {parties: []}}", &body).unwrap();
    assert!(matches!(&events[..], [Event::Conversation(one)] if one.id == "x"));
    for nothing in ["null", "empty", "false", "[]"] {
        assert_eq!(mapped(nothing, &body).unwrap(), [], "{nothing}");
    }
}

#[test]
fn what_a_program_cannot_mean_is_refused() {
    for map in [
        "1",
        "\"text\"",
        "{}",
        "{id: 1}",
        "[[1]]",
        "{text: {}}",
        "{recording: 1}",
        "{recording: \"u\", start: \"yesterday\"}",
        "{disposition: \"gone\"}",
        "{recordin: \"u\"}",
        ".body.id.x",
        "error(\"no\")",
        "{text: \"x\", id: (\"x\" * 501)}",
    ] {
        let refused = mapped(map, &json!({"id": "text"}));
        assert!(matches!(refused, Err(Refused::Unreadable { .. })), "{map}: {refused:?}");
    }
}

#[test]
fn the_program_sees_forms_queries_and_harmless_headers() {
    let generic = generic(json!({"map": "{text: (. | tojson)}", "token": "t"})).unwrap();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", "Bearer t"),
        ("cookie", "c"),
        ("x-kind", "call"),
    ];
    let events = generic.read(&delivery(&headers, "a=1&a=2&b=x+y")).unwrap();
    let [Event::Message(message)] = &events[..] else { panic!("{events:?}") };
    let seen: Value = serde_json::from_str(&message.text).unwrap();
    let expected = json!({
        "body": null, "form": {"a": "1", "b": "x y"}, "query": {"campaign": "a b"},
        "headers": {"content-type": "application/x-www-form-urlencoded", "x-kind": "call"},
    });
    assert_eq!(seen, expected);
    assert!(generic.read(&delivery(&[("content-type", "application/json")], "{")).is_err());
}
