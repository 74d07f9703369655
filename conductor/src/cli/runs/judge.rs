//! Where a run stands, and whether it is stuck.
//!
//! *Stuck* must be something that an operator can trust at night, so it is never a guess: the conductor that holds the run is
//! dead or silent, a step is beyond its own time-out, or what was due has not been put back. A step without a time-out is
//! believed for an hour.

use std::time::Duration;

use serde::Serialize;
use vconductor_core::clock::Millis;
use vconductor_core::store::{AtWork, RunRecord, RunState, StepTime, WaitReason};

use crate::cli::age;
use crate::cli::look::{self, Look};
use crate::cli::output::plain;

/// How far beyond its time-out a step may be before it is stuck: what ends it needs a moment itself.
const GRACE: Duration = Duration::from_secs(10);
/// How long a step without a time-out is believed.
const BELIEVED: Duration = Duration::from_secs(3600);
/// How long what is due may wait for being put back; that happens several times a second.
const OVERDUE: Duration = Duration::from_secs(30);

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It makes no progress, and somebody should do something.
    Stuck,
    /// A conductor works on it.
    Running,
    /// It waits: for its turn on a list, for its next try, or for something that it needs.
    Waiting,
    /// It waits for something outside.
    Parked,
    /// It failed for good.
    Failed,
    /// It is done.
    Done,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Stuck => "stuck",
            State::Running => "running",
            State::Waiting => "waiting",
            State::Parked => "parked",
            State::Failed => "failed",
            State::Done => "done",
        }
    }
}

/// What keeps a stuck run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stuck {
    /// Its conductor is dead.
    Dead,
    /// Its conductor lives by its lease, but tells nothing any more.
    Silent,
    /// Its step is beyond its time-out.
    Late,
    /// It was due, and nobody has put it back.
    Overdue,
}

/// A judgement of one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) state: State,
    pub(crate) stuck: Option<Stuck>,
    /// The step that it is at, failed in or is parked in.
    pub(crate) step: Option<String>,
    /// Since when it stands so, where that is known.
    pub(crate) since: Option<Millis>,
    /// What it waits for, why it is stuck or failed; in one line.
    pub(crate) reason: Option<String>,
    /// The reason without the times of this run: what it has in common with others. Where it has none, the reason.
    pub(crate) cause: Option<String>,
    /// What to do, as a command.
    pub(crate) fix: Option<String>,
}

impl Judgement {
    fn new(state: State, since: Option<Millis>) -> Self {
        Judgement { state, stuck: None, step: None, since, reason: None, cause: None, fix: None }
    }

    fn stuck(mut self, why: Stuck, reason: String, fix: Option<String>) -> Self {
        (self.state, self.stuck, self.reason, self.fix) = (State::Stuck, Some(why), Some(reason), fix);
        self
    }
}

/// Judges a run by what was seen.
pub(crate) fn judge(run: &RunRecord, look: &Look) -> Judgement {
    match run.state {
        RunState::Waiting => waiting(run, look),
        RunState::Claimed => claimed(run, look),
        RunState::Scheduled => scheduled(run, look),
        RunState::Parked => parked(run, look),
        RunState::Dead => dead(run),
    }
}

fn waiting(run: &RunRecord, look: &Look) -> Judgement {
    let mut judgement = Judgement::new(State::Waiting, run.enqueued_at);
    let list = plain(&run.list);
    judgement.reason = Some(if look.is_paused(&run.list) {
        judgement.fix = Some(format!("vconductor queue resume {list}"));
        format!("list {list} is paused")
    } else if look.alive().next().is_none() {
        judgement.fix = Some("vconductor run CONFIG".to_owned());
        "no conductor runs".to_owned()
    } else {
        format!("its turn on list {list}")
    });
    judgement
}

fn claimed(run: &RunRecord, look: &Look) -> Judgement {
    let at_work = look.at_work(run);
    let since = at_work.map(|at_work| at_work.began).or(run.enqueued_at).or_else(|| made_at(run));
    let mut judgement = Judgement::new(State::Running, since);
    let current = at_work.and_then(AtWork::step);
    judgement.step = current.map(|step| step.name.clone());
    let conductor = run.process.as_ref().and_then(|process| look.conductor(process));
    let Some(conductor) = conductor.filter(|conductor| conductor.alive) else {
        let process = run.process.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        let who = conductor.map_or(process, look::name);
        let (next, fix) = match look.alive().next() {
            Some(_) => ("another one takes it over within seconds", None),
            None => ("the next one that runs takes it over", Some("vconductor run CONFIG".to_owned())),
        };
        return judgement.stuck(Stuck::Dead, format!("its conductor {who} is dead; {next}"), fix);
    };
    if let Some(silent) = look.silence(conductor) {
        let silent = short(silent);
        let reason = format!("its conductor {} has told nothing for {silent}: it may be wedged", look::name(conductor));
        return judgement.stuck(Stuck::Silent, reason, restart(conductor));
    }
    if let (Some(at_work), Some(step)) = (at_work, current)
        && let Some(reason) = late(at_work, step, look.at)
    {
        return judgement.stuck(Stuck::Late, reason, restart(conductor));
    }
    judgement
}

