//! Batches on their way into the store: one is written while the next is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use vconductor_core::error::Error;
use vconductor_core::store::{NewVcon, Store};

use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::intake::Taken;
use crate::cli::refusal::Refusal;

/// A batch is written when it holds this many bytes or vCons; memory holds two batches at most.
const BYTES: usize = 8 << 20;
const COUNT: usize = 512;

/// A vCon that is safe in the store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) uuid: String,
    /// The input that it came from.
    pub(super) from: String,
    pub(super) bytes: u64,
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) stored: Vec<Stored>,
    pub(super) refused: Vec<Refusal>,
}

/// Collects vCons and writes them.
pub(super) struct Batches {
    store: Arc<dyn Store>,
    lists: Vec<String>,
    keep: Option<Duration>,
    filling: Vec<(String, Taken)>,
    bytes: usize,
    writing: Option<JoinHandle<Result<Settled, Error>>>,
}

impl Batches {
    pub(super) fn new(store: Arc<dyn Store>, lists: Vec<String>, keep: Option<Duration>) -> Self {
        Batches { store, lists, keep, filling: Vec::new(), bytes: 0, writing: None }
    }

    /// Adds a vCon of the input `from`; tells what became of an earlier batch when one had to be waited for.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(super) async fn add(&mut self, from: String, taken: Taken) -> Result<Settled> {
        self.bytes += taken.text.len();
        self.filling.push((from, taken));
        if self.bytes < BYTES && self.filling.len() < COUNT {
            return Ok(Settled::default());
        }
        self.turn().await
    }

    /// Writes what is left.
    pub(super) async fn finish(mut self) -> Result<Settled> {
        let mut settled = self.turn().await?;
        let last = self.turn().await?;
        settled.stored.extend(last.stored);
        settled.refused.extend(last.refused);
        Ok(settled)
    }

    /// Waits for the batch that is being written and starts to write the one that was filled.
    async fn turn(&mut self) -> Result<Settled> {
        let settled = match self.writing.take() {
            Some(writing) => match writing.await {
                Ok(result) => result?,
                Err(error) => return Err(Failure::new(Exit::Findings, format!("writing a batch ended: {error}"))),
            },
            None => Settled::default(),
        };
        if !self.filling.is_empty() {
            self.bytes = 0;
            let batch = std::mem::take(&mut self.filling);
            let (store, lists, keep) = (Arc::clone(&self.store), self.lists.clone(), self.keep);
            self.writing = Some(tokio::spawn(async move { write(&*store, &lists, keep, batch).await }));
        }
        Ok(settled)
    }
}

async fn write(
    store: &dyn Store,
    lists: &[String],
    keep: Option<Duration>,
    batch: Vec<(String, Taken)>,
) -> Result<Settled, Error> {
    let new = |taken: &Taken| NewVcon {
        uuid: taken.uuid.clone(),
        document: Some(taken.text.clone()),
        lists: lists.to_vec(),
        keep,
        context: None,
        tenant: None,
    };
    let mut settled = Settled::default();
    match store.ingest(batch.iter().map(|(_, taken)| new(taken)).collect()).await {
        Ok(()) => settled.stored.extend(batch.into_iter().map(|(from, taken)| stored(from, &taken))),
        Err(error) if error.is_retryable() => return Err(error),
        // All or none: one by one, so that the one that cannot be stored does not take the others with it.
        Err(_) => {
            for (from, taken) in batch {
                match store.ingest(vec![new(&taken)]).await {
                    Ok(()) => settled.stored.push(stored(from, &taken)),
                    Err(error) if error.is_retryable() => return Err(error),
                    Err(error) => settled.refused.push(Refusal::of(&error, &from, 1)),
                }
            }
        }
    }
    Ok(settled)
}

fn stored(from: String, taken: &Taken) -> Stored {
    Stored { uuid: taken.uuid.clone(), from, bytes: taken.text.len() as u64 }
}
