//! Bandwidth: HTTP Basic in, HTTP Basic out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vconductor_tests::vendors::Vendor;
use vconductor_tests::vendors::media_host::{Files, MediaHost};

use super::door::{Door, dialog, recording, tags};

struct Scene {
    door: Door,
    vendor: Vendor,
    files: Files,
}

impl Scene {
    async fn new() -> Self {
        let host = MediaHost::default();
        let files = host.files();
        let vendor = Vendor::start(host).await;
        let options = json!({
            "account": "9900000", "user": "hooks", "password": "p-1", "api_user": "api", "api_password": "planted-password-1",
            "api_hosts": ["127.0.0.1"],
        });
        Scene { door: Door::open("ingress.bandwidth", &options).await, vendor, files }
    }

    async fn post(&self, body: &Value) -> u16 {
        let user = format!("Basic {}", STANDARD.encode("hooks:p-1"));
        self.door.post(&[("content-type", "application/json"), ("authorization", &user)], body.to_string()).await.status
    }

    fn event(&self, kind: &str) -> Value {
        json!({
            "eventType": kind, "accountId": "9900000", "to": "+18005551212", "from": "+14158675309", "direction": "outbound", "callId": "c-1",
            "recordingId": "r-1", "channels": 2, "startTime": "2026-07-14T09:00:02Z", "duration": "PT1S", "fileFormat": "wav",
            "mediaUrl": format!("{}/recordings/r-1/media", self.vendor.url), "status": "complete",
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_becomes_a_vcon_when_it_is_available() {
    let scene = Scene::new().await;
    let api = format!("Basic {}", STANDARD.encode("api:planted-password-1"));
    scene.files.put_for(&api, "/recordings/r-1/media", recording(2));
    assert_eq!(scene.post(&scene.event("recordingComplete")).await, 200);
    assert_eq!(scene.door.vcons().await, Vec::<Value>::new(), "its file may not be there yet");
    assert_eq!(scene.post(&scene.event("recordingAvailable")).await, 200);
    assert_eq!(scene.post(&scene.event("recordingAvailable")).await, 200);
    let vcon = scene.door.vcon().await;
    assert_eq!(vcon["parties"], json!([{"tel": "+14158675309"}, {"tel": "+18005551212"}]), "who called is party 0");
    let expected = json!({
        "type": "recording", "start": "2026-07-14T09:00:02Z", "duration": 1.0, "parties": [1, 0], "originator": 0,
        "mediatype": "audio/x-wav", "filename": "r-1.wav",
    });
    assert_eq!(dialog(&vcon), expected);
    assert_eq!(tags(&vcon)["direction"], "outbound");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_callback_are_vcons_each_and_strangers_have_none() {
    let scene = Scene::new().await;
    let message = |id: &str| {
        json!({"type": "message-received", "message": {
            "id": id, "to": ["+18005551212"], "from": "+14158675309", "text": "hello", "time": "2026-07-14T09:00:00Z", "direction": "in",
        }})
    };
    let body = json!([message("m-1"), message("m-2"), message("m-1")]);
    let answered = scene.door.post(&[("content-type", "application/json")], body.to_string()).await;
    assert_eq!((answered.status, answered.headers["www-authenticate"].as_str()), (401, "Basic realm=\"ingress\""));
    assert_eq!(scene.post(&body).await, 200);
    assert_eq!(scene.door.vcons().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_gets_no_password() {
    let scene = Scene::new().await;
    let mut event = scene.event("recordingAvailable");
    event["mediaUrl"] = json!("https://voice.bandwidth.com.example.net/r-1");
    assert_eq!(scene.post(&event).await, 200);
    let reason = scene.door.reason().await;
    assert!(reason.contains("`voice.bandwidth.com.example.net` is none of the allowed hosts"), "{reason}");
}
