//! The links stage of a passage.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use vconductor_core::document::conflicts;
use vconductor_core::error::{Error, Result};
use vconductor_core::failpoint;
use vconductor_core::plugin::{Effect, Hop, Outcome, Requested};
use vconductor_core::run::{Recorded, StepEntry};
use vconductor_core::store::{End, Push, Resumption};
use vconductor_core::vcon::Vcon;

use super::{Ending, Passage};
use crate::engine::chain::{Chain, LinkStep, OnError, Step};
use crate::engine::report::RunOutcome;
use crate::engine::step::{Executed, Situation, Skip, entry, execute};

/// What one link of a step left to do for the passage.
enum Done {
    Continue,
    Stop,
    Switch(String),
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
                    Err(self.failed("timeout", &error, self.attempts + 1, &chain.retry, self.own_dead_letters()))
                }
            },
        }
    }

    async fn all_links(&mut self, chain: &Chain) -> Result<(), Ending> {
        let uuid = self.uuid.clone();
        self.trace(-1, &uuid).await?;
        for (index, step) in chain.steps.iter().enumerate() {
            let uuid_in = self.uuid.clone();
            let steps = match step {
                Step::Link(link) => std::slice::from_ref(&**link),
                Step::Parallel(links) => links,
            };
            let done = self.step(steps).await?;
            if let Done::Switch(uuid) = &done {
                self.switch(uuid).await?;
            }
            self.trace(isize::try_from(index).unwrap_or(isize::MAX), &uuid_in).await?;
            if matches!(done, Done::Stop) {
                return Err(Ending::Done(RunOutcome::Stopped));
            }
            if self.ledger_unsaved && !self.nothing_slow_follows(index) {
                failpoint::hit("before-step-commit");
                self.save().await?;
                failpoint::hit("after-step-commit");
            }
        }
        self.pushes.extend(self.egress().collect::<Vec<_>>());
        Ok(())
    }

    /// Whether only pure links and the ack are left, so that the ack's commit can carry the ledger's news.
    fn nothing_slow_follows(&self, index: usize) -> bool {
        let pure = |step: &Step| match step {
            Step::Link(link) => link.effect == Effect::Pure,
            Step::Parallel(links) => links.iter().all(|link| link.effect == Effect::Pure),
        };
        self.chain.storages.is_empty() && self.chain.steps[index + 1..].iter().all(pure)
    }

    /// Executes one step: a link, or several that read the same document.
    async fn step(&mut self, links: &[LinkStep]) -> Result<Done, Ending> {
        let known = self.known_entries(links);
        let results = self.execute_all(links, &known).await;
        self.tell_hooks(links, &results).await;
        failpoint::hit("in-link");
        if let Err(error) = self.check_conflicts(links, &results) {
            return Err(self.failed(
                "parallel",
                &error,
                self.attempts + 1,
                &self.chain.retry.clone(),
                self.own_dead_letters(),
            ));
        }
        let mut done = Done::Continue;
        let mut ending = None;
        for ((link, known), result) in links.iter().zip(known).zip(results) {
            match self.conclude(link, known, result) {
                Ok(Done::Continue) => {}
                Ok(other) => done = other,
                Err(end) => {
                    ending.get_or_insert(end);
                }
            }
        }
        match ending {
            Some(end) => Err(end),
            None => Ok(done),
        }
    }

    fn known_entries(&mut self, links: &[LinkStep]) -> Vec<Option<StepEntry>> {
        let ledger = self.ledger.get_mut();
        links.iter().map(|link| ledger.step(&link.key).cloned()).collect()
    }

    async fn execute_all(&mut self, links: &[LinkStep], known: &[Option<StepEntry>]) -> Vec<Option<Executed>> {
        // The mark stays until the step is finished: a retry of it must still know why it went on.
        let parked = self.ledger.get_mut().parked.clone();
        let resumption = |link: &LinkStep| self.resumption.clone().filter(|_| parked.as_ref() == Some(&link.key));
        let resumptions: Vec<Option<Resumption>> = links.iter().map(resumption).collect();
        let situation = Situation {
            shared: &self.shared,
            chain: &self.chain,
            claim: &self.claim,
            uuid: &self.uuid,
            vcon: &self.vcon,
            ledger: &self.ledger,
            cancel: &self.cancel,
            attempts: self.attempts,
        };
        let executions = links.iter().zip(known).zip(resumptions).map(|((link, known), resumption)| {
            let situation = &situation;
            async move {
                match known {
                    Some(entry) if entry.is_finished() => None,
                    _ => Some(execute(link, situation, known.clone(), resumption).await),
                }
            }
        });
        // A single link is polled in place: no second future list on the path that every chain takes.
        let mut executions: Vec<_> = executions.collect();
        if executions.len() == 1
            && let Some(only) = executions.pop()
        {
            return vec![only.await];
        }
        join_all(executions).await
    }

    async fn tell_hooks(&self, links: &[LinkStep], results: &[Option<Executed>]) {
        for hook in &self.shared.hooks {
            for (link, result) in links.iter().zip(results) {
                let result = match result {
                    Some(Executed::Returned(outcome, _)) => Ok(outcome),
                    Some(Executed::Failed(error, _)) => Err(error),
                    Some(Executed::Skipped(_)) | None => continue,
                };
                hook.after_link(self.info(), link.name(), result).await;
            }
        }
    }

    /// Two branches that write one path contradict each other.
    fn check_conflicts(&self, links: &[LinkStep], results: &[Option<Executed>]) -> Result<()> {
        let written: Vec<(&str, &Requested)> = links
            .iter()
            .zip(results)
            .filter_map(|(link, result)| match result {
                Some(Executed::Returned(_, requested)) => Some((link.name(), requested)),
                _ => None,
            })
            .collect();
        for (index, (name, one)) in written.iter().enumerate() {
            for (other_name, other) in &written[index + 1..] {
                if let Some(path) = conflicts(&one.edits, &other.edits) {
                    return Err(Error::permanent(format!(
                        "links `{name}` and `{other_name}` of one `parallel` both write {path}"
                    ))
                    .help("run them one after the other"));
                }
            }
        }
        Ok(())
    }

    /// Takes over what one link did.
    fn conclude(
        &mut self,
        link: &LinkStep,
        known: Option<StepEntry>,
        result: Option<Executed>,
    ) -> Result<Done, Ending> {
        let attempts = known.as_ref().map_or(self.attempts, |entry| entry.attempts) + 1;
        match result {
            None => Ok(self.replay(known)),
            Some(Executed::Skipped(skip)) => {
                self.skipped(link, skip);
                Ok(Done::Continue)
            }
            Some(Executed::Returned(outcome, requested)) => self.returned(link, outcome, requested, attempts),
            Some(Executed::Failed(error, requested)) => self.link_failed(link, &error, &requested, attempts),
        }
    }

    /// A step that an earlier passage finished.
    fn replay(&mut self, known: Option<StepEntry>) -> Done {
        let Some(entry) = known else { return Done::Continue };
        self.pushes.extend(entry.pushes);
        match entry.outcome {
            Recorded::Stop => Done::Stop,
            // The switch is part of the ledger: the passage started with that vCon.
            Recorded::Switch(_) | Recorded::Continue | Recorded::Failed(_) | Recorded::Unfinished => Done::Continue,
        }
    }

    fn skipped(&self, link: &LinkStep, skip: Skip) {
        match skip {
            Skip::Condition => tracing::debug!(uuid = %self.uuid, link = link.name(), "skipped: its `if` is false"),
            Skip::Signed => {
                tracing::info!(uuid = %self.uuid, link = link.name(), "skipped: the vCon is signed or encrypted and is never rewritten");
            }
        }
        self.shared.report.skipped(&self.chain.name, link.name());
    }

    fn returned(
        &mut self,
        link: &LinkStep,
        outcome: Outcome,
        mut requested: Requested,
        attempts: u32,
    ) -> Result<Done, Ending> {
        for note in &requested.notes {
            tracing::debug!(uuid = %self.uuid, link = link.name(), note, "note");
        }
        if let Err(error) = self.apply(&requested) {
            let error = error.within(format_args!("link `{}`", link.name()));
            return self.link_failed(link, &error, &requested, attempts);
        }
        let pushes: Vec<Push> = std::mem::take(&mut requested.pushes)
            .into_iter()
            .map(|list| Push { list, uuid: self.uuid.clone() })
            .collect();
        self.pushes.extend(pushes.iter().cloned());
        self.keep = requested.keep.or(self.keep);
        let recorded = match &outcome {
            Outcome::Continue => Recorded::Continue,
            Outcome::Stop => Recorded::Stop,
            Outcome::Switch(uuid) => Recorded::Switch(uuid.clone()),
            Outcome::Park { .. } => Recorded::Unfinished,
        };
        if link.effect == Effect::External || matches!(outcome, Outcome::Switch(_) | Outcome::Park { .. }) {
            self.record(
                link,
                recorded,
                &requested,
                if matches!(outcome, Outcome::Park { .. }) { attempts - 1 } else { attempts },
                pushes,
            );
        }
        match outcome {
            Outcome::Continue => Ok(Done::Continue),
            Outcome::Stop => Ok(Done::Stop),
            Outcome::Switch(uuid) => Ok(Done::Switch(uuid)),
            Outcome::Park { token, until } => {
                self.ledger.get_mut().parked = Some(link.key.clone());
                Err(Ending::Otherwise(End::Park { token, until }, RunOutcome::Parked))
            }
        }
    }

    /// Applies the edits of a link, all or none.
    fn apply(&mut self, requested: &Requested) -> Result<()> {
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

    /// Writes the step to the ledger; a finished one is not parked any more.
    fn record(&mut self, link: &LinkStep, outcome: Recorded, requested: &Requested, attempts: u32, pushes: Vec<Push>) {
        let entry = entry(link, outcome, requested, attempts, &self.chain.generation, self.shared.clock.now(), pushes);
        let ledger = self.ledger.get_mut();
        if entry.is_finished() && ledger.parked.as_ref() == Some(&link.key) {
            ledger.parked = None;
        }
        ledger.record(entry);
        self.ledger_unsaved = true;
    }

    fn link_failed(
        &mut self,
        link: &LinkStep,
        error: &Error,
        requested: &Requested,
        attempts: u32,
    ) -> Result<Done, Ending> {
        let retry = super::retry_delay(&link.retry, attempts, error).is_some();
        if retry || link.on_error == OnError::Fail {
            if link.effect == Effect::External {
                // A dead run that is put back starts with all its attempts; the dead letter keeps the count.
                let counted = if retry { attempts } else { 0 };
                self.record(link, Recorded::Unfinished, requested, counted, Vec::new());
            }
            let queue = self.own_dead_letters();
            return Err(self.failed(link.name(), error, attempts, &link.retry, queue));
        }
        tracing::warn!(uuid = %self.uuid, link = link.name(), %error, "the link failed; the chain says `on_error: {}`",
            if link.on_error == OnError::Stop { "stop" } else { "continue" });
        if link.effect == Effect::External {
            let outcome =
                if link.on_error == OnError::Stop { Recorded::Stop } else { Recorded::Failed(error.chain_text()) };
            self.record(link, outcome, requested, attempts, Vec::new());
        }
        Ok(if link.on_error == OnError::Stop { Done::Stop } else { Done::Continue })
    }

    /// Goes on with another vCon: what was done to this one is saved with the switch.
    async fn switch(&mut self, uuid: &str) -> Result<(), Ending> {
        if uuid == self.uuid {
            return Ok(());
        }
        self.ledger.get_mut().switched_to = Some(uuid.to_owned());
        self.ledger_unsaved = true;
        self.save().await?;
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
            Err(error) => error,
        };
        let queue = self.own_dead_letters();
        let policy = self.chain.retry.clone();
        Err(self.failed("switch", &error, self.attempts + 1, &policy, queue))
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
            let traced = tokio::time::timeout(limit, step.tracer.trace(&hop)).await;
            let error = match traced {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_) => Error::retryable(format!("it took longer than {limit:?}")),
            };
            let error = error.within(format_args!("tracer `{}`", step.name));
            if step.fatal {
                let policy = self.chain.retry.clone();
                let name = step.name.clone();
                let queue = self.own_dead_letters();
                return Err(self.failed(&name, &error, self.attempts + 1, &policy, queue));
            }
            tracing::warn!(uuid = %self.uuid, error = %error.chain_text(), "a tracer failed");
        }
        Ok(())
    }
}
