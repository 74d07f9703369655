//! What an API asks of a store beside documents and queue: taking in once, replacing, finding.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{NewVcon, TenantScope};
use crate::error::Result;

/// What makes a delivery recognisable when it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Its name, the same at every repetition; whoever chooses it puts something of its own in front.
    pub key: String,
    /// What is remembered with it and answered at a repetition, for example the uuid that was stored.
    pub mark: String,
    /// How long it is remembered.
    pub keep: Duration,
}

/// What became of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It is stored, under this revision.
    Done(u64),
    /// Nothing was done: the stored document has this revision, not the one that was expected.
    Changed(u64),
    /// Nothing was done: a run holds the document at this moment and would store its own again.
    Busy,
    /// Nothing was done: there is no document under the uuid.
    Missing,
}

/// Which vCons, by `created_at` in seconds since the epoch; both ends belong to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Not before.
    pub since: Option<i64>,
    /// Not after.
    pub until: Option<i64>,
}

/// By what of a party vCons are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TermKind {
    /// `tel`, letter for letter.
    Tel,
    /// `mailto`, letter for letter.
    Mailto,
    /// `name`, letter for letter.
    Name,
}

impl TermKind {
    /// The member's name.
    pub fn as_str(self) -> &'static str {
        match self {
            TermKind::Tel => "tel",
            TermKind::Mailto => "mailto",
            TermKind::Name => "name",
        }
    }
}

/// Something that a party of a vCon has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    /// Which member.
    pub kind: TermKind,
    /// Its value.
    pub value: String,
}

/// Finding and changing stored vCons. Every query says which vCons it sees ([`TenantScope`]); pages count those alone.
#[async_trait]
pub trait Catalogue: Send + Sync {
    /// Takes vCons in as [`super::Documents::ingest`] does, and remembers the delivery in the same atomic step. If it was
    /// taken in before, nothing is done and the mark of that time is the answer. Keys of two scopes never meet.
    async fn ingest_once(&self, scope: &TenantScope, once: &Once, vcons: Vec<NewVcon>) -> Result<Option<String>>;

    /// Puts another document in the place of a stored one, which keeps its time to live and its runs. `expected` is the
    /// revision that it must have.
    async fn replace(
        &self,
        scope: &TenantScope,
        uuid: &str,
        document: Bytes,
        expected: Option<u64>,
    ) -> Result<Replaced>;

    /// The revision of each document, without loading it; `None` where there is none.
    async fn revisions(&self, scope: &TenantScope, uuids: &[String]) -> Result<Vec<Option<u64>>>;

    /// Uuids by `created_at`, newest first, after the first `skip`. A store on Redis also names vCons that have expired
    /// there and may be had back from a storage, and for a tenant until they are swept; what came again without its tenant
    /// and with another time is found there after the next [`Catalogue::reindex`].
    async fn by_time(&self, scope: &TenantScope, range: TimeRange, skip: usize, limit: usize) -> Result<Vec<String>>;

    /// Uuids of vCons that have a party for every term; a term that nobody has finds nothing, and so does no term.
    async fn search(&self, scope: &TenantScope, terms: &[Term]) -> Result<Vec<String>>;

    /// Makes the index for [`Catalogue::by_time`] and [`Catalogue::search`] anew; returns how many vCons are in it.
    async fn reindex(&self) -> Result<u64>;
}
