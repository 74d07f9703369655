//! One vCon through one chain, by the real engine, with everything outside replaced: HTTP calls are answered here, storages
//! keep what is written to them, links may be mocked, and time passes as soon as nothing else is left to do. No socket is opened.
//!
//! Reading order: [`Rehearsal::run`] plays, [`watched`] is what it sees of links, [`answers`] and [`mock`] are what a user
//! says in place of the outside.

mod answers;
mod mock;
mod shelf;
mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use vconductor_core::clock::{Clock as _, ManualClock, Millis, SystemClock};
use vconductor_core::config::{Config, Finding};
use vconductor_core::error::{Error, Result};
use vconductor_core::http::HttpClient;
use vconductor_core::plugin::{Link, Registry, Services, Storage};
use vconductor_core::store::embedded::{EmbeddedStore, Settings as StoreSettings};
use vconductor_core::store::{Coordination, Failure, NewVcon, Store, TenantScope};

pub use answers::{Answer, Answers, Called};
pub use mock::Mock;
pub use watched::{Executed, Execution};

use self::shelf::Shelf;
use self::watched::{Log, Watched};
use crate::engine::assemble::{StandIns, assemble_offline};
use crate::engine::chain::{Chain, Chains};
use crate::engine::report::Report;
use crate::engine::{Engine, Settings};
use crate::sections;

/// The list that the vCon is taken from.
const LIST: &str = "offline:in";
/// How long a rehearsal may take in real time.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often is looked how it stands.
const LOOK: Duration = Duration::from_millis(5);
/// A lease that no jump of the clock ends.
const LEASE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The longest time that may pass: nothing is scheduled farther ahead.
const LONGEST: Duration = Duration::from_secs(90 * 86_400);

/// What stands in for everything outside.
#[derive(Debug, Default)]
pub struct Outside {
    /// Mocked links by name.
    pub mocks: BTreeMap<String, Vec<Mock>>,
    /// Answers to HTTP calls.
    pub answers: Vec<Answer>,
    /// Whether links may start processes.
    pub processes: bool,
    /// Whether the chain goes on over a link that would have called somebody who is not there.
    pub lenient: bool,
    /// The time at the start; `None`: now.
    pub now: Option<Millis>,
}

/// A chain on stage.
pub struct Rehearsal<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The plugins.
    pub registry: &'a Registry,
    /// The chain's name.
    pub chain: &'a str,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// It is done.
    Done,
    /// A link stopped it: no storages, no egress.
    Stopped,
    /// It would be a dead letter.
    Failed(Failure),
    /// A link would be held until somebody mends its configuration: its name, and why.
    Held(String, String),
}

impl Ended {
    /// `done`, `stopped`, `failed` or `held`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Ended::Done => "done",
            Ended::Stopped => "stopped",
            Ended::Failed(_) => "failed",
            Ended::Held(..) => "held",
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Rehearsed {
    /// How it ended.
    pub ended: Ended,
    /// Executions of links, in order.
    pub executions: Vec<Execution>,
    /// The links of the chain, in order.
    pub links: Vec<String>,
    /// The document at the end; as the store has it.
    pub document: Bytes,
    /// What was written to each storage, in order: uuid and document.
    pub saved: Vec<(String, String, Bytes)>,
    /// What was put on each list.
    pub pushed: BTreeMap<String, Vec<String>>,
    /// HTTP calls, in order.
    pub calls: Vec<Called>,
    /// How long the chain waited for retries and the like.
    pub waited: Duration,
}

/// Why nothing was played.
#[derive(Debug)]
pub enum Unplayable {
    /// The chain cannot be built.
    Findings(Vec<Finding>),
    /// Something else.
    Failed(Error),
}

impl From<Error> for Unplayable {
    fn from(error: Error) -> Self {
        Unplayable::Failed(error)
    }
}

/// Plugins that watch, and storages that keep.
struct Stand {
    mocks: BTreeMap<String, Vec<Mock>>,
    /// How many links were asked for.
    links: AtomicUsize,
    log: Arc<Log>,
    shelf: Arc<Shelf>,
}

impl StandIns for Stand {
    fn link(&self, name: &str, built: Arc<dyn Link>) -> Arc<dyn Link> {
        let link = match self.mocks.get(name) {
            Some(mocks) => mock::link(mocks.clone()),
            None => built,
        };
        Arc::new(Watched {
            name: name.to_owned(),
            place: self.links.fetch_add(1, Ordering::Relaxed),
            link,
            mocked: self.mocks.contains_key(name),
            log: Arc::clone(&self.log),
        })
    }

