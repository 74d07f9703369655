//! The store on Redis or Valkey: any number of conductors on the lists that producers push uuids to.
//!
//! * A list holds bare uuids, as every producer writes them. A run gets its id and entry number when it leaves the
//!   list; runs that come back (retry, park, release, reap) lie in `{L}:returned`, ordered by that number and
//!   claimed before the list. So order is kept, and the list stays what other programs expect.
//! * A claim is one script (ids only) that moves runs into a wip list of their own and takes the writer leases.
//!   Documents are loaded afterwards and never pass through Lua.
//! * A commit is one `MULTI`/`EXEC` under `WATCH` of the wip lists ([`lane`]). Declaring a process dead deletes its
//!   wip lists in one script with everything else that it holds, so what it still commits changes nothing.
//! * A lost answer is settled by a transaction number and by touching what was watched; a lost claim is found in
//!   the process's wip lists and given back.
//!
//! One server (with replicas behind it) holds all keys; scripts touch keys of several slots.

mod bell;
mod claim;
mod commit;
mod documents;
mod fault;
mod keys;
mod lane;
mod memory;
mod operate;
mod process;
mod scripts;
mod sweep;
mod wire;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::{Pipeline, Value};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, oneshot};

use self::bell::Bell;
use self::claim::Rota;
use self::lane::{Lane, Wanted};
use self::memory::{EndKind, Memory};
use self::process::Heart;
use self::wire::Wire;
use super::{
    Claim, ClaimRequest, Claimed, Commit, Committed, DeadLetter, Documents, ListStatus, NewVcon, Operations, Pending,
    ProcessId, Queue, Reaped, Store, Stored,
};
use crate::clock::{Clock, Millis, SystemClock};
use crate::error::{Error, Result};
use crate::run::RunId;

/// How documents are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// What is found is kept; new ones are RedisJSON where the server has it, else strings.
    #[default]
    Auto,
    /// New ones are strings, byte for byte as they came.
    String,
    /// New ones are RedisJSON, as vcon-server writes them.
    Json,
}

/// How a store on Redis works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a process counts as alive after a renewal.
    pub lease: Duration,
    /// The crash that makes a run a dead letter; from the one before it runs alone.
    pub poison_at: u32,
    /// How long dead letters are kept (`VCON_DLQ_EXPIRY`); `None` and zero keep them for ever.
    pub dead_letter_keep: Option<Duration>,
    /// How long the `tel:`, `mailto:` and `name:` sets live after their last change (`VCON_INDEX_EXPIRY`).
    pub index_keep: Duration,
    /// How long trace contexts wait for their run (`VCON_CONTEXT_EXPIRY`).
    pub context_keep: Duration,
    /// How long a vCon is kept after its last run that would have expired on a list (`VCON_REDIS_EXPIRY`).
    pub document_keep: Duration,
    /// The sorted set of all vCons (`VCON_SORTED_SET_NAME`).
    pub sorted_set: String,
    /// How new documents are kept.
    pub encoding: Encoding,
    /// How far ahead a sweep looks for documents on lists that would expire; more than two sweeps.
    pub horizon: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// Shifts the store's time against the server's, in milliseconds. For tests.
    #[doc(hidden)]
    pub clock_shift: Arc<AtomicI64>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lease: Duration::from_secs(30),
            poison_at: 3,
            dead_letter_keep: Some(Duration::from_secs(604_800)),
            index_keep: Duration::from_secs(86_400),
            context_keep: Duration::from_secs(86_400),
            document_keep: Duration::from_secs(3600),
            sorted_set: "vcons".to_owned(),
            encoding: Encoding::Auto,
            horizon: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(10),
            clock_shift: Arc::default(),
        }
    }
}

/// Lanes of a handle; each has a connection once it is used.
const LANES: usize = 4;

