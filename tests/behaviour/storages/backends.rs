//! How each storage gets a private place to write to.

use std::any::Any;
use std::net::TcpListener;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use vconductor_tests::servers::Server;
use vconductor_tests::servers::mongo::MongoServer;
use vconductor_tests::servers::opensearch::OpenSearchServer;
use vconductor_tests::servers::postgres::PostgresServer;
use vconductor_tests::servers::redis::{RedisServer, free_port};
use vconductor_tests::servers::s3::S3Server;

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
    /// Options with the password `wrong-secret`, or why the backend knows no passwords.
    pub(crate) intruder: Result<Value, &'static str>,
    /// A server of one's own, or why there is none to be killed.
    pub(crate) outage: Result<fn() -> Outage, &'static str>,
    /// Lives as long as the place is used.
    pub(crate) _guard: Box<dyn Any + Send + Sync>,
}

/// A server that can be killed.
pub(crate) struct Outage {
    /// Options of a storage that writes to it.
    pub(crate) options: Value,
    /// The server.
    pub(crate) server: Box<dyn Server>,
}

/// Every storage that ships.
pub(crate) const BACKENDS: &[Backend] = &[
    Backend { module: "storage.file", place: file },
    Backend { module: "storage.sqlite", place: sqlite },
    Backend { module: "storage.redis_storage", place: redis_storage },
    Backend { module: "storage.postgres", place: postgres },
    Backend { module: "storage.mongo", place: mongo },
    Backend { module: "storage.webhook", place: webhook },
    Backend { module: "storage.s3", place: s3 },
    Backend { module: "storage.elasticsearch", place: elasticsearch },
];

/// Storages once more with other options that change what they do.
pub(crate) const VARIANTS: &[(&str, Backend)] = &[
    ("s3_in_parts", Backend { module: "storage.s3", place: s3_in_parts }),
    ("elasticsearch_with_documents", Backend { module: "storage.elasticsearch", place: elasticsearch_with_documents }),
];

/// Cases that no storage on a backend can pass: module, case, and where the backend's own documentation says so.
pub(crate) const LIMITS: &[(&str, &str, &str)] = &[
    (
        "storage.mongo",
        "twenty_megabytes_are_saved",
        "not supported: 16 MB is the limit, https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size",
    ),
    ("storage.mongo", "concurrent_writers_leave_the_highest_revision", TWO_STEPS),
    ("storage.mongo", "concurrent_batches_leave_the_highest_revisions", TWO_STEPS),
];

/// MongoDB's promise cannot be shown on the server that the tests have.
const TWO_STEPS: &str = "FerretDB 1 finds and replaces in two steps; on MongoDB a write to one document is atomic, \
    https://www.mongodb.com/docs/manual/core/write-operations-atomicity/";

fn file() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("occupied"), "").expect("a file");
    Place {
        options: json!({"path": folder.path().join("vcons")}),
        broken: json!({"path": folder.path().join("occupied/vcons")}),
        intruder: Err("a folder knows no passwords"),
        outage: Err("a folder is no server; `killed_writer_leaves_whole_files` kills the writer"),
        _guard: Box::new(folder),
    }
}

fn sqlite() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    Place {
        options: json!({"path": folder.path().join("vcons.sqlite")}),
        broken: json!({"path": folder.path().join("missing/vcons.sqlite")}),
        intruder: Err("a file of SQLite knows no passwords"),
        outage: Err("SQLite is no server"),
        _guard: Box::new(folder),
    }
}

fn redis_storage() -> Place {
    let server = RedisServer::start();
    Place {
        options: json!({"redis_url": server.url()}),
        broken: json!({"redis_url": server.url().replace("//", "//nobody:wrong@")}),
        intruder: Ok(json!({"redis_url": server.url().replace("//", "//nobody:wrong-secret@")})),
        outage: Ok(|| {
            let server = RedisServer::durable();
            Outage { options: json!({"redis_url": server.url(), "timeout": "2s"}), server: Box::new(server) }
        }),
        _guard: Box::new(server),
    }
}

