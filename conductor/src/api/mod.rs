//! The HTTP API: what other machines ask of a conductor.
//!
//! Reading order: [`route`] says how a route is written down, [`guard`] what every call passes, [`access`] who may call;
//! [`vcons`] and [`queues`] are vcon-server's API and what was added to it, [`body`] and [`server`] keep strangers from
//! taking more than their share. Every path answers with and without `/api` in front, as vcon-server's do.
//!
//! Other routers (of [`follow::source`](crate::follow::source), of webhooks) are merged in by [`Settings::routers`]: they
//! get the limits and the headers of every answer, and see to it themselves who may call.

mod access;
mod answer;
mod audit;
mod body;
mod configuration;
mod followed;
mod guard;
mod health;
mod history;
mod limits;
mod lists;
pub(crate) mod metrics;
mod openapi;
mod paced;
mod page;
mod query;
mod queues;
mod route;
mod runs;
mod server;
mod storages;
mod tls;
mod vcons;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vconductor_core::config::IngressAuth;
use vconductor_core::error::{Error, Result};
use vconductor_core::migrate::Egress;
use vconductor_core::plugin::{Hook, Storage, hooks};
use vconductor_core::store::Store;

pub use access::{Jwt, JwtSource, Keys, Scope};
pub(crate) use access::{NewKey, header_name};
pub use configuration::{Configuration, NotReplaced, Replace};
pub use limits::Limits;
pub use openapi::document as openapi;
pub use tls::TlsFiles;

use self::access::Access;
use self::answer::Refusal;
use self::audit::Audit;
use self::body::Room;
use self::lists::Lists;
use self::paced::Answers;
use self::route::Route;
use self::server::Server;
use self::storages::Storages;
use crate::engine::report::Report;
use crate::follow::source::Source;
use crate::reload::Reloads;

/// How long calls that are under way may take to end when the process stops.
const GRACE: Duration = Duration::from_secs(10);
/// The largest body of calls that carry no vCon, in bytes; [`body`] reads those that do.
const SMALL_BODY: usize = 1 << 20;
/// How often uses of keys are written down.
const NOTES: Duration = Duration::from_secs(60);

/// What an API serves, and to whom.
pub struct Settings {
    /// Where it listens; port 0 takes any.
    pub address: SocketAddr,
    /// The files for TLS; `None`: no TLS.
    pub tls: Option<TlsFiles>,
    /// The bounds of calls.
    pub limits: Limits,
    /// Keys that open everything.
    pub keys: Keys,
    /// Tokens of an identity provider that are taken.
    pub jwt: Option<Jwt>,
    /// Keys of partners by ingress list.
    pub ingress_auth: Vec<IngressAuth>,
    /// Lists that the configuration names.
    pub lists: BTreeSet<String>,
    /// How much may wait on a list; what comes on top is refused.
    pub list_limits: BTreeMap<String, u64>,
    /// Storages to read from, in order, what is not in the store any more; and to delete from.
    pub storages: Vec<(String, Arc<dyn Storage>)>,
    /// The form in which vCons are handed out.
    pub form: Egress,
    /// How long a vCon is kept after its last run; `None`: for ever.
    pub keep: Option<Duration>,
    /// The configuration, as it is shown and replaced.
    pub configuration: Option<Configuration>,
    /// Puts a changed configuration to work.
    pub reloads: Option<Reloads>,
    /// The runs of an engine in this process.
    pub report: Option<Arc<Report>>,
    /// The file of the audit log; `None`: the log of the process.
    pub audit: Option<PathBuf>,
    /// Other routers. Their paths are served with and without `/api`, too.
    pub routers: Vec<Router>,
}

impl Settings {
    /// An API with these keys and nothing else.
    pub fn new(address: SocketAddr, keys: Keys) -> Self {
        Settings {
            address,
            tls: None,
            limits: Limits::default(),
            keys,
            jwt: None,
            ingress_auth: Vec::new(),
            lists: BTreeSet::new(),
            list_limits: BTreeMap::new(),
            storages: Vec::new(),
            form: Egress::AsIs,
            keep: Some(Duration::from_secs(3600)),
            configuration: None,
            reloads: None,
            report: None,
            audit: None,
            routers: Vec::new(),
        }
    }
}

/// What handlers share.
struct Shared {
    store: Arc<dyn Store>,
    access: Access,
    limits: Limits,
    room: Room,
    answers: Answers,
    lists: Lists,
    storages: Storages,
    form: Egress,
    keep: Option<Duration>,
    configuration: RwLock<Option<Configuration>>,
    reloads: Option<Reloads>,
    audit: Audit,
    metrics: PrometheusHandle,
    report: Option<Arc<Report>>,
    /// Told of vCons that come and go.
    hooks: Arc<[Arc<dyn Hook>]>,
    stop: CancellationToken,
    source: Arc<Source>,
    draining: AtomicBool,
}

/// What handlers share.
#[derive(Clone)]
struct Context(Arc<Shared>);

