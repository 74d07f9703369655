//! One passage: a claimed run goes through its chain's links, storages and egress, and ends in one commit.

mod links;
mod loading;
mod offload;
mod parallel;
mod storages;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vconductor_core::error::{Class, Error};
use vconductor_core::layers::retry::RetryPolicy;
use vconductor_core::plugin::RunInfo;
use vconductor_core::run::{Recorded, Stage, StepEntry, StepKey};
use vconductor_core::store::{
    Claim, Claimed, Commit, End, Failure, Made, Push, Resumption, Save, StepTime, dead_letter_queue,
};
use vconductor_core::vcon::Vcon;

use super::book::Book;
use super::chain::Chain;
use super::failure::retry_delay;
use super::generation::Generation;
use super::journal::Followed;
use super::report::RunOutcome;
use super::step::HELD;
use super::{Shared, Unsaved};
use crate::telemetry::producer;

/// A finished passage: what to commit, and what it was, for the report.
pub(super) struct Passed {
    pub(super) commit: Commit,
    pub(super) outcome: RunOutcome,
    /// What the run has cost in US dollars, as far as prices are known.
    pub(super) cost: Option<f64>,
    /// Which passage of the run it was, from 1.
    pub(super) attempt: u32,
    /// What it did, for people; of passages that are followed.
    pub(super) steps: Vec<StepTime>,
}

impl Passed {
    /// The end of a run that met a defect of the engine: kept as a dead letter, never dropped.
    pub(super) fn defect(shared: &Shared, claim: Claim, panic: &str) -> Passed {
        tracing::error!(uuid = %claim.uuid, panic, "a defect of the engine; the run becomes a dead letter");
        let error = Error::permanent(format!("the engine panicked: {panic}"))
            .help("this is a defect of vConductor; report it with this vCon's chain and links");
        Passed::bare(shared, claim, "engine", &error)
    }

    /// The end of a run whose commit the store will never take.
    pub(super) fn refused(shared: &Shared, claim: Claim, refusal: &Error) -> Passed {
        tracing::error!(uuid = %claim.uuid, error = %refusal.chain_text(), "the store refuses it; the run becomes a dead letter");
        Passed::bare(shared, claim, "store", refusal)
    }

    /// A dead letter that carries nothing but its reason.
    fn bare(shared: &Shared, claim: Claim, step: &str, error: &Error) -> Passed {
        let failure = Failure {
            class: if error.is_retryable() { Class::Permanent } else { error.class() },
            step: step.to_owned(),
            message: error.chain_text(),
            help: error.help_text().map(str::to_owned),
            attempts: 1,
            at: shared.clock.now(),
        };
        let queue = dead_letter_queue(&claim.list);
        let end = End::Dead { queue, failure };
        let commit = Commit::ending(claim, end);
        Passed { commit, outcome: RunOutcome::Dead, cost: None, attempt: 1, steps: Vec::new() }
    }
}

/// A run while it is worked on.
pub(super) struct Passage {
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    chain: Arc<Chain>,
    claim: Claim,
    cancel: CancellationToken,
    /// Passages of the run that ended in a scheduled retry.
    attempts: u32,
    resumption: Option<Resumption>,
    /// The vCon worked on: the claim's, or the one that a link switched to.
    uuid: String,
    vcon: Arc<Vcon>,
    /// Revision of the stored document.
    revision: u64,
    /// Revision under which the changes are saved, once they need one.
    next_revision: Option<u64>,
    /// Whether links changed the document since it was saved.
    unsaved: bool,
    book: Arc<Book>,
    /// Whether the ledger says anything that is not saved yet.
    ledger_unsaved: bool,
    pushes: Vec<Push>,
    /// vCons that links made and that are not taken in yet.
    made: Vec<Made>,
    keep: Option<Duration>,
    /// Where people see what it does; chains of pure links alone are not followed.
    followed: Option<Followed>,
}

