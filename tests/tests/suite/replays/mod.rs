//! `replay` on both stores and from real storages: each vCon once, whatever ends the command, in flat memory.
//!
//! Small here; `scripts/soak/replay` runs the same with 10,000 dead letters and 100,000 vCons.

mod letters;
mod stored;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vconductor_tests::servers::redis::RedisServer;

/// The store that a scene plays on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Embedded,
    Redis,
}

/// A folder with a configuration, and a store.
struct Scene {
    folder: TempDir,
    store: String,
    _server: Option<RedisServer>,
}

/// What a command did.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
    /// The most memory that its process had resident, in KiB, in the first fifth of its time and in all of it.
    memory: (u64, u64),
    took: Duration,
}

impl Scene {
    fn new(on: On, configuration: &str) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("chains.yml"), configuration).expect("a configuration");
        let server = (on == On::Redis).then(RedisServer::start);
        let store = server.as_ref().map_or_else(|| "embedded:./data".to_owned(), RedisServer::url);
        Scene { folder, store, _server: server }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self, words: &[&str]) -> Child {
        // In full size an optimised one is asked.
        let program = std::env::var_os("REPLAY_PROGRAM");
        let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_conductor_under_test").into()));
        command.args(words).args(["--store", &self.store]).current_dir(self.path()).env_remove("REDIS_URL");
        // A run that took its time must not be what is measured.
        command.env("VCON_REDIS_EXPIRY", "0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    }

    fn run(&self, words: &[&str]) -> Done {
        let (child, began) = (self.start(words), Instant::now());
        let mut samples = Vec::new();
        let status = format!("/proc/{}/status", child.id());
        let watch = std::thread::spawn(move || {
            while let Some(resident) = resident(&status) {
                samples.push(resident);
                std::thread::sleep(Duration::from_millis(20));
            }
            samples
        });
        let output = child.wait_with_output().expect("it ends");
        let took = began.elapsed();
        let samples = watch.join().expect("it was watched");
        let most = |samples: &[u64]| samples.iter().copied().max().unwrap_or(0);
        let memory = (most(&samples[..samples.len() / 5]), most(&samples));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        println!("$ vconductor {}\n{stdout}{stderr}", words.join(" "));
        Done { code: output.status.code().unwrap_or(-1), stdout, stderr, memory, took }
    }

    /// A command that must succeed; what it says as JSON.
    fn json(&self, words: &[&str]) -> Value {
        let done = self.run(&[words, &["--output", "json"]].concat());
        assert_eq!(done.code, 0, "{words:?}: {}{}", done.stdout, done.stderr);
        serde_json::from_str(&done.stdout).expect("JSON")
    }

    /// Runs the chains until nothing is left to do.
    fn work(&self) {
        let done = self.run(&["run", "chains.yml", "--until-idle", "--quiet"]);
        assert!(done.code <= 1, "{}", done.stderr);
    }

    /// How often each vCon waits on a list.
    fn waiting(&self, list: &str) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for run in self.json(&["queue", "peek", list, "--limit", "10000000"]).as_array().expect("a list") {
            *counts.entry(run["uuid"].as_str().expect("a uuid").to_owned()).or_default() += 1;
        }
        counts
    }

    /// Runs that wait on a list; none while there is no store.
    fn count_waiting(&self, list: &str) -> u64 {
        let done = self.run(&["queue", list, "--output", "json"]);
        let lists: Value = serde_json::from_str(&done.stdout).unwrap_or_default();
        lists["lists"][0]["waiting"].as_u64().unwrap_or(0)
    }

    /// Starts a command, and ends it with a signal when `due` says so; false if it ended by itself before.
    fn cut(&self, words: &[&str], signal: &str, due: impl Fn() -> bool) -> bool {
        let mut child = self.start(words);
        let began = Instant::now();
        while !due() {
            if child.try_wait().expect("its status").is_some() {
                return false;
            }
            assert!(began.elapsed() < Duration::from_secs(600), "{words:?} comes to nothing");
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill");
        assert!(sent.success());
        let output = child.wait_with_output().expect("it ends");
        println!("{signal} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        true
    }
}

/// What a process has resident, in KiB; `None` when it is gone.
fn resident(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A size of a campaign: as the variable says, else the small one.
fn size(variable: &str, small: u32) -> u32 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(small)
}
