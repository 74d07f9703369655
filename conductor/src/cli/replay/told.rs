//! What is told of a replay on its way and at its end.

use std::cell::Cell;
use std::time::{Duration, Instant};

use vconductor_core::clock::Millis;
use vconductor_core::store::Store;

use crate::cli::age;
use crate::cli::bulk::cursor::Tally;
use crate::cli::configuration::counted;
use crate::cli::progress;
use crate::engine::budget;

/// How often is asked what was spent.
const ASK: Duration = Duration::from_secs(2);

/// What a live line tells besides the tally.
pub(super) struct Told {
    /// The chain whose spending is told.
    chain: Option<String>,
    /// What had been spent at the start.
    before: Option<f64>,
    spent: Cell<f64>,
    asked: Cell<Instant>,
    /// What was done before this process began.
    earlier: Tally,
    limit: Option<u64>,
    /// The times of the first and the present vCon, and where they end.
    first: Option<Millis>,
    present: Option<Millis>,
    end: Millis,
}

impl Told {
    /// `end`: the time of the last vCon to come, as far as is known.
    pub(super) async fn start(
        store: &dyn Store,
        chain: Option<&str>,
        earlier: &Tally,
        limit: Option<u64>,
        end: Option<Millis>,
    ) -> Self {
        let before = match chain {
            Some(chain) => budget::so_far(store, chain).await.ok(),
            None => None,
        };
        Told {
            chain: chain.map(str::to_owned),
            before,
            spent: Cell::new(0.0),
            asked: Cell::new(Instant::now()),
            earlier: *earlier,
            limit,
            first: None,
            present: None,
            end: end.unwrap_or_else(age::now),
        }
    }

    /// Where in time the command is now.
    pub(super) fn at(&mut self, time: Option<Millis>) {
        if time.is_some() {
            self.first = self.first.or(time);
            self.present = time;
        }
    }

    /// Asks what the chain has spent since the start, now and then.
    pub(super) async fn spent(&self, store: &dyn Store) {
        let (Some(chain), Some(before)) = (&self.chain, self.before) else { return };
        if self.asked.get().elapsed() < ASK {
            return;
        }
        self.asked.set(Instant::now());
        if let Ok(sum) = budget::so_far(store, chain).await {
            // Another day has begun when it is less.
            self.spent.set(if sum < before { sum } else { sum - before });
        }
    }

    /// A live line.
    pub(super) fn line(&self, tally: &Tally, took: Duration) -> String {
        let rate = progress::rate(tally.seen().saturating_sub(self.earlier.seen()), took);
        let mut line = format!("{} put on the list", counted(tally.done, "vCon"));
        if tally.passed > 0 {
            line.push_str(&format!(", {} not asked for", tally.passed));
        }
        if tally.failed > 0 {
            line.push_str(&format!(", {} failed", tally.failed));
        }
        line.push_str(&format!(", {rate}"));
        if let Some(left) = self.left(tally, took) {
            line.push_str(&format!(", about {} left", age::short(left)));
        }
        if self.spent.get() > 0.0 {
            line.push_str(&format!(", ${:.2} spent by its chain meanwhile", self.spent.get()));
        }
        line
    }

    /// What the chain has spent since the start, in US dollars.
    pub(super) fn cost(&self) -> Option<f64> {
        Some(self.spent.get()).filter(|spent| *spent > 0.0)
    }

    /// The time that is left: by the limit, else by how far it is in the times of the vCons.
    fn left(&self, tally: &Tally, took: Duration) -> Option<Duration> {
        let part = match (self.limit, self.first.zip(self.present)) {
            (Some(limit), _) => {
                let all = limit.saturating_sub(self.earlier.done).max(1);
                tally.done.saturating_sub(self.earlier.done) as f64 / all as f64
            }
            (None, Some((first, present))) if self.end > first => (present - first) as f64 / (self.end - first) as f64,
            _ => return None,
        };
        if !(0.001..1.0).contains(&part) {
            return None;
        }
        Duration::try_from_secs_f64(took.as_secs_f64() * (1.0 - part) / part).ok()
    }
}
