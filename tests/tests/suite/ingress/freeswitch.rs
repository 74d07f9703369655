//! FreeSWITCH: records with HTTP Basic, recordings on a disk.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::door::{Door, dialog, recording, tags};

struct Scene {
    door: Door,
    place: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(place.path().join("recordings")).expect("a folder");
        let options = json!({"user": "fs", "password": "p-1", "recordings": place.path().join("recordings")});
        Scene { door: Door::open("ingress.freeswitch", &options).await, place }
    }

    async fn record(&self, uuid: &str, file: &str, password: &str) -> u16 {
        let body = json!({"variables": {
            "uuid": uuid, "direction": "inbound", "caller_id_number": "%2B14158675309", "destination_number": "1001",
            "start_uepoch": "1784019600000000", "billsec": "1", "hangup_cause": "NORMAL_CLEARING", "record_file": file,
        }});
        let user = format!("Basic {}", STANDARD.encode(format!("fs:{password}")));
        let headers = [("content-type", "application/json"), ("authorization", user.as_str())];
        self.door.post_to("?uuid=a_1", &headers, body.to_string()).await.status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_call_becomes_a_vcon() {
    let scene = Scene::new().await;
    assert_eq!(scene.record("u-1", "2026/u-1.wav", "p-2").await, 401);
    assert_eq!(scene.record("u-1", "2026/u-1.wav", "p-1").await, 200);
    scene.door.retried().await;
    let folder = scene.place.path().join("recordings/2026");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("u-1.wav"), recording(1)).expect("a file");
    let vcon = scene.door.vcon().await;
    assert_eq!(vcon["parties"], json!([{"tel": "+14158675309"}, {"tel": "1001"}]));
    let expected = json!({
        "type": "recording", "start": "2026-07-14T09:00:00Z", "duration": 1.0, "parties": [0, 1], "mediatype": "audio/x-wav",
        "filename": "u-1.wav",
    });
    assert_eq!(dialog(&vcon), expected);
    assert_eq!(tags(&vcon)["call_uuid"], "u-1");
    assert_eq!(scene.record("u-1", "2026/u-1.wav", "p-1").await, 200);
    assert_eq!(scene.door.vcons().await, Vec::<Value>::new(), "mod_json_cdr repeats what was not answered");
}

/// Who sends a record must not choose which files are read.
#[tokio::test(flavor = "multi_thread")]
async fn files_elsewhere_are_not_read() {
    for path in ["/etc/passwd", "../secret.wav", "2026/../../secret.wav", "link.wav"] {
        let scene = Scene::new().await;
        std::fs::write(scene.place.path().join("secret.wav"), recording(1)).expect("a file");
        std::fs::create_dir(scene.place.path().join("recordings/2026")).expect("a folder");
        std::os::unix::fs::symlink(
            scene.place.path().join("secret.wav"),
            scene.place.path().join("recordings/link.wav"),
        )
        .expect("a link");
        assert_eq!(scene.record("u-1", path, "p-1").await, 200);
        let reason = scene.door.reason().await;
        assert!(reason.contains("does not lie below the folder"), "{path}: {reason}");
    }
}
