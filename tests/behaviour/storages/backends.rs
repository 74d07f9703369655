//! How each storage gets a private place to write to.

use std::any::Any;
use std::net::TcpListener;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use serde_json::{Value, json};
use vconductor_tests::servers::mongo::MongoServer;
use vconductor_tests::servers::postgres::PostgresServer;
use vconductor_tests::servers::redis::RedisServer;

/// One row of the table.
pub(crate) struct Backend {
    /// The module name in YAML.
    pub(crate) module: &'static str,
    /// Makes a place that nobody else uses; called inside of a runtime.
    pub(crate) place: fn() -> Place,
}

/// A private place.
pub(crate) struct Place {
    /// Options of a storage that works.
    pub(crate) options: Value,
    /// Options of one whose place is broken.
    pub(crate) broken: Value,
    /// Lives as long as the place is used.
    pub(crate) _guard: Box<dyn Any + Send + Sync>,
}

/// Every storage that ships.
pub(crate) const BACKENDS: &[Backend] = &[
    Backend { module: "storage.file", place: file },
    Backend { module: "storage.sqlite", place: sqlite },
    Backend { module: "storage.redis_storage", place: redis_storage },
    Backend { module: "storage.postgres", place: postgres },
    Backend { module: "storage.mongo", place: mongo },
    Backend { module: "storage.webhook", place: webhook },
];

/// Cases that no storage on a backend can pass: module, case, and where the backend's own documentation says so.
pub(crate) const LIMITS: &[(&str, &str, &str)] = &[(
    "storage.mongo",
    "twenty_megabytes_are_saved",
    "not supported: 16 MB is the limit, https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size",
)];

fn file() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("occupied"), "").expect("a file");
    Place {
        options: json!({"path": folder.path().join("vcons")}),
        broken: json!({"path": folder.path().join("occupied/vcons")}),
        _guard: Box::new(folder),
    }
}

fn sqlite() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    Place {
        options: json!({"path": folder.path().join("vcons.sqlite")}),
        broken: json!({"path": folder.path().join("missing/vcons.sqlite")}),
        _guard: Box::new(folder),
    }
}

fn redis_storage() -> Place {
    let server = RedisServer::start();
    Place {
        options: json!({"redis_url": server.url()}),
        broken: json!({"redis_url": server.url().replace("//", "//nobody:wrong@")}),
        _guard: Box::new(server),
    }
}

fn postgres() -> Place {
    let server = PostgresServer::start();
    Place {
        options: json!({"url": server.url()}),
        broken: json!({"url": server.url().replace("of-the-tests", "wrong")}),
        _guard: Box::new(server),
    }
}

fn mongo() -> Place {
    let server = MongoServer::start();
    Place {
        options: json!({"url": server.url()}),
        broken: json!({"url": server.url().replace("of-the-tests", "wrong")}),
        _guard: Box::new(server),
    }
}

/// A receiver that accepts whatever it gets.
fn webhook() -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener for tokio");
    let address = listener.local_addr().expect("an address");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let router = Router::new()
        .fallback(|_body: axum::body::Bytes| async { StatusCode::NO_CONTENT })
        .layer(DefaultBodyLimit::disable());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    // The port was free a moment ago and nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    Place {
        options: json!({"webhook-urls": [format!("http://{address}/vcons")]}),
        broken: json!({"webhook-urls": [format!("http://{free}/vcons")]}),
        _guard: Box::new(server),
    }
}
