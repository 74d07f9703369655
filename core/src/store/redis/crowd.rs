//! Group commit: what is to be committed over a lane that is busy waits in its crowd, and goes along with whoever has
//! the lane next.
//!
//! A run that saves in the middle of its way asks for one commit. Alone, each would be a transaction and a round trip
//! of its own, one after the other on the lane that watches its claim.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::lane::Wanted;
use crate::error::{Error, Result};
use crate::store::{Committed, ProcessId};

/// So many callers go along at most.
const COMPANY: usize = 64;

/// What a caller is answered: the results of its commits by their places.
pub(super) type Answer = Result<Vec<(usize, Committed)>>;

/// Callers that wait for a lane.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<VecDeque<Waiting>>);

#[derive(Debug)]
struct Waiting {
    owner: ProcessId,
    wanted: Vec<Wanted>,
    answer: oneshot::Sender<Answer>,
}

impl Crowd {
    /// Waits for a lane; whoever has it answers.
    pub(super) fn join(&self, owner: ProcessId, wanted: Vec<Wanted>) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        self.lock().push_back(Waiting { owner, wanted, answer });
        answered
    }

    /// Takes those along that commit for this process: a transaction has the mark of one. Their commits get places
    /// from `first` on.
    pub(super) fn take(&self, owner: &ProcessId, first: usize) -> Company {
        let mut company = Company { first, members: Vec::new() };
        let mut waiting = self.lock();
        if waiting.is_empty() {
            return company;
        }
        let mut stay = VecDeque::new();
        while let Some(one) = waiting.pop_front() {
            if one.owner == *owner && company.members.len() < COMPANY {
                company.members.push(Member { wanted: one.wanted, results: Vec::new(), answer: one.answer });
            } else {
                stay.push_back(one);
            }
        }
        *waiting = stay;
        company
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Callers that go along with an exchange.
#[derive(Debug, Default)]
pub(super) struct Company {
    first: usize,
    members: Vec<Member>,
}

/// One of them; its commits are kept until they are answered.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) wanted: Vec<Wanted>,
    results: Vec<(usize, Committed)>,
    answer: oneshot::Sender<Answer>,
}

impl Company {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Their commits under the places of the whole.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Wanted> + '_ {
        let all = self.members.iter().flat_map(|member| &member.wanted);
        all.enumerate().map(|(place, wanted)| Wanted { index: self.first + place, commit: wanted.commit.clone() })
    }

    /// Takes their results out of those of the whole and answers whoever has all of its own.
    pub(super) fn answer(&mut self, results: &mut Vec<(usize, Committed)>) {
        if self.members.is_empty() {
            return;
        }
        let places: Vec<(usize, usize)> = self
            .members
            .iter()
            .enumerate()
            .flat_map(|(number, member)| member.wanted.iter().map(move |wanted| (number, wanted.index)))
            .collect();
        results.retain(|(place, committed)| {
            let Some((number, index)) = place.checked_sub(self.first).and_then(|place| places.get(place)) else {
                return true;
            };
            self.members[*number].results.push((*index, *committed));
            false
        });
        let (whole, rest) = std::mem::take(&mut self.members)
            .into_iter()
            .partition(|member| member.results.len() == member.wanted.len());
        self.members = rest;
        for Member { results, answer, .. } in whole {
            // A caller whose runtime has ended hears nothing any more.
            answer.send(Ok(results)).unwrap_or_default();
        }
    }

    /// Answers the rest that the exchange failed.
    pub(super) fn fail(self, error: &Error) {
        for member in self.members {
            member.reply(Err(copy(error)));
        }
    }

    /// Those that are not answered yet.
    pub(super) fn rest(self) -> Vec<Member> {
        self.members
    }
}

impl Member {
    /// Answers one that went alone after all.
    pub(super) fn reply(self, answer: Answer) {
        // As above.
        self.answer.send(answer).unwrap_or_default();
    }
}

/// The same failure once more, for another caller.
fn copy(error: &Error) -> Error {
    let copy = Error::new(error.class(), error.chain_text());
    match error.help_text() {
        Some(help) => copy.help(help),
        None => copy,
    }
}
