//! Ingress adapters: any request is refused or read, proved or not, and what was read can be kept and read back.
//!
//! The first byte says which adapter, the second one which media type; the rest is a query, a line break, and the body.
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use vconductor_core::http::{HeaderMap, HeaderValue, Method};
use vconductor_core::ingress::{Delivery, Event};
use vconductor_core::plugin::{Ingress, IngressEntry, inventory};
use vconductor_ingress as _;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
/// Too long to be guessed.
const SECRET: &str = "9c1f5e0f8c8f4d7c8e7b1f0a6d2c4b8a9c1f5e0f8c8f4d7c8e7b1f0a6d2c4b8a";
const URL: &str = "https://hooks.example.com/ingress/main";
const MEDIATYPES: [&str; 4] =
    ["application/json", "application/x-www-form-urlencoded", "application/x-www-form-base64-encoded", "text/plain"];

/// Every adapter to which requests come, with options.
fn options() -> [(&'static str, Value); 7] {
    let map = "if .body != null then .body else (.form | if .vcon then {vcon: .} else . end) end";
    [
        ("ingress.generic", json!({"map": map, "token": SECRET})),
        ("ingress.twilio", json!({"account_sid": ACCOUNT, "auth_token": SECRET, "public_url": URL})),
        ("ingress.telnyx", json!({"public_key": "1rUKMzqJaPMCnzFoKGkYY4DUSdLQUwXJ7rhULCYzzv4="})),
        (
            "ingress.signalwire",
            json!({
                "space": "a.signalwire.com", "project": "p", "signing_key": SECRET, "api_token": SECRET, "public_url": URL,
            }),
        ),
        (
            "ingress.bandwidth",
            json!({"account": "1", "user": "u", "password": SECRET, "api_user": "u", "api_password": SECRET}),
        ),
        ("ingress.freeswitch", json!({"user": "u", "password": SECRET})),
        ("ingress.asterisk", json!({"user": "u", "password": SECRET})),
    ]
}

fn adapters() -> &'static [Arc<dyn Ingress>] {
    static ADAPTERS: OnceLock<Vec<Arc<dyn Ingress>>> = OnceLock::new();
    ADAPTERS.get_or_init(|| {
        let build = |(module, options): (&str, Value)| {
            let entry = inventory::iter::<IngressEntry>.into_iter().find(|entry| entry.module == module);
            (entry.expect("it is registered").build)("main", options).expect("its options are right")
        };
        options().into_iter().map(build).collect()
    })
}

fuzz_target!(|bytes: &[u8]| {
    let [adapter, mediatype, rest @ ..] = bytes else { return };
    let adapter = &adapters()[usize::from(*adapter) % adapters().len()];
    let mut headers = HeaderMap::new();
    let mediatype = MEDIATYPES[usize::from(*mediatype) % MEDIATYPES.len()];
    headers.insert("content-type", HeaderValue::from_static(mediatype));
    for name in ["x-twilio-signature", "telnyx-signature-ed25519", "telnyx-timestamp", "authorization"] {
        if let Ok(value) = HeaderValue::from_bytes(&rest[..rest.len().min(64)]) {
            headers.insert(name, value);
        }
    }
    let (query, body) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let query = String::from_utf8_lossy(query).into_owned();
    let delivery = Delivery { method: Method::POST, query, headers, body: body.to_vec().into(), at: 1_784_019_600_000 };
    assert!(adapter.verify(&delivery).is_err(), "nobody has signed this");
    for event in adapter.read(&delivery).into_iter().flatten() {
        let text = serde_json::to_string(&event).expect("an event can be kept");
        let again: Event = serde_json::from_str(&text).expect("an event can be read back");
        assert_eq!(again.key(), event.key());
    }
});
