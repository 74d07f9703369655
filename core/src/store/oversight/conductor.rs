//! What conductors tell of themselves.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::run::{RunId, Usage};
use crate::store::ProcessId;

/// What a conductor tells of itself, again and again while it works. No secrets: names, times and counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// What works under this name: `conductor`, or a part beside it (`followers`, `ingress`, `source`), each with a lease of its
    /// own.
    pub role: String,
    /// The version of the program.
    pub version: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// When it was started.
    pub started_at: Millis,
    /// When it told this.
    pub told_at: Millis,
    /// It tells again within this time, in milliseconds; a silence of several such times says that it is wedged.
    pub every_ms: u64,
    /// How many configurations it has worked by, this one included.
    pub generation: u64,
    /// Hash of the configuration.
    pub hash: String,
    /// Why it refused the last configuration that it was to go on by, if it did.
    pub refused: Option<String>,
    /// Its chains.
    pub chains: Vec<CardChain>,
    /// Runs that it works on.
    pub working: u64,
    /// Those of them that take a while, the oldest first; not all where there are many.
    pub at_work: Vec<AtWork>,
}

/// A chain as a conductor tells of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CardChain {
    /// Its name.
    pub name: String,
    /// The lists it takes from.
    pub ingress_lists: Vec<String>,
    /// The lists it hands on to.
    pub egress_lists: Vec<String>,
    /// Its links that touch anything outside.
    pub external_links: Vec<String>,
    /// How many of its runs are worked on at once.
    pub concurrency: u64,
}

/// A run while it is worked on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtWork {
    /// The run.
    pub run: RunId,
    /// Its vCon.
    pub uuid: String,
    /// Its ingress list.
    pub list: String,
    /// Its chain.
    pub chain: String,
    /// Which passage this is, from 1.
    pub attempt: u32,
    /// When this passage began.
    pub began: Millis,
    /// How long the links may take together, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_ms: Option<u64>,
    /// What it has done and does, in the order in which that began.
    #[serde(default)]
    pub steps: Vec<StepTime>,
}

impl AtWork {
    /// The step that it has been at for the longest time.
    pub fn step(&self) -> Option<&StepTime> {
        self.steps.iter().find(|step| step.end.is_none())
    }

    /// What its steps cost so far in US dollars; `None` if nothing of a known price was used.
    pub fn cost(&self) -> Option<f64> {
        cost(&self.steps)
    }
}

/// One step of one passage: a link, a storage, or the media that go to one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// The link, `storage:<name>` or `media:<name>`.
    pub name: String,
    /// When it began.
    pub began: Millis,
    /// How long it took, in milliseconds; `None` while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How long it may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_ms: Option<u64>,
    /// Which try of the step this is, from 1.
    pub attempt: u32,
    /// How it ended; `None` while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<StepEnd>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it used of a paid service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// It did what it should.
    Done,
    /// It was not executed: its condition is false, the vCon is signed, or the budget is spent.
    Skipped,
    /// It did what it should, and the chain ends here.
    Stopped,
    /// The chain goes on with another vCon.
    Switched,
    /// It waits for something outside.
    Parked,
    /// Its link is held.
    Held,
    /// It failed.
    Failed,
    /// It was cut off: a time limit of the chain, a lost claim, the end of the process.
    CutOff,
}

impl StepEnd {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            StepEnd::Done => "done",
            StepEnd::Skipped => "skipped",
            StepEnd::Stopped => "stopped the chain",
            StepEnd::Switched => "switched",
            StepEnd::Parked => "parked",
            StepEnd::Held => "held",
            StepEnd::Failed => "failed",
            StepEnd::CutOff => "cut off",
        }
    }
}

/// The sum of what steps cost.
pub(super) fn cost(steps: &[StepTime]) -> Option<f64> {
    steps.iter().filter_map(|step| step.usage.as_ref()?.cost).reduce(|sum, cost| sum + cost)
}

/// A conductor as the store knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conductor {
    /// Its process.
    pub process: ProcessId,
    /// Whether it is alive as far as the store can tell.
    pub alive: bool,
    /// When its lease ends or ended; `None`: it has none any more, what it held was taken over.
    pub lease_until: Option<Millis>,
    /// Runs that it holds.
    pub holds: u64,
    /// By how many milliseconds the store's clock is ahead of its own, as it measured; differences that the network may
    /// make count as none.
    pub clock_behind_ms: Millis,
    /// What it told last; older versions tell nothing.
    pub card: Option<Card>,
}

impl Conductor {
    /// Of which nothing is known but its name.
    pub(in crate::store) fn unknown(process: &str) -> Self {
        Conductor {
            process: ProcessId(process.to_owned()),
            alive: false,
            lease_until: None,
            holds: 0,
            clock_behind_ms: 0,
            card: None,
        }
    }
}

impl Card {
    /// All times as another clock says them, which is ahead by this much.
    pub(in crate::store) fn shifted(mut self, ahead: Millis) -> Self {
        if ahead != 0 {
            self.started_at += ahead;
            self.told_at += ahead;
            for run in &mut self.at_work {
                run.began += ahead;
                shift(&mut run.steps, ahead);
            }
        }
        self
    }
}

/// See [`Card::shifted`].
pub(super) fn shift(steps: &mut [StepTime], ahead: Millis) {
    for step in steps {
        step.began += ahead;
    }
}
