//! Threads of the lanes, apart from the runtime that links work on.
//!
//! What a lane does is short and never waits for a link, so it needs no pool of threads; handing every answer of the
//! store from one thread to another would cost more than the work itself.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::available_parallelism;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vconductor_core::error::{Error, Result};

use super::lane::Lane;

/// Starts the lanes on their threads. Each task of the answer ends with its thread, panics as it does, and ends it when
/// it is dropped.
///
/// # Errors
/// If the system gives no more threads.
pub(super) fn start(lanes: Vec<Lane>) -> Result<JoinSet<()>> {
    let mut set = JoinSet::new();
    let share = lanes.len().div_ceil(threads(lanes.len()));
    let mut lanes = lanes.into_iter().peekable();
    while lanes.peek().is_some() {
        thread(lanes.by_ref().take(share).collect(), &mut set)?;
    }
    Ok(set)
}

/// As many threads as lanes at most, and never more than half of the processors: links and the store need the others.
fn threads(lanes: usize) -> usize {
    (available_parallelism().map_or(1, usize::from) / 2).clamp(1, lanes.max(1))
}

fn thread(lanes: Vec<Lane>, set: &mut JoinSet<()>) -> Result<()> {
    let failed = |error: std::io::Error| Error::retryable("cannot start a thread").caused_by(error);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (reply, ended) = oneshot::channel();
    let given_up = CancellationToken::new();
    let over = given_up.clone();
    let work = move || {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                tokio::select! {
                    () = all(lanes) => {}
                    () = over.cancelled() => {}
                }
            });
        }));
        drop(runtime);
        // Nobody hears it when the conductor has been given up already.
        reply.send(worked).unwrap_or_default();
    };
    std::thread::Builder::new().name("lanes".to_owned()).spawn(work).map_err(failed)?;
    set.spawn(async move {
        let _given_up = given_up.drop_guard();
        if let Ok(Err(panic)) = ended.await {
            resume_unwind(panic);
        }
    });
    Ok(())
}

/// Ends when all lanes have ended, or panics as the first that does.
async fn all(lanes: Vec<Lane>) {
    let mut working = JoinSet::new();
    for lane in lanes {
        working.spawn(lane.work());
    }
    while let Some(ended) = working.join_next().await {
        if let Err(died) = ended {
            resume_unwind(died.into_panic());
        }
    }
}
