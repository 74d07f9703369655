//! Telnyx: events signed with Ed25519, recordings at addresses that are signed for ten minutes.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vconductor_tests::vendors::media_host::{Files, MediaHost};
use vconductor_tests::vendors::telnyx::{Recordings, Telnyx};
use vconductor_tests::vendors::{Fault, Vendor};

use super::door::{Door, dialog, recording, tags};

const KEY: &str = "KEY-planted-0123456789";

struct Scene {
    door: Door,
    signer: Ed25519KeyPair,
    api: Vendor,
    recordings: Recordings,
    bucket: Vendor,
    files: Files,
}

impl Scene {
    async fn new(more: Value) -> Self {
        let signer = Ed25519KeyPair::generate().expect("a key");
        let telnyx = Telnyx::new(KEY);
        let recordings = telnyx.recordings();
        let api = Vendor::start(telnyx).await;
        let bucket = MediaHost::default();
        let files = bucket.files();
        let bucket = Vendor::start(bucket).await;
        let mut options = json!({
            "public_key": STANDARD.encode(signer.public_key().as_ref()), "api_key": KEY, "api": api.url, "media_hosts": ["127.0.0.1"],
        });
        options.as_object_mut().expect("options").extend(more.as_object().expect("options").clone());
        let door = Door::open("ingress.telnyx", &options).await;
        Scene { door, signer, api, recordings, bucket, files }
    }

    async fn event(&self, kind: &str, payload: Value) -> u16 {
        let body = json!({"data": {
            "record_type": "event", "event_type": kind, "id": "0001", "occurred_at": "2026-07-14T09:00:00Z", "payload": payload,
        }});
        self.post(jiff::Timestamp::now().as_second(), '|', &body.to_string()).await
    }

    async fn post(&self, time: i64, between: char, body: &str) -> u16 {
        let signature = STANDARD.encode(self.signer.sign(format!("{time}{between}{body}").as_bytes()).as_ref());
        let time = time.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("telnyx-signature-ed25519", signature.as_str()),
            ("telnyx-timestamp", time.as_str()),
        ];
        self.door.post(&headers, body.to_owned()).await.status
    }

    fn saved(&self, path: &str) -> Value {
        json!({
            "call_leg_id": "leg-1", "call_session_id": "session-1", "channels": "dual", "recording_id": "rec-1",
            "recording_started_at": "2026-07-14T09:00:02Z", "recording_ended_at": "2026-07-14T09:00:03Z",
            "recording_urls": {"wav": format!("{}{path}?X-Amz-Expires=600&X-Amz-Signature=0123456789", self.bucket.url)},
        })
    }

    fn began() -> Value {
        json!({"call_leg_id": "leg-1", "call_session_id": "session-1", "direction": "incoming", "from": "+14158675309", "to": "+18005551212"})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_recording_becomes_a_vcon_with_who_spoke_in_any_order() {
    for began_first in [true, false] {
        let scene = Scene::new(json!({})).await;
        scene.files.put("/1.wav", recording(2));
        if began_first {
            assert_eq!(scene.event("call.initiated", Scene::began()).await, 200);
        }
        assert_eq!(scene.event("call.recording.saved", scene.saved("/1.wav")).await, 200);
        if !began_first {
            scene.door.retried().await;
            // It may be the API that has not told yet, or the call; either way it is asked again.
            assert_eq!(scene.event("call.initiated", Scene::began()).await, 200);
        }
        let vcon = scene.door.vcon().await;
        assert_eq!(vcon["parties"], json!([{"tel": "+14158675309"}, {"tel": "+18005551212"}]));
        let expected = json!({
            "type": "recording", "start": "2026-07-14T09:00:02Z", "duration": 1.0, "parties": [0, 1], "mediatype": "audio/x-wav",
            "filename": "rec-1.wav",
        });
        assert_eq!(dialog(&vcon), expected);
        assert_eq!(tags(&vcon)["direction"], "inbound");
        // A signed address refuses a key beside its signature, as buckets do.
        assert!(scene.bucket.calls().iter().all(|call| call.header("authorization").is_empty()));
        assert_eq!(scene.event("call.recording.saved", scene.saved("/1.wav")).await, 200);
        assert_eq!(scene.door.vcons().await, Vec::<Value>::new(), "it came twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_has_expired_is_asked_for_anew() {
    let scene = Scene::new(json!({})).await;
    scene.event("call.initiated", Scene::began()).await;
    scene.files.put("/old.wav", recording(1));
    scene.files.put("/new.wav", recording(2));
    scene.bucket.will(Fault::Status(403));
    scene.recordings.add("rec-1", &format!("{}/new.wav?X-Amz-Signature=9876543210", scene.bucket.url));
    scene.event("call.recording.saved", scene.saved("/old.wav")).await;
    let vcon = scene.door.vcon().await;
    assert_eq!(vcon["dialog"][0]["parties"], json!([0, 1]));
    assert!(scene.api.calls().iter().any(|call| call.path == "/v2/recordings/rec-1"));

    let without = Scene::new(json!({"api_key": ""})).await;
    without.event("call.initiated", Scene::began()).await;
    without.event("call.recording.saved", without.saved("/gone.wav")).await;
    let reason = without.door.reason().await;
    assert!(reason.contains("not valid any more") && !reason.contains("0123456789"), "{reason}");
    assert_eq!(without.api.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_recordings_say_themselves_who_spoke() {
    let scene = Scene::new(json!({})).await;
    scene.files.put("/1.wav", recording(1));
    scene.recordings.add("rec-1", "https://nowhere.example");
    scene.recordings.spoke("rec-1", "+14158675309", "+18005551212");
    scene.event("call.recording.saved", scene.saved("/1.wav")).await;
    assert_eq!(scene.door.vcon().await["parties"][1]["tel"], "+18005551212");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_telnyx_did_not_sign_just_now_is_refused() {
    let scene = Scene::new(json!({})).await;
    let body = json!({"data": {"event_type": "message.received", "payload": {"id": "m", "text": "hello"}}}).to_string();
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(scene.post(now, '.', &body).await, 403);
    assert_eq!(scene.post(now - 301, '|', &body).await, 403);
    assert_eq!(scene.door.post(&[("content-type", "application/json")], body.clone()).await.status, 403);
    assert!(scene.door.stage.store.lists().await.unwrap().is_empty());
    assert_eq!(scene.post(now, '|', &body).await, 200);
    assert_eq!(scene.door.vcon().await["dialog"][0]["body"], "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_is_not_asked() {
    let scene = Scene::new(json!({"media_hosts": []})).await;
    scene.event("call.initiated", Scene::began()).await;
    scene.event("call.recording.saved", scene.saved("/1.wav")).await;
    let reason = scene.door.reason().await;
    assert!(reason.contains("`127.0.0.1` is none of the allowed hosts"), "{reason}");
    assert_eq!(scene.bucket.calls().len(), 0);
}
