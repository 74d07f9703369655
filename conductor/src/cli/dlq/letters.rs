//! Reading queues of dead letters page by page, and finding single letters.

use clap::ValueEnum;
use serde_json::{Value, json};
use uuid::Uuid;
use vconductor_core::config::nearest;
use vconductor_core::error::Class;
use vconductor_core::run::RunId;
use vconductor_core::store::{DeadLetter, Store, dead_letter_queue};

use crate::cli::age;
use crate::cli::exit::Result;
use crate::cli::output;

/// Letters that one question to the store brings; their ledgers come along.
const PAGE: usize = 256;

/// The full name of a queue: `calls` is `DLQ:calls`, `storage:files` is `DLQ:storage:files`.
pub(crate) fn queue_name(text: &str) -> String {
    if text.starts_with("DLQ:") { text.to_owned() } else { dead_letter_queue(text) }
}

/// Kinds of failure as they are written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClassName {
    /// Might have gone away by itself, but the attempts are used up
    Retryable,
    /// Does not go away by trying again
    Permanent,
    /// The operator must change something first
    Configuration,
    /// The vCon repeatedly killed the process that worked on it
    Poison,
}

impl ClassName {
    pub(crate) fn class(self) -> Class {
        match self {
            ClassName::Retryable => Class::Retryable,
            ClassName::Permanent => Class::Permanent,
            ClassName::Configuration => Class::Configuration,
            ClassName::Poison => Class::Poison,
        }
    }
}

/// The letters of a queue from the oldest on. Runs whose letter is put back meanwhile are not met again.
pub(crate) struct Letters<'a> {
    store: &'a dyn Store,
    queue: &'a str,
    cursor: Option<RunId>,
    /// Runs that began after this one are left out, so that reading ends while others keep failing.
    bound: RunId,
}

impl<'a> Letters<'a> {
    pub(crate) fn of(store: &'a dyn Store, queue: &'a str) -> Self {
        Letters::after(store, queue, None)
    }

    /// Those of runs that began after this one.
    pub(crate) fn after(store: &'a dyn Store, queue: &'a str, cursor: Option<RunId>) -> Self {
        Letters { store, queue, cursor, bound: RunId::new() }
    }

    /// The next letters; none at the end.
    pub(crate) async fn page(&mut self) -> Result<Vec<DeadLetter>> {
        let is_first = self.cursor.is_none();
        let mut page = self.store.dead_letters(self.queue, self.cursor, PAGE).await?;
        if is_first {
            // What another program left has become runs just now.
            self.bound = RunId::new();
        }
        if let Some(last) = page.last() {
            self.cursor = Some(last.run);
        }
        page.retain(|letter| letter.run <= self.bound);
        Ok(page)
    }
}

/// The letter of a run in a queue, without reading those before it.
pub(crate) async fn of_run(store: &dyn Store, queue: &str, run: RunId) -> Result<Option<DeadLetter>> {
    let before = run.0.as_u128().checked_sub(1).map(|number| RunId(Uuid::from_u128(number)));
    let page = store.dead_letters(queue, before, 1).await?;
    Ok(page.into_iter().find(|letter| letter.run == run))
}

/// Letters in a queue.
pub(crate) async fn count(store: &dyn Store, queue: &str) -> Result<u64> {
    let queues = store.dead_letter_queues().await?;
    Ok(queues.iter().find(|one| one.queue == queue).map_or(0, |one| one.letters))
}

/// Says that a queue is empty, and which one was probably meant.
pub(crate) async fn warn_of_empty(store: &dyn Store, queue: &str) -> Result<()> {
    let known: Vec<String> = store.dead_letter_queues().await?.into_iter().map(|one| one.queue).collect();
    let help = match nearest(queue, &known) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("there are dead letters in {}", known.join(", "))),
    };
    output::complain(output::WARN, "warning", format!("there are no dead letters in {queue}"), help.as_deref());
    Ok(())
}

/// A letter for programs.
pub(crate) fn value(letter: &DeadLetter) -> Value {
    let failure = &letter.failure;
    json!({
        "uuid": letter.uuid, "run": letter.run, "list": letter.list, "queue": letter.queue, "step": failure.step,
        "class": failure.class, "attempts": failure.attempts, "failed_at": age::moment(failure.at),
        "age_seconds": age::since(failure.at).as_secs(), "message": failure.message, "help": failure.help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_a_short_and_a_full_name() {
        assert_eq!(queue_name("calls"), "DLQ:calls");
        assert_eq!(queue_name("DLQ:calls"), "DLQ:calls");
        assert_eq!(queue_name("storage:files"), vconductor_core::store::storage_dead_letter_queue("files"));
    }

    #[test]
    fn class_names_are_the_classes() {
        for name in ClassName::value_variants() {
            assert_eq!(name.to_possible_value().unwrap().get_name(), name.class().as_str());
        }
    }
}
