//! Sentinels that watch a private server and its replicas.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::Client;
use tempfile::TempDir;

use super::redis::free_port;

/// The name that the Sentinels know the master by.
pub const MASTER: &str = "main";

/// Three Sentinels; two of them decide.
#[derive(Debug)]
pub struct Sentinels {
    _folder: TempDir,
    ports: Vec<u16>,
    children: Vec<Child>,
    scheme: &'static str,
    parameters: String,
}

impl Sentinels {
    /// Starts Sentinels that watch the server at `port`. `lines` go into their configuration, `parameters` into the
    /// URL that reaches them.
    pub fn start(port: u16, scheme: &'static str, parameters: &str, lines: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut ports, mut children) = (Vec::new(), Vec::new());
        for index in 0..3 {
            let own = free_port();
            let listen = if scheme == "rediss" { format!("port 0\ntls-port {own}") } else { format!("port {own}") };
            let text = format!(
                "{listen}\nbind 127.0.0.1\ndir {}\n{}\nsentinel monitor {MASTER} 127.0.0.1 {port} 2\n\
                 sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 3000\n",
                folder.path().display(),
                lines.join("\n"),
            );
            let file = folder.path().join(format!("{index}.conf"));
            std::fs::write(&file, text).expect("a configuration");
            let mut command = Command::new(super::redis::program());
            command.arg(&file).arg("--sentinel");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            children.push(command.spawn().expect("`redis-server` is installed"));
            ports.push(own);
        }
        let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Sentinels { _folder: folder, ports, children, scheme, parameters: format!("{}|{parameters}", hosts.join(",")) }
    }

    /// The URL of the master that they watch.
    pub fn url(&self, user: &str) -> String {
        let (hosts, parameters) = self.parameters.split_once('|').expect("two parts");
        format!("{}+sentinel://{user}{hosts}/{MASTER}/0{parameters}", self.scheme)
    }

    /// Waits until all of them know each other and a replica, so that a failover can happen.
    pub fn ready(&self, cli: &[&str]) {
        self.wait(cli, |text| text.contains("sentinels=3") && text.contains("slaves=1") && text.contains("status=ok"));
    }

    fn wait(&self, cli: &[&str], enough: impl Fn(&str) -> bool) {
        let started = Instant::now();
        for port in &self.ports {
            loop {
                let mut command = Command::new("redis-cli");
                command.args(["-p", &port.to_string()]).args(cli).args(["INFO", "sentinel"]);
                let output = command.stderr(Stdio::null()).output().expect("`redis-cli` is installed");
                if enough(&String::from_utf8_lossy(&output.stdout)) {
                    break;
                }
                assert!(started.elapsed() < Duration::from_secs(30), "the Sentinels do not find each other");
                sleep(Duration::from_millis(50));
            }
        }
    }

    /// The port of the master that the first of them names.
    pub fn master(&self) -> u16 {
        let client = Client::open(format!("redis://127.0.0.1:{}", self.ports[0])).expect("a URL");
        let mut connection = client.get_connection().expect("a connection");
        let found: (String, u16) =
            redis::cmd("SENTINEL").arg("get-master-addr-by-name").arg(MASTER).query(&mut connection).expect("a master");
        found.1
    }

    /// Ends one of them.
    pub fn kill(&mut self, index: usize) {
        // It may have ended by itself; then there is nothing to kill.
        self.children[index].kill().unwrap_or_default();
        self.children[index].wait().expect("it ends");
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for index in 0..self.children.len() {
            self.kill(index);
        }
    }
}
