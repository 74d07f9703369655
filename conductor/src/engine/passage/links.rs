//! The links stage of a passage.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use vconductor_core::clock::Millis;
use vconductor_core::error::{Error, Result};
use vconductor_core::failpoint;
use vconductor_core::layers::instruments;
use vconductor_core::plugin::{Effect, Hop, Outcome, Requested};
use vconductor_core::run::{Recorded, StepEntry, StepKey, Usage};
use vconductor_core::store::{End, Push, Resumption, StepEnd, WaitReason};
use vconductor_core::vcon::Vcon;

use super::loading::wait;
use super::{Ending, Passage};
use crate::engine::chain::{Chain, LinkStep, OnError, Step};
use crate::engine::report::RunOutcome;
use crate::engine::step::{Executed, PARKED, Situation, Skip, entry, execute, panic_text};

/// What one link of a step left to do for the passage.
pub(super) enum Done {
    Continue,
    /// The chain goes on with another vCon, as the link of this key said.
    Switch(StepKey, String),
    Stop,
}

impl Passage {
    /// Runs the chain's links; `Err` ends the passage.
    pub(super) async fn links(&mut self) -> Result<(), Ending> {
        let chain = Arc::clone(&self.chain);
        match chain.timeout {
            None => self.all_links(&chain).await,
            Some(limit) => match tokio::time::timeout(limit, self.all_links(&chain)).await {
                Ok(result) => result,
                Err(_) => {
                    let error =
                        Error::retryable(format!("the links of chain `{}` took longer than {limit:?}", chain.name))
                            .help("raise the chain's `timeout`, or set one on the link that is slow");
                    Err(self.failed_for("timeout", &error))
                }
            },
        }
    }

    async fn all_links(&mut self, chain: &Chain) -> Result<(), Ending> {
        let uuid = self.uuid.clone();
        self.trace(-1, &uuid).await?;
        let first = self.first_step(chain);
        for (index, step) in chain.steps.iter().enumerate().skip(first) {
            let uuid_in = self.uuid.clone();
            let done = match step {
                Step::Link(link) => self.link(link).await?,
                Step::Parallel(links) => self.parallel(links).await?,
            };
            if let Done::Switch(key, uuid) = &done {
                self.switch(key, uuid).await?;
            }
            let stops = matches!(done, Done::Stop);
            let may_wait =
                self.made.is_empty() && chain.tracers.is_empty() && (stops || self.nothing_slow_follows(index));
            if self.ledger_unsaved && !may_wait {
                failpoint::hit("before-step-commit");
                self.save().await?;
                failpoint::hit("after-step-commit");
            }
            self.trace(isize::try_from(index).unwrap_or(isize::MAX), &uuid_in).await?;
            if stops {
                return Err(Ending::Done(RunOutcome::Stopped));
            }
        }
        self.pushes.extend(self.egress().collect::<Vec<_>>());
        Ok(())
    }

    /// Where the links begin: after a switch that was made in an earlier passage, for the links before it worked on
    /// another vCon. What they pushed is in the entry of the switch.
    fn first_step(&mut self, chain: &Chain) -> usize {
        let ledger = self.book.open();
        let Some(target) = &ledger.switched_to else { return 0 };
        let switched = |link: &LinkStep| {
            ledger.step(&link.key).filter(|entry| matches!(&entry.outcome, Recorded::Switch(uuid) if uuid == target))
        };
        let found = chain.steps.iter().enumerate().rev().find_map(|(index, step)| {
            let entry = match step {
                Step::Link(link) => switched(link),
                Step::Parallel(links) => links.iter().find_map(switched),
            };
            entry.map(|entry| (index, entry))
        });
        let Some((index, entry)) = found else { return 0 };
        self.pushes.extend(entry.pushes.iter().cloned());
        index + 1
    }

    /// Whether only pure links and the ack are left, so that the ack's commit can carry the ledger's news.
    fn nothing_slow_follows(&self, index: usize) -> bool {
        let pure = |step: &Step| match step {
            Step::Link(link) => link.effect == Effect::Pure,
            Step::Parallel(links) => links.iter().all(|link| link.effect == Effect::Pure),
        };
        !self.chain.is_written() && self.chain.steps[index + 1..].iter().all(pure)
    }