/// What all parts of a handle share.
#[derive(Debug)]
struct Inner {
    settings: Settings,
    wire: Arc<Wire>,
    memory: Memory,
    bell: Arc<Bell>,
    lanes: Vec<Arc<AsyncMutex<Lane>>>,
    next_lane: AtomicUsize,
    rota: Mutex<Rota>,
    /// Lists that are in the server's set of lists.
    announced: Mutex<HashSet<String>>,
    /// Processes of this handle, and whether they may hold what nobody was told of.
    own: Mutex<HashSet<ProcessId>>,
    strays: Mutex<HashSet<ProcessId>>,
    /// Where the sweep goes on.
    swept: Mutex<sweep::Place>,
    has_json: bool,
}

impl Inner {
    fn shift(&self) -> i64 {
        self.settings.clock_shift.load(Ordering::SeqCst)
    }

    fn now(&self) -> Millis {
        SystemClock.now() + self.shift()
    }

    fn solo_at(&self) -> u32 {
        self.settings.poison_at.saturating_sub(1).max(1)
    }

    fn new_as_json(&self) -> bool {
        match self.settings.encoding {
            Encoding::Auto => self.has_json,
            Encoding::String => false,
            Encoding::Json => true,
        }
    }

    fn turn<T>(&self, with: impl FnOnce(&mut Rota) -> T) -> T {
        with(&mut lock(&self.rota))
    }

    /// Whether a list must still be made known to the server.
    fn announce(&self, list: &str) -> bool {
        let mut announced = lock(&self.announced);
        !announced.contains(list) && announced.insert(list.to_owned())
    }

    /// What was to make lists known may not have been executed.
    fn announce_again(&self) {
        lock(&self.announced).clear();
    }

    /// A claim's answer was lost: its wip list may exist without anybody knowing.
    fn has_strays(&self, process: &ProcessId) {
        lock(&self.strays).insert(process.clone());
        self.announce_again();
    }

    /// A lane that is free, or the next in turn.
    async fn any_lane(&self) -> OwnedMutexGuard<Lane> {
        for lane in &self.lanes {
            if let Ok(free) = Arc::clone(lane).try_lock_owned() {
                return free;
            }
        }
        let next = self.next_lane.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        Arc::clone(&self.lanes[next]).lock_owned().await
    }

    async fn lane(&self, index: Option<usize>) -> OwnedMutexGuard<Lane> {
        match index.and_then(|index| self.lanes.get(index)) {
            Some(lane) => Arc::clone(lane).lock_owned().await,
            None => self.any_lane().await,
        }
    }

    /// Commits go over the lane that watches their claims; the new claim goes with the last group.
    async fn exchange(
        &self,
        process: &ProcessId,
        commits: Vec<Commit>,
        request: Option<&ClaimRequest>,
    ) -> Result<(Vec<Committed>, Vec<Claimed>)> {
        if lock(&self.strays).contains(process) {
            process::give_back_strays(self, process).await?;
        }
        let mut results = vec![Committed::Lost; commits.len()];
        // One process per transaction, since its mark is the process's.
        type Group = (Option<usize>, ProcessId);
        let mut groups: Vec<(Group, Vec<Wanted>)> = Vec::new();
        for (index, commit) in commits.into_iter().enumerate() {
            let group = (self.memory.lane(&commit.claim), commit.claim.process.clone());
            let wanted = Wanted { index, commit };
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, members)) => members.push(wanted),
                None => groups.push((group, vec![wanted])),
            }
        }
        let mut ends = Vec::new();
        let mut done = Vec::new();
        let last = groups.pop();
        for ((lane, owner), wanted) in groups {
            ends.extend(wanted.iter().map(|wanted| (wanted.index, wanted.end())));
            let answer = self.lane(lane).await.exchange(self, &owner, wanted, None).await;
            done.extend(answer.inspect_err(|_| self.remember_done(&ends, &done))?.0);
        }
        let (lane, wanted) = last.map_or((None, Vec::new()), |((lane, _), wanted)| (lane, wanted));
        let answer = self.lane(lane).await.exchange(self, process, wanted, request).await;
        let (committed, claimed) = answer.inspect_err(|_| self.remember_done(&ends, &done))?;
        for (index, committed) in done.into_iter().chain(committed) {
            results[index] = committed;
        }
        Ok((results, claimed))
    }

    /// An exchange that fails half-way is tried again as a whole by the caller: what is done already answers so then.
    fn remember_done(&self, ends: &[(usize, (ProcessId, RunId, EndKind))], results: &[(usize, Committed)]) {
        for (index, (process, run, end)) in ends {
            if results.contains(&(*index, Committed::Done)) {
                self.memory.was_ended(process, *run, *end);
            }
        }
    }
}

