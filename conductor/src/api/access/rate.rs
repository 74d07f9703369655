//! Token buckets: so much at once, and so much per second.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Callers that are remembered; beyond that those are forgotten whose buckets are full again.
const REMEMBERED: usize = 10_000;

/// Buckets by caller.
pub(super) struct Rate<K> {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Eq + Hash + Clone> Rate<K> {
    pub(super) fn new(burst: u32, per_second: u32) -> Self {
        let buckets = Mutex::default();
        Rate { burst: f64::from(burst.max(1)), per_second: f64::from(per_second.max(1)), buckets }
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<K, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self, bucket: &Bucket, now: Instant) -> f64 {
        let filled = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        (bucket.left + filled).min(self.burst)
    }

    /// Whether there is anything left; `Err` says after how many seconds there will be.
    pub(super) fn check(&self, caller: &K) -> Result<(), u64> {
        let left = self.buckets().get(caller).map_or(self.burst, |bucket| self.left(bucket, Instant::now()));
        if left >= 1.0 { Ok(()) } else { Err(((1.0 - left) / self.per_second).ceil() as u64) }
    }

    /// Takes one.
    pub(super) fn spend(&self, caller: &K) {
        let now = Instant::now();
        let mut buckets = self.buckets();
        if buckets.len() >= REMEMBERED && !buckets.contains_key(caller) {
            buckets.retain(|_, bucket| self.left(bucket, now) < self.burst);
            if buckets.len() >= REMEMBERED {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(caller.clone()).or_insert(Bucket { left: self.burst, at: now });
        *bucket = Bucket { left: (self.left(bucket, now) - 1.0).max(0.0), at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_a_wait_for_that_caller_alone() {
        let rate = Rate::new(3, 1);
        for _ in 0..3 {
            assert_eq!(rate.check(&"a"), Ok(()));
            rate.spend(&"a");
        }
        assert_eq!(rate.check(&"a"), Err(1));
        assert_eq!(rate.check(&"b"), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let rate = Rate::new(3, 1);
        (0..3 * REMEMBERED).for_each(|caller| rate.spend(&caller));
        assert!(rate.buckets().len() <= REMEMBERED);
    }
}
