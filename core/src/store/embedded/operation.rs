//! What the writer is asked to do, and how the answer gets to the caller.

use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::tx::Tx;
use crate::error::{Error, Result};

/// How an operation wants to be committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    /// Whether its commit must have reached the disk before it is answered. A claim need not: losing one
    /// in a power failure gives the run back under the same id.
    pub(super) durable: bool,
    /// Bytes of documents that it writes.
    pub(super) bytes: usize,
}

impl Needs {
    pub(super) const DURABLE: Needs = Needs { durable: true, bytes: 0 };
    pub(super) const VOLATILE: Needs = Needs { durable: false, bytes: 0 };
}

/// One thing for the writer to do.
pub(super) trait Operation: Send {
    /// How it wants to be committed.
    fn needs(&self) -> Needs;
    /// Does it; again, if the group failed.
    fn attempt(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    /// Tells the caller once it is committed, or why it is not.
    fn answer(self: Box<Self>, failure: Option<Error>);
}

/// Takes back what an operation gave to somebody who has gone away.
pub(super) type Undo<T> = fn(&mut Tx<'_>, &T) -> rusqlite::Result<()>;

/// An [`Undo`] and the way to have it done.
pub(super) type Recall<T> = (Undo<T>, Sender<Box<dyn Operation>>);

/// An operation whose caller waits for an outcome.
pub(super) struct Task<W, T: Send + 'static> {
    needs: Needs,
    work: W,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<Delivery<T>>>,
    recall: Option<Recall<T>>,
}

impl<W, T: Send + 'static> Task<W, T> {
    /// The task, and where its outcome will arrive.
    pub(super) fn new(
        needs: Needs,
        work: W,
        recall: Option<Recall<T>>,
    ) -> (Self, oneshot::Receiver<Result<Delivery<T>>>) {
        let (reply, answer) = oneshot::channel();
        (Task { needs, work, outcome: None, reply, recall }, answer)
    }
}

impl<W, T> Operation for Task<W, T>
where
    W: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send,
    T: Send + 'static,
{
    fn needs(&self) -> Needs {
        self.needs
    }

    fn attempt(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.outcome = Some((self.work)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        let answer = match failure {
            Some(error) => Err(error),
            None => Ok(Delivery { outcome: self.outcome, recall: self.recall }),
        };
        // The caller may have been cancelled; then the delivery undoes what it must.
        drop(self.reply.send(answer));
    }
}

/// An outcome on its way to the caller. Dropped on the way, it is undone.
pub(super) struct Delivery<T: Send + 'static> {
    outcome: Option<T>,
    recall: Option<Recall<T>>,
}

impl<T: Send + 'static> Delivery<T> {
    /// The outcome has arrived. `None` only if the operation was answered without having been run.
    pub(super) fn accept(mut self) -> Option<T> {
        self.outcome.take()
    }
}

impl<T: Send + 'static> Drop for Delivery<T> {
    fn drop(&mut self) {
        if let (Some(outcome), Some((undo, queue))) = (self.outcome.take(), self.recall.take()) {
            // A writer that has ended leaves no process alive, so its claims are reaped.
            drop(queue.send(Box::new(Undoing { outcome, undo })));
        }
    }
}

struct Undoing<T> {
    outcome: T,
    undo: Undo<T>,
}

impl<T: Send> Operation for Undoing<T> {
    fn needs(&self) -> Needs {
        Needs::DURABLE
    }

    fn attempt(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        (self.undo)(tx, &self.outcome)
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        if let Some(error) = failure {
            tracing::warn!(error = error.chain_text(), "claims that nobody received stay with their process");
        }
    }
}
