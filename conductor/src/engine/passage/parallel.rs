//! Links that read the same document at the same time.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use vconductor_core::document::{Edit, conflicts};
use vconductor_core::error::{Error, Result};
use vconductor_core::failpoint;
use vconductor_core::run::StepEntry;
use vconductor_core::store::{End, WaitReason};

use super::links::{Done, is_open};
use super::{Ending, Passage};
use crate::engine::chain::LinkStep;
use crate::engine::step::{Executed, Situation, execute};

/// A branch that has come to its end: which one, what was known of it, and what it did.
type Branch = (usize, Option<StepEntry>, Option<Executed>);

impl Passage {
    /// Executes links side by side. What one of them finished is saved while others still work: neither a kill nor a
    /// time limit may have it executed again.
    pub(super) async fn parallel(&mut self, links: &[LinkStep]) -> Result<Done, Ending> {
        if self.ledger_unsaved && self.unsaved {
            // A branch may save the ledger; it must not go without the edits of the steps in it.
            self.save().await?;
        }
        let generation = Arc::clone(&self.generation);
        let (shared, chain, book) = (Arc::clone(&self.shared), Arc::clone(&self.chain), Arc::clone(&self.book));
        let (claim, uuid, vcon, cancel) =
            (self.claim.clone(), self.uuid.clone(), Arc::clone(&self.vcon), self.cancel.clone());
        let followed = self.followed.clone();
        let situation = Situation {
            shared: &shared,
            services: &generation.services,
            chain: &chain,
            claim: &claim,
            uuid: &uuid,
            vcon: &vcon,
            book: &book,
            cancel: &cancel,
            followed: followed.as_ref(),
            unsaved: None,
        };
        let branch = |(index, link)| {
            let known = self.known(link);
            let resumption = self.resumption_of(link);
            let situation = &situation;
            async move {
                let executed = if is_open(link, known.as_ref(), resumption.as_ref()) {
                    Some(execute(link, situation, known.clone(), resumption).await)
                } else {
                    None
                };
                (index, known, executed)
            }
        };
        let running: FuturesUnordered<_> = links.iter().enumerate().map(branch).collect();
        let mut branches = Branches { running, arrived: VecDeque::new() };
        let mut written: Vec<(&LinkStep, Vec<Edit>)> =
            links.iter().filter_map(|link| Some((link, wrote(&self.known(link)?)?))).collect();
        let mut verdict = Verdict::default();
        while let Some((index, known, mut result)) = branches.next().await {
            failpoint::hit("in-link");
            let link = &links[index];
            self.tell_hooks(link, result.as_ref()).await;
            let turn = branches.beside(book.turn()).await;
            let concluded = match unlike(&written, link, result.as_ref()) {
                Ok(()) => {
                    if let Some(Executed::Returned(_, requested)) = &mut result
                        && !requested.edits.is_empty()
                    {
                        let places: Vec<Edit> = requested.edits.iter().map(place).collect();
                        requested.parts.insert(WROTE.to_owned(), serde_json::to_value(&places).unwrap_or_default());
                        written.push((link, places));
                    }
                    self.conclude(link, known, result)
                }
                Err(error) => match result {
                    Some(Executed::Returned(_, requested)) => self.link_failed(link, &error, &requested, known),
                    _ => Ok(Done::Continue),
                },
            };
            verdict.add(link, concluded);
            if self.ledger_unsaved && !branches.is_empty() {
                branches.beside(Box::pin(self.save())).await?;
            }
            drop(turn);
        }
        match verdict.ending {
            Some((link, ending)) => {
                if matches!(&ending, Ending::Otherwise(End::Park { .. }, _)) {
                    self.parked_in(link);
                }
                Err(ending)
            }
            None => Ok(verdict.done),
        }
    }
}

/// The part of an entry that says where a link of a `parallel` wrote, for siblings that end in a later passage.
const WROTE: &str = "engine:wrote";

/// Where a finished link wrote.
fn wrote(entry: &StepEntry) -> Option<Vec<Edit>> {
    let places = entry.parts.get(WROTE).filter(|_| entry.is_finished())?;
    serde_json::from_value(places.clone()).ok()
}

/// An edit's place without its contents, which may be large.
fn place(edit: &Edit) -> Edit {
    match edit {
        Edit::Set { pointer: at, .. } => Edit::Set { pointer: at.clone(), value: Value::Null.into() },
        Edit::Append { pointer: at, .. } => Edit::Append { pointer: at.clone(), value: Value::Null.into() },
        Edit::Replace(_) | Edit::Rewrap(_) => Edit::Replace(Value::Null.into()),
        Edit::AddAnalysis(analysis) => Edit::AddAnalysis(analysis.clone().member("body", Value::Null)),
        Edit::AddTag { .. } | Edit::Remove { .. } => edit.clone(),
    }
}

/// Two branches that write one path contradict each other; the later one fails.
fn unlike(written: &[(&LinkStep, Vec<Edit>)], link: &LinkStep, result: Option<&Executed>) -> Result<()> {
    let Some(Executed::Returned(_, requested)) = result else { return Ok(()) };
    for (other, edits) in written {
        if let Some(path) = conflicts(edits, &requested.edits) {
            let message = format!("links `{}` and `{}` of one `parallel` both write {path}", other.name(), link.name());
            return Err(Error::permanent(message).help("run them one after the other"));
        }
    }
    Ok(())
}

/// Branches that work, and those that ended while something else was done.
struct Branches<F: Future<Output = Branch>> {
    running: FuturesUnordered<F>,
    arrived: VecDeque<Branch>,
}

impl<F: Future<Output = Branch>> Branches<F> {
    fn is_empty(&self) -> bool {
        self.running.is_empty() && self.arrived.is_empty()
    }

    async fn next(&mut self) -> Option<Branch> {
        match self.arrived.pop_front() {
            Some(branch) => Some(branch),
            None => self.running.next().await,
        }
    }

    /// Does something while the branches work on: one of them may hold what it waits for.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(branch) = self.running.next(), if !self.running.is_empty() => self.arrived.push_back(branch),
            }
        }
    }
}

/// What the branches mean together.
struct Verdict<'a> {
    done: Done,
    ending: Option<(&'a LinkStep, Ending)>,
}

impl Default for Verdict<'_> {
    fn default() -> Self {
        Verdict { done: Done::Continue, ending: None }
    }
}

impl<'a> Verdict<'a> {
    fn add(&mut self, link: &'a LinkStep, concluded: Result<Done, Ending>) {
        match concluded {
            Ok(Done::Continue) => {}
            // A stop is a stop whatever the others want.
            Ok(done) => {
                if !matches!(self.done, Done::Stop) {
                    self.done = done;
                }
            }
            Err(ending) => {
                if self.ending.as_ref().is_none_or(|(_, held)| rank(&ending) < rank(held)) {
                    self.ending = Some((link, ending));
                }
            }
        }
    }
}

/// A failure for good comes before a retry, and that before a park: what is parked waits in the ledger meanwhile. A held link
/// comes last: it may be held for longer than the answer to a park is kept.
fn rank(ending: &Ending) -> u8 {
    match ending {
        Ending::Lost | Ending::Refused(_) => 0,
        Ending::Otherwise(End::Dead { .. }, _) => 1,
        Ending::Otherwise(End::Park { .. }, _) => 3,
        Ending::Otherwise(End::Wait { reason: WaitReason::Held, .. }, _) => 4,
        Ending::Otherwise(..) | Ending::Done(_) => 2,
    }
}
