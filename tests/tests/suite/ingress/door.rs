//! A door: configured ingress adapters behind an address, and a store behind them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vconductor::ingress::{Ingresses, list_of, router};
use vconductor_core::config::{ProcessEnvironment, has_errors, load_text};
use vconductor_core::http::HttpClient;
use vconductor_core::http::guard::Guard;
use vconductor_core::store::{DeadLetter, Store, TenantScope};
use vconductor_core::validate::{Level, Mode, Validator};
use vconductor_tests::stage::Stage;

/// The name of every ingress of these tests.
pub(crate) const NAME: &str = "main";

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// An ingress at work.
pub(crate) struct Door {
    pub(crate) stage: Stage,
    pub(crate) url: String,
    pub(crate) ingresses: Arc<Ingresses>,
    client: reqwest::Client,
}

/// What a door answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Door {
    /// Opens an ingress of a module with these options on an embedded store.
    pub(crate) async fn open(module: &str, options: &Value) -> Door {
        Door::on(Stage::new(), module, options, "").await
    }

    /// Opens one on a store that is there, with more keys beside `options`.
    pub(crate) async fn on(stage: Stage, module: &str, options: &Value, more: &str) -> Door {
        // JSON is YAML.
        let text = format!(
            "ingress:\n  {NAME}: {{module: {module}, list: calls, {more} options: {options}}}\nchains:\n  c: {{ingress_lists: \
             [calls], links: []}}\n"
        );
        let loaded = load_text("ingress.yml", &text, &ProcessEnvironment);
        assert!(!has_errors(&loaded.findings), "{:?}", loaded.findings);
        // The vendors of these tests are on the loopback interface, and only there.
        let guard = Guard::default().allow("127.0.0.1").expect("an address").allow_http(true);
        let http = HttpClient::builder().guard(guard).build().expect("a client");
        let config = loaded.config.expect("a configuration");
        let store: Arc<dyn Store> = Arc::clone(&stage.store);
        let keep = Some(Duration::from_secs(3600));
        let ingresses = Ingresses::start(&config, &store, &http, keep).await.expect("an ingress");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/ingress/{NAME}", listener.local_addr().expect("an address"));
        let router = router(Arc::clone(&ingresses));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Door { stage, url, ingresses, client: reqwest::Client::new() }
    }

    /// Posts to the ingress.
    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answered {
        self.post_to("", headers, body).await
    }

    /// Posts to the ingress with something behind its address.
    pub(crate) async fn post_to(
        &self,
        behind: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answered {
        let mut request = self.client.post(format!("{}{behind}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Answered { status: response.status().as_u16(), headers, body: response.text().await.expect("a body") }
    }

    /// Waits until nothing is left to do but what is due later than in a minute.
    pub(crate) async fn settled(&self) {
        let started = Instant::now();
        while !self.stage.pending(&list_of(NAME)).await.is_idle() {
            assert!(
                started.elapsed() < LIMIT,
                "still at work after {LIMIT:?}: {:?}",
                self.stage.pending(&list_of(NAME)).await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until at least one item waits for another attempt.
    pub(crate) async fn retried(&self) {
        let started = Instant::now();
        loop {
            let lists = self.stage.store.lists().await.expect("lists");
            if lists.iter().any(|list| list.list == list_of(NAME) && list.scheduled > 0) {
                return;
            }
            assert!(started.elapsed() < LIMIT, "nothing waits for another attempt");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The vCons on the list when all is settled, in the order of their uuids. Each must be valid by the strict rules.
    pub(crate) async fn vcons(&self) -> Vec<Value> {
        self.settled().await;
        let taken = self.stage.take("calls").await;
        let mut vcons = Vec::new();
        for (uuid, times) in taken {
            assert_eq!(times, 1, "{uuid} is on the list more than once");
            let stored =
                self.stage.store.get(&TenantScope::Everything, &uuid).await.expect("an answer").expect("a document");
            let checked = Validator { mode: Mode::Strict, ..Validator::default() }.check(stored.document.to_vec());
            for (_, report) in checked {
                let errors: Vec<_> = report.of_level(Level::Error).collect();
                assert!(errors.is_empty(), "{errors:?}: {}", String::from_utf8_lossy(&stored.document));
            }
            vcons.push(serde_json::from_slice(&stored.document).expect("JSON"));
        }
        vcons
    }

    /// The one vCon on the list.
    pub(crate) async fn vcon(&self) -> Value {
        let mut vcons = self.vcons().await;
        assert_eq!(vcons.len(), 1, "{vcons:?}");
        vcons.remove(0)
    }

    /// The dead letters when all is settled.
    pub(crate) async fn dead(&self) -> Vec<DeadLetter> {
        self.settled().await;
        self.stage.dead(&format!("DLQ:{}", list_of(NAME))).await
    }

    /// The reason of the last dead letter.
    pub(crate) async fn reason_of_last(&self) -> String {
        self.dead().await.last().expect("a dead letter").failure.message.clone()
    }

    /// The one dead letter's reason.
    pub(crate) async fn reason(&self) -> String {
        let dead = self.dead().await;
        assert_eq!(dead.len(), 1, "{dead:?}");
        assert!(self.stage.take("calls").await.is_empty(), "something came out all the same");
        dead[0].failure.message.clone()
    }
}

/// The tags of a vCon.
pub(crate) fn tags(vcon: &Value) -> BTreeMap<String, String> {
    let attachments = vcon["attachments"].as_array().expect("attachments");
    let tags = attachments.iter().find(|attachment| attachment["purpose"] == "tags").expect("tags");
    let body =
        tags["body"].as_str().map_or_else(|| tags["body"].clone(), |text| serde_json::from_str(text).expect("JSON"));
    let pairs = body.as_array().expect("a list").iter().map(|tag| {
        let (name, value) = tag.as_str().expect("a text").split_once(':').expect("a value");
        (name.to_owned(), value.to_owned())
    });
    pairs.collect()
}

/// A recording of one second: 8 bits, 8 kHz, silence.
pub(crate) fn recording(channels: u16) -> Vec<u8> {
    let length = 8000 * u32::from(channels);
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + length).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&8000_u32.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&8_u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.resize(bytes.len() + length as usize, 128);
    bytes
}

/// A form in a body.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://x/").expect("a URL");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// The dialog of a vCon without its content.
pub(crate) fn dialog(vcon: &Value) -> Value {
    let mut dialog = vcon["dialog"][0].clone();
    let content = dialog.as_object_mut().expect("a dialog");
    if content.get("encoding") == Some(&json!("base64url")) {
        assert!(content["content_hash"].as_str().expect("a hash").starts_with("sha512-"));
        for name in ["body", "encoding", "content_hash"] {
            content.remove(name);
        }
    }
    dialog
}
