//! Stopping a long command in good order: the first Ctrl-C or SIGTERM asks, the second ends it at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure, Result};
use super::output;

/// The exit code of a program that a Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Whether the command was asked to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(CancellationToken);

impl Interrupt {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(Exit::Findings, format!("cannot listen to signals: {error}")))
        };
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let asked = CancellationToken::new();
        let told = asked.clone();
        tokio::spawn(async move {
            for again in [false, true] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if again {
                    std::process::exit(INTERRUPTED);
                }
                output::say("stopping when the present batch is done; once more to stop at once");
                told.cancel();
            }
        });
        Ok(Interrupt(asked))
    }

    /// Whether it was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Comes when it is asked for.
    pub(crate) async fn asked(&self) {
        self.0.cancelled().await;
    }
}
