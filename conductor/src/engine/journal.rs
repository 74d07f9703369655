//! What is at work and what has ended lately, for people who look.
//!
//! Kept beside the work and never in its way: chains of pure links alone are not followed step by step, and of what ends
//! only so much is noted in a second as anybody could read. [`announcer`](super::announcer) brings both to the store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vconductor_core::clock::{Clock, Millis};
use vconductor_core::error::{Error, Result};
use vconductor_core::plugin::{Outcome, Requested};
use vconductor_core::run::{RunId, Usage};
use vconductor_core::store::{AtWork, Claim, Commit, End, Failure, PastRun, StepEnd, StepTime};

use super::chain::Chain;
use super::report::RunOutcome;

/// Ends that are noted in a second: what is more than that leaves no trace but in the figures.
const PER_SECOND: i64 = 100;
/// So much is kept of the text of an error, in characters.
const EXCERPT: usize = 500;

/// What a passage did, for people.
pub(super) struct Did {
    /// Which passage of the run it was, from 1.
    pub(super) attempt: u32,
    /// Its steps, if it was followed.
    pub(super) steps: Vec<StepTime>,
    /// From the claim to the end of the last storage.
    pub(super) took: Duration,
}

/// What is at work, and what has ended since it was last asked for.
#[derive(Debug)]
pub(crate) struct Journal {
    at_work: Mutex<HashMap<RunId, Arc<Mutex<AtWork>>>>,
    ended: Mutex<Vec<PastRun>>,
    /// How many more ends are noted in this second. Nobody is asked for more while it is not positive.
    room: AtomicI64,
    /// How many records the store keeps; 0: nothing is noted.
    most: usize,
}

impl Journal {
    pub(super) fn new(most: usize) -> Self {
        let room = if most == 0 { 0 } else { PER_SECOND };
        Journal { at_work: Mutex::default(), ended: Mutex::default(), room: AtomicI64::new(room), most }
    }

    /// How many records the store keeps.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Follows a passage until the answer is dropped.
    pub(super) fn follow(self: &Arc<Self>, claim: &Claim, chain: &Chain, attempt: u32, began: Millis) -> Followed {
        let run = Arc::new(Mutex::new(AtWork {
            run: claim.run,
            uuid: claim.uuid.clone(),
            list: claim.list.clone(),
            chain: chain.name.clone(),
            attempt,
            began,
            limit_ms: chain.timeout.map(millis),
            steps: Vec::new(),
        }));
        lock(&self.at_work).insert(claim.run, Arc::clone(&run));
        Followed(Arc::new(Entry { journal: Arc::clone(self), id: claim.run, run }))
    }

    /// Passages that began before `before`, the oldest first, at most `most`.
    pub(super) fn at_work(&self, before: Millis, most: usize) -> Vec<AtWork> {
        let followed: Vec<_> = lock(&self.at_work).values().cloned().collect();
        let mut found: Vec<AtWork> =
            followed.iter().map(|run| lock(run)).filter(|run| run.began < before).map(|run| run.clone()).collect();
        found.sort_by_key(|run| run.began);
        found.truncate(most);
        found
    }

    /// A passage of this claim ended, as `commit` says. The common case on a busy conductor is one look at a number.
    pub(super) fn ended(&self, commit: &Commit, chain: &Chain, outcome: RunOutcome, did: Did, clock: &dyn Clock) {
        // Having waited is not an end: nothing was done.
        if self.room.load(Ordering::Relaxed) <= 0 || outcome == RunOutcome::Waited {
            return;
        }
        self.room.fetch_sub(1, Ordering::Relaxed);
        let now = clock.now();
        let (until, failure) = match &commit.end {
            End::Retry { due, failure } => (Some(*due), Some(failure)),
            End::Park { until, .. } => (Some(*until), None),
            End::Dead { failure, .. } => (None, Some(failure)),
            End::Continue | End::Done | End::Release | End::Wait { .. } => (None, None),
        };
        let mut pushed: Vec<String> = commit.pushes.iter().map(|push| push.list.clone()).collect();
        pushed.dedup();
        let claim = &commit.claim;
        let past = PastRun {
            run: claim.run,
            uuid: claim.uuid.clone(),
            list: claim.list.clone(),
            chain: chain.name.clone(),
            process: claim.process.clone(),
            began: now.saturating_sub(Millis::try_from(did.took.as_millis()).unwrap_or(Millis::MAX)),
            ended: now,
            attempt: did.attempt,
            outcome: outcome.as_str().to_owned(),
            until,
            failure: failure.map(|failure| Failure { message: excerpt(&failure.message), ..failure.clone() }),
            steps: did.steps,
            pushed,
        };
        lock(&self.ended).push(past);
    }

