//! SignalWire: Twilio's callbacks under another key, another header and another API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vconductor_core::ingress::proof::hmac_sha1;
use vconductor_core::secret::Secret;
use vconductor_tests::vendors::Vendor;
use vconductor_tests::vendors::media_host::MediaHost;

use super::door::{Door, form, recording, tags};

const PUBLIC: &str = "https://hooks.example.com/ingress/main";

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_becomes_a_vcon_and_credentials_stay_in_the_space() {
    let credentials = format!("Basic {}", STANDARD.encode("p-1:PT-planted-1"));
    let space = MediaHost::default();
    let call = json!({"sid": "c-1", "from": "+14158675309", "to": "+18005551212", "direction": "inbound"});
    space.files().put_for(&credentials, "/api/laml/2010-04-01/Accounts/p-1/Calls/c-1.json", call.to_string());
    space.files().put_for(&credentials, "/recordings/r-1.mp3", recording(1));
    let space = Vendor::start(space).await;
    let options = json!({
        "space": "example.signalwire.com", "project": "p-1", "signing_key": "key-1", "api_token": "PT-planted-1", "public_url": PUBLIC,
        "format": "mp3", "api": space.url, "media_hosts": ["127.0.0.2"],
    });
    let door = Door::open("ingress.signalwire", &options).await;
    let send = async |sid: &str, url: &str, key: &str| {
        let fields = [("AccountSid", "p-1"), ("CallSid", "c-1"), ("RecordingSid", sid), ("RecordingUrl", url)];
        let mut sorted = fields.to_vec();
        sorted.sort_unstable();
        let text: String = sorted.into_iter().flat_map(|(name, value)| [name, value]).collect();
        let signature = STANDARD.encode(hmac_sha1(&Secret::new(key), &[PUBLIC.as_bytes(), text.as_bytes()]));
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("x-signalwire-signature", signature.as_str())];
        door.post(&headers, form(&fields)).await.status
    };
    let url = format!("{}/recordings/r-1", space.url);
    assert_eq!(send("r-1", &url, "another").await, 403);
    assert_eq!(send("r-1", &url, "key-1").await, 200);
    assert_eq!(send("r-1", &url, "key-1").await, 200);
    let vcon = door.vcon().await;
    assert_eq!(vcon["parties"], json!([{"tel": "+14158675309"}, {"tel": "+18005551212"}]));
    assert_eq!(tags(&vcon)["source"], "signalwire");
    // It is allowed for media and is no part of the space; the guard of these tests does not open it.
    assert_eq!(send("r-2", &url.replace("127.0.0.1", "127.0.0.2"), "key-1").await, 200);
    assert!(door.reason().await.contains("address guard"));
    assert_eq!(door.vcons().await, Vec::<Value>::new());
}
