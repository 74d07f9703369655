//! The shipped binary as a child process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use vconductor_tests::servers::redis::RedisServer;

use crate::load::{Measured, Outcome, Round, connect, fill, length, server};

/// A running conductor.
pub(crate) struct Conductor {
    child: Child,
    folder: TempDir,
}

impl Conductor {
    /// Starts it. `FOLDER` in the configuration becomes a folder of its own.
    pub(crate) fn start(binary: &Path, configuration: &str, server: &RedisServer) -> Outcome<Conductor> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("chain.yml");
        std::fs::write(&file, configuration.replace("FOLDER", &folder.path().display().to_string()))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new(binary)
            .arg("run")
            .arg(&file)
            .args(["--store", &server.url()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}; build it with `cargo build --release`", binary.display()))?;
        Ok(Conductor { child, folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a list holds `count` uuids.
    pub(crate) async fn until(&mut self, connection: &mut MultiplexedConnection, list: &str, count: usize) -> Outcome {
        while length(connection, list).await? < count {
            if let Some(status) = self.child.try_wait()? {
                let log = std::fs::read_to_string(self.folder.path().join("log"))?;
                return Err(format!("the conductor ended with {status}:\n{log}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse::<u64>()? / 1024)
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// What is measured of the conductor: its configuration, and how many vCons of which size.
pub(crate) struct Case {
    pub(crate) binary: PathBuf,
    pub(crate) configuration: String,
    pub(crate) size: usize,
}

impl Case {
    /// A round over `count` fresh vCons, from the start of the process to the last uuid on the egress list.
    pub(crate) async fn round(&self, count: usize) -> Outcome<Measured> {
        let server = server();
        fill(&server, count, self.size).await?;
        let mut connection = connect(&server).await?;
        let mut conductor = Conductor::start(&self.binary, &self.configuration, &server)?;
        let round = Round::begin(&mut connection, conductor.id()).await?;
        conductor.until(&mut connection, "out", count).await?;
        round.end(&mut connection, count).await
    }
}

/// A chain of so many `tag` links.
pub(crate) fn tags(links: usize) -> String {
    let names: Vec<String> = (0..links).map(|index| format!("t{index}")).collect();
    let defined: String =
        names.iter().map(|name| format!("  {name}: {{module: links.tag, options: {{tags: [{name}]}}}}\n")).collect();
    chain(&defined, &names.join(", "), "")
}

/// A chain from the list `in` to the list `out`.
pub(crate) fn chain(defined: &str, links: &str, storages: &str) -> String {
    format!(
        "links:\n{defined}{}chains:\n  bench: {{ingress_lists: [in], egress_lists: [out], concurrency: 256, links: [{links}]{}}}\n",
        if storages.is_empty() { String::new() } else { format!("storages:\n  target: {storages}\n") },
        if storages.is_empty() { "" } else { ", storages: [target]" },
    )
}
