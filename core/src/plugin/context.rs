//! What a link may do besides reading the document.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::MediaStore;
use crate::clock::Clock;
use crate::document::Edit;
use crate::error::{Error, Result};
use crate::http::HttpClient;
use crate::layers::instruments;
use crate::plugin::Services;
use crate::price::unit;
use crate::run::{RunId, StepKey, Usage, effect_id};
use crate::store::{Made, Resumption};
use crate::vcon::Vcon;

/// Saves the finished parts of a step before the step ends, in the run's ledger.
#[async_trait]
pub trait Checkpoint: Send + Sync {
    /// Saves them with what the execution has used so far. Durable when it returns.
    ///
    /// # Errors
    /// Retryable while the store is away; the step must end with this error.
    async fn save(&self, parts: BTreeMap<String, Value>, used: Option<Usage>) -> Result<()>;
}

/// Where in which run a link is executed.
#[derive(Debug, Clone)]
pub struct Step {
    /// The vCon's uuid.
    pub uuid: String,
    /// The run.
    pub run: RunId,
    /// The chain's name.
    pub chain: String,
    /// The step.
    pub key: StepKey,
    /// 1 for the first attempt of this step in this run.
    pub attempt: u32,
}

/// What a link asked for; the engine takes it when the link has returned.
#[derive(Debug, Default)]
pub struct Requested {
    /// Changes of the document, in order.
    pub edits: Vec<Edit>,
    /// Lists that the vCon is pushed to when the run ends.
    pub pushes: Vec<String>,
    /// Finished parts of the step with their results.
    pub parts: BTreeMap<String, Value>,
    /// What was used of a paid service.
    pub usage: Option<Usage>,
    /// Other vCons that the link made.
    pub made: Vec<Made>,
    /// New time to keep the vCon.
    pub keep: Option<Duration>,
    /// A sentence for the trace, for example why nothing was done.
    pub notes: Vec<String>,
    /// Whether a result that was kept from earlier was used instead of asking the other side.
    pub reused: bool,
}

/// A link's view of the engine: edits, pushes, HTTP, ledger parts, cancellation, time.
pub struct LinkContext<'a> {
    /// Where in which run this is.
    pub step: Step,
    /// What all links share.
    pub services: &'a Services,
    /// The shared HTTP client with retry, limits and address guard.
    pub http: &'a HttpClient,
    /// Cancelled when the conductor shuts down or the step's time is over.
    pub cancel: CancellationToken,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Set when the step was parked: why it goes on.
    pub resumption: Option<Resumption>,
    /// Where the bodies lie that the section `media` had taken out of documents: asked for the `content_hash` of a part.
    pub media: Option<&'a dyn MediaStore>,
    checkpoint: &'a dyn Checkpoint,
    requested: Mutex<Requested>,
}

impl<'a> LinkContext<'a> {
    /// A context for one execution of a step; `parts` are those that earlier executions finished.
    pub fn new(
        step: Step,
        services: &'a Services,
        cancel: CancellationToken,
        clock: &'a dyn Clock,
        checkpoint: &'a dyn Checkpoint,
        parts: BTreeMap<String, Value>,
        resumption: Option<Resumption>,
    ) -> Self {
        let requested = Mutex::new(Requested { parts, ..Requested::default() });
        LinkContext {
            step,
            services,
            http: &services.http,
            cancel,
            clock,
            resumption,
            media: None,
            checkpoint,
            requested,
        }
    }

    /// Requests a change of the document.
    pub fn edit(&self, edit: Edit) {
        self.lock().edits.push(edit);
    }

    /// Requests a tag; one that exists is not added again.
    pub fn add_tag(&self, name: impl Into<String>, value: impl Into<String>) {
        self.edit(Edit::tag(name, value));
    }

    /// Pushes the vCon's uuid to a list when the run ends, also when a link stops the chain.
    pub fn push(&self, list: impl Into<String>) {
        self.lock().pushes.push(list.into());
    }

    /// Makes another vCon: it is stored, and put on `lists` as a new run, in the commit that records this step as
    /// finished. So a crash makes neither none nor two of it; a link that does this is [`Effect::External`].
    ///
    /// # Errors
    /// Permanent, when it has no uuid or that of the vCon that is worked on.
    ///
    /// [`Effect::External`]: super::Effect::External
    pub fn make(&self, vcon: &Vcon, lists: &[String]) -> Result<()> {
        let uuid =
            vcon.uuid().map(|uuid| uuid.to_string()).filter(|uuid| *uuid != self.step.uuid).ok_or_else(|| {
                Error::permanent("a vCon that a link makes needs a uuid of its own")
                    .help("this is a defect of the link")
            })?;
        self.lock().made.push(Made { uuid, document: vcon.to_bytes(), lists: lists.to_vec() });
        Ok(())
    }

