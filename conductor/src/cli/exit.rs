//! How a command ends: its exit code and, when it failed, what is said on stderr.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use vconductor_core::error::{Class, Error};

/// The exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, nothing to complain about.
    Done = 0,
    /// Done, with findings or failed items.
    Findings = 1,
    /// The command line itself is wrong.
    Usage = 2,
    /// The data that was given is broken (`EX_DATAERR`).
    Data = 65,
    /// The store or server does not answer (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// The configuration is wrong (`EX_CONFIG`).
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command gave up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be told on stderr.
    Told {
        /// The exit code.
        exit: Exit,
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// Everything was told already.
    Silent(Exit),
}

impl Failure {
    /// A failure with its exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure::Told { exit, message: message.into(), help: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        match self {
            Failure::Told { exit, message, .. } => Failure::Told { exit, message, help: Some(text.into()) },
            silent @ Failure::Silent(_) => silent,
        }
    }

    /// Puts where it happened in front of the message.
    #[must_use]
    pub(crate) fn within(self, place: impl Display) -> Self {
        match self {
            Failure::Told { exit, message, help } => {
                Failure::Told { exit, message: format!("{place}: {message}"), help }
            }
            silent @ Failure::Silent(_) => silent,
        }
    }

    /// As an error of a class: what may go away is retryable, what must be mended is not.
    pub(crate) fn into_error(self) -> Error {
        let class = match self.exit() {
            Exit::Unavailable => Class::Retryable,
            _ => Class::Configuration,
        };
        match self {
            Failure::Told { message, help: Some(help), .. } => Error::new(class, message).help(help),
            Failure::Told { message, .. } => Error::new(class, message),
            Failure::Silent(_) => Error::new(class, "it cannot be opened"),
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Told { exit, .. } | Failure::Silent(exit) => *exit,
        }
    }
}

/// By class: what the operator must change is a configuration error, what may go away is an unavailable server.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.class() {
            Class::Configuration => Exit::Configuration,
            Class::Retryable => Exit::Unavailable,
            Class::Permanent | Class::Poison => Exit::Findings,
        };
        Failure::Told { exit, message: error.chain_text(), help: error.help_text().map(str::to_owned) }
    }
}

/// A reader that went away (`vconductor list | head -1`) is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Silent(Exit::Done),
            _ => Failure::new(Exit::Findings, format!("cannot write the output: {error}")),
        }
    }
}

/// What commands return.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;
