//! What this process knows of its own lease.
//!
//! A process that was stopped, or cut off from the store, for longer than its lease may have been declared dead: somebody
//! else may be at its runs already. Whatever it commits is refused, but a call to the outside cannot be refused, so it
//! makes none until the store has confirmed the lease again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The lease of this process as far as it can be sure of it.
#[derive(Debug)]
pub(crate) struct Lease {
    length: Duration,
    until: Mutex<Instant>,
    renewed: Notify,
}

impl Lease {
    pub(crate) fn new(length: Duration) -> Self {
        Lease { length, until: Mutex::new(Instant::now()), renewed: Notify::new() }
    }

    /// The store has confirmed the lease; it was asked at `asked`, and cannot have done so earlier.
    pub(crate) fn renewed(&self, asked: Instant) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(asked + self.length);
        drop(until);
        self.renewed.notify_waiters();
    }

    /// Returns when the lease is surely held. A run that was given up meanwhile is dropped while it waits here.
    pub(crate) async fn held(&self) {
        loop {
            let renewed = self.renewed.notified();
            let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
            if Instant::now() < until {
                return;
            }
            tracing::debug!("the lease is not sure; nothing outside is called until the store has confirmed it");
            renewed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_goes_on_until_the_lease_is_confirmed() {
        let lease = Lease::new(Duration::from_millis(60));
        assert!(tokio::time::timeout(Duration::from_millis(20), lease.held()).await.is_err(), "never confirmed");
        let asked = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        lease.renewed(asked);
        lease.held().await;
        std::thread::sleep(Duration::from_millis(50));
        assert!(
            tokio::time::timeout(Duration::from_millis(20), lease.held()).await.is_err(),
            "counted from the question"
        );
        let (_, ()) = tokio::join!(lease.held(), async { lease.renewed(Instant::now()) });
    }
}
