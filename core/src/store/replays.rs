//! What commands ask that put many runs on lists and may be stopped on their way: a cursor that is kept here and moves in
//! one step with what it puts there.

use std::time::Duration;

use async_trait::async_trait;

use super::NewVcon;
use crate::error::Result;
use crate::run::Ledger;

/// A move of a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// Its name.
    pub name: String,
    /// What it must say now; `None`: it is not there yet.
    pub from: Option<String>,
    /// What it says from now on. Different at every move and for every process that moves it, so that one that did not hear
    /// the answer can tell by [`Replays::cursor`] whether its move was made.
    pub to: String,
    /// How long it is kept from now on.
    pub keep: Duration,
}

/// What became of a waiting run that was to go to another list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retaken {
    /// It is there now.
    Moved,
    /// It stays: it has begun (an attempt, finished steps, something different for it alone).
    Stays,
    /// It is not on the list any more.
    Gone,
}

/// Commands that may be stopped and go on.
#[async_trait]
pub trait Replays: Send + Sync {
    /// What a cursor says; `None` if there is none, or its time is over.
    async fn cursor(&self, name: &str) -> Result<Option<String>>;

    /// Stores and enqueues vCons as [`super::Documents::ingest`] does and moves a cursor, all in one atomic step. With a
    /// ledger, each of the new runs begins with it. False, and nothing is done: the cursor does not say what it should.
    ///
    /// # Errors
    /// Those of an ingest. After a retryable one nobody knows whether it was done; the cursor tells.
    async fn advance(&self, advance: &Advance, vcons: Vec<NewVcon>, ledger: Option<&Ledger>) -> Result<bool>;

    /// Forgets a cursor. False if there was none.
    async fn forget_cursor(&self, name: &str) -> Result<bool>;

    /// The vCons of waiting runs of a list in the order of their claims, after the first `skip`, at most `limit`. Runs that
    /// came back are not among them; others that have begun may be.
    async fn waiting(&self, list: &str, skip: usize, limit: usize) -> Result<Vec<String>>;

    /// Takes waiting runs of these vCons off a list and puts each at the tail of another one (or of the same), as a new
    /// run that begins with this ledger; each in one atomic step, the one that has waited longest first.
    async fn retake(&self, from: &str, to: &str, uuids: &[String], ledger: Option<&Ledger>) -> Result<Vec<Retaken>>;
}

/// A cursor lies among the deliveries that were taken in once; its name is none that anybody else chooses.
pub(super) fn key(name: &str) -> String {
    format!("cursor:{name}")
}
