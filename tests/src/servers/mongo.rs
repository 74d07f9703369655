//! A private server that speaks MongoDB's protocol: FerretDB 1, with SQLite behind it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::redis::free_port;

/// A running `ferretdb`.
#[derive(Debug)]
pub struct MongoServer {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl MongoServer {
    /// Starts a server that survives its own death, not that of the machine.
    pub fn start() -> Self {
        let mut server = MongoServer { folder: tempfile::tempdir().expect("a folder"), port: free_port(), child: None };
        std::fs::create_dir(server.folder.path().join("data")).expect("a folder");
        server.up();
        server
    }

    /// Starts it again on the same data and port.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let folder = self.folder.path();
        let child = Command::new(program())
            .current_dir(folder)
            .args(["--handler=sqlite", "--debug-addr=-", "--telemetry=disable", "--log-level=ERROR", "--state-dir=."])
            .arg(format!("--sqlite-url=file:{}/?_pragma=synchronous(0)", folder.join("data").display()))
            .arg(format!("--listen-addr=127.0.0.1:{}", self.port))
            .args(["--test-enable-new-auth", "--setup-database=admin", "--setup-username=vcons"])
            .arg("--setup-password=of-the-tests")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`ferretdb` is installed (scripts/servers)");
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "ferretdb does not come up");
            sleep(Duration::from_millis(10));
        }
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
        format!("mongodb://vcons:of-the-tests@127.0.0.1:{}/?authSource=admin", self.port)
    }

    /// A client of its own, as another program has.
    pub async fn client(&self) -> mongodb::Client {
        mongodb::Client::with_uri_str(self.url()).await.expect("a client")
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `VCONDUCTOR_FERRETDB`, or what `scripts/servers` has built.
fn program() -> PathBuf {
    std::env::var_os("VCONDUCTOR_FERRETDB")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers/ferretdb"), PathBuf::from)
}