    fn storage(&self, name: &str) -> Arc<dyn Storage> {
        self.shelf.storage(name)
    }
}

impl Rehearsal<'_> {
    /// Plays one vCon.
    ///
    /// # Errors
    /// If the chain cannot be built, or the play does not come to its end.
    pub async fn run(
        &self,
        uuid: &str,
        document: Bytes,
        outside: Outside,
    ) -> std::result::Result<Rehearsed, Unplayable> {
        let folder = tempfile::tempdir().map_err(|error| {
            Error::permanent("a folder for temporary files cannot be made").caused_by(error).help("look at TMPDIR")
        })?;
        let clock = ManualClock::at(outside.now.unwrap_or_else(|| SystemClock.now()));
        let store_settings = StoreSettings {
            clock: Arc::new(clock.clone()),
            lease: LEASE,
            dead_letter_keep: None,
            fsync: false,
            ..StoreSettings::default()
        };
        let store: Arc<dyn Store> = EmbeddedStore::open(folder.path(), store_settings)?;
        let answers = Arc::new(Answers::new(outside.answers, Arc::new(clock.clone())));
        let log = Arc::new(Log::new(Arc::clone(&answers), outside.lenient));
        let (links, shelf) = (AtomicUsize::new(0), Arc::default());
        let stand = Stand { mocks: outside.mocks, links, log: Arc::clone(&log), shelf };
        let report = Arc::new(Report::default());
        let mut chains = assemble_offline(self.config, self.registry, &report, &stand).map_err(Unplayable::Findings)?;
        let links = self.alone(&mut chains)?;
        let http = HttpClient::builder().clock(Arc::new(clock.clone())).offline(Arc::clone(&answers) as _).build()?;
        let services = sections::services(self.config, http, Arc::clone(&store) as Arc<dyn Coordination>)?;
        let services = Services { processes: outside.processes, ..services };
        let settings = Settings {
            lanes: 1,
            lease: LEASE,
            keep: None,
            read_through: false,
            grace: Duration::ZERO,
            clock: Arc::new(clock.clone()),
            ..Settings::default()
        };
        let vcon = NewVcon {
            uuid: uuid.to_owned(),
            document: Some(document),
            lists: vec![LIST.to_owned()],
            keep: None,
            context: None,
            tenant: None,
        };
        store.ingest(vec![vcon]).await?;
        let engine = Arc::new(Engine::new(Arc::clone(&store), services, chains, Arc::clone(&report), settings));
        let began = clock.now();
        let ended = play(&engine, &report, &*store, &clock).await?;
        let stored = store.get(&TenantScope::Everything, uuid).await?;
        let document = stored.map(|stored| stored.document).unwrap_or_default();
        let waited = Duration::from_millis(u64::try_from(clock.now() - began).unwrap_or_default());
        let pushed = pushed(&*store).await?;
        let (executions, saved, calls) = (log.take(), stand.shelf.take(), answers.take());
        let ended = at_link(ended, &executions);
        Ok(Rehearsed { ended, executions, links, document, saved, pushed, calls, waited })
    }

