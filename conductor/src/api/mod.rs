//! The HTTP API: what other machines ask of a conductor.
//!
//! It has the paths of the health checks and of [`follow::source`](crate::follow::source). Every path answers with and
//! without `/api` in front, as vcon-server's do, and everything but the health checks wants a key ([`access`]).

mod access;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vconductor_core::error::{Error, Result};
use vconductor_core::store::Store;

pub use access::Keys;
pub(crate) use access::header;

use crate::follow::source::{self, Source};

/// The largest body: the paths there are take ids, no documents. Bytes.
const LARGEST_BODY: usize = 1 << 20;
/// How long calls that are under way may take to end when the process stops.
const GRACE: Duration = Duration::from_secs(5);

/// A server at work.
pub struct Api {
    address: SocketAddr,
    source: Arc<Source>,
    stop: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
}

impl Api {
    /// Listens and answers. What `routers` serve is not behind the keys.
    ///
    /// # Errors
    /// Configuration: the address cannot be listened on. Retryable: the store is away.
    pub async fn start(address: SocketAddr, store: Arc<dyn Store>, keys: Keys, routers: Vec<Router>) -> Result<Self> {
        let refused = |error: std::io::Error| {
            Error::configuration(format!("cannot listen on {address}: {error}"))
                .help("name an address of this machine and a port that is free")
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let source = Source::open(store).await?;
        let stop = CancellationToken::new();
        let service = routers.into_iter().fold(routes(Arc::clone(&source), Arc::new(keys)), Router::merge);
        let server = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
        let served = tokio::spawn(async move { server.await });
        Ok(Api { address, source, stop, served })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more calls, lets those under way end, and gives back what is handed out.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(GRACE, &mut self.served).await.is_err() {
            self.served.abort();
        }
        self.source.close().await;
    }
}

fn routes(source: Arc<Source>, keys: Arc<Keys>) -> Router {
    let with_key = source::router(source).layer(from_fn_with_state(keys, access::with_key));
    let routes = with_key
        .route("/health", get(async || Json(json!({"status": "healthy", "version": version()}))))
        .route("/version", get(async || Json(version())))
        .layer(DefaultBodyLimit::max(LARGEST_BODY));
    Router::new().nest("/api", routes.clone()).merge(routes).fallback(unknown)
}

fn version() -> Value {
    json!({"version": env!("CARGO_PKG_VERSION"), "server": "vconductor"})
}

async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"detail": "Not Found"}))).into_response()
}