type Exchanged = Result<(Vec<Committed>, Vec<Claimed>)>;

/// Waits for an exchange. If it is dropped when the answer is there but was not looked at, the claims go back.
struct Heard {
    answer: oneshot::Receiver<Exchanged>,
    inner: Arc<Inner>,
    process: ProcessId,
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(Ok((_, claimed))) = self.answer.try_recv()
            && !claimed.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (inner, process) = (Arc::clone(&self.inner), self.process.clone());
            runtime.spawn(async move { process::return_unheard(&inner, &process, &claimed).await });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store on a Redis or Valkey server. See the module's description.
#[derive(Debug)]
pub struct RedisStore {
    inner: Arc<Inner>,
    heart: Heart,
}

impl RedisStore {
    /// Connects to a server and looks whether it can be used: `redis://[user:password@]host[:port][/database]`, or
    /// `rediss://` for TLS.
    ///
    /// # Errors
    ///
    /// Configuration: the URL or password is wrong, the server is older than 6.2, or the user lacks a command.
    /// Retryable: the server cannot be reached.
    pub async fn connect(url: &str, settings: Settings) -> Result<Arc<Self>> {
        let wire = Arc::new(Wire::new(url, &settings)?);
        let mut pipe = Pipeline::new();
        pipe.cmd("PING");
        wire.ask(&pipe).await?;
        let has_json = probe(&wire, &settings).await?;
        let heart = Heart::new(&wire, &settings);
        let lanes = (0..LANES).map(|index| Arc::new(AsyncMutex::new(Lane::new(index)))).collect();
        let bell = Bell::new(Arc::clone(&wire));
        let inner = Inner {
            settings,
            memory: Memory::default(),
            bell,
            wire,
            lanes,
            next_lane: AtomicUsize::new(0),
            rota: Mutex::default(),
            announced: Mutex::default(),
            own: Mutex::default(),
            strays: Mutex::default(),
            swept: Mutex::default(),
            has_json,
        };
        Ok(Arc::new(RedisStore { inner: Arc::new(inner), heart }))
    }

    /// Keeps what waits on lists from expiring within the horizon, as every sweep does.
    #[doc(hidden)]
    pub async fn protect(&self, horizon: Duration) -> Result<()> {
        sweep::protect(&self.inner, horizon).await
    }
}

/// Looks at the server's version; answers whether it has RedisJSON.
async fn probe(wire: &Wire, settings: &Settings) -> Result<bool> {
    let mut pipe = Pipeline::new();
    pipe.cmd("INFO").arg("server");
    pipe.cmd("COMMAND").arg("INFO").arg("JSON.SET").arg("BLMOVE");
    let mut answers = wire.try_ask(&pipe).await?.into_iter();
    // A user without INFO and COMMAND may still be able to do all that is needed.
    let info = answers.next().and_then(wire::text).unwrap_or_default();
    if let Some(version) = info.lines().find_map(|line| line.strip_prefix("redis_version:")) {
        let mut parts = version.trim().split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (6, 2) {
            return Err(Error::configuration(format!("{} is version {}", wire.place, version.trim()))
                .help("Redis 6.2 or newer, or Valkey, is needed"));
        }
    }
    let known = answers.next().map(wire::list).unwrap_or_default();
    let has = |index: usize| known.get(index).is_some_and(|entry| !matches!(entry, Value::Nil));
    if known.len() == 2 && !has(1) {
        return Err(Error::configuration(format!("{} lacks the command BLMOVE", wire.place))
            .help("Redis 6.2 or newer, or Valkey, is needed, with that command not renamed"));
    }
    if settings.encoding == Encoding::Json && !has(0) {
        return Err(Error::configuration(format!("{} has no RedisJSON", wire.place))
            .help("load the module, or leave the encoding at `auto`"));
    }
    Ok(has(0))
}

#[async_trait]
impl Documents for RedisStore {
    async fn ingest(&self, vcons: Vec<NewVcon>) -> Result<()> {
        documents::ingest(&self.inner, vcons).await
    }