    /// What was noted since this was last asked for; to be asked every second, for it makes room for more.
    pub(super) fn take(&self) -> Vec<PastRun> {
        if self.most > 0 {
            self.room.store(PER_SECOND, Ordering::Relaxed);
        }
        std::mem::take(&mut lock(&self.ended))
    }
}

/// A passage that is followed, for as long as anybody has this.
#[derive(Debug, Clone)]
pub(super) struct Followed(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    journal: Arc<Journal>,
    id: RunId,
    run: Arc<Mutex<AtWork>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.journal.at_work).remove(&self.id);
    }
}

impl Followed {
    /// A step begins; it is cut off unless it is said how it ended.
    pub(super) fn begin(&self, name: String, attempt: u32, limit: Option<Duration>, now: Millis) -> Running<'_> {
        let step = StepTime {
            name,
            began: now,
            took_ms: None,
            limit_ms: limit.map(millis),
            attempt,
            end: None,
            error: None,
            usage: None,
        };
        let mut run = lock(&self.0.run);
        run.steps.push(step);
        Running { followed: self, index: run.steps.len() - 1, ended: false }
    }

    /// A step that was not executed.
    pub(super) fn pass(&self, name: &str, end: StepEnd, now: Millis) {
        self.begin(name.to_owned(), 1, None, now).finish(end, None, None, Duration::ZERO);
    }

    /// The steps so far.
    pub(super) fn steps(&self) -> Vec<StepTime> {
        lock(&self.0.run).steps.clone()
    }
}

/// A step at work.
#[derive(Debug)]
pub(super) struct Running<'a> {
    followed: &'a Followed,
    index: usize,
    ended: bool,
}

