//! Coordination of one process with itself, in memory: for simulations and tests, which have no store.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Coordination, Hold, Permit, Taken, Want};
use crate::error::Result;

/// How long a permit counts whose call never ends.
const LONGEST_CALL: Duration = Duration::from_secs(3600);

/// How soon a waiter asks again when it waits for calls in flight, whose end nobody knows.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Limits, counters, holds and results of this process alone.
#[derive(Debug, Default)]
pub struct LocalCoordination {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limits: HashMap<String, Vec<Used>>,
    counters: HashMap<String, f64>,
    holds: BTreeMap<String, Hold>,
    results: HashMap<String, Bytes>,
}

/// What one permit takes of one limit.
#[derive(Debug)]
struct Used {
    permit: String,
    amount: f64,
    window: Duration,
    started: Instant,
    /// Set when the call has ended.
    leaves: Option<Instant>,
}

impl Used {
    fn leaves(&self) -> Instant {
        self.leaves.unwrap_or(self.started + LONGEST_CALL)
    }
}

impl State {
    /// How long until `want` has room; `None`: it has.
    fn wait(&mut self, want: &Want, now: Instant) -> Option<Duration> {
        let entries = self.limits.entry(want.limit.clone()).or_default();
        entries.retain(|used| used.leaves() > now);
        let mut missing = entries.iter().map(|used| used.amount).sum::<f64>() + want.amount.min(want.most) - want.most;
        if missing <= 0.0 {
            return None;
        }
        let mut ends: Vec<_> = entries.iter().filter(|used| used.leaves.is_some()).collect();
        ends.sort_by_key(|used| used.leaves());
        for used in ends {
            missing -= used.amount;
            if missing <= 0.0 {
                return Some(used.leaves() - now);
            }
        }
        Some(ASK_AGAIN)
    }
}

#[async_trait]
impl Coordination for LocalCoordination {
    async fn take(&self, alternatives: &[Vec<Want>]) -> Result<Taken> {
        let (mut state, now) = (self.lock(), Instant::now());
        let mut shortest: Option<Duration> = None;
        for (index, wants) in alternatives.iter().enumerate() {
            let longest = wants.iter().filter_map(|want| state.wait(want, now)).max();
            if let Some(wait) = longest {
                shortest = Some(shortest.map_or(wait, |known| known.min(wait)));
                continue;
            }
            let permit = Uuid::new_v4().simple().to_string();
            for want in wants {
                let used = Used {
                    permit: permit.clone(),
                    amount: want.amount.min(want.most),
                    window: want.window,
                    started: now,
                    leaves: None,
                };
                state.limits.entry(want.limit.clone()).or_default().push(used);
            }
            let limits = wants.iter().map(|want| want.limit.clone()).collect();
            return Ok(Taken::Granted { index, permit: Permit { id: permit, limits } });
        }
        Ok(Taken::Wait(shortest.unwrap_or(ASK_AGAIN)))
    }

    async fn settle(&self, permit: &Permit, used: &[(String, f64)]) -> Result<()> {
        let (mut state, now) = (self.lock(), Instant::now());
        for limit in &permit.limits {
            let Some(entries) = state.limits.get_mut(limit) else { continue };
            for entry in entries.iter_mut().filter(|entry| entry.permit == permit.id) {
                entry.leaves = Some(now + entry.window);
                if let Some((_, amount)) = used.iter().find(|(name, _)| name == limit) {
                    entry.amount = *amount;
                }
            }
        }
        Ok(())
    }

    async fn add(&self, counter: &str, amount: f64, _keep: Duration) -> Result<f64> {
        let mut state = self.lock();
        let sum = state.counters.entry(counter.to_owned()).or_default();
        *sum += amount;
        Ok(*sum)
    }

    async fn hold(&self, hold: &Hold) -> Result<()> {
        self.lock().holds.insert(hold.what.clone(), hold.clone());
        Ok(())
    }

    async fn holds(&self) -> Result<Vec<Hold>> {
        Ok(self.lock().holds.values().cloned().collect())
    }

    async fn release(&self, what: &str) -> Result<bool> {
        Ok(self.lock().holds.remove(what).is_some())
    }

    async fn result(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.lock().results.get(key).cloned())
    }

    async fn keep_result(&self, key: &str, _uuid: &str, value: Bytes, _keep: Duration) -> Result<()> {
        self.lock().results.insert(key.to_owned(), value);
        Ok(())
    }
}

impl LocalCoordination {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(limit: &str, most: f64, amount: f64) -> Want {
        Want { limit: limit.to_owned(), most, window: Duration::from_secs(60), amount }
    }

    async fn granted(shared: &LocalCoordination, alternatives: &[Vec<Want>]) -> (usize, Permit) {
        match shared.take(alternatives).await.unwrap() {
            Taken::Granted { index, permit } => (index, permit),
            Taken::Wait(wait) => panic!("has to wait {wait:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_begins_when_the_call_ends() {
        let shared = LocalCoordination::default();
        let (_, first) = granted(&shared, &[vec![want("a", 1.0, 1.0)]]).await;
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(shared.take(&[vec![want("a", 1.0, 1.0)]]).await.unwrap(), Taken::Wait(ASK_AGAIN));
        shared.settle(&first, &[]).await.unwrap();
        let sixty = Duration::from_secs(60);
        assert_eq!(shared.take(&[vec![want("a", 1.0, 1.0)]]).await.unwrap(), Taken::Wait(sixty));
        tokio::time::advance(sixty).await;
        granted(&shared, &[vec![want("a", 1.0, 1.0)]]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_wants_or_none_and_the_first_alternative_with_room() {
        let shared = LocalCoordination::default();
        let both = |key: &str| vec![want(&format!("{key}:r"), 10.0, 1.0), want(&format!("{key}:t"), 100.0, 60.0)];
        assert_eq!(granted(&shared, &[both("one"), both("two")]).await.0, 0);
        let (index, second) = granted(&shared, &[both("one"), both("two")]).await;
        assert_eq!(index, 1);
        assert!(matches!(shared.take(&[both("one"), both("two")]).await.unwrap(), Taken::Wait(_)));
        shared.settle(&second, &[("two:t".to_owned(), 10.0)]).await.unwrap();
        assert_eq!(granted(&shared, &[both("one"), both("two")]).await.0, 1, "the estimate was too high");
        assert_eq!(shared.lock().limits["one:r"].len(), 1, "nothing was taken where a want had no room");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_larger_than_the_limit_goes_alone() {
        let shared = LocalCoordination::default();
        let (_, large) = granted(&shared, &[vec![want("a", 10.0, 50.0)]]).await;
        assert!(matches!(shared.take(&[vec![want("a", 10.0, 1.0)]]).await.unwrap(), Taken::Wait(_)));
        shared.settle(&large, &[]).await.unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        granted(&shared, &[vec![want("a", 10.0, 1.0)]]).await;
    }
}