    async fn get(&self, uuid: &str) -> Result<Option<Stored>> {
        documents::get(&self.inner, uuid).await
    }

    async fn delete(&self, uuid: &str) -> Result<bool> {
        documents::delete(&self.inner, uuid).await
    }

    async fn documents(&self, cursor: Option<String>, limit: usize) -> Result<Vec<String>> {
        documents::page(&self.inner, cursor.as_deref(), limit).await
    }
}

#[async_trait]
impl Queue for RedisStore {
    async fn register(&self, process: &ProcessId) -> Result<()> {
        process::register(&self.inner, process).await
    }

    fn renew(&self, process: &ProcessId) -> Result<bool> {
        self.heart.renew(&self.inner, process)
    }

    async fn deregister(&self, process: &ProcessId) -> Result<()> {
        process::deregister(&self.inner, process).await
    }

    async fn exchange(
        &self,
        process: &ProcessId,
        commits: Vec<Commit>,
        request: Option<ClaimRequest>,
    ) -> Result<(Vec<Committed>, Vec<Claimed>)> {
        // In a task of its own: a caller that goes away must not cut a transaction in two.
        let (inner, process) = (Arc::clone(&self.inner), process.clone());
        let (reply, answer) = oneshot::channel();
        let mut heard = Heard { answer, inner: Arc::clone(&inner), process: process.clone() };
        tokio::spawn(async move {
            let result = inner.exchange(&process, commits, request.as_ref()).await;
            if let Err(Ok((_, claimed))) = reply.send(result) {
                process::return_unheard(&inner, &process, &claimed).await;
            }
        });
        (&mut heard.answer).await.map_err(|_| Error::retryable("an exchange with the store was cut off"))?
    }

    async fn switch(&self, claim: &Claim, uuid: &str) -> Result<Option<Stored>> {
        documents::switch(&self.inner, claim, uuid).await
    }

    async fn resume(&self, token: &str, payload: serde_json::Value) -> Result<bool> {
        operate::resume(&self.inner, token, payload).await
    }

    async fn pump(&self) -> Result<usize> {
        operate::pump(&self.inner).await
    }

    async fn reap(&self) -> Result<Vec<Reaped>> {
        process::reap(&self.inner).await
    }

    async fn sweep(&self) -> Result<usize> {
        sweep::sweep(&self.inner).await
    }

    async fn doorbell(&self, lists: &[String], timeout: Duration) {
        self.inner.bell.wait(lists, timeout).await;
    }
}

#[async_trait]
impl Operations for RedisStore {
    async fn lists(&self) -> Result<Vec<ListStatus>> {
        operate::lists(&self.inner).await
    }

    async fn pending(&self, lists: &[String], horizon: Duration) -> Result<Pending> {
        operate::pending(&self.inner, lists, horizon).await
    }

    async fn pause(&self, list: &str, paused: bool) -> Result<()> {
        operate::pause(&self.inner, list, paused).await
    }

    async fn dead_letters(&self, queue: &str, cursor: Option<RunId>, limit: usize) -> Result<Vec<DeadLetter>> {
        operate::dead_letters(&self.inner, queue, cursor, limit).await
    }

    async fn revive(&self, run: RunId) -> Result<bool> {
        operate::raise(&self.inner, run, true).await
    }

    async fn bury(&self, run: RunId) -> Result<bool> {
        operate::raise(&self.inner, run, false).await
    }
}

impl Store for RedisStore {
    fn describe(&self) -> String {
        self.inner.wire.place.clone()
    }
}
