//! A private Redis server.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::{Client, Connection, RedisResult};
use tempfile::TempDir;

use super::certificates::Certificates;

/// The server to test with: `redis-server`, or what `VCONDUCTOR_REDIS_SERVER` names (another version, Valkey).
pub fn program() -> String {
    std::env::var("VCONDUCTOR_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// Whether the server wants to be told that `DEBUG` may be used; Redis 6.2 allows it and does not know the option.
fn has_debug_switch() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let version = Command::new(program()).arg("--version").output().expect("`redis-server` is installed");
        !String::from_utf8_lossy(&version.stdout).contains("v=6.")
    })
}

/// A running `redis-server`.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::with(&["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"])
    }

    /// Starts a server that has every write on disk before it answers.
    pub fn durable() -> Self {
        Self::with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Starts a server that keeps nothing on disk and has a stand-in for RedisJSON (`json_module.c` says what it can).
    pub fn with_json() -> Self {
        Self::with(&["--save", "", "--appendonly", "no", "--loadmodule", &json_module().display().to_string()])
    }

    /// Starts a server that also listens with TLS, and accepts only clients with a certificate of the authority.
    /// Answers the TLS port, too.
    pub fn with_tls(certificates: &Certificates, more: &[&str]) -> (Self, u16) {
        let port = free_port();
        let file = |name: &str| certificates.path(name);
        let (authority, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
        let port_option = port.to_string();
        let mut options = vec!["--save", "", "--appendonly", "no", "--tls-port", &port_option];
        options.extend(["--tls-ca-cert-file", &authority, "--tls-cert-file", &certificate, "--tls-key-file", &key]);
        options.extend(more);
        (Self::with(&options), port)
    }

    /// Starts a server with these options.
    pub fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = RedisServer {
            folder,
            port: free_port(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: None,
        };
        // A port that was free may be another test's a moment later; a server of a cluster wants a second one, 10000 above.
        for _ in 0..10 {
            if server.begin() {
                return server;
            }
            server.port = free_port();
        }
        panic!("redis-server does not come up on any port");
    }

    /// Starts it again on the same data and port.
    pub fn up(&mut self) {
        assert!(self.begin(), "redis-server does not come up again");
    }

    /// Starts it; false: it ended by itself.
    fn begin(&mut self) -> bool {
        assert!(self.child.is_none(), "it runs");
        let child = Command::new(program())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"])
            .args(["--dir", &self.folder.path().display().to_string()])
            .args(if has_debug_switch() { &["--enable-debug-command", "yes"][..] } else { &[] })
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`redis-server` is installed");
        self.child = Some(child);
        let started = Instant::now();
        let own = format!("process_id:{}", self.child.as_ref().map_or(0, Child::id));
        // One that asks for a password is there, too; one that answers on our port may be another test's.
        let asks = |mut open: Connection| match redis::cmd("PING").exec(&mut open) {
            Ok(()) => {
                let info: RedisResult<String> = redis::cmd("INFO").arg("server").query(&mut open);
                // Some do not let everybody ask that.
                info.map_or(true, |info| info.lines().any(|line| line == own))
            }
            Err(error) => error.code() == Some("NOAUTH"),
        };
        while !self.try_connect().is_some_and(asks) {
            assert!(started.elapsed() < Duration::from_secs(20), "redis-server does not answer");
            if self.child.as_mut().is_some_and(|child| child.try_wait().expect("a state").is_some()) {
                self.child = None;
                return false;
            }
            sleep(Duration::from_millis(5));
        }
        true
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing to kill.
            child.kill().unwrap_or_default();
            child.wait().expect("it ends");
        }
    }

    /// Waits until it has ended by itself.
    pub fn gone(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().expect("it ends");
        }
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill runs").success());
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Its data folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A connection to it.
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("a connection")
    }

    fn try_connect(&self) -> Option<Connection> {
        let client = Client::open(self.url()).expect("a URL");
        let connection = client.get_connection_with_timeout(Duration::from_secs(2)).ok()?;
        connection.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        Some(connection)
    }

    /// Waits until a replica has everything that was written here so far.
    pub fn reaches(&self, replica: &RedisServer) {
        // `WAIT` counts a replica that is still loading; what is written last arrives last.
        let mark = format!("{:016x}", fastrand::u64(..));
        self.cli(&["SET", "mark-of-the-test", &mark]);
        let started = Instant::now();
        while replica.cli(&["GET", "mark-of-the-test"]) != mark {
            assert!(started.elapsed() < Duration::from_secs(20), "the replica does not follow");
            sleep(Duration::from_millis(5));
        }
        self.cli(&["DEL", "mark-of-the-test"]);
    }

    /// Runs `redis-cli` against it, as a producer in a shell does; its output.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments).output();
        String::from_utf8(output.expect("`redis-cli` is installed").stdout).expect("text").trim().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The stand-in for RedisJSON, compiled once.
fn json_module() -> PathBuf {
    static MODULE: OnceLock<TempDir> = OnceLock::new();
    let folder = MODULE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("json_module.c");
        std::fs::write(&source, include_str!("json_module.c")).expect("the source is written");
        let mut compile = Command::new("cc");
        compile.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"]);
        let made = compile.arg(folder.path().join("json.so")).arg(source).status().expect("a C compiler is installed");
        assert!(made.success(), "the stand-in for RedisJSON does not compile");
        folder
    });
    folder.path().join("json.so")
}

/// A port that nobody listens on, and that nobody is given for an outgoing connection while its server is down: those are
/// of 32768 and above.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = fastrand::u16(12_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
}
