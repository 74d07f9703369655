//! Vectors of Twilio's libraries, and what its documentation says.

use serde_json::json;
use vconductor_core::Class;
use vconductor_core::http::{HeaderMap, HeaderValue, Method};
use vconductor_core::ingress::proof::{hexadecimal, hmac_sha1, sha256};
use vconductor_core::ingress::{Channels, Direction, Disposition, Phase, party_called};
use vconductor_core::plugin::IngressPlugin as _;

use super::*;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const CALL: &str = "CA0123456789abcdef0123456789abcdef";
const RECORDING: &str = "RE0123456789abcdef0123456789abcdef";
const URL: &str = "https://mycompany.com/myapp.php";

fn twilio(public_url: &str) -> Twilio {
    let options = json!({"account_sid": ACCOUNT, "auth_token": "12345", "public_url": public_url});
    Twilio::new("main", serde_json::from_value(options).unwrap()).unwrap()
}

fn delivery(query: &str, mediatype: &str, body: &str, signature: Option<&str>) -> Delivery {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_str(mediatype).unwrap());
    if let Some(signature) = signature {
        headers.insert("x-twilio-signature", HeaderValue::from_str(signature).unwrap());
    }
    let body = Bytes::from(body.to_owned());
    Delivery { method: Method::POST, query: query.to_owned(), headers, body, at: 0 }
}

const FORM: &str = "application/x-www-form-urlencoded";
/// The parameters of the published vector, in another order than that of their names.
const PARAMETERS: &str =
    "To=%2B18005551212&Digits=1234&CallSid=CA1234567890ABCDE&From=%2B14158675309&Caller=%2B14158675309";
const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

/// A form with a right signature.
fn signed(fields: &[(&str, &str)]) -> Delivery {
    let mut body = form_of(fields);
    let mut sorted: Vec<_> = fields.to_vec();
    sorted.sort_unstable();
    let text: String = sorted.into_iter().flat_map(|(name, value)| [name, value]).collect();
    let signature = hmac_sha1(&Secret::new("12345"), &[URL.as_bytes(), text.as_bytes()]);
    body.shrink_to_fit();
    delivery("", FORM, &body, Some(&STANDARD.encode(signature)))
}

