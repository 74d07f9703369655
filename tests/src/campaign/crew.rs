//! The conductors of a campaign: each is started with a place to die, and replaced when it is gone.

use std::path::Path;
use std::time::{Duration, Instant};

use vconductor_core::error::{Error, Result};

use super::check::Deaths;
use super::{Findings, Plan};
use crate::conductors::{Conductor, Launch};

/// A conductor that lives longer than this although it should have ended idle hangs, unless the campaign has more patience.
const PATIENCE: Duration = Duration::from_secs(120);

/// Exit code of a conductor that finds no server at its start, or cannot take its leave.
const AWAY: i32 = 69;
/// A conductor that has just started may find no server.
const YOUNG: Duration = Duration::from_secs(8);

struct Member {
    conductor: Conductor,
    started: Instant,
    /// Where it kills itself, or nothing.
    point: Option<String>,
    /// When it is killed from outside.
    moment: Option<Instant>,
    /// When a stopped one goes on.
    stopped: Option<Instant>,
    /// It was told to end.
    told: bool,
}

/// See the module's description.
pub(super) struct Crew {
    launch: Launch,
    size: usize,
    points: Vec<&'static str>,
    rng: fastrand::Rng,
    members: Vec<Member>,
    started: u32,
    patience: Duration,
    pub(super) deaths: Deaths,
}

impl Crew {
    pub(super) fn new(plan: &Plan, config: &Path, store: &str, points: Vec<&'static str>, arguments: &[&str]) -> Self {
        let mut launch = Launch::new(&plan.binary, config, store);
        launch.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let rng = fastrand::Rng::with_seed(plan.seed);
        Crew {
            launch,
            size: plan.conductors,
            points,
            rng,
            members: Vec::new(),
            started: 0,
            patience: PATIENCE,
            deaths: Deaths::new(),
        }
    }

    /// With more variables of the environment, the logs in `logs`, and patience for work that takes long.
    pub(super) fn set_up(mut self, environment: Vec<(String, String)>, logs: &Path, patience: Duration) -> Self {
        self.launch.environment = environment;
        self.launch.logs = logs.to_owned();
        self.patience = patience;
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Starts the missing ones; armed ones die somewhere.
    pub(super) fn fill(&mut self, armed: bool) {
        while self.members.len() < self.size {
            let mut launch = self.launch.clone();
            let (mut point, mut moment) = (None, None);
            if armed && self.rng.u8(0..5) == 0 {
                moment = Some(Instant::now() + Duration::from_millis(self.rng.u64(20..900)));
            } else if armed {
                let name = self.points[self.rng.usize(0..self.points.len())];
                launch.kill_at = Some(format!("{name}:{}", self.rng.u32(1..12)));
                point = Some(name.to_owned());
            }
            self.started += 1;
            let conductor = launch.start(self.started);
            self.members.push(Member { conductor, started: Instant::now(), point, moment, stopped: None, told: false });
        }
    }

    /// Kills whose moment has come, wakes who is stopped, and counts who is gone; returns how many.
    pub(super) fn look(&mut self, findings: &mut Findings) -> Result<usize> {
        let now = Instant::now();
        let mut gone = 0;
        for mut member in std::mem::take(&mut self.members) {
            if member.moment.is_some_and(|moment| moment <= now) {
                member.conductor.signal("KILL");
                member.conductor.wait(Duration::from_secs(10));
            }
            if member.stopped.is_some_and(|until| until <= now) {
                member.conductor.signal("CONT");
                member.stopped = None;
            }
            match member.conductor.ended() {
                Some(status) => {
                    gone += 1;
                    if status.code().is_none() {
                        self.deaths.entry(member.conductor.number).or_default().push(Instant::now());
                        let place = if member.moment.is_some() { None } else { member.point };
                        *findings.kills.entry(place.unwrap_or_else(|| "random moment".to_owned())).or_default() += 1;
                    } else if status.code() == Some(AWAY) && (member.told || member.started.elapsed() < YOUNG) {
                        *findings.harms.entry("server away at start or end".to_owned()).or_default() += 1;
                    } else if !status.success() && status.code() != Some(1) {
                        let number = member.conductor.number;
                        findings.breaches.push(format!(
                            "conductor {number} ended with {status}, which nobody told it to: {}",
                            member.conductor.tail()
                        ));
                    }
                }
                None if member.started.elapsed() > self.patience && member.point.is_none() => {
                    return Err(Error::permanent(format!("a conductor hangs: {}", member.conductor.tail())));
                }
                None => self.members.push(member),
            }
        }
        Ok(gone)
    }

    /// Stops one longer than its lease; others take over what it holds.
    pub(super) fn freeze(&mut self) -> bool {
        if self.members.iter().any(|member| member.stopped.is_some()) {
            return false;
        }
        let index = self.rng.usize(0..self.members.len().max(1));
        let lease = self.launch.lease;
        let Some(member) = self.members.get_mut(index) else { return false };
        if member.started.elapsed() < Duration::from_millis(400) {
            return false;
        }
        member.conductor.signal("STOP");
        member.moment = None;
        let now = Instant::now();
        self.deaths.entry(member.conductor.number).or_default().push(now);
        member.stopped = Some(now + lease * 2 + Duration::from_millis(self.rng.u64(0..1000)));
        true
    }

    /// Tells one to end; it finishes what it holds. Telling it again would make it give up, as a kill does.
    pub(super) fn terminate(&mut self) -> bool {
        let index = self.rng.usize(0..self.members.len().max(1));
        let Some(member) = self.members.get_mut(index).filter(|member| member.stopped.is_none() && !member.told) else {
            return false;
        };
        member.conductor.signal("TERM");
        member.told = true;
        true
    }

    /// Wakes who is stopped.
    pub(super) fn wake(&mut self) {
        for member in &mut self.members {
            if member.stopped.take().is_some() {
                member.conductor.signal("CONT");
            }
        }
    }

    /// Nobody is killed from outside any more; who was started armed is replaced by one who is not.
    pub(super) fn disarm(&mut self) {
        self.wake();
        for mut member in std::mem::take(&mut self.members) {
            member.conductor.signal("KILL");
            member.conductor.wait(Duration::from_secs(10));
            self.deaths.entry(member.conductor.number).or_default().push(Instant::now());
        }
        self.fill(false);
    }

    /// The last ones must leave properly and soon, for nothing is left to do.
    pub(super) fn finish(&mut self, findings: &mut Findings) {
        for mut member in std::mem::take(&mut self.members) {
            member.conductor.signal("TERM");
            let asked = Instant::now();
            let status = member.conductor.wait(Duration::from_secs(30));
            if !status.success() || asked.elapsed() > Duration::from_secs(3) {
                let number = member.conductor.number;
                let took = asked.elapsed();
                findings.breaches.push(format!("idle conductor {number} took {took:?} to end with {status}"));
            }
        }
    }

    /// What the last ones say.
    pub(super) fn tails(&self) -> String {
        let tails = self.members.iter().map(|member| member.conductor.tail());
        tails.collect::<Vec<_>>().join("\n---\n")
    }
}
