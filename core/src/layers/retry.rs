//! Trying again: how often, how long to wait, and when to stop.
//!
//! The rule is "full jitter": before retry `n` wait a random time between nothing and
//! `min(cap, base * 2^n)`. It spreads the retries of many runs, which fixed back-off does not.
//! What the other side asked for (`Retry-After`) wins over that.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::budget::RetryBudget;
use crate::{Error, Result};

/// How often something is tried and how long the waits are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// All attempts together, the first included; 0 counts as 1.
    pub attempts: u32,
    /// Upper end of the first wait; it doubles with every further one.
    pub base: Duration,
    /// Upper end of every wait that we choose ourselves.
    pub cap: Duration,
    /// Upper end of a wait that the other side asked for: nobody may hold a run for a day.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 8,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(300),
            longest_wait: Duration::from_secs(3600),
        }
    }
}

impl RetryPolicy {
    /// One attempt, no retry.
    pub fn once() -> Self {
        RetryPolicy { attempts: 1, ..Self::default() }
    }

    /// Whether another attempt is allowed after `attempt` of them (counted from 1).
    pub fn allows_after(&self, attempt: u32) -> bool {
        attempt < self.attempts
    }

    /// The wait after failed attempt number `attempt` (counted from 1).
    ///
    /// `retry_after` is what the other side asked for; the wait is never shorter than that (unless it exceeds
    /// `longest_wait`), and up to a tenth or one `base` longer, so that all who were told the same do not come back at once.
    pub fn delay(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        self.delay_with(&mut fastrand::Rng::new(), attempt, retry_after)
    }

    /// [`delay`](Self::delay) with a random source of the caller's choice.
    pub fn delay_with(&self, rng: &mut fastrand::Rng, attempt: u32, retry_after: Option<Duration>) -> Duration {
        match retry_after {
            Some(asked) => {
                let asked = asked.min(self.longest_wait);
                let spread = (asked / 10).max(self.base);
                asked.saturating_add(spread.mul_f64(rng.f64())).min(self.longest_wait)
            }
            None => self.ceiling(attempt).mul_f64(rng.f64()),
        }
    }

