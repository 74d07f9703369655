//! Twilio: signed callbacks in, calls and recordings out of its API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::ingress::proof::hmac_sha1;
use vconductor_core::secret::Secret;
use vconductor_tests::vendors::media_host::MediaHost;
use vconductor_tests::vendors::twilio::{Held, Twilio};
use vconductor_tests::vendors::{Fault, Vendor};

use super::door::{Answered, Door, dialog, form, recording, tags};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "planted-token-0123456789";
const CALL: &str = "CA0123456789abcdef0123456789abcdef";
const RECORDING: &str = "RE0123456789abcdef0123456789abcdef";
const PUBLIC: &str = "https://hooks.example.com/ingress/main";

struct Scene {
    door: Door,
    vendor: Vendor,
    held: Held,
}

impl Scene {
    async fn new() -> Self {
        Scene::with(&json!({})).await
    }

    async fn with(more: &Value) -> Self {
        let twilio = Twilio::new(ACCOUNT, TOKEN);
        let held = twilio.held();
        let vendor = Vendor::start(twilio).await;
        let mut options = json!({"account_sid": ACCOUNT, "auth_token": TOKEN, "public_url": PUBLIC, "api": vendor.url});
        options.as_object_mut().expect("options").extend(more.as_object().expect("options").clone());
        Scene { door: Door::open("ingress.twilio", &options).await, vendor, held }
    }

    /// A callback as Twilio sends it.
    async fn callback(&self, fields: &[(&str, &str)]) -> Answered {
        let mut sorted = fields.to_vec();
        sorted.sort_unstable();
        let text: String = sorted.into_iter().flat_map(|(name, value)| [name, value]).collect();
        let signature = STANDARD.encode(hmac_sha1(&Secret::new(TOKEN), &[PUBLIC.as_bytes(), text.as_bytes()]));
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
        self.door.post(&headers, form(fields)).await
    }

    fn url_of(&self, sid: &str) -> String {
        format!("{}/2010-04-01/Accounts/{ACCOUNT}/Recordings/{sid}", self.vendor.url)
    }

