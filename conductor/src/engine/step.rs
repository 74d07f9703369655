//! One execution of one link: condition, ledger, time limit, panics and edits around the link's own idea.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::Millis;
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::layers::timeout::with_timeout;
use vconductor_core::plugin::{Checkpoint, Effect, LinkContext, Outcome, Requested, Services, Step as StepInfo};
use vconductor_core::run::{Recorded, StepEntry, Usage};
use vconductor_core::store::{Claim, Commit, End, Push, Resumption, Save};
use vconductor_core::vcon::{Form, Vcon};

use super::book::Book;
use super::budget;
use super::chain::{Chain, LinkStep, OnSigned};
use super::holds::Fault;
use super::journal::Followed;
use super::{Shared, Unsaved};
use crate::telemetry::run as told;

/// How the names of parts begin that are the engine's and not the link's.
const OWN: &str = "engine:";

/// The part of an entry that says under which token, until when its step is parked: such a step is not executed
/// again while something beside it is.
pub(super) const PARKED: &str = "engine:parked";

/// The part of an entry that says when the run met a configuration fault of the link and waited.
pub(super) const HELD: &str = "engine:held";

/// What became of one execution.
pub(super) enum Executed {
    /// The link was not executed.
    Skipped(Skip),
    /// The link returned.
    Returned(Outcome, Requested),
    /// The link failed; finished parts are kept.
    Failed(Error, Requested),
    /// The link is held: the run waits until this time. With what was requested, if it was executed.
    Held(Millis, Option<Requested>),
}

/// Why a link was not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// Its `if` is false.
    Condition,
    /// The vCon is signed or encrypted and the link edits.
    Signed,
    /// The chain has spent its budget and the link costs money.
    Budget,
    /// The run was put on its list without it.
    Asked,
}

/// What an execution needs to know of its run.
pub(super) struct Situation<'a> {
    pub(super) shared: &'a Shared,
    pub(super) services: &'a Services,
    pub(super) chain: &'a Chain,
    pub(super) claim: &'a Claim,
    pub(super) uuid: &'a str,
    pub(super) vcon: &'a Vcon,
    pub(super) book: &'a Book,
    /// The run's own; cancelling it ends the run without a further commit.
    pub(super) cancel: &'a CancellationToken,
    /// Where people see what is done.
    pub(super) followed: Option<&'a Followed>,
    /// Revision under which the document must be saved with the ledger: set while the ledger holds finished steps
    /// whose edits are not saved yet.
    pub(super) unsaved: Option<u64>,
}

/// Executes a link once.
pub(super) async fn execute(
    step: &LinkStep,
    at: &Situation<'_>,
    entry: Option<StepEntry>,
    resumption: Option<Resumption>,
) -> Executed {
    let mut parts = entry.as_ref().map(|entry| entry.parts.clone()).unwrap_or_default();
    parts.retain(|name, _| !name.starts_with(OWN));
    let nothing = || Requested { parts: parts.clone(), ..Requested::default() };
    if step.skipped {
        return Executed::Skipped(Skip::Asked);
    }
    if step.edits && !step.any_form && at.vcon.form() != Form::Unsigned {
        return match step.on_signed {
            OnSigned::Skip => Executed::Skipped(Skip::Signed),
            OnSigned::Fail => Executed::Failed(signed_refused(step, at), nothing()),
        };
    }
    if let Some(condition) = &step.condition {
        match condition.matches(&at.vcon.normalised()) {
            Ok(true) => {}
            Ok(false) => return Executed::Skipped(Skip::Condition),
            Err(error) => {
                return Executed::Failed(error.within(format_args!("`if` of link `{}`", step.name())), nothing());
            }
        }
    }
    // What was begun or waited for is paid already; its result must not be thrown away.
    if step.paid && parts.is_empty() && resumption.is_none() {
        match budget::is_spent(at.shared, at.chain).await {
            Ok(false) => {}
            Ok(true) => return Executed::Skipped(Skip::Budget),
            Err(error) => return Executed::Failed(error, nothing()),
        }
    }
    let (holds, clock) = (&at.shared.holds, at.shared.clock.as_ref());
    let _admission = match step.may_be_held().then(|| holds.admit(&step.held_as, clock.now())).transpose() {
        Ok(admission) => admission,
        Err(due) => return Executed::Held(due, None),
    };
    let attempt = entry.as_ref().map_or(0, |entry| entry.attempts) + 1;
    let info = StepInfo {
        uuid: at.uuid.to_owned(),
        run: at.claim.run,
        chain: at.chain.name.clone(),
        key: step.key.clone(),
        attempt,
    };
    let mark = entry.as_ref().and_then(|entry| entry.parts.get(HELD)).cloned();
    let checkpoint = LedgerCheckpoint { at, step, attempt, used: entry.and_then(|entry| entry.usage) };
    let mut context = LinkContext::new(
        info,
        at.services,
        at.cancel.child_token(),
        at.shared.clock.as_ref(),
        &checkpoint,
        parts.clone(),
        resumption,
    );
    context.media = at.chain.offload.as_ref().and_then(|offload| offload.storage.writer.storage().media());
    if step.effect == Effect::External {
        at.shared.lease.held().await;
    }
    let (started, began) = (Instant::now(), clock.now());
    let span = told::link(step, at.chain, at.uuid, attempt);
    let seen = at.followed.map(|followed| followed.begin(step.name().to_owned(), attempt, step.timeout, began));
    let result = span.around(guarded(step, at.vcon, &context)).await;
    let mut requested = context.into_requested();
    told::link_ended(&span, &result, requested.usage.as_ref());
    at.shared.report.link(&at.chain.name, step.name(), started.elapsed(), attempt, &result);
    if let Some(seen) = seen {
        seen.link(&result, &requested, started.elapsed());
    }
    if let Some(cost) = requested.usage.as_ref().and_then(|usage| usage.cost) {
        at.shared.report.paid(&at.chain.name, step.name(), cost);
        budget::spent(at.shared, at.chain, cost).await;
    }
    match result {
        Ok(outcome) => {
            if step.may_be_held() && was_taken(&outcome, &requested, parts.len()) {
                holds.taken(&step.held_as, began);
            }
            Executed::Returned(outcome, requested)
        }
        Err(error) => {
            let error = error.within(format_args!("link `{}`", step.name()));
            let now = clock.now();
            if step.may_be_held() && error.class() == Class::Configuration {
                let failed_before = mark.as_ref().and_then(Value::as_i64);
                if let Fault::Waits(due) = holds.fault(&step.held_as, &error, began, failed_before, now) {
                    requested.parts.insert(HELD.to_owned(), now.into());
                    return Executed::Held(due, Some(requested));
                }
            } else if let Some(mark) = mark {
                requested.parts.insert(HELD.to_owned(), mark);
            }
            Executed::Failed(error, requested)
        }
    }
}

