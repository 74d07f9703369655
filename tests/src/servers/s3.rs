//! A private S3 server: the Versity gateway on a folder.

use std::future::Future;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::redis::free_port;

/// The bucket that every server has.
pub const BUCKET: &str = "vcons";

/// A running gateway with one bucket.
#[derive(Debug)]
pub struct S3Server {
    folder: TempDir,
    port: u16,
    key: String,
    secret: String,
    child: Option<Child>,
}

impl S3Server {
    /// Starts a server with an empty bucket.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let random = |length: usize| (0..length).map(|_| fastrand::alphanumeric()).collect::<String>();
        let mut server = S3Server { folder, port: free_port(), key: random(20), secret: random(40), child: None };
        server.up();
        let client = server.client();
        on_the_side(async move { client.create_bucket().bucket(BUCKET).send().await.expect("a bucket") });
        server
    }

    /// Starts it again on the same data and port.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let program = std::env::var("VCONDUCTOR_VERSITYGW").unwrap_or_else(|_| {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers/versitygw").display().to_string()
        });
        let child = Command::new(program)
            .args(["--quiet", "--port", &format!("127.0.0.1:{}", self.port), "posix"])
            .arg(self.folder.path())
            .env("ROOT_ACCESS_KEY_ID", &self.key)
            .env("ROOT_SECRET_ACCESS_KEY", &self.secret)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("versitygw is installed (scripts/servers)");
        self.child = Some(child);
        let started = Instant::now();
        let client = self.client();
        on_the_side(async move {
            while client.list_buckets().send().await.is_err() {
                assert!(started.elapsed() < Duration::from_secs(60), "versitygw does not come up");
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing to kill.
            child.kill().unwrap_or_default();
            child.wait().expect("it ends");
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Options of a storage that writes to it.
    pub fn options(&self) -> Value {
        json!({
            "aws_access_key_id": self.key, "aws_secret_access_key": self.secret, "aws_bucket": BUCKET,
            "aws_region": "us-east-1", "endpoint_url": self.url()
        })
    }

    /// A client of its own, as other programs have.
    pub fn client(&self) -> Client {
        client(&self.url(), &self.key, &self.secret)
    }

    /// The names of all objects.
    pub async fn keys(&self) -> Vec<String> {
        keys(&self.client()).await
    }
}

/// A client of a server at `url`.
pub fn client(url: &str, key: &str, secret: &str) -> Client {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(key, secret, None, None, "tests"))
        .endpoint_url(url)
        .force_path_style(true);
    Client::from_conf(config.build())
}

/// The names of all objects in [`BUCKET`].
pub async fn keys(client: &Client) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(BUCKET).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("a list");
        keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
    }
    keys
}

/// The content of an object.
pub async fn content(client: &Client, key: &str) -> Option<Vec<u8>> {
    let found = client.get_object().bucket(BUCKET).key(key).send().await.ok()?;
    Some(found.body.collect().await.expect("a whole object").into_bytes().to_vec())
}

/// Waits for something, inside of a runtime or not.
fn on_the_side(work: impl Future<Output: Send> + Send + 'static) {
    let side = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        drop(runtime.block_on(work));
    });
    side.join().expect("it works");
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
    }
}
