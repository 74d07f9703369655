//! Conductors as processes of their own, which can be signalled and killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How a conductor is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// `conductor_under_test`, or `vconductor`.
    pub binary: PathBuf,
    /// The configuration.
    pub config: PathBuf,
    /// Where the logs go.
    pub logs: PathBuf,
    /// The URL of the store.
    pub store: String,
    /// Silence after which it counts as dead.
    pub lease: Duration,
    /// More arguments of `run`.
    pub arguments: Vec<String>,
    /// More variables of the environment.
    pub environment: Vec<(String, String)>,
    /// `<point>:<n>`: where it kills itself.
    pub kill_at: Option<String>,
    /// By how many milliseconds its clock is wrong.
    pub clock_shift: i64,
}

impl Launch {
    /// A conductor with short times, as tests want it.
    pub fn new(binary: &Path, config: &Path, store: &str) -> Self {
        Launch {
            binary: binary.to_owned(),
            config: config.to_owned(),
            logs: config.parent().map_or_else(|| PathBuf::from("."), Path::to_owned),
            store: store.to_owned(),
            lease: Duration::from_millis(1200),
            arguments: Vec::new(),
            environment: Vec::new(),
            kill_at: None,
            clock_shift: 0,
        }
    }

    /// Starts conductor `number`; its configuration may use `${env:CONDUCTOR}`, and its log goes to `<number>.log`.
    pub fn start(&self, number: u32) -> Conductor {
        let log = self.logs.join(format!("{number}.log"));
        let mut command = Command::new(&self.binary);
        command.arg("run").arg(&self.config).args(["--store", &self.store, "--sweep", "200ms"]);
        command.args(["--lease", &format!("{}ms", self.lease.as_millis())]).args(&self.arguments);
        command.env("CONDUCTOR", number.to_string()).env("VCONDUCTOR_LOG", "debug,hyper=warn,reqwest=warn");
        command.env_remove("VCONDUCTOR_KILL_AT").env_remove("REDIS_URL");
        command.env("VCONDUCTOR_CLOCK_SHIFT", self.clock_shift.to_string());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(kill_at) = &self.kill_at {
            command.env("VCONDUCTOR_KILL_AT", kill_at);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log).expect("a log"));
        Conductor { number, log, child: command.spawn().expect("the conductor starts"), ended: None }
    }
}

/// A conductor's process; killed when it is dropped.
#[derive(Debug)]
pub struct Conductor {
    /// Its number.
    pub number: u32,
    log: PathBuf,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Conductor {
    /// Its status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("its status");
        }
        self.ended
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                started.elapsed() < limit,
                "conductor {} did not end within {limit:?}: {}",
                self.number,
                self.tail()
            );
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Sends a signal by name: `KILL`, `STOP`, `CONT`, `TERM`.
    pub fn signal(&mut self, name: &str) {
        if self.ended().is_none() {
            let pid = self.child.id().to_string();
            // It may end at this very moment.
            drop(Command::new("kill").args([&format!("-{name}"), &pid]).stderr(Stdio::null()).status());
        }
    }

    /// What it wrote to stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it wrote.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("DEBUG")).collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.child.kill().unwrap_or_default();
            drop(self.child.wait());
        }
    }
}