/// Why a step takes too long, if it does.
fn late(run: &AtWork, step: &StepTime, now: Millis) -> Option<String> {
    let (name, took) = (plain(&step.name), now - step.began);
    let grace = millis(GRACE);
    let own = step.limit_ms.and_then(|limit| Millis::try_from(limit).ok());
    if let Some(limit) = own {
        let is_late = took > limit.saturating_add(grace.max(limit / 10));
        return is_late.then(|| format!("{name} has worked for {}; its time-out is {}", short(took), short(limit)));
    }
    // The chain's time-out is that of its links.
    let chain = run.limit_ms.and_then(|limit| Millis::try_from(limit).ok()).filter(|_| !step.name.contains(':'));
    if let Some(limit) = chain {
        let all = now - run.began;
        let is_late = all > limit.saturating_add(grace.max(limit / 10));
        let told = || format!("its links have worked for {}; the chain's time-out is {}", short(all), short(limit));
        return is_late.then(told);
    }
    (took > millis(BELIEVED)).then(|| format!("{name} has worked for {} and has no time-out", short(took)))
}

fn scheduled(run: &RunRecord, look: &Look) -> Judgement {
    let failed_at = run.failure.as_ref().filter(|_| run.waits.is_none()).map(|failure| failure.at);
    let since = run.waits.map(|(_, since)| since).or(failed_at).or(run.enqueued_at);
    let mut judgement = Judgement::new(State::Waiting, since);
    let failure = run.failure.as_ref().filter(|_| run.waits.is_none());
    judgement.step = failure.map(|failure| failure.step.clone());
    if let Some(judgement) = overdue(&judgement, run, look) {
        return judgement;
    }
    let when = when(run.due, look.at);
    judgement.cause = match (run.waits, failure) {
        (Some((reason, _)), _) => Some(waits_for(reason).to_owned()),
        (None, failure) => failure.map(|failure| plain(&failure.message)),
    };
    judgement.reason = Some(match (run.waits, failure) {
        (Some((reason, _)), _) => {
            if reason == WaitReason::Held {
                judgement.fix = Some("vconductor queue".to_owned());
            }
            format!("{}; looks again {when}", waits_for(reason))
        }
        (None, Some(failure)) => format!("tried again {when}: {}", plain(&failure.message)),
        (None, None) => format!("tried again {when}"),
    });
    judgement
}

fn parked(run: &RunRecord, look: &Look) -> Judgement {
    let parked = run.ledger.as_ref().and_then(|ledger| ledger.parked.as_ref());
    let entry = parked.and_then(|key| run.ledger.as_ref()?.step(key));
    let mut judgement = Judgement::new(State::Parked, entry.map(|entry| entry.finished_at).or(run.enqueued_at));
    judgement.step = parked.map(|key| key.link.clone());
    if let Some(judgement) = overdue(&judgement, run, look) {
        return judgement;
    }
    let until = run.due.map(|due| format!(", at the longest until {}", age::moment(due))).unwrap_or_default();
    judgement.cause = Some("something outside".to_owned());
    judgement.reason = Some(format!("something outside{until}"));
    judgement
}

fn overdue(judgement: &Judgement, run: &RunRecord, look: &Look) -> Option<Judgement> {
    let late = look.at - run.due?;
    if late <= millis(OVERDUE) {
        return None;
    }
    let (why, fix) = match look.alive().next() {
        None => ("no conductor runs", "vconductor run CONFIG"),
        Some(_) => ("no conductor has put it back", "vconductor doctor"),
    };
    let reason = format!("it was due {} ago, and {why}", short(late));
    Some(judgement.clone().stuck(Stuck::Overdue, reason, Some(fix.to_owned())))
}

