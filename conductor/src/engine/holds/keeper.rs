//! Brings holds to the store and from it.

use std::sync::Arc;
use std::time::Duration;

use vconductor_core::clock::Millis;
use vconductor_core::error::Result;
use vconductor_core::store::Store;

use super::{Change, Holds, links, of_link};
use crate::engine::chain::Chains;
use crate::engine::places::Places;
use crate::engine::{Shared, backoff};

/// How often is looked what others hold.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Learns what is held before anything is claimed. A conductor that starts may have the mended configuration, so it tries the
/// held links of its chains at once.
///
/// # Errors
/// If the store does not answer.
pub(in crate::engine) async fn begin(shared: &Shared, chains: &Chains) -> Result<()> {
    let now = shared.clock.now();
    let own: Vec<String> = chains.chains.iter().flat_map(|chain| links(chain)).map(of_link).collect();
    let mut held = shared.store.holds().await?;
    for hold in held.iter_mut().filter(|hold| hold.until > now && own.contains(&hold.what)) {
        tracing::info!(what = hold.what, reason = hold.reason, "it was held; this conductor tries it again");
        hold.until = now;
        shared.store.hold(hold).await?;
    }
    shared.holds.learn(held, now);
    Ok(())
}

/// Brings what was decided here to the store and what others decided from there, and wakes lanes that wait for a place when
/// something is let go or tried again.
pub(in crate::engine) async fn keep(shared: Arc<Shared>, places: Arc<Places>) {
    let holds = &shared.holds;
    let mut failures = 0;
    loop {
        match exchange(&shared).await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                tracing::warn!(error = %error.chain_text(), "the store does not say what is held");
            }
        }
        places.wake();
        let pause = if failures > 0 { backoff(failures) } else { next_look(holds, shared.clock.now()) };
        tokio::select! {
            () = holds.changed.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn exchange(shared: &Shared) -> Result<()> {
    save(&shared.holds, &*shared.store).await?;
    let stored = shared.store.holds().await?;
    shared.holds.learn(stored, shared.clock.now());
    Ok(())
}

async fn save(holds: &Holds, store: &dyn Store) -> Result<()> {
    let unsaved = holds.lock().unsaved.clone();
    for (what, change) in unsaved {
        match &change {
            Change::Held(hold) => store.hold(hold).await?,
            Change::LetGo => store.release(&what).await.map(drop)?,
        }
        let mut state = holds.lock();
        if state.unsaved.get(&what) == Some(&change) {
            state.unsaved.remove(&what);
        }
    }
    Ok(())
}

/// When is looked again: regularly, and when the time of something is over.
pub(super) fn next_look(holds: &Holds, now: Millis) -> Duration {
    let next = holds.lock().holds.values().map(|hold| hold.until - now).filter(|left| *left > 0).min();
    next.map_or(LOOK, |left| LOOK.min(Duration::from_millis(left.unsigned_abs())))
}
