//! Time as the store and the engine see it, so that tests can move it.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// A source of wall-clock time.
pub trait Clock: Debug + Send + Sync {
    /// Now, in milliseconds since the Unix epoch.
    fn now(&self) -> Millis;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis) + error()
    }
}

/// By how much the machine's clock is wrong in a test of that: `VCONDUCTOR_CLOCK_SHIFT`, in milliseconds.
#[cfg(debug_assertions)]
fn error() -> Millis {
    static ERROR: std::sync::OnceLock<Millis> = std::sync::OnceLock::new();
    *ERROR.get_or_init(|| std::env::var("VCONDUCTOR_CLOCK_SHIFT").ok().and_then(|text| text.parse().ok()).unwrap_or(0))
}

#[cfg(not(debug_assertions))]
#[inline(always)]
fn error() -> Millis {
    0
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    now: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Millis) -> Self {
        ManualClock { now: Arc::new(AtomicI64::new(now)) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    /// Turns the clock back.
    pub fn turn_back(&self, by: Duration) {
        self.now.fetch_sub(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.now.load(Ordering::SeqCst)
    }
}