    /// Executes a link that stands alone.
    async fn link(&mut self, link: &LinkStep) -> Result<Done, Ending> {
        let known = self.known(link);
        let resumption = self.resumption_of(link);
        let result = if is_open(link, known.as_ref(), resumption.as_ref()) {
            let unsaved = if self.ledger_unsaved && self.unsaved { Some(self.revision_to_save()) } else { None };
            let situation = Situation {
                shared: &self.shared,
                services: &self.generation.services,
                chain: &self.chain,
                claim: &self.claim,
                uuid: &self.uuid,
                vcon: &self.vcon,
                book: &self.book,
                cancel: &self.cancel,
                followed: self.followed.as_ref(),
                unsaved,
            };
            Some(execute(link, &situation, known.clone(), resumption).await)
        } else {
            None
        };
        failpoint::hit("in-link");
        self.tell_hooks(link, result.as_ref()).await;
        let concluded = self.conclude(link, known, result);
        if let Err(Ending::Otherwise(End::Park { .. }, _)) = &concluded {
            self.parked_in(link);
        }
        concluded
    }

    pub(super) async fn tell_hooks(&self, link: &LinkStep, executed: Option<&Executed>) {
        let result = match executed {
            Some(Executed::Returned(outcome, _)) => Ok(outcome),
            Some(Executed::Failed(error, _)) => Err(error),
            Some(Executed::Skipped(_) | Executed::Held(..)) | None => return,
        };
        for hook in &self.shared.hooks {
            hook.after_link(self.info(), link.name(), result).await;
        }
    }

    /// Remembers whom the resumption is for.
    pub(super) fn parked_in(&mut self, link: &LinkStep) {
        self.book.open().parked = Some(link.key.clone());
        self.ledger_unsaved = true;
    }

    pub(super) fn known(&self, link: &LinkStep) -> Option<StepEntry> {
        self.book.open().step(&link.key).cloned()
    }

    /// Why the run goes on, if it is this link that it was parked in. The mark stays until the link is finished: a
    /// retry of it must still know.
    pub(super) fn resumption_of(&self, link: &LinkStep) -> Option<Resumption> {
        self.resumption.clone().filter(|_| self.book.open().parked.as_ref() == Some(&link.key))
    }

    /// Takes over what one link did; `None`: it was not executed, because it is finished or parked.
    pub(super) fn conclude(
        &mut self,
        link: &LinkStep,
        known: Option<StepEntry>,
        result: Option<Executed>,
    ) -> Result<Done, Ending> {
        match result {
            None => self.replay(known),
            Some(Executed::Skipped(skip)) => {
                self.skipped(link, skip);
                Ok(Done::Continue)
            }
            Some(Executed::Returned(outcome, requested)) => self.returned(link, outcome, requested, known),
            Some(Executed::Failed(error, requested)) => self.link_failed(link, &error, &requested, known),
            Some(Executed::Held(due, requested)) => {
                self.passed_over(link, StepEnd::Held);
                if let Some(requested) = requested {
                    // Having waited is not an attempt.
                    let (attempts, pushes, used) =
                        known.map_or((0, Vec::new(), None), |entry| (entry.attempts, entry.pushes, entry.usage));
                    self.record(link, Recorded::Unfinished, &requested, attempts, pushes, used);
                }
                Err(Ending::Otherwise(End::Wait { due, reason: WaitReason::Held }, RunOutcome::Waited))
            }
        }
    }

    /// A step that an earlier passage finished, or that waits still.
    fn replay(&mut self, known: Option<StepEntry>) -> Result<Done, Ending> {
        let Some(entry) = known else { return Ok(Done::Continue) };
        if let Some((token, until)) = parked_under(&entry) {
            return Err(Ending::Otherwise(End::Park { token, until }, RunOutcome::Parked));
        }
        instruments::ledger_hit(&self.chain.name, &entry.key.link);
        self.pushes.extend(entry.pushes);
        Ok(match entry.outcome {
            Recorded::Stop => Done::Stop,
            Recorded::Switch(uuid) => Done::Switch(entry.key, uuid),
            Recorded::Continue | Recorded::Failed(_) | Recorded::Unfinished => Done::Continue,
        })
    }

    /// People see that a link was not executed.
    fn passed_over(&self, link: &LinkStep, end: StepEnd) {
        if let Some(followed) = &self.followed {
            followed.pass(link.name(), end, self.shared.clock.now());
        }
    }

