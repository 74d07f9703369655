//! The heartbeat: renews the process's lease from a thread of its own.
//!
//! It must not depend on the runtime (a busy runtime must not cost the lease), and it must stop when the runtime is
//! wedged (a process that can do nothing must not look alive). So a task of the runtime ticks, and the thread renews
//! only while it sees new ticks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vconductor_core::error::{Error, Result};
use vconductor_core::store::ProcessId;

use super::Shared;

/// Without a tick of the runtime for this many heartbeats, the lease is not renewed.
const WEDGED_AFTER: u32 = 3;

/// A running heartbeat.
pub(super) struct Heartbeat {
    stopped: Arc<AtomicBool>,
}

impl Heartbeat {
    /// Ends it.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// Starts the heartbeat of the conductor.
pub(super) fn start(shared: Arc<Shared>) -> Result<Heartbeat> {
    let stopped = Arc::new(AtomicBool::new(false));
    let ticks = Arc::new(AtomicU64::new(0));
    let interval = shared.settings.heartbeat;
    let ticker = Arc::clone(&ticks);
    let runtime = tokio::runtime::Handle::current();
    let tick_every = (interval / 4).max(Duration::from_millis(10));
    let abort = shared.abort.clone();
    tokio::spawn(async move {
        while !abort.is_cancelled() {
            ticker.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(tick_every).await;
        }
    });
    let flag = Arc::clone(&stopped);
    thread::Builder::new()
        .name("heartbeat".to_owned())
        .spawn(move || beat(&shared, &runtime, &flag, &ticks))
        .map_err(|error| Error::retryable("cannot start the heartbeat thread").caused_by(error))?;
    Ok(Heartbeat { stopped })
}

fn beat(shared: &Shared, runtime: &tokio::runtime::Handle, stopped: &AtomicBool, ticks: &AtomicU64) {
    let interval = shared.settings.heartbeat;
    let mut seen = ticks.load(Ordering::Relaxed);
    let mut seen_at = Instant::now();
    let mut due = Instant::now() + interval;
    while !stopped.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(100).min(interval / 4));
        if Instant::now() < due {
            continue;
        }
        due = Instant::now() + interval;
        let now = ticks.load(Ordering::Relaxed);
        if now != seen {
            seen = now;
            seen_at = Instant::now();
        } else if seen_at.elapsed() > interval * WEDGED_AFTER {
            tracing::error!("the runtime does not move; the lease is not renewed and others take over");
            continue;
        }
        let asked = Instant::now();
        match shared.store.renew(&shared.process()) {
            Ok(true) => shared.lease.renewed(asked),
            Ok(false) => runtime.block_on(new_identity(shared)),
            Err(error) => tracing::warn!(error = %error.chain_text(), "cannot renew the lease"),
        }
    }
}

/// The process was declared dead and its runs are somebody else's now: whatever it still commits is refused.
async fn new_identity(shared: &Shared) {
    let process = ProcessId::random();
    tracing::warn!(old = %shared.process(), new = %process, "the lease was lost; going on under a new identity");
    let asked = Instant::now();
    match shared.store.register(&process).await {
        Ok(()) => {
            shared.replace_process(process);
            shared.lease.renewed(asked);
        }
        Err(error) => tracing::warn!(error = %error.chain_text(), "cannot register again"),
    }
}
