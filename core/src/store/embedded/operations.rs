//! What operators ask and do, as the store's trait names it.

use std::time::Duration;

use async_trait::async_trait;

use super::{EmbeddedStore, dead, operate, standing, vcons};
use crate::error::Result;
use crate::run::RunId;
use crate::store::{DeadLetter, DeadLetterQueue, ListStatus, Operations, Pending, Queued, Revival, Standing};

#[async_trait]
impl Operations for EmbeddedStore {
    async fn lists(&self) -> Result<Vec<ListStatus>> {
        self.readers.query(operate::lists).await
    }

    async fn pending(&self, lists: &[String], horizon: Duration) -> Result<Pending> {
        let (lists, until) = (lists.to_vec(), self.settings.clock.now() + vcons::millis(horizon));
        self.readers.query(move |db| operate::pending(db, &lists, until)).await
    }

    async fn standing(&self, list: &str) -> Result<Standing> {
        let list = list.to_owned();
        self.readers.query(move |db| standing::standing(db, &list)).await
    }

    async fn peek(&self, list: &str, limit: usize) -> Result<Vec<Queued>> {
        let list = list.to_owned();
        self.readers.query(move |db| standing::peek(db, &list, limit)).await
    }

    async fn transfer(&self, from: &str, to: &str, limit: usize) -> Result<usize> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.write(move |tx| operate::transfer(tx, &from, &to, limit)).await
    }

    async fn pause(&self, list: &str, paused: bool) -> Result<()> {
        let list = list.to_owned();
        self.write(move |tx| operate::pause(tx, &list, paused)).await
    }

    async fn dead_letter_queues(&self) -> Result<Vec<DeadLetterQueue>> {
        self.readers.query(dead::queues).await
    }

    async fn dead_letters(&self, queue: &str, cursor: Option<RunId>, limit: usize) -> Result<Vec<DeadLetter>> {
        let queue = queue.to_owned();
        self.readers.query(move |db| dead::letters(db, &queue, cursor, limit)).await
    }

    async fn revive(&self, run: RunId) -> Result<bool> {
        self.write(move |tx| dead::revive(tx, run)).await
    }

    async fn revive_as(&self, letter: &DeadLetter, revival: Revival) -> Result<bool> {
        let (run, died_at) = (letter.run, letter.failure.at);
        self.write(move |tx| dead::revive_as(tx, run, died_at, &revival)).await
    }

    async fn bury(&self, run: RunId) -> Result<bool> {
        self.write(move |tx| dead::bury(tx, run)).await
    }
}
