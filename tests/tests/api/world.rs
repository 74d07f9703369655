//! A server of its own for every case, and what asks it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use vconductor::api::{Api, Keys, Settings};
use vconductor_core::store::Store;
use vconductor_core::store::embedded::{EmbeddedStore, Settings as EmbeddedSettings};
use vconductor_core::store::redis::{RedisStore, Settings as RedisSettings};
use vconductor_tests::servers::redis::RedisServer;

/// The key that opens everything.
pub(crate) const TOKEN: &str = "token-of-the-tests";
/// The header of keys.
pub(crate) const HEADER: &str = "x-conserver-api-token";

/// Which store a server stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Embedded,
    Redis,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Embedded => "embedded",
            Backend::Redis => "redis",
        }
    }
}

/// One case.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(World) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// Lists the cases of a module.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn cases() -> Vec<crate::world::Case> {
            vec![$(crate::world::Case { name: stringify!($name), run: |world| Box::pin($name(world)) }),*]
        }
    };
}
pub(crate) use cases;

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}

/// A store on which servers are started.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) folder: TempDir,
    pub(crate) redis: Option<RedisServer>,
}

impl World {
    pub(crate) async fn place(backend: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let redis = (backend == Backend::Redis).then(RedisServer::start);
        let store: Arc<dyn Store> = match &redis {
            Some(server) => RedisStore::connect(&server.url(), RedisSettings::default()).await.expect("a store"),
            None => EmbeddedStore::open(&folder.path().join("store"), EmbeddedSettings::default()).expect("a store"),
        };
        World { store, folder, redis }
    }

    /// The settings that every case starts from.
    pub(crate) fn settings() -> Settings {
        let address: SocketAddr = ([127, 0, 0, 1], 0).into();
        Settings::new(address, Keys::new(HEADER.to_owned(), [TOKEN.to_owned()]))
    }

    /// A server as it is by default.
    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(|_| {}).await
    }

    /// A server with other settings.
    pub(crate) async fn serve_with(&self, change: impl FnOnce(&mut Settings)) -> Server {
        let mut settings = World::settings();
        change(&mut settings);
        let api = Api::start(settings, Arc::clone(&self.store)).await.expect("it starts");
        Server { client: client(), base: api.url(), api }
    }
}

/// A client that trusts whatever certificate: what is tested is the server.
fn client() -> Client {
    Client::builder().danger_accept_invalid_certs(true).no_proxy().build().expect("a client")
}

/// A server, and a client of it.
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) base: String,
    pub(crate) api: Api,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

/// A call before it is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let method = method.parse().expect("a method");
        Call { method, path: path.to_owned(), key: Some(TOKEN.to_owned()), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn without_key(mut self) -> Self {
        self.key = None;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl Server {
    pub(crate) async fn ask(&self, call: Call) -> Answer {
        let mut request = self.client.request(call.method, format!("{}{}", self.base, call.path));
        if let Some(key) = call.key {
            request = request.header(HEADER, key);
        }
        for (name, value) in call.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request = request.header(name, HeaderValue::from_str(&value).expect("a value"));
        }
        let response = request.body(call.body).send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Call::new("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.ask(Call::new("POST", path).body(body)).await
    }

    /// How many vCons wait on a list.
    pub(crate) async fn depth(&self, list: &str) -> u64 {
        let answer = self.get(&format!("/stats/queue?list_name={list}")).await;
        answer.json()["depth"].as_u64().unwrap_or_else(|| panic!("{answer:?}"))
    }
}

/// A small vCon.
pub(crate) fn vcon(uuid: &str) -> String {
    format!(
        "{{\"vcon\":\"0.0.1\", \"uuid\":\"{uuid}\",\"created_at\":\"2026-01-02T03:04:05Z\",\
         \"parties\":[{{\"tel\":\"+12025550123\"}}],\"n\":1e3}}"
    )
}

/// A uuid that ends in `number`.
pub(crate) fn uuid(number: usize) -> String {
    format!("00000000-0000-8000-8000-{number:012}")
}