impl std::ops::Deref for Context {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Context {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// What of an API a configuration decides.
pub struct Configured {
    /// As it is shown and replaced.
    pub configuration: Configuration,
    /// Keys of partners by ingress list.
    pub ingress_auth: Vec<IngressAuth>,
    /// Lists that it names.
    pub lists: BTreeSet<String>,
    /// Its storages; `None`: those of before are the same.
    pub storages: Option<Vec<(String, Arc<dyn Storage>)>>,
}

/// Gives an API another configuration.
#[derive(Clone)]
pub struct Adopter(Context);

impl Adopter {
    /// From the next call on.
    pub fn adopt(&self, configured: Configured) {
        let context = &self.0;
        context.access.adopt(&configured.ingress_auth);
        context.lists.adopt(configured.lists);
        if let Some(storages) = configured.storages {
            context.storages.adopt(storages);
        }
        *context.configuration.write().unwrap_or_else(PoisonError::into_inner) = Some(configured.configuration);
    }
}

/// A server at work.
pub struct Api {
    address: SocketAddr,
    secure: bool,
    context: Context,
    stop: CancellationToken,
    served: JoinHandle<()>,
    chores: Vec<JoinHandle<()>>,
}

impl Api {
    /// Listens and answers. What `routers` serve is not behind the keys.
    ///
    /// # Errors
    /// Configuration: the address cannot be listened on, a file cannot be used, or no key opens anything. Retryable: the
    /// store is away.
    pub async fn start(settings: Settings, store: Arc<dyn Store>) -> Result<Self> {
        let Settings { address, limits, .. } = settings;
        let refused = |error: std::io::Error| {
            Error::configuration(format!("cannot listen on {address}: {error}"))
                .help("name an address of this machine and a port that is free")
        };
        let tls = settings.tls.as_ref().map(TlsFiles::acceptor).transpose()?;
        let secure = tls.is_some();
        let access =
            Access::new(settings.keys, settings.jwt, &settings.ingress_auth, Arc::clone(&store), &limits).await?;
        if !access.has_any().await? {
            return Err(Error::configuration("the HTTP API has no key, so nobody could be told from anybody").help(
                "make one with `vconductor keys create`, or set CONSERVER_API_TOKEN, or CONSERVER_API_TOKEN_FILE to a file \
                 with one key per line",
            ));
        }
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let stop = CancellationToken::new();
        let context = Context(Arc::new(Shared {
            access,
            limits,
            room: Room::new(&limits),
            answers: Answers::new(&limits),
            lists: Lists::new(settings.lists, settings.list_limits),
            storages: Storages::new(settings.storages),
            form: settings.form,
            keep: settings.keep,
            configuration: RwLock::new(settings.configuration),
            reloads: settings.reloads,
            audit: Audit::open(settings.audit.as_deref())?,
            metrics: metrics::record()?,
            report: settings.report,
            hooks: hooks().into(),
            stop: stop.clone(),
            source: Source::open(Arc::clone(&store)).await?,
            draining: AtomicBool::new(false),
            store,
        }));
        let router = router(&context, settings.routers, secure);
        let server = Server { router, tls, limits, stop: stop.clone() };
        let served = tokio::spawn(server.run(listener));
        let noting = context.clone();
        let notes = tokio::spawn(async move {
            loop {
                tokio::time::sleep(NOTES).await;
                noting.access.note_uses().await;
            }
        });
        let chores = vec![notes, tokio::spawn(metrics::tidy(context.metrics.clone()))];
        Ok(Api { address, secure, context, stop, served, chores })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is found.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.address)
    }

    /// What makes it say of itself that calls should go elsewhere.
    pub fn drain(&self) -> Drain {
        Drain(self.context.clone())
    }

    /// What gives it another configuration.
    pub fn adopter(&self) -> Adopter {
        Adopter(self.context.clone())
    }

    /// Takes no more calls, lets those under way end, and gives back what is handed out.
    pub async fn stop(mut self) {
        self.drain().start();
        self.stop.cancel();
        if tokio::time::timeout(GRACE, &mut self.served).await.is_err() {
            tracing::warn!("calls that are still under way are cut off");
            self.served.abort();
        }
        self.chores.iter().for_each(JoinHandle::abort);
        self.context.access.note_uses().await;
        self.context.source.close().await;
    }
}

/// Makes an API say of itself that calls should go elsewhere; those that come are still answered.
#[derive(Clone)]
pub struct Drain(Context);

impl Drain {
    /// From now on.
    pub fn start(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }
}

/// All routes of the API's own.
fn routes() -> Vec<Route> {
    let mut routes = health::routes();
    routes.extend(metrics::routes());
    routes.extend(vcons::routes());
    routes.extend(queues::routes());
    routes.extend(runs::routes());
    routes.extend(history::routes());
    routes.extend(configuration::routes());
    routes.extend(followed::routes());
    routes.extend(openapi::routes());
    routes.extend(page::routes());
    routes
}

fn router(context: &Context, others: Vec<Router>, secure: bool) -> Router {
    let routes = others.into_iter().fold(route::router(routes(), context), Router::merge);
    Router::new()
        .nest("/api", routes.clone())
        .merge(routes)
        .fallback(async || Refusal::not_found("Not Found"))
        .method_not_allowed_fallback(async || Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
        .layer(DefaultBodyLimit::max(SMALL_BODY))
        .layer(from_fn_with_state(secure, guard::finish))
}
