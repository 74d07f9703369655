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
//! One server (with replicas behind it) holds all keys; scripts touch keys of several slots. [`cluster`] has the layout
//! for servers that share the slots between them; it is not opened yet.

mod address;
mod bell;
mod bulk;
mod catalogue;
mod claim;
pub mod cluster;
mod commit;
mod coordination;
mod crowd;
mod desk;
mod documents;
mod durability;
mod fault;
mod foreign;
mod inner;
mod keyring;
mod keys;
mod lane;
mod load;
mod memory;
mod operate;
mod oversight;
mod probe;
mod process;
mod replays;
mod runs;
mod scripts;
mod settings;
mod sweep;
mod tail;
mod vitals;
mod watched;
mod wire;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use self::bell::Bell;
use self::crowd::Crowd;
use self::inner::{Heard, Inner, LANES, lock};
use self::lane::Lane;
use self::memory::Memory;
pub use self::probe::commands_needed;
use self::process::Heart;
pub use self::settings::{Encoding, Settings};
#[doc(hidden)]
pub use self::tail::from as tail_from;
use self::wire::Wire;
use super::{
    Claim, ClaimRequest, Claimed, Commit, Committed, DeadLetter, DeadLetterQueue, Documents, ListStatus, NewVcon,
    Operations, Pending, ProcessId, Queue, Reaped, Store, Stored, TenantScope, tenant,
};
use crate::error::{Error, Result};
use crate::run::RunId;
use crate::store::{Queued, Revival, Standing};

/// A store on a Redis or Valkey server. See the module's description.
#[derive(Debug)]
pub struct RedisStore {
    inner: Arc<Inner>,
    heart: Heart,
}

impl RedisStore {
    /// Connects to a server and looks whether it can be used: `redis://[user:password@]host[:port][/database]`,
    /// `rediss://` for TLS, `unix:///path`, or `redis+sentinel://host[,host]/master` ([`address`] has it all).
    ///
    /// # Errors
    ///
    /// Configuration: the URL or password is wrong, the server is older than 6.2, or it lacks a command or does
    /// not allow it to the user.
    /// Retryable: the server cannot be reached.
    pub async fn connect(url: &str, settings: Settings) -> Result<Arc<Self>> {
        let mut wire = Wire::new(url, &settings)?;
        let server = probe::probe(&wire, &settings).await?;
        let safety = durability::check(&wire, settings.durability).await?;
        wire.found(&server);
        tracing::debug!(place = %wire.place, server = %server.name, json = server.json, "connected");
        let wire = Arc::new(wire);
        let heart = Heart::new(&wire, &settings);
        let lanes = (0..LANES).map(|index| Arc::new(AsyncMutex::new(Lane::new(index)))).collect();
        let bell = Bell::new(Arc::clone(&wire));
        let inner = Inner {
            tails: settings.tails.unwrap_or_else(|| server.leaves_room()),
            settings,
            memory: Memory::default(),
            bell,
            wire,
            lanes,
            crowds: (0..LANES).map(|_| Crowd::default()).collect(),
            next_lane: AtomicUsize::new(0),
            rota: Mutex::default(),
            announced: Mutex::default(),
            own: Mutex::default(),
            strays: Mutex::default(),
            pumping: AtomicBool::new(false),
            met: Mutex::default(),
            swept: Mutex::default(),
            safety,
            watched: AsyncMutex::default(),
            has_json: server.json,
            eviction: server.eviction,
            ahead: AtomicI64::new(0),
        };
        process::up_since(&inner).await;
        Ok(Arc::new(RedisStore { inner: Arc::new(inner), heart }))
    }

    /// What may go wrong on this server that the store cannot prevent, if anything.
    pub fn risk(&self) -> Option<String> {
        let policy = self.inner.eviction.as_ref()?;
        Some(format!(
            "{} may evict vCons and queues when its memory is full (`maxmemory-policy` is {policy})",
            self.inner.wire.place
        ))
    }

    /// Whether saves may send the end of a document alone ([`tail`]).
    #[doc(hidden)]
    pub fn sends_tails(&self) -> bool {
        self.inner.tails
    }

    /// Keeps what waits on lists from expiring within the horizon, as every sweep does.
    #[doc(hidden)]
    pub async fn protect(&self, horizon: Duration) -> Result<()> {
        sweep::protect(&self.inner, horizon).await
    }
}

#[async_trait]
impl Documents for RedisStore {
    async fn ingest(&self, vcons: Vec<NewVcon>) -> Result<()> {
        let begun = durability::begin(&self.inner);
        if tenant::owned(&vcons)?.is_empty() {
            documents::ingest(&self.inner, vcons).await?;
        } else {
            catalogue::ingest_watched(&self.inner, None, &vcons, None).await?;
        }
        durability::settle(&self.inner, begun).await
    }

    async fn get(&self, scope: &TenantScope, uuid: &str) -> Result<Option<Stored>> {
        documents::get_of(&self.inner, scope, uuid).await
    }

    async fn delete(&self, scope: &TenantScope, uuid: &str) -> Result<bool> {
        documents::delete(&self.inner, scope, uuid).await
    }

    async fn documents(&self, scope: &TenantScope, cursor: Option<String>, limit: usize) -> Result<Vec<String>> {
        documents::page(&self.inner, scope, cursor.as_deref(), limit).await
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

    async fn standing(&self, list: &str) -> Result<Standing> {
        desk::standing(&self.inner, list).await
    }

    async fn peek(&self, list: &str, limit: usize) -> Result<Vec<Queued>> {
        desk::peek(&self.inner, list, limit).await
    }

    async fn transfer(&self, from: &str, to: &str, limit: usize) -> Result<usize> {
        desk::transfer(&self.inner, from, to, limit).await
    }

    async fn dead_letter_queues(&self) -> Result<Vec<DeadLetterQueue>> {
        desk::dead_letter_queues(&self.inner).await
    }

    async fn revive_as(&self, letter: &DeadLetter, revival: Revival) -> Result<bool> {
        desk::revive_as(&self.inner, letter, &revival).await
    }
}

impl Store for RedisStore {
    fn describe(&self) -> String {
        self.inner.wire.place.clone()
    }
}