    async fn recorded(&self, url: &str, channels: &str) -> Answered {
        self.callback(&[
            ("AccountSid", ACCOUNT),
            ("CallSid", CALL),
            ("RecordingSid", RECORDING),
            ("RecordingUrl", url),
            ("RecordingStatus", "completed"),
            ("RecordingChannels", channels),
            ("RecordingStartTime", "Tue, 14 Jul 2026 09:00:02 +0000"),
        ])
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_becomes_a_vcon_with_who_spoke() {
    let scene = Scene::new().await;
    scene.held.call(CALL, "+14158675309", "+18005551212", "inbound");
    scene.held.media(&format!("/Recordings/{RECORDING}.wav"), recording(2));
    let answered = scene.recorded(&scene.url_of(RECORDING), "2").await;
    assert_eq!((answered.status, answered.body.as_str()), (200, "<Response/>"));
    assert_eq!(answered.headers["content-type"], "text/xml");
    let vcon = scene.door.vcon().await;
    // The caller is party 0 whichever way the call went, so nobody needs to be named as its originator.
    assert_eq!(vcon["parties"], json!([{"tel": "+14158675309"}, {"tel": "+18005551212"}]));
    let expected = json!({
        "type": "recording", "start": "2026-07-14T09:00:02Z", "duration": 1.0, "parties": [0, 1], "mediatype": "audio/x-wav",
        "filename": format!("{RECORDING}.wav"),
    });
    assert_eq!(dialog(&vcon), expected);
    let tags = tags(&vcon);
    let told = ["source", "ingress", "direction", "call_sid", "recording_sid"].map(|name| tags[name].as_str());
    assert_eq!(told, ["twilio", "main", "inbound", CALL, RECORDING]);
    assert_eq!(vcon["vcon"], "0.4.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_channels_of_an_outbound_call_are_the_other_way_round() {
    let scene = Scene::new().await;
    scene.held.call(CALL, "+18005551212", "+14158675309", "outbound-api");
    scene.held.media(&format!("/Recordings/{RECORDING}.wav"), recording(2));
    scene.recorded(&scene.url_of(RECORDING), "2").await;
    let vcon = scene.door.vcon().await;
    assert_eq!(vcon["parties"][0]["tel"], "+18005551212", "who called is party 0");
    assert_eq!((&vcon["dialog"][0]["parties"], &vcon["dialog"][0]["originator"]), (&json!([1, 0]), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_call_has_told_needs_no_question() {
    let scene = Scene::new().await;
    scene.held.media(&format!("/Recordings/{RECORDING}.wav"), recording(1));
    let call = [
        ("AccountSid", ACCOUNT),
        ("CallSid", CALL),
        ("CallStatus", "in-progress"),
        ("From", "+14158675309"),
        ("To", "sip:bob@example.com"),
        ("Direction", "inbound"),
    ];
    assert_eq!(scene.callback(&call).await.status, 200);
    scene.recorded(&scene.url_of(RECORDING), "1").await;
    let vcon = scene.door.vcon().await;
    assert_eq!(vcon["parties"], json!([{"tel": "+14158675309"}, {"sip": "bob@example.com"}]));
    assert_eq!(scene.vendor.calls().len(), 1, "only the recording is fetched");
}

/// Twilio sends a recording's callback again when it got no answer, and tells of it in the call's callback, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_told_of_three_times_is_one_vcon() {
    let scene = Scene::new().await;
    scene.held.call(CALL, "+14158675309", "+18005551212", "inbound");
    scene.held.media(&format!("/Recordings/{RECORDING}.wav"), recording(1));
    let url = scene.url_of(RECORDING);
    let (one, two) = tokio::join!(scene.recorded(&url, "1"), scene.recorded(&url, "1"));
    assert_eq!((one.status, two.status), (200, 200));
    let ended = [
        ("AccountSid", ACCOUNT),
        ("CallSid", CALL),
        ("CallStatus", "completed"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
        ("RecordingSid", RECORDING),
        ("RecordingUrl", url.as_str()),
    ];
    scene.callback(&ended).await;
    scene.door.vcon().await;
    scene.recorded(&url, "1").await;
    assert_eq!(scene.door.vcons().await, Vec::<Value>::new(), "and once more after it was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_not_there_yet_is_fetched_later() {
    let scene = Scene::new().await;
    scene.held.call(CALL, "+14158675309", "+18005551212", "inbound");
    scene.vendor.will(Fault::RetryAfter(429, "0"));
    scene.recorded(&scene.url_of(RECORDING), "1").await;
    scene.door.retried().await;
    scene.held.media(&format!("/Recordings/{RECORDING}.wav"), recording(1));
    scene.door.vcon().await;
    assert!(scene.vendor.answered(404) + scene.vendor.answered(429) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_failed_becomes_a_vcon_and_one_that_went_well_does_not() {
    let scene = Scene::new().await;
    let call = |sid: &'static str, status: &'static str| {
        [
            ("AccountSid", ACCOUNT),
            ("CallSid", sid),
            ("CallStatus", status),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
            ("Direction", "inbound"),
            ("Timestamp", "Tue, 14 Jul 2026 09:00:00 +0000"),
        ]
    };
    scene.callback(&call("CA00000000000000000000000000000001", "ringing")).await;
    scene.callback(&call("CA00000000000000000000000000000001", "no-answer")).await;
    scene.callback(&call("CA00000000000000000000000000000002", "completed")).await;
    let vcon = scene.door.vcon().await;
    let expected =
        json!({"type": "incomplete", "start": "2026-07-14T09:00:00Z", "parties": [0, 1], "disposition": "no-answer"});
    assert_eq!(vcon["dialog"], json!([expected]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_becomes_a_vcon_with_its_media() {
    let scene = Scene::new().await;
    let path = "/Messages/MM1/Media/ME1";
    scene.held.media(path, &b"\xff\xd8\xff\xe0 a picture"[..]);
    let url = format!("{}/2010-04-01/Accounts/{ACCOUNT}{path}", scene.vendor.url);
    let fields = [
        ("AccountSid", ACCOUNT),
        ("MessageSid", "MM1"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
        ("Body", "see here"),
        ("NumMedia", "1"),
        ("MediaUrl0", url.as_str()),
        ("MediaContentType0", "image/jpeg"),
    ];
    assert_eq!(scene.callback(&fields).await.status, 200);
    scene.callback(&fields).await;
    let vcon = scene.door.vcon().await;
    let text = &vcon["dialog"][0];
    assert_eq!(
        (&text["type"], &text["body"], &text["application"]),
        (&json!("text"), &json!("see here"), &json!("mms"))
    );
    let picture = vcon["attachments"].as_array().unwrap().iter().find(|one| one["purpose"] == "message_media").unwrap();
    assert_eq!((&picture["mediatype"], &picture["filename"]), (&json!("image/jpeg"), &json!("MM1-0.jpg")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_account_is_not_taken() {
    let scene = Scene::new().await;
    let fields = [("AccountSid", ACCOUNT), ("CallSid", CALL), ("CallStatus", "busy"), ("From", "+1"), ("To", "+2")];
    let body = form(&fields);
    for signature in [None, Some("RSOYDt4T1cUTdK1PDd93/VVr8B8=")] {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(signature.map(|signature| ("x-twilio-signature", signature)));
        let answered = scene.door.post(&headers, body.clone()).await;
        assert_eq!((answered.status, answered.body.as_str()), (403, "{\"detail\":\"not verified\"}"));
    }
    assert_eq!(scene.door.vcons().await, Vec::<Value>::new());
    assert!(scene.door.stage.store.lists().await.unwrap().is_empty(), "nothing is stored");
}

/// The callback names the host; credentials must not go there.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_gets_neither_a_call_nor_the_token() {
    let scene = Scene::new().await;
    scene.held.call(CALL, "+14158675309", "+18005551212", "inbound");
    let foreign = Vendor::start(MediaHost::default()).await;
    // Another name of the same machine.
    let url = foreign.url.replace("127.0.0.1", "localhost");
    scene.recorded(&format!("{url}/a.wav"), "1").await;
    let reason = scene.door.reason().await;
    assert!(reason.contains("`localhost` is none of the allowed hosts"), "{reason}");
    assert_eq!(foreign.calls().len(), 0);
    assert!(!reason.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_lead_to_allowed_hosts_only_and_never_with_the_token() {
    // Where the redirect leads, and whether the recording arrives.
    for (allowed, arrives) in [(json!(["127.0.0.2"]), false), (json!([]), false), (json!(["127.0.0.1"]), true)] {
        let scene = Scene::with(&json!({"media_hosts": allowed})).await;
        scene.held.call(CALL, "+14158675309", "+18005551212", "inbound");
        let bucket = MediaHost::default();
        bucket.files().put("/a.wav", recording(1));
        let bucket = Vendor::start(bucket).await;
        // The guard of these tests opens 127.0.0.1 and no other private address.
        let host = if arrives { "127.0.0.1" } else { "127.0.0.2" };
        let to = format!("{}/a.wav?X-Amz-Signature=5ca1ab1e77", bucket.url.replace("127.0.0.1", host));
        scene.held.moved(&format!("/Recordings/{RECORDING}.wav"), &to);
        scene.recorded(&scene.url_of(RECORDING), "1").await;
        if arrives {
            scene.door.vcon().await;
            assert!(bucket.calls().iter().all(|call| call.header("authorization").is_empty()));
            continue;
        }
        let reason = scene.door.reason().await;
        assert!(reason.contains("allowed hosts") || reason.contains("address guard"), "{reason}");
        assert!(!reason.contains("5ca1ab1e77") && bucket.calls().is_empty(), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_or_no_recording_is_a_dead_letter() {
    for (fault, word) in [(Fault::Status(410), "410"), (Fault::NoJson, "recording RE0123456789abcdef0123456789abcdef")]
    {
        let scene = Scene::new().await;
        let call = [
            ("AccountSid", ACCOUNT),
            ("CallSid", CALL),
            ("CallStatus", "in-progress"),
            ("From", "+1415867"),
            ("To", "+1800555"),
        ];
        scene.callback(&call).await;
        scene.held.media(&format!("/Recordings/{RECORDING}.wav"), recording(1));
        scene.vendor.will(fault);
        scene.recorded(&scene.url_of(RECORDING), "1").await;
        let reason = scene.door.reason().await;
        assert!(reason.contains(word), "{reason}");
        // Once it is there, the letter is revived.
        let letter = scene.door.dead().await.remove(0);
        assert_eq!(letter.failure.class, Class::Permanent);
        assert!(scene.door.stage.store.revive(letter.run).await.unwrap());
        scene.door.vcon().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_refused_are_tried_until_they_are_mended() {
    let scene = Scene::with(&json!({"api_key": "SK1", "api_secret": "wrong-0123456789"})).await;
    scene.held.call(CALL, "+14158675309", "+18005551212", "inbound");
    scene.recorded(&scene.url_of(RECORDING), "1").await;
    scene.door.retried().await;
    assert!(scene.door.stage.dead("DLQ:ingress:main").await.is_empty());
    assert_eq!((scene.vendor.answered(401), scene.vendor.calls().len()), (1, 1), "not again within half a minute");
}