/// Whether the other side took what a link sent. A link that found nothing to do asked nobody, nor did one that used what
/// was kept; `before` is how many parts were finished already.
fn was_taken(outcome: &Outcome, requested: &Requested, before: usize) -> bool {
    let did = !requested.edits.is_empty()
        || !requested.pushes.is_empty()
        || !requested.made.is_empty()
        || requested.parts.len() > before
        || !matches!(outcome, Outcome::Continue);
    requested.usage.is_some() || (did && !requested.reused)
}

/// Runs the link under its time limit; a panic becomes an error of this vCon alone.
async fn guarded(step: &LinkStep, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
    let work = AssertUnwindSafe(step.link.run(vcon, context)).catch_unwind();
    let finished = match step.timeout {
        Some(limit) => with_timeout(limit, step.name(), async { Ok(work.await) }).await?,
        None => work.await,
    };
    finished.unwrap_or_else(|panic| {
        Err(Error::permanent(format!("the link panicked: {}", panic_text(panic.as_ref())))
            .help("this is a defect of the link; the vCon is kept in the dead letters"))
    })
}

/// The text of a panic.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

fn signed_refused(step: &LinkStep, at: &Situation<'_>) -> Error {
    Error::permanent(format!("vCon {} is signed or encrypted and `on_signed: fail` is set", at.uuid))
        .help("use `on_signed: skip`, or put `decrypt`, and `verify` with `unwrap: true`, before this one")
        .within(format_args!("link `{}`", step.name()))
}

/// The entry of a step that ended in `outcome`.
pub(super) fn entry(
    step: &LinkStep,
    outcome: Recorded,
    requested: &Requested,
    attempts: u32,
    generation: &str,
    finished_at: Millis,
    pushes: Vec<Push>,
) -> StepEntry {
    StepEntry {
        key: step.key.clone(),
        outcome,
        pushes,
        parts: requested.parts.clone(),
        attempts,
        usage: requested.usage.clone(),
        finished_at,
        generation: generation.to_owned(),
    }
}

/// Writes finished parts of a running step to the ledger.
struct LedgerCheckpoint<'a> {
    at: &'a Situation<'a>,
    step: &'a LinkStep,
    attempt: u32,
    /// What earlier executions used.
    used: Option<Usage>,
}

#[async_trait]
impl Checkpoint for LedgerCheckpoint<'_> {
    async fn save(&self, parts: BTreeMap<String, Value>, used: Option<Usage>) -> Result<()> {
        let requested = Requested { parts, usage: used, ..Requested::default() };
        let _turn = self.at.book.turn().await;
        let attempts = self.attempt.saturating_sub(1);
        let (generation, now) = (&self.at.chain.generation, self.at.shared.clock.now());
        let ledger = {
            let mut ledger = self.at.book.open();
            let earlier = ledger.step(&self.step.key).cloned();
            let pushes = earlier.as_ref().map(|entry| entry.pushes.clone()).unwrap_or_default();
            let mut entry = entry(self.step, Recorded::Unfinished, &requested, attempts, generation, now, pushes);
            entry.usage = Usage::sum(self.used.clone(), entry.usage);
            ledger.record(entry);
            ledger.clone()
        };
        let save = self.at.unsaved.map(|revision| Save {
            uuid: self.at.uuid.to_owned(),
            document: self.at.vcon.to_bytes(),
            revision,
        });
        let commit = Commit { save, ledger: Some(ledger), ..Commit::ending(self.at.claim.clone(), End::Continue) };
        match self.at.shared.commit(commit).await {
            Ok(()) => Ok(()),
            Err(Unsaved::Refused(error)) => Err(error),
            Err(Unsaved::Lost) => {
                // Ends the run here: a link that takes the error lightly would call the next endpoint.
                self.at.cancel.cancel();
                Err(Error::retryable("the claim was lost: this process was declared dead"))
            }
        }
    }
}
