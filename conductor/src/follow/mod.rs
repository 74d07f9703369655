//! Followers: vCons pulled from other servers.
//!
//! Reading order: [`pull`] asks the other server, [`fetch`] gets what it named, [`source`] is the other side between two
//! vConductors, [`protocol`] is what both say. `journal` and `lease` keep what a kill must not lose.
//!
//! * **From another vConductor** nothing is lost: the vCons are claimed there, stored and enqueued here in one step, and
//!   only then confirmed there. What is not confirmed in time goes out again; its run id tells that it is here already.
//! * **From vcon-server** reading the list takes the ids off it. They are in a file on disk as soon as the reply is read,
//!   then on the list `followers:<name>` of the store, from where they are fetched one by one: a vCon is stored, and
//!   then enqueued and struck from that list in one step. The one thing that can be lost is a reply that is on its way
//!   when the connection or this process dies.

mod fetch;
mod journal;
pub(crate) mod lease;
mod protocol;
mod pull;
mod remote;
mod settings;
pub mod source;
mod state;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vconductor_core::config::Follower;
use vconductor_core::error::Result;
use vconductor_core::http::HttpClient;
use vconductor_core::store::Store;

pub use protocol::{CLAIM, CONFIRM};
pub(crate) use protocol::{ClaimAsk, Runs};
pub(crate) use settings::check;
pub use state::{Counts, State};

use lease::Lease;
use remote::Remote;

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

/// All followers of a configuration.
pub struct Followers {
    states: Vec<Arc<State>>,
    lease: Option<Arc<Lease>>,
    stop: CancellationToken,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
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
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut states = Vec::new();
        let mut lease = None;
        if !followers.is_empty() {
            let folder = folder.join("followers");
            journal::make_folder(&folder)?;
            let held = Lease::take(Arc::clone(store)).await?;
            for settings in followers {
                let state = Arc::new(State::new(&settings.name));
                states.push(Arc::clone(&state));
                let following = Arc::new(Following {
                    list: list_of(&settings.name),
                    store: Arc::clone(store),
                    remote: Remote::new(settings, http.clone())?,
                    settings: settings.clone(),
                    lease: Arc::clone(&held),
                    state,
                    stop: stop.clone(),
                });
                tasks.spawn(pull::work(Arc::clone(&following), folder.clone()));
                tasks.spawn(fetch::work(following));
            }
            lease = Some(held);
        }
        Ok(Arc::new(Followers { states, lease, stop, tasks: tokio::sync::Mutex::new(tasks) }))
    }

    /// How they stand, in the order of the configuration.
    pub fn states(&self) -> &[Arc<State>] {
        &self.states
    }

    /// Whether every one has asked at least once, the last answer of each brought nothing, and nothing is being fetched.
    pub fn is_idle(&self) -> bool {
        self.states.iter().all(|state| state.is_idle())
    }

    /// The lists of ids that are still to be fetched.
    pub fn lists(&self) -> Vec<String> {
        self.states.iter().map(|state| list_of(state.name())).collect()
    }

    /// Asks and fetches no more; what is being fetched may end.
    pub fn hush(&self) {
        self.stop.cancel();
    }

    /// Ends them: what is being fetched has five seconds to end, then it is given back.
    pub async fn stop(&self) {
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
