//! Tells the store what a conductor is and works on, for people who look from outside.
//!
//! Not by the heartbeat's thread, which must do one thing only: a task of the runtime tells, so that a conductor whose
//! runtime is wedged is seen to have fallen silent. While nothing takes long that is one small write in each heartbeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::store::{AtWork, Card, CardChain, ProcessId};

use super::chain::{Chain, LinkStep, Step};
use super::generation::Generation;
use super::places::Places;
use super::{LAST_ANSWER, Shared};

/// How often what has ended is noted, and looked whether there is news.
const LOOK: Duration = Duration::from_secs(1);
/// How often is told what is at work while anything takes long.
const NEWS: Duration = Duration::from_secs(2);
/// A run that takes longer than this is told of, in milliseconds.
const LONG: Millis = 1000;
/// At most so many are told of.
const MOST: usize = 100;

/// What every process tells of itself.
pub(crate) fn card(role: &str, every: Duration) -> Card {
    let now = SystemClock.now();
    Card {
        role: role.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        started_at: now,
        told_at: now,
        every_ms: u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
        ..Card::default()
    }
}

/// What was told last.
struct Told {
    at: Instant,
    process: ProcessId,
    generation: u64,
    refused: Option<String>,
    at_work: bool,
}

/// Tells until it is dropped.
pub(super) async fn work(shared: Arc<Shared>, mut generations: watch::Receiver<Arc<Generation>>, places: Arc<Places>) {
    let own = card("conductor", shared.settings.heartbeat);
    let mut told: Option<Told> = None;
    loop {
        note(&shared).await;
        let at_work = shared.journal.at_work(shared.clock.now() - LONG, MOST);
        if is_due(&shared, told.as_ref(), !at_work.is_empty()) {
            let generation = Arc::clone(&generations.borrow_and_update());
            told = tell(&shared, &own, &generation, places.used(), at_work, told).await;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK.min(shared.settings.heartbeat)) => {}
            Ok(()) = generations.changed() => {}
        }
    }
}

fn is_due(shared: &Shared, told: Option<&Told>, at_work: bool) -> bool {
    let Some(told) = told else { return true };
    let every = if at_work || told.at_work { NEWS.min(shared.settings.heartbeat) } else { shared.settings.heartbeat };
    let (generation, refused) = shared.standing();
    told.at.elapsed() >= every
        || told.process != shared.process()
        || told.generation != generation
        || told.refused != refused
}

async fn tell(
    shared: &Shared,
    own: &Card,
    generation: &Generation,
    working: usize,
    at_work: Vec<AtWork>,
    before: Option<Told>,
) -> Option<Told> {
    let process = shared.process();
    if let Some(former) = before.as_ref().map(|told| &told.process).filter(|former| **former != process)
        && let Err(error) = shared.store.withdraw(former).await
    {
        tracing::debug!(error = %error.chain_text(), "a former name of this conductor is still known");
        return before;
    }
    let (count, refused) = shared.standing();
    let busy = !at_work.is_empty();
    let card = Card {
        told_at: shared.clock.now(),
        generation: count,
        hash: generation.chains.generation.clone(),
        refused: refused.clone(),
        chains: generation.chains.chains.iter().map(|chain| of_chain(chain)).collect(),
        working: working as u64,
        at_work,
        ..own.clone()
    };
    match shared.store.announce(&process, &card).await {
        Ok(()) => Some(Told { at: Instant::now(), process, generation: count, refused, at_work: busy }),
        Err(error) => {
            tracing::debug!(error = %error.chain_text(), "what this conductor does is told later");
            before
        }
    }
}

fn of_chain(chain: &Chain) -> CardChain {
    let links = chain.steps.iter().flat_map(|step| match step {
        Step::Link(link) => std::slice::from_ref(&**link),
        Step::Parallel(links) => links,
    });
    CardChain {
        name: chain.name.clone(),
        ingress_lists: chain.ingress_lists.clone(),
        egress_lists: chain.egress_lists.clone(),
        external_links: links.filter(|link| link.may_be_held()).map(LinkStep::name).map(str::to_owned).collect(),
        concurrency: chain.concurrency as u64,
    }
}

/// Brings what has ended to the store. What it does not take is not worth keeping: the figures have it.
async fn note(shared: &Shared) {
    let ended = shared.journal.take();
    if ended.is_empty() {
        return;
    }
    if let Err(error) = shared.store.note(&ended, shared.journal.most()).await {
        tracing::debug!(error = %error.chain_text(), runs = ended.len(), "these ends are not remembered");
    }
}

/// Notes what ended last, before the process leaves.
pub(super) async fn last(shared: &Shared) {
    // Whoever waits for the end of the process has more important things to wait for.
    drop(tokio::time::timeout(LAST_ANSWER, note(shared)).await);
}
