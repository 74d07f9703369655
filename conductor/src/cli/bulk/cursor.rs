//! How far a command has come: kept in the store, and moved in one step with what the command puts there. So whatever ends
//! it, the same command goes on where it stood, and no vCon is taken twice or left out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vconductor_core::clock::Millis;
use vconductor_core::error::Error;
use vconductor_core::run::Ledger;
use vconductor_core::store::{Advance, NewVcon, Store};

use super::reasons::Reasons;
use crate::cli::age;
use crate::cli::exit::{Exit, Failure, Result};

/// How long a cursor is kept that nobody moves.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// So many of the last items are remembered: what was taken of a page is not taken again when the page is read again, even
/// if something was put into it or taken out of it meanwhile. Two pages and more.
const RECENT: usize = 320;

/// Attempts of a move while the store does not answer.
const ATTEMPTS: u32 = 5;

/// What a cursor says. Later versions may say more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The command, for people.
    pub(crate) command: String,
    /// When it began; ages are seen from here.
    pub(crate) begun: Millis,
    /// When it had worked through everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Millis>,
    /// Where the present page begins, in the words of what is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<String>,
    /// The last items that were worked through.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(crate) recent: VecDeque<String>,
    /// What became of the items.
    pub(crate) tally: Tally,
    /// Why items failed.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub(crate) reasons: Reasons,
    /// Makes every state another text: who wrote it, and his how manieth it is.
    pub(crate) by: String,
    pub(crate) step: u64,
}

/// What became of the items so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// They were put on the list; of a copy: written.
    pub(crate) done: u64,
    /// They were not asked for.
    pub(crate) passed: u64,
    /// They failed.
    pub(crate) failed: u64,
    /// Of a copy: they were there already.
    #[serde(default)]
    pub(crate) there: u64,
    /// Of a copy: another document was there.
    #[serde(default)]
    pub(crate) differed: u64,
    /// Bytes of documents.
    #[serde(default)]
    pub(crate) bytes: u64,
}

impl Tally {
    /// How many more are done, with so many in the present batch.
    pub(crate) fn left(&self, limit: Option<u64>, batch: usize) -> u64 {
        limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.done + batch as u64))
    }

    /// All that were looked at.
    pub(crate) fn seen(&self) -> u64 {
        self.done + self.passed + self.failed + self.there + self.differed
    }
}

/// A kept cursor.
pub(crate) struct Cursor {
    store: Arc<dyn Store>,
    name: String,
    /// What the store says.
    kept: Option<String>,
    /// What is to be said next.
    pub(crate) state: State,
    /// Whether an earlier process began it.
    pub(crate) resumed: bool,
}

/// Under which name it is kept how far a command has come.
#[derive(Debug, Args)]
pub(crate) struct Kept {
    /// The name under which is kept how far it has come; without, it is named by what is asked
    #[arg(long, value_name = "NAME")]
    cursor: Option<String>,
    /// Begin anew, whatever is kept
    #[arg(long)]
    pub(crate) restart: bool,
}

impl Kept {
    /// The name of the cursor.
    pub(crate) fn name(&self, asked: &Value) -> String {
        name(self.cursor.as_deref(), asked)
    }

    /// Takes up the cursor, or begins one; a command that only says what it would do begins anew and keeps nothing.
    ///
    /// # Errors
    /// Those of [`Cursor::open`].
    pub(crate) async fn open(
        &self,
        store: &Arc<dyn Store>,
        asked: &Value,
        command: &str,
        dry_run: bool,
    ) -> Result<Cursor> {
        let mut cursor = Cursor::open(store, &self.name(asked), command, self.restart && !dry_run).await?;
        if dry_run {
            cursor.begin_anew();
        }
        Ok(cursor)
    }
}