fn form_of(fields: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://x/").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

#[test]
fn the_published_vector_is_met_with_the_port_and_without() {
    let verify = |url: &str, query: &str, body: &str, signature: Option<&str>| {
        twilio(url).verify(&delivery(query, FORM, body, signature)).is_ok()
    };
    assert!(verify("https://mycompany.com/myapp.php", "foo=1&bar=2", PARAMETERS, Some(SIGNATURE)));
    assert!(verify("https://mycompany.com/myapp.php?foo=1&bar=2", "foo=1&bar=2", PARAMETERS, Some(SIGNATURE)));
    assert!(verify("https://mycompany.com:443/myapp.php", "foo=1&bar=2", PARAMETERS, Some(SIGNATURE)));
    for (url, query, body, signature) in [
        ("https://mycompany.com/myapp.php", "foo=1&bar=2", PARAMETERS, None),
        ("https://mycompany.com/myapp.php", "foo=1&bar=2", PARAMETERS, Some("")),
        ("https://mycompany.com/myapp.php", "foo=1&bar=2", PARAMETERS, Some("RSOYDt4T1cUTdK1PDd93/VVr8B9=")),
        ("https://mycompany.com/myapp.php", "foo=1", PARAMETERS, Some(SIGNATURE)),
        ("https://mycompany.com/myapp.php", "bar=2&foo=1", PARAMETERS, Some(SIGNATURE)),
        ("http://mycompany.com/myapp.php", "foo=1&bar=2", PARAMETERS, Some(SIGNATURE)),
        ("https://mycompany.org/myapp.php", "foo=1&bar=2", PARAMETERS, Some(SIGNATURE)),
        ("https://mycompany.com/myapp.php", "foo=1&bar=2", "Digits=1234", Some(SIGNATURE)),
        ("https://mycompany.com/myapp.php", "foo=1&bar=2", "", Some(SIGNATURE)),
    ] {
        assert!(!verify(url, query, body, signature), "{url} {query} {body} {signature:?}");
    }
    let altered = PARAMETERS.replace("1234&", "1235&");
    assert!(!verify("https://mycompany.com/myapp.php", "foo=1&bar=2", &altered, Some(SIGNATURE)));
    let added = format!("{PARAMETERS}&Admin=1");
    assert!(!verify("https://mycompany.com/myapp.php", "foo=1&bar=2", &added, Some(SIGNATURE)));
    // Twilio signs each value of a name once.
    let doubled = format!("{PARAMETERS}&Digits=1234");
    assert!(verify("https://mycompany.com/myapp.php", "foo=1&bar=2", &doubled, Some(SIGNATURE)));
    assert!(!verify(
        "https://mycompany.com/myapp.php",
        "foo=1&bar=2",
        &format!("{PARAMETERS}&Digits=5"),
        Some(SIGNATURE)
    ));
}

#[test]
fn another_token_does_not_open_and_the_second_one_does() {
    let with = |token: &str, second: &str| {
        let options = json!({
            "account_sid": ACCOUNT, "auth_token": token, "second_auth_token": second, "public_url": "https://mycompany.com/myapp.php",
        });
        let twilio = Twilio::new("main", serde_json::from_value(options).unwrap()).unwrap();
        twilio.verify(&delivery("foo=1&bar=2", FORM, PARAMETERS, Some(SIGNATURE))).is_ok()
    };
    assert!(with("12345", "") && with("new", "12345"));
    assert!(!with("1234", "") && !with("new", "other"));
}

#[test]
fn a_signature_that_is_there_twice_proves_nothing() {
    let mut delivery = delivery("foo=1&bar=2", FORM, PARAMETERS, Some(SIGNATURE));
    delivery.headers.append("x-twilio-signature", HeaderValue::from_static(SIGNATURE));
    assert!(twilio("https://mycompany.com/myapp.php").verify(&delivery).is_err());
}

#[test]
fn a_json_body_is_proved_by_its_hash_in_the_query() {
    let body = format!(r#"{{"AccountSid": "{ACCOUNT}", "CallSid": "{CALL}", "CallStatus": "busy"}}"#);
    let query = format!("x=1&bodySHA256={}", hexadecimal(&sha256(body.as_bytes())));
    let signature = hmac_sha1(&Secret::new("12345"), &[format!("{URL}?{query}").as_bytes()]);
    let signature = STANDARD.encode(signature);
    let twilio = twilio(URL);
    let good = delivery(&query, "application/json", &body, Some(&signature));
    twilio.verify(&good).unwrap();
    let events = twilio.read(&good).unwrap();
    assert!(matches!(&events[..], [Event::Call(call)] if call.disposition == Some(Disposition::Busy)), "{events:?}");
    let altered = delivery(&query, "application/json", &body.replace("busy", "failed"), Some(&signature));
    assert!(twilio.verify(&altered).is_err());
    // Without the hash nothing of a body that is no form is signed.
    let plain = STANDARD.encode(hmac_sha1(&Secret::new("12345"), &[URL.as_bytes()]));
    assert!(twilio.verify(&delivery("", "application/json", &body, Some(&plain))).is_err());
    assert!(twilio.verify(&delivery("", "text/plain", "x", Some(&plain))).is_err());
    twilio.verify(&delivery("", "", "", Some(&plain))).unwrap();
}

#[test]
fn a_completed_recording_is_to_be_fetched() {
    let url = format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}");
    let fields = [
        ("AccountSid", ACCOUNT),
        ("CallSid", CALL),
        ("RecordingSid", RECORDING),
        ("RecordingUrl", &url),
        ("RecordingStatus", "completed"),
        ("RecordingDuration", "12"),
        ("RecordingChannels", "2"),
        ("RecordingStartTime", "Tue, 14 Jul 2026 09:00:00 +0000"),
        ("RecordingSource", "DialVerb"),
        ("ErrorCode", "0"),
    ];
    let delivery = signed(&fields);
    twilio(URL).verify(&delivery).unwrap();
    let events = twilio(URL).read(&delivery).unwrap();
    let [Event::Recording(recording)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((recording.id.as_str(), recording.call.id.as_str()), (RECORDING, CALL));
    assert_eq!(recording.media.url, format!("{url}.wav?RequestedChannels=2"));
    assert_eq!((recording.duration, recording.channels), (Some(12.0), Channels::OwnLegFirst));
    assert_eq!(recording.start.unwrap().to_string(), "2026-07-14T09:00:00Z");
    assert!(!recording.call.has_parties(), "the callback has neither From nor To");
    assert_eq!(recording.call.tags["recording_source"], "DialVerb");
    for status in ["in-progress", "absent", "failed"] {
        let other = fields.map(|(name, value)| if name == "RecordingStatus" { (name, status) } else { (name, value) });
        assert_eq!(twilio(URL).read(&signed(&other)).unwrap(), [], "{status}");
    }
}

#[test]
fn the_states_of_a_call_are_kept_and_a_call_that_failed_is_told() {
    let read = |status: &str| {
        let fields = [
            ("AccountSid", ACCOUNT),
            ("CallSid", CALL),
            ("CallStatus", status),
            ("From", "+14158675309"),
            ("CallerName", "Ann"),
            ("To", "client:bob"),
            ("Direction", "outbound-api"),
            ("Timestamp", "Tue, 14 Jul 2026 09:00:00 +0000"),
            ("CallDuration", "7"),
        ];
        let events = twilio(URL).read(&signed(&fields)).unwrap();
        let [Event::Call(call)] = &events[..] else { panic!("{events:?}") };
        call.clone()
    };
    let call = read("ringing");
    assert_eq!((call.phase, call.disposition, call.direction), (Some(Phase::Begun), None, Some(Direction::Outbound)));
    assert_eq!(call.from.as_ref().unwrap().name.as_deref(), Some("Ann"));
    assert_eq!(call.to, party_called("client:bob"));
    assert!(call.start.is_some());
    assert_eq!((read("completed").phase, read("completed").disposition), (Some(Phase::Ended), None));
    assert_eq!(read("completed").start, None, "that is when it ended");
    for (status, disposition) in [
        ("busy", Disposition::Busy),
        ("failed", Disposition::Failed),
        ("no-answer", Disposition::NoAnswer),
        ("canceled", Disposition::HungUp),
    ] {
        assert_eq!(read(status).disposition, Some(disposition), "{status}");
    }
}

#[test]
fn messages_that_come_in_are_read_with_their_media() {
    let fields = [
        ("AccountSid", ACCOUNT),
        ("MessageSid", "MM0123456789abcdef0123456789abcdef"),
        ("From", "whatsapp:+14158675309"),
        ("ProfileName", "Ann"),
        ("To", "whatsapp:+18005551212"),
        ("Body", " hello\n"),
        ("NumMedia", "1"),
        ("MediaUrl0", "https://api.twilio.com/media/ME1"),
        ("MediaContentType0", "image/jpeg"),
        ("SmsStatus", "received"),
    ];
    let events = twilio(URL).read(&signed(&fields)).unwrap();
    let [Event::Message(message)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((message.text.as_str(), message.application.as_deref()), (" hello\n", Some("whatsapp")));
    assert_eq!((message.from.tel.as_deref(), message.from.name.as_deref()), (Some("+14158675309"), Some("Ann")));
    assert_eq!(message.media[0].mediatype.as_deref(), Some("image/jpeg"));
    let status = [("AccountSid", ACCOUNT), ("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("To", "+1")];
    assert_eq!(twilio(URL).read(&signed(&status)).unwrap(), [], "it went out, and its text is not told");
}

#[test]
fn what_is_not_twilios_is_refused() {
    let twilio = twilio(URL);
    assert!(matches!(twilio.read(&signed(&[("a", "b")])), Err(Refused::Unreadable { .. })));
    let other = [("AccountSid", "AC00000000000000000000000000000000"), ("CallSid", CALL)];
    assert!(matches!(twilio.read(&signed(&other)), Err(Refused::Unproved { .. })));
    let wrong = [("CallSid", CALL), ("RecordingSid", RECORDING), ("RecordingUrl", "not a url")];
    assert!(matches!(twilio.read(&signed(&wrong)), Err(Refused::Unreadable { .. })));
}

#[test]
fn options_that_prove_nothing_are_refused() {
    let good = json!({"account_sid": ACCOUNT, "auth_token": "12345", "public_url": URL});
    for (option, value, word) in [
        ("auth_token", json!(""), "`auth_token`"),
        ("account_sid", json!("AC1/../x"), "`account_sid`"),
        ("public_url", json!("mycompany.com"), "`public_url`"),
        ("api", json!("nowhere"), "`api`"),
        ("api_key", json!("SK1"), "`api_secret`"),
        ("media_hosts", json!(["https://x"]), "`media_hosts`"),
    ] {
        let mut options = good.clone();
        options[option] = value;
        let error = Twilio::new("main", serde_json::from_value(options).unwrap()).err().unwrap();
        assert!(error.class() == Class::Configuration && error.chain_text().contains(word), "{option}: {error}");
        assert!(!error.chain_text().contains("12345"));
    }
}
