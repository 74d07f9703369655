//! Asterisk: recordings that ARI has, recordings on a disk, and records that say who spoke.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vconductor_tests::vendors::Vendor;
use vconductor_tests::vendors::media_host::MediaHost;

use super::door::{Door, recording, tags};

async fn post(door: &Door, body: &Value) -> u16 {
    let user = format!("Basic {}", STANDARD.encode("pbx:p-1"));
    door.post(&[("content-type", "application/json"), ("authorization", &user)], body.to_string()).await.status
}

fn record(file: &str) -> Value {
    json!({
        "uniqueid": "1784019600.12", "src": "+14158675309", "dst": "1001", "start": "2026-07-14 09:00:00", "answer": "2026-07-14 09:00:02",
        "billsec": 1, "disposition": "ANSWERED", "recordingfile": file,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_ari_meets_the_record_of_its_channel() {
    let host = MediaHost::default();
    let credentials = format!("Basic {}", STANDARD.encode("ari:planted-password-1"));
    host.files().put_for(&credentials, "/ari/recordings/stored/calls%2F1/file", recording(1));
    let host = Vendor::start(host).await;
    let options = json!({
        "user": "pbx", "password": "p-1", "ari": format!("{}/ari", host.url), "ari_user": "ari", "ari_password": "planted-password-1",
    });
    let door = Door::open("ingress.asterisk", &options).await;
    let finished = json!({
        "type": "RecordingFinished", "timestamp": "2026-07-14T09:00:03.000+0000",
        "recording": {"name": "calls/1", "format": "wav", "state": "done", "target_uri": "channel:1784019600.12", "duration": 1},
    });
    assert_eq!(door.post(&[("content-type", "application/json")], finished.to_string()).await.status, 401);
    assert_eq!(post(&door, &finished).await, 200);
    door.retried().await;
    assert_eq!(post(&door, &record("")).await, 200);
    let vcon = door.vcon().await;
    assert_eq!(vcon["parties"], json!([{"tel": "+14158675309"}, {"tel": "1001"}]));
    assert_eq!(
        (vcon["dialog"][0]["start"].as_str(), vcon["dialog"][0]["filename"].as_str()),
        (Some("2026-07-14T09:00:02Z"), Some("1.wav"))
    );
    assert_eq!(post(&door, &finished).await, 200);
    assert_eq!(door.vcons().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_brings_its_file_and_no_other() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("monitor");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("1.wav"), recording(1)).expect("a file");
    let options = json!({"user": "pbx", "password": "p-1", "recordings": folder});
    let door = Door::open("ingress.asterisk", &options).await;
    assert_eq!(post(&door, &record("1.wav")).await, 200);
    assert_eq!(tags(&door.vcon().await)["uniqueid"], "1784019600.12");
    let door = Door::open("ingress.asterisk", &options).await;
    assert_eq!(post(&door, &record("/etc/passwd")).await, 200);
    assert!(door.reason().await.contains("does not lie below the folder"));
}
