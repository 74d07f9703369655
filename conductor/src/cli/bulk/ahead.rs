//! Not faster than it drains: waits while a list is long enough.

use std::time::{Duration, Instant};

use vconductor_core::store::Store;

use super::rate::Rate;
use crate::cli::exit::Result;
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::Progress;

/// Waiting runs on a list beyond which nothing more is put there, where nobody says otherwise.
pub(crate) const AHEAD: u64 = 10_000;

/// How often a list is looked at that is long enough.
const LOOK: Duration = Duration::from_millis(250);

/// How fast runs are put on lists.
pub(crate) struct Pace {
    rate: Option<Rate>,
    ahead: u64,
    started: Instant,
    done: u64,
}

impl Pace {
    /// `ahead` 0: without a bound.
    pub(crate) fn new(rate: Option<Rate>, ahead: u64) -> Self {
        Pace { rate, ahead, started: Instant::now(), done: 0 }
    }

    /// How many are put on a list at once, at most `most`.
    pub(crate) fn batch(&self, most: usize) -> usize {
        self.rate.map_or(most, |rate| rate.batch().min(most))
    }

    /// The time since the start.
    pub(crate) fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts what was put on a list, and waits until the rate allows more.
    pub(crate) async fn put(&mut self, runs: u64, interrupt: &Interrupt) {
        self.done += runs;
        let Some(rate) = self.rate else { return };
        tokio::select! {
            () = tokio::time::sleep(rate.time(self.done).saturating_sub(self.started.elapsed())) => {}
            () = interrupt.asked() => {}
        }
    }

    /// Waits until the list has room. `line` is what is shown meanwhile.
    pub(crate) async fn room(
        &self,
        store: &dyn Store,
        list: &str,
        interrupt: &Interrupt,
        progress: &mut Progress,
        line: impl Fn() -> String,
    ) -> Result<()> {
        while self.ahead > 0 && !interrupt.is_asked() {
            let pending = store.pending(&[list.to_owned()], Duration::ZERO).await?;
            let waiting = pending.waiting + pending.paused;
            if waiting < self.ahead {
                break;
            }
            progress.show(|| vec![format!("{}; waits while {waiting} runs are on `{list}` (--ahead)", line())]);
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = interrupt.asked() => {}
            }
        }
        Ok(())
    }
}
