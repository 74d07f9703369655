//! A limit on how much of the traffic to one host may be retries.
//!
//! Attempts per call bound the load of one run; they do not stop thousands of runs from hammering a
//! host that is down. The budget does: every first attempt earns a fifth of a retry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// A token bucket: first attempts earn a share of a retry, time earns the floor, a retry costs one.
#[derive(Debug)]
pub struct RetryBudget {
    share: f64,
    floor_per_second: f64,
    capacity: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    refilled: Instant,
}

impl RetryBudget {
    /// A budget of `share` retries per first attempt and `floor_per_second` retries per second,
    /// holding at most `capacity` retries; it starts full.
    pub fn new(share: f64, floor_per_second: f64, capacity: f64) -> Self {
        let state = Mutex::new(State { tokens: capacity, refilled: Instant::now() });
        RetryBudget { share, floor_per_second, capacity, state }
    }

    /// Counts one first attempt.
    pub fn record_first_attempt(&self) {
        self.change(|tokens| {
            *tokens += self.share;
            true
        });
    }

    /// Takes one retry out; `false` when there is none left.
    pub fn withdraw_retry(&self) -> bool {
        self.change(|tokens| {
            let enough = *tokens >= 1.0;
            if enough {
                *tokens -= 1.0;
            }
            enough
        })
    }

    fn change(&self, change: impl FnOnce(&mut f64) -> bool) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earned = now.duration_since(state.refilled).as_secs_f64() * self.floor_per_second;
        state.refilled = now;
        state.tokens = (state.tokens + earned).min(self.capacity);
        let answer = change(&mut state.tokens);
        state.tokens = state.tokens.min(self.capacity);
        answer
    }

    fn is_untouched(&self) -> bool {
        self.change(|_| true);
        self.state.lock().unwrap_or_else(PoisonError::into_inner).tokens >= self.capacity
    }
}

impl Default for RetryBudget {
    /// Retries at most a fifth of the traffic, plus one every two seconds, at most 50 saved up.
    fn default() -> Self {
        RetryBudget::new(0.2, 0.5, 50.0)
    }
}

/// One [`RetryBudget`] per host, made when it is first asked for.
#[derive(Debug, Default)]
pub struct RetryBudgets {
    hosts: Mutex<HashMap<String, Arc<RetryBudget>>>,
}

impl RetryBudgets {
    /// Hosts remembered before the full (so forgettable) budgets are dropped: hosts come from vCons too.
    const MOST_HOSTS: usize = 1024;

    /// The budget of `host`, which is compared as written.
    pub fn of(&self, host: &str) -> Arc<RetryBudget> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = hosts.get(host) {
            return Arc::clone(budget);
        }
        if hosts.len() >= Self::MOST_HOSTS {
            hosts.retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.is_untouched());
            if hosts.len() >= Self::MOST_HOSTS {
                hosts.clear();
            }
        }
        let budget = Arc::new(RetryBudget::default());
        hosts.insert(host.to_owned(), Arc::clone(&budget));
        budget
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_fifth_of_the_traffic() {
        let budget = RetryBudget::new(0.2, 0.0, 10.0);
        while budget.withdraw_retry() {}
        let mut retries = 0;
        for _ in 0..1000 {
            budget.record_first_attempt();
            retries += u32::from(budget.withdraw_retry());
        }
        assert!((199..=201).contains(&retries), "{retries}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_earns_the_floor_and_no_more_than_the_capacity() {
        let budget = RetryBudget::new(0.2, 0.5, 5.0);
        while budget.withdraw_retry() {}
        tokio::time::advance(Duration::from_millis(1900)).await;
        assert!(!budget.withdraw_retry());
        tokio::time::advance(Duration::from_millis(200)).await;
        assert!(budget.withdraw_retry());
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!((0..100).filter(|_| budget.withdraw_retry()).count(), 5);
    }

    #[tokio::test]
    async fn hosts_have_their_own_budget_and_the_map_stays_small() {
        let budgets = RetryBudgets::default();
        while budgets.of("a.example").withdraw_retry() {}
        assert!(!budgets.of("a.example").withdraw_retry());
        assert!(budgets.of("b.example").withdraw_retry());
        for host in 0..5000 {
            budgets.of(&format!("host-{host}.example"));
        }
        assert!(budgets.hosts.lock().unwrap().len() <= RetryBudgets::MOST_HOSTS);
        assert!(!budgets.of("a.example").withdraw_retry(), "a used-up budget must not be forgotten");
    }
}