    /// `min(cap, base * 2^n)`, `n` counted from 0 for the first retry.
    fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// A result and how many attempts it took (at least 1, or 0 when cancelled before the first).
#[derive(Debug)]
pub struct Attempted<T> {
    /// The value, or the error of the last attempt.
    pub result: Result<T>,
    /// Attempts that were started.
    pub attempts: u32,
}

/// Runs `op` until it succeeds, fails for good, or the policy is used up. Only the error's class
/// and its wished wait are looked at. `op` gets the number of the attempt, counted from 1.
///
/// Cancelling ends the waits, never an attempt: a call that is being paid for is not thrown away here.
pub async fn retry<T, F>(policy: &RetryPolicy, cancel: &CancellationToken, op: impl FnMut(u32) -> F) -> Attempted<T>
where
    F: Future<Output = Result<T>>,
{
    retry_within(policy, None, cancel, op).await
}

/// [`retry`] that also stops when `budget` has no retry left.
pub async fn retry_within<T, F>(
    policy: &RetryPolicy,
    budget: Option<&RetryBudget>,
    cancel: &CancellationToken,
    mut op: impl FnMut(u32) -> F,
) -> Attempted<T>
where
    F: Future<Output = Result<T>>,
{
    if cancel.is_cancelled() {
        return Attempted { result: Err(Error::retryable("stopped before the first attempt")), attempts: 0 };
    }
    if let Some(budget) = budget {
        budget.record_first_attempt();
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match op(attempts).await {
            Ok(value) => return Attempted { result: Ok(value), attempts },
            Err(error) => error,
        };
        if !error.is_retryable() || !policy.allows_after(attempts) {
            return Attempted { result: Err(error), attempts };
        }
        if budget.is_some_and(|budget| !budget.withdraw_retry()) {
            tracing::warn!(error = %error, attempts, "retry budget used up, not trying again for now");
            return Attempted { result: Err(error), attempts };
        }
        let wait = policy.delay(attempts, error.wait());
        tracing::debug!(error = %error, attempts, ?wait, "failed, waiting before the next attempt");
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Attempted { result: Err(error), attempts },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_fill_the_range_up_to_the_doubled_base_and_never_pass_the_cap() {
        let policy = RetryPolicy::default();
        let mut rng = fastrand::Rng::with_seed(7);
        for (attempt, ceiling) in [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (40, 300), (u32::MAX, 300)] {
            let ceiling = Duration::from_secs(ceiling);
            let waits: Vec<_> = (0..2000).map(|_| policy.delay_with(&mut rng, attempt, None)).collect();
            assert!(waits.iter().all(|wait| *wait <= ceiling), "attempt {attempt}");
            assert!(waits.iter().any(|wait| *wait > ceiling.mul_f64(0.95)), "attempt {attempt} never waits long");
            assert!(waits.iter().any(|wait| *wait < ceiling.mul_f64(0.05)), "attempt {attempt} never waits briefly");
        }
    }

    #[test]
    fn a_wished_wait_is_kept_spread_upwards_and_bounded() {
        let policy = RetryPolicy::default();
        let mut rng = fastrand::Rng::with_seed(7);
        for (asked, most) in [(0, 1), (2, 3), (60, 66), (3590, 3600)] {
            for _ in 0..1000 {
                let wait = policy.delay_with(&mut rng, 1, Some(Duration::from_secs(asked)));
                assert!(wait >= Duration::from_secs(asked), "{wait:?} is shorter than the wished {asked} s");
                assert!(wait <= Duration::from_secs(most), "{wait:?} for {asked} s");
            }
        }
        assert_eq!(policy.delay(1, Some(Duration::from_secs(86_400))), policy.longest_wait);
    }

    #[tokio::test(start_paused = true)]
    async fn retryable_failures_are_tried_until_the_attempts_are_used_up() {
        let policy = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
        let seen = Cell::new(0);
        let done = retry(&policy, &CancellationToken::new(), |attempt| {
            seen.set(attempt);
            async { Err::<(), _>(Error::retryable("down")) }
        })
        .await;
        assert_eq!((done.attempts, seen.get()), (3, 3));
        assert_eq!(done.result.unwrap_err().message(), "down");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_success_ends_it() {
        let done = retry(&RetryPolicy::default(), &CancellationToken::new(), |attempt| async move {
            if attempt < 4 { Err(Error::retryable("not yet")) } else { Ok(attempt) }
        })
        .await;
        assert_eq!((done.result.unwrap(), done.attempts), (4, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn other_classes_are_not_tried_again() {
        for error in [Error::permanent, Error::configuration] as [fn(&'static str) -> Error; 2] {
            let started = Instant::now();
            let done =
                retry(
                    &RetryPolicy::default(),
                    &CancellationToken::new(),
                    |_| async move { Err::<(), _>(error("no use")) },
                )
                .await;
            assert_eq!(done.attempts, 1);
            assert_eq!(started.elapsed(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_waited_for() {
        let started = Instant::now();
        let done = retry(&RetryPolicy::default(), &CancellationToken::new(), |attempt| async move {
            if attempt == 1 { Err(Error::retryable("busy").retry_after(20 * SECOND)) } else { Ok(()) }
        })
        .await;
        assert!(done.result.is_ok());
        let waited = started.elapsed();
        assert!(waited >= 20 * SECOND && waited <= 23 * SECOND, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_ends_the_wait_and_keeps_the_error() {
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SECOND).await;
            stop.cancel();
        });
        let started = Instant::now();
        let busy = |_| async { Err::<(), _>(Error::retryable("busy").retry_after(100 * SECOND)) };
        let done = retry(&RetryPolicy::default(), &cancel, busy).await;
        assert_eq!((done.attempts, started.elapsed()), (1, SECOND));
        assert_eq!(done.result.unwrap_err().message(), "busy");
        assert_eq!(retry(&RetryPolicy::default(), &cancel, busy).await.attempts, 0, "no attempt after cancelling");
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_budget_ends_the_retries() {
        let budget = RetryBudget::new(0.2, 0.0, 2.0);
        let policy = RetryPolicy { attempts: 100, ..RetryPolicy::default() };
        let down = |_| async { Err::<(), _>(Error::retryable("down")) };
        let done = retry_within(&policy, Some(&budget), &CancellationToken::new(), down).await;
        assert_eq!(done.attempts, 3, "the floor of two retries and nothing more");
    }
}
