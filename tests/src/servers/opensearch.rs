//! A private OpenSearch node, which speaks the protocol of Elasticsearch.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::redis::free_port;

/// How long a node may take to come up on a busy machine.
const START: Duration = Duration::from_secs(120);

/// A running node. It ends when this is dropped, and when this process ends in whatever way.
#[derive(Debug)]
pub struct OpenSearchServer {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl OpenSearchServer {
    /// The node that all cases of this process share: starting one takes seconds, so each case has a prefix of its own.
    pub fn shared() -> String {
        static SHARED: OnceLock<Mutex<OpenSearchServer>> = OnceLock::new();
        let server = SHARED.get_or_init(|| Mutex::new(OpenSearchServer::start()));
        server.lock().unwrap_or_else(PoisonError::into_inner).url()
    }

    /// Starts a node of one's own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("config")).expect("a folder");
        let mut server = OpenSearchServer { folder, port: free_port(), child: None };
        server.up();
        server
    }

    /// Starts it again on the same data and port.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let program = program();
        let mut command = Command::new("java");
        command.args(["-Xms512m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
        command.arg(format!("{}:{}/lib/*", program.display(), program.display())).arg("OpenSearch");
        command.arg(self.folder.path()).args([self.port.to_string(), free_port().to_string()]);
        let log = self.folder.path().join("output");
        let output = std::fs::File::create(&log).expect("a file");
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("`java` is installed (scripts/servers)");
        self.child = Some(child);
        let started = Instant::now();
        while !self.is_ready() {
            let ended = self.child.as_mut().is_some_and(|child| child.try_wait().expect("a state").is_some());
            let output = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(!ended && started.elapsed() < START, "OpenSearch does not come up: {}", output());
            sleep(Duration::from_millis(100));
        }
    }

    /// Whether all that it has on disk can be used again.
    fn is_ready(&self) -> bool {
        let Some((200, health)) = self.try_ask("GET", "/_cluster/health?timeout=1s", "") else { return false };
        health["status"] != "red" && health["initializing_shards"] == 0
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

    fn try_ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        ask(self.port, method, path, body).ok()
    }
}

impl Drop for OpenSearchServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks a node as any other program would; status and body of the answer. `url` is that of the node.
pub fn opensearch(url: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a URL with a port");
    let text = if body.is_null() { String::new() } else { body.to_string() };
    ask(port, method, path, &text).expect("OpenSearch answers")
}

fn ask(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// What `scripts/servers` has built.
fn program() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers/opensearch");
    assert!(folder.join("OpenSearch.class").is_file(), "OpenSearch is not installed: run scripts/servers");
    folder
}