    /// Keeps the vCon for this long after its last run.
    pub fn keep(&self, time: Duration) {
        self.lock().keep = Some(time);
    }

    /// Says in the trace why the link did what it did.
    pub fn note(&self, note: impl Into<String>) {
        self.lock().notes.push(note.into());
    }

    /// Says that a kept result was used instead of asking the other side: what comes of it does not prove that the other side
    /// accepts the link's credentials.
    pub fn reuse(&self) {
        self.lock().reused = true;
    }

    /// Adds to what the step used of a paid service.
    pub fn add_usage(&self, unit: &str, amount: f64, cost: Option<f64>) {
        let mut requested = self.lock();
        let usage = requested.usage.get_or_insert_default();
        *usage.units.entry(unit.to_owned()).or_default() += amount;
        if let Some(cost) = cost {
            *usage.cost.get_or_insert(0.0) += cost;
        }
    }

    /// Adds what a paid call used, by the units of [`crate::price::unit`], and what that costs by the price table.
    pub fn spend(&self, provider: &str, model: &str, amounts: &[(&str, f64)]) {
        let amounts: BTreeMap<&str, f64> = amounts.iter().copied().collect();
        let cost = self.services.prices.cost(provider, model, &amounts, self.clock.now());
        for (unit, amount) in amounts.iter().filter(|(_, amount)| **amount != 0.0) {
            self.add_usage(unit, *amount, None);
        }
        if let Some(cost) = cost {
            self.add_cost(cost);
        }
        let amount = |unit: &str| amounts.get(unit).copied().unwrap_or_default();
        let usage = instruments::Usage {
            input_tokens: amount(unit::INPUT_TOKENS) as u64,
            output_tokens: amount(unit::OUTPUT_TOKENS) as u64,
            cache_read_tokens: amount(unit::CACHE_READ_TOKENS) as u64,
            cache_write_tokens: amount(unit::CACHE_WRITE_TOKENS) as u64,
            audio_seconds: amount(unit::AUDIO_SECONDS),
            cost_usd: cost,
        };
        instruments::usage_recorded(&self.step.chain, &self.step.key.link, provider, model, usage);
    }

    fn add_cost(&self, cost: f64) {
        let mut requested = self.lock();
        *requested.usage.get_or_insert_default().cost.get_or_insert(0.0) += cost;
    }

    /// The idempotency key of this step towards `target` (an endpoint, a dialog): the same in every execution.
    pub fn effect_id(&self, target: &str) -> String {
        effect_id(self.step.run, &self.step.key, target)
    }

    /// The result of a part of the step that was finished in this or an earlier execution.
    pub fn part(&self, name: &str) -> Option<Value> {
        self.lock().parts.get(name).cloned()
    }

    /// Executes a part of the step at most once per run: a part that is in the ledger is not executed again,
    /// a new result is durable before this returns.
    ///
    /// # Errors
    /// Those of `work`, and retryable ones of the store.
    pub async fn once<T, F>(&self, name: &str, work: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T>>,
    {
        if let Some(known) = self.part(name) {
            return serde_json::from_value(known).map_err(|error| {
                Error::permanent(format!("part `{name}` of the ledger is unreadable")).caused_by(error)
            });
        }
        let result = work.await?;
        let value = serde_json::to_value(&result)
            .map_err(|error| Error::permanent(format!("the result of part `{name}` is not JSON")).caused_by(error))?;
        let (parts, used) = {
            let mut requested = self.lock();
            requested.parts.insert(name.to_owned(), value);
            (requested.parts.clone(), requested.usage.clone())
        };
        self.checkpoint.save(parts, used).await?;
        Ok(result)
    }

    /// Looks at what was requested so far. For those who watch a link.
    pub fn look<T>(&self, look: impl FnOnce(&Requested) -> T) -> T {
        look(&self.lock())
    }

    /// Takes what was requested. For the engine.
    pub fn into_requested(self) -> Requested {
        self.requested.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Requested> {
        self.requested.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