/// Why a passage ends before the next step.
pub(super) enum Ending {
    /// The run is done: egress is part of the pushes already.
    Done(RunOutcome),
    /// It goes on later, or is dead.
    Otherwise(End, RunOutcome),
    /// The store will never take what is to be saved.
    Refused(Error),
    /// The claim was lost: nothing of this passage may be committed any more.
    Lost,
}

impl Passage {
    /// Takes a claimed run through its chain. `None`: the claim was lost on the way, there is nothing to commit.
    pub(super) async fn run(
        shared: Arc<Shared>,
        generation: Arc<Generation>,
        chain: Arc<Chain>,
        claimed: Claimed,
        cancel: CancellationToken,
    ) -> Option<Passed> {
        let claim = claimed.claim.clone();
        let mut passage = match Self::load(shared, generation, chain, claimed, cancel).await {
            Ok(passage) => passage,
            Err(refused) => return Some(refused.into_passed(claim)),
        };
        let ending = match passage.through().await {
            Ok(()) => Ending::Done(RunOutcome::Done),
            Err(ending) => ending,
        };
        let (end, outcome) = match ending {
            Ending::Done(outcome) => (End::Done, outcome),
            Ending::Otherwise(end, outcome) => (end, outcome),
            Ending::Refused(error) => return Some(Passed::refused(&passage.shared, claim, &error)),
            Ending::Lost => return None,
        };
        for hook in &passage.shared.hooks {
            hook.after_run(passage.info(), outcome.as_str()).await;
        }
        Some(passage.finish(end, outcome))
    }