fn postgres() -> Place {
    let server = PostgresServer::start();
    Place {
        options: json!({"url": server.url()}),
        broken: json!({"url": server.url().replace("of-the-tests", "wrong")}),
        intruder: Ok(json!({"url": server.url().replace("of-the-tests", "wrong-secret")})),
        outage: Ok(|| {
            let server = PostgresServer::durable();
            Outage { options: json!({"url": server.url()}), server: Box::new(server) }
        }),
        _guard: Box::new(server),
    }
}

fn mongo() -> Place {
    let server = MongoServer::start();
    Place {
        options: json!({"url": server.url()}),
        broken: json!({"url": server.url().replace("of-the-tests", "wrong")}),
        intruder: Ok(json!({"url": server.url().replace("of-the-tests", "wrong-secret")})),
        outage: Ok(|| {
            let server = MongoServer::start();
            Outage { options: json!({"url": server.url(), "timeout": "120s"}), server: Box::new(server) }
        }),
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
        intruder: Err("a receiver knows the passwords that it likes"),
        outage: Err("a receiver keeps nothing that could be looked at again"),
        _guard: Box::new(server),
    }
}

/// These options with others over them.
fn with(mut options: Value, more: Value) -> Value {
    if let (Value::Object(options), Value::Object(more)) = (&mut options, more) {
        options.extend(more);
    }
    options
}

fn s3() -> Place {
    s3_with(json!({}))
}

/// Documents over 5 MB go up in parts.
fn s3_in_parts() -> Place {
    Place { outage: Err("killed as `s3`"), ..s3_with(json!({"part_size": "5MB", "s3_path": "in/parts"})) }
}

fn s3_with(more: Value) -> Place {
    let server = S3Server::start();
    let options = with(server.options(), more);
    Place {
        broken: with(options.clone(), json!({"aws_bucket": "no-such-bucket"})),
        intruder: Ok(with(options.clone(), json!({"aws_secret_access_key": "wrong-secret"}))),
        outage: Ok(|| {
            let server = S3Server::start();
            Outage { options: with(server.options(), json!({"timeout": "5s"})), server: Box::new(server) }
        }),
        options,
        _guard: Box::new(server),
    }
}

fn elasticsearch() -> Place {
    elasticsearch_with(json!({}))
}

/// Documents can be read back.
fn elasticsearch_with_documents() -> Place {
    Place { outage: Err("killed as `elasticsearch`"), ..elasticsearch_with(json!({"documents": true})) }
}

fn elasticsearch_with(more: Value) -> Place {
    let prefix = format!("p{:08x}_", fastrand::u32(..));
    let options = with(json!({"url": OpenSearchServer::shared(), "index_prefix": prefix}), more);
    Place {
        broken: with(options.clone(), json!({"url": format!("http://127.0.0.1:{}", free_port())})),
        // The node has no security module, so the answer to a wrong password is that of Elasticsearch's reference.
        intruder: Ok(with(options.clone(), json!({"url": gatekeeper(), "username": "n", "password": "wrong-secret"}))),
        outage: Ok(|| {
            let server = OpenSearchServer::start();
            let options = json!({"url": server.url(), "documents": true, "timeout": "10s"});
            Outage { options, server: Box::new(server) }
        }),
        options,
        _guard: Box::new(()),
    }
}

/// A server that lets nobody in, with the words of Elasticsearch.
fn gatekeeper() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener for tokio");
    let address = listener.local_addr().expect("an address");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let refusal = json!({
        "error": {"type": "security_exception", "reason": "unable to authenticate user [n] for REST request"},
        "status": 401
    });
    let router = Router::new().fallback(move |_body: axum::body::Bytes| {
        let refusal = refusal.to_string();
        async move { (StatusCode::UNAUTHORIZED, [(CONTENT_TYPE, "application/json")], refusal) }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
