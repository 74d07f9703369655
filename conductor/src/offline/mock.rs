//! Links that do what a user says in place of what they would do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::Value;
use vconductor_core::document::Edit;
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::plugin::{Link, LinkContext, Outcome};
use vconductor_core::vcon::Vcon;

/// What one execution of a mocked link does.
#[derive(Debug, Clone, Default)]
pub struct Mock {
    /// Analyses that it adds.
    pub analyses: Vec<Value>,
    /// Tags that it adds: name and value.
    pub tags: Vec<(String, String)>,
    /// Values that it writes, by their places.
    pub set: Vec<(String, Value)>,
    /// Lists that it pushes the vCon to.
    pub push: Vec<String>,
    /// Whether it stops the chain.
    pub stop: bool,
    /// How it fails, with what message.
    pub error: Option<(Class, String)>,
    /// What it costs, in US dollars.
    pub cost: Option<f64>,
}

/// A link that does one after the other, and then the last one again and again.
pub(super) fn link(mocks: Vec<Mock>) -> Arc<dyn Link> {
    Arc::new(Mocked { mocks, done: AtomicUsize::new(0) })
}

struct Mocked {
    mocks: Vec<Mock>,
    done: AtomicUsize,
}

#[async_trait]
impl Link for Mocked {
    async fn run(&self, _vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let turn = self.done.fetch_add(1, Ordering::Relaxed);
        let Some(mock) = self.mocks.get(turn).or_else(|| self.mocks.last()) else { return Ok(Outcome::Continue) };
        if let Some((class, message)) = &mock.error {
            return Err(Error::new(*class, message.clone()));
        }
        for analysis in &mock.analyses {
            context.edit(Edit::append("/analysis", analysis.clone()));
        }
        for (name, value) in &mock.tags {
            context.add_tag(name, value);
        }
        for (pointer, value) in &mock.set {
            context.edit(Edit::set(pointer, value.clone()));
        }
        mock.push.iter().for_each(|list| context.push(list));
        if mock.cost.is_some() {
            context.add_usage("calls", 1.0, mock.cost);
        }
        Ok(if mock.stop { Outcome::Stop } else { Outcome::Continue })
    }
}
