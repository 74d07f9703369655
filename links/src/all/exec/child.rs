//! One process: started, talked to, killed.

use std::io::ErrorKind;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use vconductor_core::{Error, Result};

use super::Options;
use super::lines::{Ended, Talk, read_line};
use super::protocol::{Answer, Call, Hello, line};

/// What a process gets of our environment.
const PASSED_ON: [&str; 3] = ["PATH", "HOME", "LANG"];

/// How long an ended process may take to hand over what it wrote, or one that closed its output to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shorter values of environment variables are no secrets worth the name, and replacing them would garble the log.
const SHORTEST_SECRET: usize = 6;

/// Everywhere: neither a program nor a script with `#!`.
const ENOEXEC: i32 = 8;

/// A running process. Dropped, it is killed with all that it started.
#[derive(Debug)]
pub(super) struct Worker {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    talk: Talk,
    calls: u64,
}

/// How a call went wrong. The process is not used again.
#[derive(Debug)]
pub(super) enum Broken {
    /// It ended without an answer.
    Died(Option<ExitStatus>),
    /// It answered something else.
    Garbage(String),
    /// It had no time left.
    TooSlow,
}

impl Worker {
    /// Starts a process and greets it.
    pub(super) async fn start(name: &str, options: &Options) -> Result<Worker> {
        let mut command = Command::new(options.command.first().map(String::as_str).unwrap_or_default());
        command.args(options.command.iter().skip(1));
        if !options.inherit_env {
            command.env_clear();
            command.envs(PASSED_ON.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        }
        command.envs(options.env.iter().map(|(name, value)| (name, value.expose())));
        if let Some(cwd) = &options.cwd {
            command.current_dir(cwd);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: it is killed with its children, and a key press in our terminal is not for it.
        command.process_group(0).kill_on_drop(true);
        let mut process = command.spawn().map_err(|error| not_started(options, error))?;
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(Error::retryable(format!("{} was started without pipes", shown(options))));
        };
        let secrets = options.env.values().map(|value| value.expose().to_owned());
        let talk = Talk::listen(name, stderr, secrets.filter(|value| value.len() >= SHORTEST_SECRET).collect());
        let mut worker = Worker { process, stdin, stdout: BufReader::with_capacity(64 * 1024, stdout), talk, calls: 0 };
        let hello = line(&Hello::new(name, &options.options))?;
        // A process that ends at once shows in the call that follows.
        worker.stdin.write_all(&hello).await.ok();
        Ok(worker)
    }

    /// Whether the next call can go to it: it runs, and has not talked out of turn.
    pub(super) fn is_ready(&mut self) -> bool {
        self.stdout.buffer().is_empty() && matches!(self.process.try_wait(), Ok(None))
    }

    /// Whether it has answered a call.
    pub(super) fn has_answered(&self) -> bool {
        self.calls > 1
    }

    /// Sends one vCon and reads the answer. After an error, or when it is dropped half-way, the process must go.
    pub(super) async fn call(&mut self, call: &Call<'_>, limit: usize) -> Result<Result<Answer, Broken>> {
        self.calls += 1;
        let id = self.calls;
        let request = call.line(id)?;
        let (stdin, stdout) = (&mut self.stdin, &mut self.stdout);
        // Both at once: a process may write before it has read everything.
        let exchange = async {
            let mut answer = Vec::new();
            // That it no longer reads shows in what it answers.
            let (_, ended) = tokio::join!(stdin.write_all(&request), read_line(stdout, &mut answer, limit));
            (ended.unwrap_or(Ended::Closed), answer)
        };
        tokio::pin!(exchange);
        let ((ended, answer), mut status) = tokio::select! {
            biased;
            exchanged = &mut exchange => (exchanged, None),
            status = self.process.wait() => {
                // The answer may still be in the pipe; a child of it may hold the pipe open for good.
                let rest = tokio::time::timeout(PATIENCE, &mut exchange).await;
                (rest.unwrap_or((Ended::Closed, Vec::new())), status.ok())
            }
        };
        match ended {
            Ended::Line => Ok(Answer::read(&answer, id).map_err(|problem| garbage(&answer, &problem))),
            Ended::TooLong => Ok(Err(garbage(&answer, &format!("it is longer than `max_output`, {limit} bytes")))),
            Ended::Closed => {
                if status.is_none() {
                    let wait = tokio::time::timeout(PATIENCE, self.process.wait()).await;
                    status = wait.ok().and_then(std::io::Result::ok);
                }
                Ok(Err(Broken::Died(status)))
            }
        }
    }

    /// The error for a call that went wrong, with what the process said last.
    pub(super) async fn error(mut self, options: &Options, broken: Broken) -> Error {
        self.kill();
        let last = self.talk.last_lines().await;
        let said = if last.is_empty() {
            "it wrote nothing to standard error".to_owned()
        } else {
            format!("its last lines on standard error: {}", last.join(" | "))
        };
        let command = shown(options);
        match broken {
            Broken::Died(status) => {
                let how = status.map_or_else(|| "closed its output".to_owned(), |status| format!("ended ({status})"));
                Error::retryable(format!("{command} {how} before it answered; {said}")).help(
                    "run the command by hand with the lines of docs/exec-protocol.md; it is started again for the next try",
                )
            }
            Broken::Garbage(problem) => Error::permanent(format!(
                "{command} answered what is no answer: {problem}; {said}"
            ))
            .help(
                "standard output is for answers alone, one line of JSON each: write everything else to standard error",
            ),
            Broken::TooSlow => {
                let limit = options.timeout.0.as_secs_f64();
                Error::retryable(format!("{command} gave no answer within {limit} s and was killed; {said}"))
                    .help("raise `timeout` if the link may take that long; otherwise see what it waits for")
            }
        }
    }

    fn kill(&self) {
        // Without an id it has been waited for, and the number may be another process's by now.
        let id = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // Fails only when all of them have ended.
            kill_process_group(id, Signal::KILL).ok();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn garbage(answer: &[u8], problem: &str) -> Broken {
    let start: String = String::from_utf8_lossy(&answer[..answer.len().min(400)]).chars().take(100).collect();
    Broken::Garbage(format!("{problem}, in `{}`", start.escape_debug()))
}

/// The command for messages: arguments can hold keys, so only the first ones.
fn shown(options: &Options) -> String {
    let shown: Vec<&str> = options.command.iter().map(String::as_str).take(3).collect();
    let more = if options.command.len() > shown.len() { " ..." } else { "" };
    format!("`{}{more}`", shown.join(" "))
}

fn not_started(options: &Options, error: std::io::Error) -> Error {
    let message = format!("cannot start {}", shown(options));
    let error_for = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            let place = match &options.cwd {
                Some(cwd) if !cwd.is_dir() => format!("option `cwd`: there is no folder `{}`", cwd.display()),
                _ => "install the program or write its full path; vconductor installs nothing by itself".to_owned(),
            };
            Error::configuration(message).help(place)
        }
        ErrorKind::PermissionDenied => {
            Error::configuration(message).help("make the file executable for the user that runs vconductor")
        }
        _ if error.raw_os_error() == Some(ENOEXEC) => {
            Error::configuration(message).help("name the interpreter first, such as [python3, my_link.py]")
        }
        ErrorKind::InvalidInput => Error::configuration(message).help("option `command` holds a NUL character"),
        _ => Error::retryable(message).help("the machine may be out of memory or processes; it is tried again"),
    };
    error_for.caused_by(error)
}
