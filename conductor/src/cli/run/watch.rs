//! Watching a running engine: signals, idleness, progress.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::live;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::engine::Engine;
use crate::engine::report::Report;

/// How far ahead a retry still counts as work to wait for.
const HORIZON: Duration = Duration::from_secs(60);
/// How often is looked whether anything is left to do.
const LOOK: Duration = Duration::from_millis(200);
/// How often live lines change.
const REFRESH: Duration = Duration::from_millis(500);

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing was left to do.
    Idle,
    /// It was told to stop.
    Stopped,
}

/// An engine and what is watched of it.
pub(super) struct Watch {
    engine: Arc<Engine>,
    report: Arc<Report>,
    until_idle: bool,
    end: End,
}

impl Watch {
    pub(super) fn new(engine: Arc<Engine>, report: Arc<Report>, until_idle: bool) -> Self {
        Watch { engine, report, until_idle, end: End::Stopped }
    }

    /// Runs the engine to its end.
    ///
    /// # Errors
    /// If the store cannot be used at the start or at the end.
    pub(super) async fn until_end(mut self) -> Result<End> {
        let mut signals = Signals::listen()?;
        let engine = Arc::clone(&self.engine);
        let mut running: JoinHandle<_> = tokio::spawn(async move { Box::pin(engine.run()).await });
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut progress = Progress::start();
        let (mut shown, mut idle_looks, mut stopping) = (Instant::now(), 0, false);
        loop {
            tokio::select! {
                result = &mut running => {
                    progress.finish();
                    result.map_err(|error| Failure::new(Exit::Findings, format!("the engine ended: {error}")))??;
                    return Ok(self.end);
                }
                () = signals.next() => {
                    self.signalled(stopping);
                    stopping = true;
                }
                _ = looks.tick() => {
                    if shown.elapsed() >= REFRESH {
                        shown = Instant::now();
                        progress.show(|| live::lines(&self.report.figures(), self.report.elapsed(), self.engine.working()));
                    }
                    if self.until_idle && !stopping {
                        // Between a claim and its place there is a moment: only two looks in a row count.
                        idle_looks = if self.is_idle().await { idle_looks + 1 } else { 0 };
                        if idle_looks == 2 {
                            self.end = End::Idle;
                            stopping = true;
                            self.engine.stopper().stop();
                        }
                    }
                }
            }
        }
    }

    /// The first signal lets runs end, the second gives them back.
    fn signalled(&self, again: bool) {
        if again {
            output::say("giving up what still runs; it goes back to its lists");
            self.engine.stopper().abort();
        } else {
            let working = self.engine.working();
            output::say(format_args!("stopping: {working} at work may end; once more to give up at once"));
            self.engine.stopper().stop();
        }
    }

    /// A store that does not answer is not idle.
    async fn is_idle(&self) -> bool {
        match self.engine.pending(HORIZON).await {
            Ok(pending) => pending.is_idle() && self.engine.working() == 0,
            Err(error) => {
                tracing::warn!(error = %error.chain_text(), "cannot tell whether anything is left to do");
                false
            }
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(Exit::Findings, format!("cannot listen to signals: {error}")))
        };
        Ok(Signals { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