fn dead(run: &RunRecord) -> Judgement {
    let failure = run.failure.as_ref();
    let mut judgement = Judgement::new(State::Failed, failure.map(|failure| failure.at));
    judgement.step = failure.map(|failure| failure.step.clone());
    judgement.reason = failure.map(|failure| plain(&failure.message));
    if let Some(storage) = run.missing_storage() {
        judgement.reason = Some(format!(
            "waits for storage {}: {}",
            plain(storage),
            failure.map(|failure| plain(&failure.message)).unwrap_or_default()
        ));
    }
    let id = run.run.map_or_else(|| plain(&run.uuid), |run| run.to_string());
    judgement.fix = Some(format!("vconductor dlq show {id}"));
    judgement
}

/// What a run waits for without being at fault.
pub(crate) fn waits_for(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Writer => "another run works on the same vCon",
        WaitReason::MissingDocument => "its document is not stored yet",
        WaitReason::Bytes => "its document does not fit into memory beside what is at work",
        WaitReason::Storage => "a storage is away",
        WaitReason::Held => "a link is held",
    }
}

/// How to end a conductor so that its runs go on elsewhere.
fn restart(conductor: &vconductor_core::store::Conductor) -> Option<String> {
    let card = conductor.card.as_ref()?;
    Some(format!("on {}: kill -TERM {}, then start it again", plain(&card.host), card.pid))
}

/// When a run was first claimed or enqueued, by its id.
fn made_at(run: &RunRecord) -> Option<Millis> {
    let (seconds, nanos) = run.run?.0.get_timestamp()?.to_unix();
    Some(Millis::try_from(seconds).ok()?.saturating_mul(1000) + Millis::from(nanos / 1_000_000))
}

/// `in 12 s`, or `now`.
pub(crate) fn when(due: Option<Millis>, now: Millis) -> String {
    match due.map(|due| due - now) {
        Some(left) if left > 0 => format!("in {}", short(left)),
        _ => "now".to_owned(),
    }
}