    /// Leaves the one chain, which takes from our list; what others take from stays on its list. Answers with its links.
    fn alone(&self, chains: &mut Chains) -> Result<Vec<String>> {
        let all = std::mem::take(&mut chains.chains);
        let found = all.into_iter().find(|chain| chain.name == self.chain).and_then(Arc::into_inner);
        let Some(chain) = found else {
            return Err(Error::permanent(format!("there is no chain `{}`, or it is not enabled", self.chain)));
        };
        let links = chain.step_names.iter().flat_map(|names| names.split('+').map(str::to_owned)).collect();
        chains.chains = vec![Arc::new(Chain { ingress_lists: vec![LIST.to_owned()], budget: None, ..chain })];
        Ok(links)
    }
}

/// Runs the engine until the run has ended.
async fn play(engine: &Arc<Engine>, report: &Arc<Report>, store: &dyn Store, clock: &ManualClock) -> Result<Ended> {
    let mut events = report.listen();
    let working = Arc::clone(engine);
    let mut running = tokio::spawn(async move { working.run().await });
    let (began, start) = (Instant::now(), clock.now());
    let (mut quiet, mut jump) = (0, Duration::from_secs(1));
    let ended = loop {
        tokio::select! {
            done = &mut running => {
                done.map_err(|error| Error::permanent(format!("the engine ended: {error}")))??;
                return Err(Error::permanent("the engine ended before the run"));
            }
            event = events.recv() => match event.map(|event| event.outcome) {
                Ok("done") => break Ok(Ended::Done),
                Ok("stopped") => break Ok(Ended::Stopped),
                Ok("dead") => break failure(store).await.map(Ended::Failed),
                _ => quiet = 0,
            },
            () = tokio::time::sleep(LOOK) => {
                if let Some(hold) = engine.held().into_iter().next() {
                    let link = hold.what.strip_prefix("link:").unwrap_or(&hold.what).to_owned();
                    break Ok(Ended::Held(link, hold.reason));
                }
                quiet = if engine.working() == 0 { quiet + 1 } else { 0 };
                // The janitor wakes what is due every 100 ms.
                if quiet > 60 {
                    quiet = 0;
                    clock.advance(jump);
                    jump = (jump * 4).min(LONGEST / 8);
                }
                let passed = Duration::from_millis(u64::try_from(clock.now() - start).unwrap_or_default());
                if began.elapsed() > PATIENCE || passed > LONGEST {
                    break Err(Error::permanent("the chain does not come to an end").help("look at its waits and retries"));
                }
            }
        }
    };
    engine.stopper().abort();
    // It was told to give up; how it leaves the store changes nothing any more.
    drop(tokio::time::timeout(Duration::from_secs(10), running).await);
    ended
}

/// A hold of a key is told of as one of the link that used it.
fn at_link(ended: Ended, executions: &[Execution]) -> Ended {
    match (ended, executions.iter().rev().find(|execution| matches!(execution.executed, Executed::Failed(..)))) {
        (Ended::Held(what, why), Some(failed)) if what.starts_with("key:") => Ended::Held(failed.link.clone(), why),
        (ended, _) => ended,
    }
}

async fn failure(store: &dyn Store) -> Result<Failure> {
    for queue in store.dead_letter_queues().await? {
        if let Some(letter) = store.dead_letters(&queue.queue, None, 1).await?.into_iter().next() {
            return Ok(letter.failure);
        }
    }
    Err(Error::permanent("a dead letter has gone"))
}

async fn pushed(store: &dyn Store) -> Result<BTreeMap<String, Vec<String>>> {
    let mut pushed = BTreeMap::new();
    for status in store.lists().await?.into_iter().filter(|status| status.list != LIST && status.waiting > 0) {
        let entries = store.peek(&status.list, usize::try_from(status.waiting).unwrap_or(usize::MAX)).await?;
        pushed.insert(status.list, entries.into_iter().map(|entry| entry.uuid).collect());
    }
    Ok(pushed)
}