impl Running<'_> {
    /// A link returned.
    pub(super) fn link(self, result: &Result<Outcome>, requested: &Requested, took: Duration) {
        let usage = requested.usage.clone();
        match result {
            Ok(outcome) => {
                let end = match outcome {
                    Outcome::Continue => StepEnd::Done,
                    Outcome::Stop => StepEnd::Stopped,
                    Outcome::Switch(_) => StepEnd::Switched,
                    Outcome::Park { .. } => StepEnd::Parked,
                };
                self.finish(end, None, usage, took);
            }
            Err(error) => self.finish(StepEnd::Failed, Some(error), usage, took),
        }
    }

    /// A storage answered.
    pub(super) fn storage(self, result: &Result<()>, took: Duration) {
        let end = if result.is_ok() { StepEnd::Done } else { StepEnd::Failed };
        self.finish(end, result.as_ref().err(), None, took);
    }

    fn finish(mut self, end: StepEnd, error: Option<&Error>, usage: Option<Usage>, took: Duration) {
        self.ended = true;
        let mut run = lock(&self.followed.0.run);
        let step = &mut run.steps[self.index];
        (step.took_ms, step.end, step.usage) = (Some(millis(took)), Some(end), usage);
        step.error = error.map(|error| excerpt(&error.chain_text()));
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            lock(&self.followed.0.run).steps[self.index].end = Some(StepEnd::CutOff);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use vconductor_core::clock::ManualClock;
    use vconductor_core::store::{ProcessId, Push};

    use super::*;

    fn claim(number: usize) -> Claim {
        Claim {
            entry: 1,
            process: ProcessId("p".to_owned()),
            list: "calls".to_owned(),
            uuid: format!("u{number}"),
            run: RunId::new(),
        }
    }

    fn bare() -> Chain {
        Chain {
            name: String::new(),
            ingress_lists: Vec::new(),
            egress_lists: Vec::new(),
            steps: Vec::new(),
            step_names: Vec::new(),
            storages: Vec::new(),
            offload: None,
            tracers: Vec::new(),
            concurrency: 1,
            weight: 1,
            timeout: Some(Duration::from_secs(9)),
            budget: None,
            retry: Default::default(),
            generation: String::new(),
        }
    }

    fn end(journal: &Journal, number: usize, end: End, outcome: RunOutcome) {
        let mut commit = Commit::ending(claim(number), end);
        commit.pushes = vec![Push { list: "done".to_owned(), uuid: "u".to_owned() }; 2];
        let did = Did { attempt: 1, steps: Vec::new(), took: Duration::from_millis(7) };
        journal.ended(&commit, &bare(), outcome, did, &ManualClock::at(1000));
    }

    #[test]
    fn what_takes_a_while_is_seen_with_its_steps_until_it_ends() {
        let journal = Arc::new(Journal::new(10));
        let (one, other) = (claim(1), claim(2));
        let followed = journal.follow(&one, &bare(), 2, 500);
        drop(followed.begin("cut".to_owned(), 1, None, 510));
        followed.pass("skipped", StepEnd::Skipped, 520);
        let running = followed.begin("slow".to_owned(), 3, Some(Duration::from_secs(5)), 530);
        let second = journal.follow(&other, &bare(), 1, 100);
        let seen = journal.at_work(501, 9);
        assert_eq!(seen.iter().map(|run| run.uuid.as_str()).collect::<Vec<_>>(), ["u2", "u1"], "the oldest first");
        assert_eq!((seen[1].attempt, seen[1].limit_ms), (2, Some(9000)));
        let step = seen[1].step().unwrap();
        assert_eq!((step.name.as_str(), step.attempt, step.limit_ms), ("slow", 3, Some(5000)));
        assert_eq!(seen[1].steps[0].end, Some(StepEnd::CutOff));
        assert_eq!(journal.at_work(200, 9).len(), 1, "younger ones are nobody's business yet");
        assert_eq!(journal.at_work(900, 1)[0].uuid, "u2");
        running.storage(&Err(Error::retryable("no answer")), Duration::from_millis(40));
        let steps = followed.steps();
        assert_eq!((steps[2].took_ms, steps[2].end), (Some(40), Some(StepEnd::Failed)));
        assert_eq!(steps[2].error.as_deref(), Some("no answer"));
        drop((followed, second));
        assert!(journal.at_work(9000, 9).is_empty());
    }

    #[test]
    fn only_so_many_ends_are_noted_in_a_second() {
        let journal = Journal::new(10);
        end(&journal, 0, End::Release, RunOutcome::Waited);
        for number in 0..150 {
            end(&journal, number, End::Done, RunOutcome::Done);
        }
        let noted = journal.take();
        assert_eq!((noted.len(), noted[0].uuid.as_str(), noted[99].uuid.as_str()), (100, "u0", "u99"));
        assert_eq!((noted[0].began, noted[0].ended, noted[0].pushed.as_slice()), (993, 1000, &["done".to_owned()][..]));
        end(&journal, 200, End::Park { token: "secret".to_owned(), until: 5000 }, RunOutcome::Parked);
        let noted = journal.take();
        assert_eq!((noted[0].outcome.as_str(), noted[0].until), ("parked", Some(5000)));
        assert!(!serde_json::to_string(&noted).unwrap().contains("secret"), "a token opens a run");
        let off = Journal::new(0);
        off.take();
        end(&off, 0, End::Done, RunOutcome::Done);
        assert!(off.take().is_empty());
    }
}
