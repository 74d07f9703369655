//! Followers: vCons pulled from other servers.
//!
//! Reading order: [`pull`] asks the other server, [`fetch`] gets what it named, [`source`] is the other side between two
//! vConductors, [`protocol`] is what both say. `journal`, `checkpoint` and `lease` keep what a kill must not lose or repeat.
//!
//! * **From another vConductor** nothing is lost: the vCons are claimed there, stored and enqueued here in one step, and
//!   only then confirmed there. What is not confirmed in time goes out again; its run id, kept in the same step, tells that
//!   it is here already.
//! * **From vcon-server** reading the list takes the ids off it. They are in a file on disk as soon as the reply is read,
//!   then on the list `followers:<name>` of the store, from where they are fetched one by one: a vCon is stored, and
//!   then enqueued and struck from that list in one step. The one thing that can be lost is a reply that is on its way
//!   when the connection or this process dies.

mod checkpoint;
mod fetch;
mod journal;
pub(crate) mod lease;
mod protocol;
mod pull;
mod remote;
mod settings;
pub mod source;
mod state;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vconductor_core::config::Follower;
use vconductor_core::error::Result;
use vconductor_core::http::{HttpClient, Url};
use vconductor_core::plugin::Probe;
use vconductor_core::store::Store;

pub use protocol::{CLAIM, CONFIRM};
pub(crate) use protocol::{ClaimAsk, Runs};
pub(crate) use settings::check;
pub use state::{Counts, State};

use lease::Lease;
use remote::Remote;

/// Tries a follower's server and token by a question that takes nothing off any list.
pub(crate) async fn probe(follower: &Follower, http: &HttpClient) -> Probe {
    let target =
        Url::parse(&follower.url).map_or_else(|_| "its server".to_owned(), |url| url.origin().ascii_serialization());
    Probe::of(target, async {
        Remote::new(follower, http.clone())?.greet().await?;
        Ok("answers, accepts the token".to_owned())
    })
    .await
}

/// The list of a follower's ids that are still to be fetched.
pub fn list_of(follower: &str) -> String {
    format!("followers:{follower}")
}

/// How long what is being fetched may take to end when the process stops.
const GRACE: Duration = Duration::from_secs(5);

/// One follower at work.
struct Following {
    settings: Follower,
    /// The list of ids that are still to be fetched.
    list: String,
    store: Arc<dyn Store>,
    remote: Remote,
    lease: Arc<Lease>,
    state: Arc<State>,
    stop: CancellationToken,
}

/// The followers of a process.
pub struct Followers {
    store: Arc<dyn Store>,
    /// Where the journals lie.
    folder: PathBuf,
    pulling: RwLock<Arc<Pulling>>,
}

impl Followers {
    /// Starts them. `folder` is where their journals lie; it is made when it is needed.
    ///
    /// # Errors
    /// Configuration: a URL or token cannot be used, or the folder cannot be written to. Retryable: the store is away.
    pub async fn start(
        followers: &[Follower],
        store: &Arc<dyn Store>,
        http: &HttpClient,
        folder: &Path,
    ) -> Result<Arc<Self>> {
        let folder = folder.join("followers");
        let ready = Ready::make(followers, store, http, &folder).await?;
        let pulling = RwLock::new(Arc::new(ready.start(&folder)));
        Ok(Arc::new(Followers { store: Arc::clone(store), folder, pulling }))
    }

    /// Makes the followers of another configuration ready, to be given to [`Followers::adopt`].
    ///
    /// # Errors
    /// Those of [`Followers::start`].
    pub async fn ready(&self, followers: &[Follower], http: &HttpClient) -> Result<Ready> {
        Ready::make(followers, &self.store, http, &self.folder).await
    }

    /// Goes on with other followers, once those of before have ended: two that pull from the same server must not share a
    /// journal.
    pub async fn adopt(&self, ready: Ready) {
        self.pulling().stop().await;
        *self.pulling.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ready.start(&self.folder));
    }

    fn pulling(&self) -> Arc<Pulling> {
        Arc::clone(&self.pulling.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How they stand, in the order of the configuration.
    pub fn states(&self) -> Vec<Arc<State>> {
        self.pulling().states.clone()
    }

    /// Whether every one has asked at least once, the last answer of each brought nothing, and nothing is being fetched.
    pub fn is_idle(&self) -> bool {
        self.pulling().states.iter().all(|state| state.is_idle())
    }

    /// The lists of ids that are still to be fetched.
    pub fn lists(&self) -> Vec<String> {
        self.pulling().states.iter().map(|state| list_of(state.name())).collect()
    }

    /// Asks and fetches no more; what is being fetched may end.
    pub fn hush(&self) {
        self.pulling().stop.cancel();
    }

    /// Ends them: what is being fetched has five seconds to end, then it is given back.
    pub async fn stop(&self) {
        self.pulling().stop().await;
    }
}

/// Followers of one configuration that may start: whatever could go wrong with them has gone right.
pub struct Ready {
    followings: Vec<Arc<Following>>,
    lease: Option<Arc<Lease>>,
    stop: CancellationToken,
}

impl Ready {
    async fn make(followers: &[Follower], store: &Arc<dyn Store>, http: &HttpClient, folder: &Path) -> Result<Self> {
        let stop = CancellationToken::new();
        if followers.is_empty() {
            return Ok(Ready { followings: Vec::new(), lease: None, stop });
        }
        journal::make_folder(folder)?;
        let remote = |settings: &Follower| Remote::new(settings, http.clone());
        let remotes = followers.iter().map(remote).collect::<Result<Vec<_>>>()?;
        let lists = followers.iter().map(|follower| list_of(&follower.name)).collect();
        let lease = Lease::take(Arc::clone(store), "followers", lists).await?;
        let following = |(settings, remote): (&Follower, Remote)| {
            Arc::new(Following {
                list: list_of(&settings.name),
                store: Arc::clone(store),
                remote,
                settings: settings.clone(),
                lease: Arc::clone(&lease),
                state: Arc::new(State::new(&settings.name)),
                stop: stop.clone(),
            })
        };
        let followings = followers.iter().zip(remotes).map(following).collect();
        Ok(Ready { followings, lease: Some(lease), stop })
    }

    /// They are not wanted after all.
    pub async fn dismiss(self) {
        if let Some(lease) = self.lease {
            lease.leave().await;
        }
    }

    fn start(self, folder: &Path) -> Pulling {
        let mut tasks = JoinSet::new();
        let mut states = Vec::new();
        for following in self.followings {
            states.push(Arc::clone(&following.state));
            tasks.spawn(pull::work(Arc::clone(&following), folder.to_owned()));
            tasks.spawn(fetch::work(following));
        }
        Pulling { states, lease: self.lease, stop: self.stop, tasks: tokio::sync::Mutex::new(tasks) }
    }
}

/// Followers of one configuration, at work.
struct Pulling {
    states: Vec<Arc<State>>,
    lease: Option<Arc<Lease>>,
    stop: CancellationToken,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl Pulling {
    async fn stop(&self) {
        self.stop.cancel();
        let mut tasks = self.tasks.lock().await;
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tasks.shutdown().await;
        }
        if let Some(lease) = &self.lease {
            lease.leave().await;
        }
    }
}
