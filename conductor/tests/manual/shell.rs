//! The shell of a session: one `bash` for a whole page, so that variables and jobs live on.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::expected::begin_like;

/// How long a command may take, and a server to come up.
const LIMIT: Duration = Duration::from_secs(60);
/// Ends the output of a command.
const MARK: &str = "@@ended@@";

/// A running shell; it and what it started in the background end when it is dropped.
pub(crate) struct Shell {
    child: Child,
    lines: Receiver<String>,
    /// What is not the reader's: commands, scripts, outputs of jobs.
    tools: TempDir,
    jobs: Vec<String>,
}

impl Shell {
    /// Starts it in a folder.
    pub(crate) fn start(folder: &Path) -> Self {
        let tools = tempfile::tempdir().expect("a folder");
        let own = tools.path().join("bin");
        std::fs::create_dir(&own).expect("a folder");
        let binaries = Path::new(env!("CARGO_BIN_EXE_vconductor")).parent().expect("a folder");
        let path = std::env::var("PATH").expect("a path");
        let path = format!("{}:{}:{path}", own.display(), binaries.display());
        // Whoever runs the tests in the background ignores Ctrl-C, and what a shell inherits so it cannot undo.
        let mut bash = Command::new("env");
        bash.args(["--default-signal=INT", "bash", "--norc", "--noprofile"]).current_dir(folder).env_clear();
        bash.env("PATH", path).env("HOME", folder).env("LC_ALL", "C.UTF-8");
        let mut child = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash is installed");
        let (sender, lines) = channel();
        let output = child.stdout.take().expect("its output");
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut shell = Shell { child, lines, tools, jobs: Vec::new() };
        shell.run("exec 2>&1; set -m -o pipefail").expect("the shell answers");
        shell
    }

    /// Puts a command into the path of the session.
    pub(crate) fn tool(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.tools.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the tool is written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it may run");
    }

    /// Runs commands in the shell itself; how the last one ended, and what was said.
    pub(crate) fn run(&mut self, commands: &str) -> Result<(i32, Vec<String>), String> {
        let script = self.tools.path().join("step.sh");
        std::fs::write(&script, format!("{commands}\n")).expect("the step is written");
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, ". {} </dev/null; printf '\\n{MARK} %s\\n' $?", script.display())
            .map_err(|error| error.to_string())?;
        let (mut said, started) = (Vec::new(), Instant::now());
        loop {
            match self.lines.recv_timeout(LIMIT.saturating_sub(started.elapsed())) {
                Ok(line) => match line.strip_prefix(MARK) {
                    Some(code) => {
                        // The mark begins with a line break of its own.
                        if said.last().is_some_and(String::is_empty) {
                            said.pop();
                        }
                        return Ok((code.trim().parse().map_err(|_| format!("no exit code: {line}"))?, said));
                    }
                    None => said.push(line),
                },
                Err(RecvTimeoutError::Timeout) => return Err(format!("no end within {LIMIT:?}:\n{}", said.join("\n"))),
                Err(RecvTimeoutError::Disconnected) => return Err(format!("the shell ended:\n{}", said.join("\n"))),
            }
        }
    }

    /// Runs commands of which each must succeed.
    pub(crate) fn script(&mut self, commands: &str) -> Result<(), String> {
        let script =
            format!("session_failed=0; trap 'session_failed=$?' ERR\n{commands}\ntrap - ERR; (exit $session_failed)");
        match self.run(&script)? {
            (0, _) => Ok(()),
            (code, said) => Err(format!("a command ends with {code}:\n{}", said.join("\n"))),
        }
    }

    /// Begins a command that goes on; it must say this before the session does.
    pub(crate) fn begin(
        &mut self,
        command: &str,
        expected: &[&str],
        back: impl Fn(&str) -> String,
    ) -> Result<(), String> {
        let log = self.tools.path().join(format!("job-{}", self.jobs.len()));
        let (_, said) = self.run(&format!("{{ {command}\n}} > {} 2>&1 &\necho $!", log.display()))?;
        self.jobs.push(said.last().cloned().unwrap_or_default());
        let started = Instant::now();
        loop {
            let said = back(&std::fs::read_to_string(&log).unwrap_or_default());
            if begin_like(&said.lines().collect::<Vec<_>>(), expected) {
                return Ok(());
            }
            if started.elapsed() > LIMIT {
                return Err(format!("says\n{said}\nand not\n{}", expected.join("\n")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the newest command in the background as Ctrl-C does, and waits for it.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        let job = self.jobs.pop().ok_or("nothing runs in the background")?;
        self.run(&format!("kill -INT -- -{job}; wait {job}")).map(drop)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let mut kill = String::new();
        for job in std::mem::take(&mut self.jobs) {
            writeln!(kill, "kill -KILL -- -{job} 2>/dev/null").expect("a text");
        }
        // They may have ended by themselves, and so may the shell.
        drop(self.run(&kill));
        drop(self.child.stdin.take());
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}
