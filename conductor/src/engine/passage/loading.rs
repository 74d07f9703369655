//! The start of a passage: the document and what the run has finished so far.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vconductor_core::error::{Class, Error};
use vconductor_core::run::Ledger;
use vconductor_core::store::{Claim, Claimed, Commit, End, Failure, Stored, WaitReason, dead_letter_queue};
use vconductor_core::vcon::Vcon;

use super::{Passage, Passed};
use crate::engine::Shared;
use crate::engine::book::Book;
use crate::engine::chain::Chain;
use crate::engine::generation::Generation;
use crate::engine::report::RunOutcome;

/// A run that cannot start.
pub(super) struct Refused {
    pub(super) end: End,
    pub(super) outcome: RunOutcome,
}

impl Refused {
    pub(super) fn into_passed(self, claim: Claim) -> Passed {
        let commit = Commit::ending(claim, self.end);
        Passed { commit, outcome: self.outcome, cost: None, attempt: 1, steps: Vec::new() }
    }
}

impl Passage {
    pub(super) async fn load(
        shared: Arc<Shared>,
        generation: Arc<Generation>,
        chain: Arc<Chain>,
        claimed: Claimed,
        cancel: CancellationToken,
    ) -> Result<Passage, Refused> {
        let Claimed { claim, stored, ledger, attempts, waiting_since, resumption, .. } = claimed;
        let ledger = of_chain(ledger, &chain);
        let chain = match generation.deviations.chain(&generation.chains, &chain, &ledger.deviation) {
            Ok(chain) => chain,
            Err(error) => return Err(refused_for_good(&shared, &claim, "replay", &error, attempts + 1)),
        };
        let uuid = ledger.switched_to.clone().unwrap_or_else(|| claim.uuid.clone());
        let loaded = if uuid == claim.uuid { Ok(stored) } else { shared.store.switch(&claim, &uuid).await };
        let dead = |error: &Error| refused_for_good(&shared, &claim, "load", error, attempts + 1);
        let stored = match loaded {
            Ok(Some(stored)) => Some(stored),
            Ok(None) => shared.read_through(&chain, &uuid).await,
            Err(error) => return Err(wait(&shared, WaitReason::Writer, Duration::from_millis(250), &error)),
        };
        let Some(Stored { document, revision }) = stored else {
            return Err(missing(&shared, &claim, &uuid, waiting_since, attempts));
        };
        let vcon = Vcon::read(document).map_err(|error| dead(&error))?;
        let followed =
            (!chain.never_waits()).then(|| shared.journal.follow(&claim, &chain, attempts + 1, shared.clock.now()));
        Ok(Passage {
            shared,
            generation,
            chain,
            claim,
            cancel,
            attempts,
            resumption,
            uuid,
            vcon: Arc::new(vcon),
            revision,
            next_revision: None,
            unsaved: false,
            book: Arc::new(Book::new(ledger)),
            ledger_unsaved: false,
            pushes: Vec::new(),
            made: Vec::new(),
            keep: None,
            followed,
        })
    }
}

/// The ledger as this chain continues it. A run that was moved to another chain's list keeps the steps it has paid
/// for, but not how far it had come: that chain's own links, storages and egress are still to be done.
fn of_chain(ledger: Option<Ledger>, chain: &Chain) -> Ledger {
    match ledger {
        Some(ledger) if ledger.chain == chain.name => ledger,
        Some(Ledger { steps, switched_to, deviation, .. }) => {
            Ledger { chain: chain.name.clone(), steps, switched_to, deviation, ..Ledger::default() }
        }
        None => Ledger { chain: chain.name.clone(), ..Ledger::default() },
    }
}

/// A producer may push the uuid before the document is there: the run waits, and is dead only after a while.
fn missing(shared: &Shared, claim: &Claim, uuid: &str, waiting_since: Option<i64>, attempts: u32) -> Refused {
    let now = shared.clock.now();
    let waited = now - waiting_since.unwrap_or(now);
    let patience = i64::try_from(shared.settings.missing_document.as_millis()).unwrap_or(i64::MAX);
    if waiting_since.is_none() || waited < patience {
        return Refused {
            end: End::Wait { due: now + (patience / 10).clamp(50, 1000), reason: WaitReason::MissingDocument },
            outcome: RunOutcome::Waited,
        };
    }
    let error = Error::permanent(format!("vcon_missing: no document is stored under {uuid}"))
        .help("store the vCon before its uuid is pushed, or raise how long a missing document is waited for");
    refused_for_good(shared, claim, "load", &error, attempts + 1)
}

fn refused_for_good(shared: &Shared, claim: &Claim, step: &str, error: &Error, attempts: u32) -> Refused {
    let failure = Failure {
        class: if error.is_retryable() { Class::Permanent } else { error.class() },
        step: step.to_owned(),
        message: error.chain_text(),
        help: error.help_text().map(str::to_owned),
        attempts,
        at: shared.clock.now(),
    };
    Refused { end: End::Dead { queue: dead_letter_queue(&claim.list), failure }, outcome: RunOutcome::Dead }
}

pub(super) fn wait(shared: &Shared, reason: WaitReason, delay: Duration, error: &Error) -> Refused {
    tracing::debug!(%error, "the run waits");
    let due = shared.clock.now() + i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    Refused { end: End::Wait { due, reason }, outcome: RunOutcome::Waited }
}
