//! What happens to conductors, network and server in a storm.

use std::time::{Duration, Instant};

use redis::Connection;
use vconductor_core::error::{Error, Result};

use super::Findings;
use super::crew::Crew;
use crate::recorder::Recorder;
use crate::servers::proxy::{Harm, Proxy};
use crate::servers::redis::RedisServer;

/// What can happen, each as likely as the others.
const HARMS: [&str; 12] = [
    "reply dropped",
    "reply cut",
    "request late",
    "latency",
    "connections refused",
    "CLIENT KILL",
    "CLIENT PAUSE",
    "SCRIPT FLUSH",
    "server restarted",
    "server killed",
    "conductor stopped past its lease",
    "conductor terminated",
];

/// A server and a proxy that misbehave.
pub(super) struct Storm {
    server: RedisServer,
    proxy: Proxy,
    rng: fastrand::Rng,
    /// When the network is as it should be again.
    heals: Option<Instant>,
}

impl Storm {
    pub(super) fn start(seed: u64) -> Self {
        let server = RedisServer::durable();
        let proxy = Proxy::start(server.port());
        Storm { server, proxy, rng: fastrand::Rng::with_seed(seed ^ 2), heals: None }
    }

    /// Where producers and the checker reach the server.
    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Where conductors reach it.
    pub(super) fn conductors_url(&self) -> String {
        self.proxy.url()
    }

    /// Lets one thing happen.
    pub(super) fn act(&mut self, crew: &mut Crew, recorder: &Recorder, findings: &mut Findings) {
        if self.heals.is_some_and(|at| at <= Instant::now()) {
            self.heal(recorder);
        }
        let harm = HARMS[self.rng.usize(0..HARMS.len())];
        let word = if self.rng.bool() { "EXEC" } else { "EVALSHA" };
        let nth = self.rng.usize(0..4);
        let soon = Duration::from_millis(self.rng.u64(200..900));
        let happened = match harm {
            "reply dropped" => self.reply(Harm::Drop, word, nth),
            "reply cut" => self.reply(Harm::Cut, word, nth),
            "request late" => self.reply(Harm::Late(Duration::from_millis(700)), word, nth),
            "latency" => {
                self.proxy.delay(Duration::from_millis(self.rng.u64(2..25)));
                self.heals = Some(Instant::now() + soon);
                true
            }
            "connections refused" => {
                self.proxy.refuse(true);
                self.proxy.cut_all();
                // The far sides of the links have a bad time as well: what fails is tried again.
                recorder.answer("/call", 503);
                self.heals = Some(Instant::now() + soon);
                true
            }
            "CLIENT KILL" => self.tell(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal")),
            "CLIENT PAUSE" => self.tell(redis::cmd("CLIENT").arg("PAUSE").arg(soon.as_millis() as u64)),
            "SCRIPT FLUSH" => self.tell(redis::cmd("SCRIPT").arg("FLUSH")),
            "server restarted" => {
                self.server.signal("TERM");
                self.server.gone();
                std::thread::sleep(soon / 2);
                self.server.up();
                true
            }
            "server killed" => {
                self.server.kill();
                std::thread::sleep(soon / 2);
                self.server.up();
                true
            }
            "conductor stopped past its lease" => crew.freeze(),
            _ => crew.terminate(),
        };
        if happened {
            *findings.harms.entry(harm.to_owned()).or_default() += 1;
        }
    }

    fn reply(&self, harm: Harm, word: &str, nth: usize) -> bool {
        self.proxy.harm(harm, word, nth);
        true
    }

    fn tell(&self, command: &mut redis::Cmd) -> bool {
        // It may end its own connection.
        command.exec(&mut self.server.connect()).unwrap_or_default();
        true
    }

    fn heal(&mut self, recorder: &Recorder) {
        self.proxy.delay(Duration::ZERO);
        self.proxy.refuse(false);
        recorder.answer("/call", 200);
        self.heals = None;
    }

    /// Everything is as it should be.
    pub(super) fn calm(&mut self, crew: &mut Crew, recorder: &Recorder) {
        self.heal(recorder);
        self.proxy.spare();
        crew.wake();
    }
}

/// Whether nothing waits, is held or is due.
pub(super) fn is_idle(connection: &mut Connection) -> Result<bool> {
    let mut pipe = redis::pipe();
    pipe.cmd("LLEN").arg("in");
    for set in ["{in}:returned", "{in}:due", "{in}:parked"] {
        pipe.cmd("ZCARD").arg(set);
    }
    pipe.cmd("SCARD").arg("{in}:wips");
    let answers: Vec<u64> = pipe
        .query(connection)
        .map_err(|error| Error::permanent("the checker cannot read the server").caused_by(error))?;
    Ok(answers.iter().all(|count| *count == 0))
}
