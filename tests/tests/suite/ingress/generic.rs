//! The generic adapter: a jq program, proofs, and media of a host of the operator's choice.

use serde_json::{Value, json};
use vconductor_core::http::signature::{SigningKey, sign};
use vconductor_core::secret::Secret;
use vconductor_tests::vendors::Vendor;
use vconductor_tests::vendors::media_host::MediaHost;

use super::door::{Door, dialog, recording, tags};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const JSON: (&str, &str) = ("content-type", "application/json");
const MAP: &str = ".body | {id, from: .a, to: .b, start: .at, recording: .url, tags: {queue}}";

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_any_system_becomes_a_vcon() {
    let host = MediaHost::default();
    host.files().put_for("Bearer media-token-1", "/1.wav", recording(1));
    let host = Vendor::start(host).await;
    let options = json!({"map": MAP, "token": "t", "media_hosts": ["127.0.0.1"], "media_token": "media-token-1"});
    let door = Door::open("ingress.generic", &options).await;
    let body = json!({
        "id": "1", "a": "+15550100", "b": "Bob", "at": "2026-07-14T09:00:00Z", "url": format!("{}/1.wav", host.url), "queue": "sales",
    });
    let answered = door.post(&[JSON, ("authorization", "Bearer t")], body.to_string()).await;
    assert_eq!((answered.status, answered.body.as_str()), (200, ""));
    let vcon = door.vcon().await;
    assert_eq!(vcon["parties"], json!([{"tel": "+15550100"}, {"name": "Bob"}]));
    assert_eq!((tags(&vcon)["queue"].as_str(), tags(&vcon)["source"].as_str()), ("sales", "generic"));
    assert_eq!(dialog(&vcon)["start"], "2026-07-14T09:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_replayed_is_one_vcon_and_stale_it_is_none() {
    let door = Door::open(
        "ingress.generic",
        &json!({"map": ".body | {text, from: .a, to: .b, application: \"sms\"}", "secret": [SECRET]}),
    )
    .await;
    let key = SigningKey::parse(&Secret::new(SECRET)).unwrap();
    let body = json!({"text": "hello", "a": "+15550100", "b": ["+15550101", "+15550102"]}).to_string();
    let now = jiff::Timestamp::now().as_second();
    let send = async |id: &str, time: i64, body: &str| {
        let signature = sign(std::slice::from_ref(&key), id, time, body.as_bytes()).unwrap();
        let time = time.to_string();
        let headers =
            [JSON, ("webhook-id", id), ("webhook-timestamp", time.as_str()), ("webhook-signature", signature.as_str())];
        door.post(&headers, body.to_owned()).await.status
    };
    assert_eq!(send("msg_1", now, &body).await, 200);
    assert_eq!(send("msg_1", now, &body).await, 200);
    assert_eq!(send("msg_1", now + 1, &body).await, 200, "another attempt");
    assert_eq!(send("msg_2", now - 301, &body).await, 403);
    let vcon = door.vcon().await;
    assert_eq!(vcon["dialog"][0]["parties"], json!([0, 1, 2]));
    assert_eq!(vcon["dialog"][0]["message_id"], "msg_1");
    assert_eq!(send("msg_1", now + 2, &body).await, 200);
    assert_eq!(door.vcons().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vcon_gets_what_it_lacks() {
    let host = MediaHost::default();
    host.files().put("/1.wav", recording(2));
    let host = Vendor::start(host).await;
    let options = json!({"map": ".body", "token": "t", "media_hosts": ["127.0.0.1"]});
    let door = Door::open("ingress.generic", &options).await;
    let body = json!({"id": "x", "vcon": {
        "subject": "Refund", "parties": [{"tel": "+15550100"}, {"name": "Bob"}],
        "dialog": [{"type": "recording", "start": "2026-07-14T09:00:00Z", "parties": [0, 1], "url": format!("{}/1.wav", host.url)}],
    }});
    assert_eq!(door.post(&[JSON, ("authorization", "Bearer t")], body.to_string()).await.status, 200);
    let vcon = door.vcon().await;
    assert_eq!(vcon["subject"], "Refund");
    let expected = json!({
        "type": "recording", "start": "2026-07-14T09:00:00Z", "parties": [0, 1], "mediatype": "audio/x-wav", "filename": "x.wav",
        "duration": 1.0,
    });
    assert_eq!(dialog(&vcon), expected);
    assert_eq!(door.post(&[JSON, ("authorization", "Bearer t")], "{\"vcon\": 1}").await.status, 200);
    assert!(door.reason_of_last().await.contains("no JSON object"));
}