    /// The run as hooks see it.
    fn info(&self) -> RunInfo<'_> {
        RunInfo {
            uuid: &self.uuid,
            run: self.claim.run,
            chain: &self.chain.name,
            list: &self.claim.list,
            attempt: self.attempts + 1,
        }
    }

    /// Asks the hooks whether the passage may begin.
    async fn allowed(&mut self) -> Result<(), Ending> {
        let shared = Arc::clone(&self.shared);
        for hook in &shared.hooks {
            match hook.before_run(self.info()).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::debug!(uuid = %self.uuid, "stopped by a hook");
                    return Err(Ending::Done(RunOutcome::Stopped));
                }
                Err(error) => {
                    let (policy, queue) = (self.chain.retry.clone(), self.own_dead_letters());
                    return Err(self.failed("hook", &error, self.attempts + 1, &policy, queue));
                }
            }
        }
        Ok(())
    }

    async fn through(&mut self) -> Result<(), Ending> {
        self.allowed().await?;
        if self.stage() == Stage::Links {
            self.links().await?;
            let mut ledger = self.book.open();
            ledger.stage = Stage::Storages;
            ledger.pushes.clone_from(&self.pushes);
        } else {
            self.pushes = if self.stage() == Stage::Storages { self.book.open().pushes.clone() } else { Vec::new() };
        }
        self.offload().await?;
        vconductor_core::failpoint::hit("before-storages");
        self.storages().await?;
        vconductor_core::failpoint::hit("before-ack");
        Ok(())
    }

    fn stage(&self) -> Stage {
        self.book.open().stage
    }

    /// The egress pushes of the chain for the vCon as it is now.
    fn egress(&self) -> impl Iterator<Item = Push> + '_ {
        self.chain.egress_lists.iter().map(|list| Push { list: list.clone(), uuid: self.uuid.clone() })
    }

    /// Saves document and ledger in the middle of the passage.
    async fn save(&mut self) -> Result<(), Ending> {
        let commit = self.commit(End::Continue, Vec::new());
        match self.shared.commit(commit).await {
            Ok(()) => {
                self.revision = self.revision_to_save();
                self.next_revision = None;
                self.unsaved = false;
                self.ledger_unsaved = false;
                self.made.clear();
                self.keep = None;
                Ok(())
            }
            Err(Unsaved::Refused(error)) => Err(Ending::Refused(error)),
            Err(Unsaved::Lost) => {
                tracing::warn!(uuid = %self.uuid, "the claim was lost, this process was declared dead; the run is abandoned");
                Err(Ending::Lost)
            }
        }
    }

    /// The revision of the document as it is now: the stored one, or a higher one if links changed it.
    fn revision_to_save(&mut self) -> u64 {
        if !self.unsaved {
            return self.revision;
        }
        let next = (self.revision + 1).max(self.shared.clock.now().unsigned_abs());
        *self.next_revision.get_or_insert(next)
    }

    fn finish(mut self, end: End, outcome: RunOutcome) -> Passed {
        // Egress is withheld until the run is done, or until only optional storages are missing.
        let goes_out = matches!(end, End::Done) || self.stage() == Stage::Egress;
        let pushes = if goes_out { std::mem::take(&mut self.pushes) } else { Vec::new() };
        if matches!(end, End::Done) {
            // An ack needs no ledger: nothing refers to the run any more.
            self.ledger_unsaved = false;
        }
        if matches!(end, End::Dead { .. }) {
            self.count_anew();
        }
        let cost = self.book.open().cost();
        let steps = self.followed.as_ref().map(Followed::steps).unwrap_or_default();
        let attempt = self.attempts + 1;
        let commit = self.commit(end, pushes);
        Passed { commit, outcome, cost, attempt, steps }
    }

    fn commit(&mut self, end: End, pushes: Vec<Push>) -> Commit {
        let save = self.unsaved.then(|| Save {
            uuid: self.uuid.clone(),
            document: self.vcon.to_bytes(),
            revision: self.revision_to_save(),
        });
        let ledger = self.ledger_unsaved.then(|| self.book.open().clone());
        let made = self.made.clone();
        let context = producer::current();
        Commit { claim: self.claim.clone(), save, ledger, keep: self.keep, pushes, made, context, end }
    }

    /// The end of a run that failed at `step`: tried again with back-off, or dead.
    fn failed(&mut self, step: &str, error: &Error, attempt: u32, policy: &RetryPolicy, queue: String) -> Ending {
        let failure = Failure {
            class: error.class(),
            step: step.to_owned(),
            message: error.chain_text(),
            help: error.help_text().map(str::to_owned),
            attempts: attempt,
            at: self.shared.clock.now(),
        };
        match retry_delay(policy, attempt, error) {
            Some(delay) => {
                let due = failure.at + i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                Ending::Otherwise(End::Retry { due, failure }, RunOutcome::Retried)
            }
            None => Ending::Otherwise(End::Dead { queue, failure }, RunOutcome::Dead),
        }
    }

    /// Like [`failed`](Self::failed) for a cause that is no link: its attempts are counted under a name of their own.
    fn failed_for(&mut self, cause: &str, error: &Error) -> Ending {
        let key = StepKey { link: format!("engine:{cause}"), occurrence: 0, options: String::new() };
        let attempts = self.book.open().step(&key).map_or(0, |entry| entry.attempts) + 1;
        self.book.open().record(StepEntry {
            key,
            outcome: Recorded::Unfinished,
            pushes: Vec::new(),
            parts: BTreeMap::new(),
            attempts,
            usage: None,
            finished_at: self.shared.clock.now(),
            generation: self.chain.generation.clone(),
        });
        self.ledger_unsaved = true;
        let (chain, queue) = (Arc::clone(&self.chain), self.own_dead_letters());
        self.failed(cause, error, attempts, &chain.retry, queue)
    }

    /// A dead run that is revived has all its attempts again; what is finished of its steps stays.
    fn count_anew(&mut self) {
        let mut ledger = self.book.open();
        for entry in &mut ledger.steps {
            self.ledger_unsaved |= entry.parts.remove(HELD).is_some();
        }
        let before = ledger.steps.len();
        ledger.steps.retain(|entry| entry.is_finished() || entry.usage.is_some() || !entry.parts.is_empty());
        self.ledger_unsaved |= ledger.steps.len() != before;
        for entry in ledger.steps.iter_mut().filter(|entry| !entry.is_finished() && entry.attempts > 0) {
            entry.attempts = 0;
            self.ledger_unsaved = true;
        }
    }

    fn own_dead_letters(&self) -> String {
        dead_letter_queue(&self.claim.list)
    }
}