/// The name of a cursor: the one that was given, or a hash of what is asked.
pub(crate) fn name(given: Option<&str>, asked: &Value) -> String {
    match given {
        Some(name) => format!("named:{name}"),
        None => {
            let hash: String =
                Sha256::digest(asked.to_string()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("asked:{hash}")
        }
    }
}

impl State {
    fn new(command: &str, by: String) -> State {
        State {
            command: command.to_owned(),
            begun: age::now(),
            ended: None,
            page: None,
            recent: VecDeque::new(),
            tally: Tally::default(),
            reasons: Reasons::default(),
            by,
            step: 0,
        }
    }
}

impl Cursor {
    /// Takes up a cursor, or begins one. `restart`: forgets what there was.
    ///
    /// # Errors
    /// The store does not answer, or what it says was written by a later version.
    pub(crate) async fn open(store: &Arc<dyn Store>, name: &str, command: &str, restart: bool) -> Result<Cursor> {
        if restart {
            store.forget_cursor(name).await?;
        }
        let kept = store.cursor(name).await?;
        let state = kept.as_deref().map(serde_json::from_str::<State>).transpose().map_err(|error| {
            Failure::new(Exit::Findings, format!("the cursor {name} cannot be read: {error}"))
                .help("a newer vConductor wrote it; begin anew with --restart")
        })?;
        let resumed = state.is_some();
        let by = format!("{:016x}", fastrand::u64(..));
        let state = match state {
            Some(state) => State { by, ..state },
            None => State::new(command, by),
        };
        Ok(Cursor { store: Arc::clone(store), name: name.to_owned(), kept, state, resumed })
    }

    /// Looks from the beginning; nothing of it may be kept.
    pub(crate) fn begin_anew(&mut self) {
        self.state = State::new(&self.state.command, String::new());
        self.resumed = false;
    }

    /// Whether an item was worked through already.
    pub(crate) fn knows(&self, item: &str) -> bool {
        self.state.recent.iter().any(|known| known == item)
    }

    /// Remembers an item as worked through; kept with the next move.
    pub(crate) fn past(&mut self, item: String) {
        if self.state.recent.len() >= RECENT {
            self.state.recent.pop_front();
        }
        self.state.recent.push_back(item);
    }

    /// Keeps the present state, in one step with putting vCons on their lists.
    ///
    /// # Errors
    /// The store does not answer, or refuses a vCon (then nothing was done), or somebody else moved the cursor.
    pub(crate) async fn advance(&mut self, vcons: Vec<NewVcon>, ledger: Option<&Ledger>) -> Result<(), Stopped> {
        self.state.step += 1;
        let to = serde_json::to_string(&self.state).map_err(|error| Error::permanent(error.to_string()))?;
        let advance = Advance { name: self.name.clone(), from: self.kept.clone(), to: to.clone(), keep: KEPT };
        let mut attempt = 0;
        loop {
            let made = match self.store.advance(&advance, vcons.clone(), ledger).await {
                Ok(made) => made,
                Err(error) if error.is_retryable() && attempt < ATTEMPTS => {
                    attempt += 1;
                    tracing::warn!(error = %error.chain_text(), attempt, "the store does not answer; it is asked again");
                    tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                    // Whether it was done the cursor tells.
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            // The answer to an earlier attempt may have been lost.
            if made || (attempt > 0 && self.store.cursor(&self.name).await?.as_deref() == Some(&to)) {
                self.kept = Some(to);
                return Ok(());
            }
            return Err(Stopped::Elsewhere);
        }
    }

    /// Says that everything was worked through.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.state.ended = Some(age::now());
        self.state.page = None;
        self.state.recent.clear();
        Ok(self.advance(Vec::new(), None).await?)
    }

    /// Forgets it.
    pub(crate) async fn forget(&self) -> Result<()> {
        self.store.forget_cursor(&self.name).await?;
        Ok(())
    }

    /// For programs.
    pub(crate) fn value(&self) -> Value {
        let Tally { done, passed, failed, .. } = self.state.tally;
        json!({
            "cursor": self.name, "resumed": self.resumed, "begun": age::moment(self.state.begun),
            "done": done, "not_asked_for": passed, "failed": failed, "reasons": self.state.reasons.value(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Why a cursor was not moved.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Another process moves it.
    Elsewhere,
    /// The store's error.
    Store(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Store(error)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Store(error) => error.into(),
            Stopped::Elsewhere => Failure::new(Exit::Findings, "another process goes on with the same command")
                .help("let it, or stop it and give this command again; --cursor NAME makes it another command"),
        }
    }
}

#[cfg(test)]
mod tests {
    use vconductor_core::store::embedded::{EmbeddedStore, Settings};

    use super::*;

    #[tokio::test]
    async fn a_command_goes_on_where_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = EmbeddedStore::open(folder.path(), Settings::default()).unwrap();
        let name = name(None, &json!(["a"]));
        let mut first = Cursor::open(&store, &name, "replay", false).await.unwrap();
        first.state.tally.done = 7;
        first.past("x".to_owned());
        first.advance(Vec::new(), None).await.unwrap();
        let mut second = Cursor::open(&store, &name, "replay", false).await.unwrap();
        assert!(second.resumed && second.knows("x") && !second.knows("y"));
        assert_eq!((second.state.tally.done, second.state.begun), (7, first.state.begun));
        second.advance(Vec::new(), None).await.unwrap();
        assert!(matches!(first.advance(Vec::new(), None).await, Err(Stopped::Elsewhere)), "only one of them goes on");
        let anew = Cursor::open(&store, &name, "replay", true).await.unwrap();
        assert!(!anew.resumed && anew.state.tally == Tally::default());
    }

    #[test]
    fn a_name_is_what_is_asked() {
        assert_eq!(name(None, &json!(["a", 1])), name(None, &json!(["a", 1])));
        assert_ne!(name(None, &json!(["a", 1])), name(None, &json!(["a", 2])));
        assert_ne!(name(Some("a"), &json!(1)), name(Some("b"), &json!(1)));
    }
}