    fn skipped(&self, link: &LinkStep, skip: Skip) {
        self.passed_over(link, StepEnd::Skipped);
        match skip {
            Skip::Condition => tracing::debug!(uuid = %self.uuid, link = link.name(), "skipped: its `if` is false"),
            Skip::Asked => {
                tracing::debug!(uuid = %self.uuid, link = link.name(), "skipped: the run was put on its list without it");
            }
            Skip::Budget => {
                tracing::debug!(uuid = %self.uuid, link = link.name(), "skipped: the chain's budget of the day is spent");
            }
            Skip::Signed => {
                tracing::debug!(uuid = %self.uuid, link = link.name(), "skipped: the vCon is signed or encrypted and is never rewritten");
            }
        }
        self.shared.report.skipped(&self.chain.name, link.name());
    }

    fn returned(
        &mut self,
        link: &LinkStep,
        outcome: Outcome,
        mut requested: Requested,
        known: Option<StepEntry>,
    ) -> Result<Done, Ending> {
        for note in &requested.notes {
            tracing::debug!(uuid = %self.uuid, link = link.name(), note, "note");
        }
        if let Err(error) = self.apply(&requested) {
            let error = error.within(format_args!("link `{}`", link.name()));
            return self.link_failed(link, &error, &requested, known);
        }
        let pushes = self.pushes_of(&mut requested, known.as_ref());
        self.keep = requested.keep.or(self.keep);
        let has_made = !requested.made.is_empty();
        self.made.append(&mut requested.made);
        let (attempts, used) = known.map_or((0, None), |entry| (entry.attempts, entry.usage));
        if let Outcome::Park { token, until } = outcome {
            requested.parts.insert(PARKED.to_owned(), json!({ "token": token, "until": until }));
            self.record(link, Recorded::Unfinished, &requested, attempts, pushes, used);
            return Err(Ending::Otherwise(End::Park { token, until }, RunOutcome::Parked));
        }
        self.pushes.extend(pushes.iter().cloned());
        let waited = self.book.open().parked.as_ref() == Some(&link.key);
        let (recorded, done) = match outcome {
            Outcome::Stop => (Recorded::Stop, Done::Stop),
            Outcome::Switch(uuid) => (Recorded::Switch(uuid.clone()), Done::Switch(link.key.clone(), uuid)),
            Outcome::Continue | Outcome::Park { .. } => (Recorded::Continue, Done::Continue),
        };
        // What was waited for or made is not cheap and repeatable, whatever the link says.
        if link.effect == Effect::External || waited || has_made || matches!(done, Done::Switch(..)) {
            self.record(link, recorded, &requested, attempts + 1, pushes, used);
        }
        Ok(done)
    }

    /// What a link pushes: what it asked for before it parked, and what it asks for now, unless that is the same again.
    fn pushes_of(&self, requested: &mut Requested, known: Option<&StepEntry>) -> Vec<Push> {
        let mut pushes = known.map(|entry| entry.pushes.clone()).unwrap_or_default();
        let earlier = pushes.len();
        for list in std::mem::take(&mut requested.pushes) {
            if pushes[..earlier].iter().all(|push| push.list != list) {
                pushes.push(Push { list, uuid: self.uuid.clone() });
            }
        }
        pushes
    }

    /// Applies edits, all or none.
    pub(super) fn apply(&mut self, requested: &Requested) -> Result<()> {
        if requested.edits.is_empty() {
            return Ok(());
        }
        let mut edited = Vcon::clone(&self.vcon);
        let mut changed = false;
        for edit in &requested.edits {
            changed |= edited.apply(edit)?;
        }
        if changed {
            self.vcon = Arc::new(edited);
            self.unsaved = true;
        }
        Ok(())
    }

    /// Writes the step to the ledger; a finished one is not parked any more. `used`: what executions before this one used.
    fn record(
        &mut self,
        link: &LinkStep,
        outcome: Recorded,
        requested: &Requested,
        attempts: u32,
        pushes: Vec<Push>,
        used: Option<Usage>,
    ) {
        let now = self.shared.clock.now();
        let mut entry = entry(link, outcome, requested, attempts, &self.chain.generation, now, pushes);
        let mut ledger = self.book.open();
        if entry.is_finished() && ledger.parked.as_ref() == Some(&link.key) {
            ledger.parked = None;
        }
        entry.usage = Usage::sum(used, entry.usage);
        ledger.record(entry);
        self.ledger_unsaved = true;
    }

