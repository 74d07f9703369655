//! Watching a running engine: signals, idleness, progress.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use vconductor_core::Error;
use vconductor_core::store::Store;

use super::live;
use crate::api::Drain;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::signals::Signals;
use crate::engine::Engine;
use crate::engine::report::Report;
use crate::follow::Followers;
use crate::ingress::Ingresses;

/// How far ahead a retry still counts as work to wait for.
const HORIZON: Duration = Duration::from_secs(60);
/// How often is looked whether anything is left to do.
const LOOK: Duration = Duration::from_millis(200);
/// How long after giving up the engine may still give its claims back. What it cannot give back, others take over.
const GIVE_UP: Duration = Duration::from_secs(10);
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
    store: Arc<dyn Store>,
    followers: Arc<Followers>,
    ingresses: Arc<Ingresses>,
    report: Arc<Report>,
    until_idle: bool,
    /// The HTTP API's, where there is one.
    drain: Option<Drain>,
    end: End,
}

impl Watch {
    pub(super) fn new(
        engine: Arc<Engine>,
        store: Arc<dyn Store>,
        followers: Arc<Followers>,
        ingresses: Arc<Ingresses>,
        report: Arc<Report>,
        until_idle: bool,
        drain: Option<Drain>,
    ) -> Self {
        Watch { engine, store, followers, ingresses, report, until_idle, drain, end: End::Stopped }
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
        let mut last_moment: Option<Instant> = None;
        loop {
            tokio::select! {
                result = &mut running => {
                    progress.finish();
                    result.map_err(|error| Failure::new(Exit::Findings, format!("the engine ended: {error}")))??;
                    return Ok(self.end);
                }
                () = signals.next() => {
                    self.signalled(stopping);
                    last_moment = stopping.then(|| Instant::now() + GIVE_UP);
                    stopping = true;
                }
                () = moment(last_moment) => {
                    return Err(Failure::new(Exit::Unavailable, "the engine does not give up what it works on; leaving it")
                        .help("nothing is lost: when the lease is over, the next conductor takes it over"));
                }
                _ = looks.tick() => {
                    if shown.elapsed() >= REFRESH {
                        shown = Instant::now();
                        progress.show(|| self.lines());
                    }
                    if self.until_idle && !stopping {
                        // Between a claim and its place there is a moment: only two looks in a row count.
                        idle_looks = if self.is_idle().await { idle_looks + 1 } else { 0 };
                        if idle_looks == 2 {
                            self.end = End::Idle;
                            stopping = true;
                            self.followers.hush();
                            self.engine.stopper().stop();
                        }
                    }
                }
            }
        }
    }

    /// The first signal lets runs end, the second gives them back.
    fn signalled(&self, again: bool) {
        if let Some(drain) = &self.drain {
            drain.start();
        }
        if again {
            output::say("giving up what still runs; it goes back to its lists");
            self.engine.stopper().abort();
        } else {
            let working = self.engine.working();
            output::say(format_args!("stopping: {working} at work may end; once more to give up at once"));
            self.followers.hush();
            self.engine.stopper().stop();
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.followers.states().iter().map(|state| state.line()).collect();
        lines.extend(live::lines(&self.report.figures(), self.report.elapsed(), self.engine.working()));
        lines
    }

    /// A store that does not answer is not idle.
    async fn is_idle(&self) -> bool {
        let pending = async {
            // In the order in which vCons move, so that none passes behind our back.
            let before = [self.followers.lists(), self.ingresses.lists()].concat();
            let followed = self.store.pending(&before, HORIZON).await?;
            let pending = self.engine.pending(HORIZON).await?;
            Ok::<_, Error>(followed.is_idle() && pending.is_idle())
        };
        match pending.await {
            Ok(idle) => idle && self.followers.is_idle() && self.engine.working() == 0,
            Err(error) => {
                tracing::warn!(error = %error.chain_text(), "cannot tell whether anything is left to do");
                false
            }
        }
    }
}

/// Never comes where there is none.
async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