/// A number of milliseconds in one unit.
pub(crate) fn short(millis: Millis) -> String {
    age::short(Duration::from_millis(millis.max(0).unsigned_abs()))
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use vconductor_core::error::Class;
    use vconductor_core::run::RunId;
    use vconductor_core::store::{Card, Conductor, Failure, ListStatus, ProcessId};

    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    fn record(state: RunState) -> RunRecord {
        RunRecord {
            run: Some(RunId::new()),
            uuid: "u".to_owned(),
            list: "calls".to_owned(),
            state,
            enqueued_at: Some(NOW - 60_000),
            attempts: 0,
            crashes: 0,
            process: (state == RunState::Claimed).then(|| ProcessId("p".to_owned())),
            due: None,
            waits: None,
            queue: None,
            failure: None,
            ledger: None,
        }
    }

    fn look(alive: bool, at_work: Vec<AtWork>) -> Look {
        let card = Card {
            role: "conductor".to_owned(),
            host: "web1".to_owned(),
            pid: 42,
            told_at: NOW - 4000,
            every_ms: 10_000,
            at_work,
            ..Card::default()
        };
        let conductor = Conductor {
            process: ProcessId("p".to_owned()),
            alive,
            lease_until: Some(NOW),
            holds: 1,
            clock_behind_ms: 0,
            card: Some(card),
        };
        Look { at: NOW, lists: Vec::new(), conductors: vec![conductor], holds: Vec::new() }
    }

    fn at_work(run: &RunRecord, name: &str, seconds: i64, step: Option<u64>, chain: Option<u64>) -> AtWork {
        let began = NOW - seconds * 1000;
        let step = StepTime {
            name: name.to_owned(),
            began,
            took_ms: None,
            limit_ms: step.map(|limit| limit * 1000),
            attempt: 1,
            end: None,
            error: None,
            usage: None,
        };
        AtWork {
            run: run.run.unwrap(),
            uuid: run.uuid.clone(),
            list: run.list.clone(),
            chain: "support".to_owned(),
            attempt: 1,
            began,
            limit_ms: chain.map(|limit| limit * 1000),
            steps: vec![step],
        }
    }

    #[test]
    fn a_step_is_stuck_when_it_is_beyond_its_own_time_out() {
        let run = record(RunState::Claimed);
        let judged = |name: &str, seconds, step, chain| {
            judge(&run, &look(true, vec![at_work(&run, name, seconds, step, chain)]))
        };
        assert_eq!(judged("tell", 39, Some(30), None).state, State::Running, "what ends it needs a moment");
        let late = judged("tell", 41, Some(30), None);
        assert_eq!((late.state, late.stuck, late.step.as_deref()), (State::Stuck, Some(Stuck::Late), Some("tell")));
        assert_eq!(late.reason.as_deref(), Some("tell has worked for 41 s; its time-out is 30 s"));
        assert_eq!(late.fix.as_deref(), Some("on web1: kill -TERM 42, then start it again"));
        assert_eq!(judged("tell", 3500, Some(3600), None).state, State::Running, "a transcription may take an hour");
        assert_eq!(judged("tell", 700, None, Some(600)).stuck, Some(Stuck::Late), "the chain has one");
        assert_eq!(judged("storage:files", 700, None, Some(600)).stuck, None, "it is that of the links");
        assert_eq!(judged("tell", 3500, None, None).stuck, None, "nobody said how long it may take");
        assert_eq!(judged("tell", 3700, None, None).stuck, Some(Stuck::Late));
    }

    #[test]
    fn a_run_of_a_dead_or_silent_conductor_is_stuck() {
        let run = record(RunState::Claimed);
        let dead = judge(&run, &look(false, Vec::new()));
        assert_eq!((dead.state, dead.stuck), (State::Stuck, Some(Stuck::Dead)));
        let reason = "its conductor p (pid 42 on web1) is dead; the next one that runs takes it over";
        assert_eq!((dead.reason.as_deref(), dead.fix.as_deref()), (Some(reason), Some("vconductor run CONFIG")));
        let mut seen = look(true, Vec::new());
        assert_eq!(judge(&run, &seen).state, State::Running);
        seen.at += 60_000;
        assert_eq!(judge(&run, &seen).stuck, Some(Stuck::Silent));
        seen.conductors.clear();
        assert_eq!(judge(&run, &seen).stuck, Some(Stuck::Dead), "the store does not know it any more");
    }

    #[test]
    fn what_was_due_long_ago_is_stuck() {
        for state in [RunState::Scheduled, RunState::Parked] {
            let run = RunRecord { due: Some(NOW - 29_000), ..record(state) };
            assert_ne!(judge(&run, &look(true, Vec::new())).state, State::Stuck);
            let run = RunRecord { due: Some(NOW - 31_000), ..run };
            let judged = judge(&run, &look(false, Vec::new()));
            assert_eq!(judged.stuck, Some(Stuck::Overdue));
            assert_eq!(judged.reason.as_deref(), Some("it was due 31 s ago, and no conductor runs"));
        }
    }

    #[test]
    fn what_waits_says_for_what_and_until_when() {
        let failure = Failure {
            class: Class::Retryable,
            step: "tell".to_owned(),
            message: "answered 503".to_owned(),
            help: None,
            attempts: 2,
            at: NOW - 3000,
        };
        let seen = look(true, Vec::new());
        let retried = RunRecord { failure: Some(failure), due: Some(NOW + 9000), ..record(RunState::Scheduled) };
        let judged = judge(&retried, &seen);
        assert_eq!(
            (judged.state, judged.step.as_deref(), judged.since),
            (State::Waiting, Some("tell"), Some(NOW - 3000))
        );
        assert_eq!(judged.reason.as_deref(), Some("tried again in 9 s: answered 503"));
        assert_eq!(judged.cause.as_deref(), Some("answered 503"), "what others wait for as well has no times");
        let held = RunRecord { waits: Some((WaitReason::Held, NOW - 500)), ..retried.clone() };
        let judged = judge(&held, &seen);
        assert_eq!((judged.step, judged.since), (None, Some(NOW - 500)), "an old failure is not why it waits");
        assert_eq!(judged.reason.as_deref(), Some("a link is held; looks again in 9 s"));
        assert_eq!(judged.cause.as_deref(), Some("a link is held"));
        let dead = RunRecord { queue: Some("DLQ:storage:files".to_owned()), state: RunState::Dead, ..retried };
        assert_eq!(judge(&dead, &seen).reason.as_deref(), Some("waits for storage files: answered 503"));
        let mut paused = look(true, Vec::new());
        paused.lists.push(ListStatus { list: "calls".to_owned(), paused: true, ..ListStatus::default() });
        let judged = judge(&record(RunState::Waiting), &paused);
        assert_eq!(
            (judged.reason.as_deref(), judged.fix.as_deref()),
            (Some("list calls is paused"), Some("vconductor queue resume calls"))
        );
        assert_eq!(
            judge(&record(RunState::Waiting), &look(false, Vec::new())).reason.as_deref(),
            Some("no conductor runs")
        );
    }
}