    pub(super) fn link_failed(
        &mut self,
        link: &LinkStep,
        error: &Error,
        requested: &Requested,
        known: Option<StepEntry>,
    ) -> Result<Done, Ending> {
        let (attempts, pushes, used) =
            known.map_or((1, Vec::new(), None), |entry| (entry.attempts + 1, entry.pushes, entry.usage));
        let retry = super::retry_delay(&link.retry, attempts, error).is_some();
        if retry || link.on_error == OnError::Fail {
            // Also a pure link's attempts must be counted, and apart from those of others.
            if retry || link.effect == Effect::External {
                // A dead run that is put back starts with all its attempts; the dead letter keeps the count.
                let counted = if retry { attempts } else { 0 };
                self.record(link, Recorded::Unfinished, requested, counted, pushes, used);
            }
            let queue = self.own_dead_letters();
            return Err(self.failed(link.name(), error, attempts, &link.retry, queue));
        }
        let stop = link.on_error == OnError::Stop;
        let what = if stop { "stop" } else { "continue" };
        tracing::warn!(uuid = %self.uuid, link = link.name(), %error, "the link failed; the chain says `on_error: {what}`");
        if link.effect == Effect::External {
            let outcome = if stop { Recorded::Stop } else { Recorded::Failed(error.chain_text()) };
            self.record(link, outcome, requested, attempts, Vec::new(), used);
        }
        Ok(if stop { Done::Stop } else { Done::Continue })
    }

    /// Goes on with another vCon: what was done to this one is saved with the switch.
    async fn switch(&mut self, key: &StepKey, uuid: &str) -> Result<(), Ending> {
        if uuid == self.uuid {
            return Ok(());
        }
        {
            let mut ledger = self.book.open();
            ledger.switched_to = Some(uuid.to_owned());
            if let Some(entry) = ledger.steps.iter_mut().find(|entry| entry.key == *key) {
                // The links before it are not gone through again.
                entry.pushes.clone_from(&self.pushes);
            }
        }
        self.ledger_unsaved = true;
        failpoint::hit("before-step-commit");
        self.save().await?;
        failpoint::hit("after-step-commit");
        let error = match self.shared.store.switch(&self.claim, uuid).await {
            Ok(Some(stored)) => match Vcon::read(stored.document) {
                Ok(vcon) => {
                    self.uuid = uuid.to_owned();
                    self.vcon = Arc::new(vcon);
                    self.revision = stored.revision;
                    self.unsaved = false;
                    return Ok(());
                }
                Err(error) => error,
            },
            Ok(None) => Error::retryable(format!("a link switched to vCon {uuid}, which is not stored")),
            Err(error) if error.is_retryable() => {
                // Most likely another run writes that vCon, which is nobody's failure.
                let waits = wait(&self.shared, WaitReason::Writer, Duration::from_millis(250), &error);
                return Err(Ending::Otherwise(waits.end, waits.outcome));
            }
            Err(error) => error,
        };
        Err(self.failed_for("switch", &error))
    }

    async fn trace(&mut self, index: isize, uuid_in: &str) -> Result<(), Ending> {
        for step in &self.chain.tracers {
            let hop = Hop {
                uuid_in,
                uuid_out: &self.uuid,
                chain: &self.chain.name,
                links: &self.chain.step_names,
                index,
                vcon: &self.vcon,
            };
            let limit = Duration::from_secs(30);
            let traced = AssertUnwindSafe(step.tracer.trace(&hop)).catch_unwind();
            let error = match tokio::time::timeout(limit, traced).await {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(error))) => error,
                Ok(Err(panic)) => Error::permanent(format!("it panicked: {}", panic_text(panic.as_ref()))),
                Err(_) => Error::retryable(format!("it took longer than {limit:?}")),
            };
            let error = error.within(format_args!("tracer `{}`", step.name));
            if step.fatal {
                let name = step.name.clone();
                return Err(self.failed_for(&name, &error));
            }
            tracing::warn!(uuid = %self.uuid, error = %error.chain_text(), "a tracer failed");
        }
        Ok(())
    }
}

/// Whether a step is to be executed: it is not finished, and does not wait for something that has not come. One that is
/// skipped does not wait.
pub(super) fn is_open(link: &LinkStep, known: Option<&StepEntry>, resumption: Option<&Resumption>) -> bool {
    let waits = |entry: &StepEntry| !link.skipped && resumption.is_none() && parked_under(entry).is_some();
    known.is_none_or(|entry| !entry.is_finished() && !waits(entry))
}

/// Token and time of a step that is parked.
pub(super) fn parked_under(entry: &StepEntry) -> Option<(String, Millis)> {
    let mark = entry.parts.get(PARKED).filter(|_| !entry.is_finished())?;
    Some((mark.get("token").and_then(Value::as_str)?.to_owned(), mark.get("until").and_then(Value::as_i64)?))
}
