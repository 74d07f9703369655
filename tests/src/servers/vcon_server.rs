//! A stand-in for vcon-server's API, as far as followers use it: the destructive read of a list and the read of a vCon.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The key that it wants.
pub const TOKEN: &str = "token-of-the-north";

/// What goes wrong with one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// This status, before anything is done.
    Status(u16),
    /// The answer comes so much later.
    Slow(Duration),
    /// The answer breaks off in its middle; what was asked for is done.
    Cut,
}

/// The stand-in.
pub struct VconServer {
    port: u16,
    world: Arc<Mutex<World>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct World {
    lists: HashMap<String, VecDeque<String>>,
    vcons: HashMap<String, String>,
    /// Troubles of the answers to come, by path.
    troubles: HashMap<String, VecDeque<Trouble>>,
    /// The ids of each answer to a read of a list.
    replies: Vec<Vec<String>>,
    requests: Vec<String>,
}

type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VconServer {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let world = Shared::default();
        let router = Router::new()
            .route("/api/vcon/egress", get(egress))
            .route("/api/vcon/{uuid}", get(vcon))
            .fallback(|| async { (StatusCode::NOT_FOUND, json!({"detail": "Not Found"}).to_string()) })
            .with_state(Arc::clone(&world));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        VconServer { port, world, task }
    }

    /// The base of its API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.port)
    }

    /// Stores a vCon and pushes it to a list, as its conserver does at the end of a chain.
    pub fn push(&self, list: &str, uuid: &str, vcon: &str) {
        let mut world = lock(&self.world);
        world.vcons.insert(uuid.to_owned(), vcon.to_owned());
        world.lists.entry(list.to_owned()).or_default().push_back(uuid.to_owned());
    }

    /// Pushes an id without a vCon.
    pub fn push_id(&self, list: &str, id: &str) {
        lock(&self.world).lists.entry(list.to_owned()).or_default().push_back(id.to_owned());
    }

    /// Makes the next answers on a path (`/vcon/egress`, `/vcon/<uuid>`) go wrong, one trouble each.
    pub fn trouble(&self, path: &str, troubles: &[Trouble]) {
        lock(&self.world).troubles.entry(path.to_owned()).or_default().extend(troubles);
    }

    /// The ids of each answer to a read of a list, so far.
    pub fn replies(&self) -> Vec<Vec<String>> {
        lock(&self.world).replies.clone()
    }

    /// Paths that were asked for.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.world).requests.clone()
    }

    /// Ids on a list.
    pub fn len(&self, list: &str) -> usize {
        lock(&self.world).lists.get(list).map_or(0, VecDeque::len)
    }
}

impl Drop for VconServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The trouble of this answer, after the check of the key. `Err`: the answer.
fn arrive(world: &Shared, path: &str, headers: &HeaderMap) -> Result<Option<Trouble>, Box<Response>> {
    let mut world = lock(world);
    world.requests.push(path.to_owned());
    if headers.get("x-conserver-api-token").and_then(|token| token.to_str().ok()) != Some(TOKEN) {
        let refused = (StatusCode::FORBIDDEN, json!({"detail": "Invalid API Key"}).to_string());
        return Err(Box::new(refused.into_response()));
    }
    match world.troubles.get_mut(path).and_then(VecDeque::pop_front) {
        Some(Trouble::Status(status)) => {
            let status = StatusCode::from_u16(status).expect("a status");
            Err(Box::new((status, json!({"detail": "trouble"}).to_string()).into_response()))
        }
        other => Ok(other),
    }
}

async fn answer(text: String, trouble: Option<Trouble>) -> Response {
    match trouble {
        Some(Trouble::Slow(by)) => {
            tokio::time::sleep(by).await;
            text.into_response()
        }
        Some(Trouble::Cut) => {
            let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
            let broken = std::io::Error::other("cut");
            let parts = futures_util::stream::iter([Ok(half), Err(broken)]);
            Body::from_stream(parts).into_response()
        }
        _ => text.into_response(),
    }
}

async fn egress(
    State(world): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let trouble = match arrive(&world, "/vcon/egress", &headers) {
        Ok(trouble) => trouble,
        Err(refused) => return *refused,
    };
    let limit: usize = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(1);
    let ids: Vec<String> = {
        let mut world = lock(&world);
        let list = world.lists.entry(query.get("egress_list").cloned().unwrap_or_default()).or_default();
        // RPOP: the last comes first.
        let ids: Vec<String> = (0..limit).map_while(|_| list.pop_back()).collect();
        if !ids.is_empty() {
            world.replies.push(ids.clone());
        }
        ids
    };
    answer(json!(ids).to_string(), trouble).await
}

async fn vcon(State(world): State<Shared>, Path(uuid): Path<String>, headers: HeaderMap) -> Response {
    let trouble = match arrive(&world, &format!("/vcon/{uuid}"), &headers) {
        Ok(trouble) => trouble,
        Err(refused) => return *refused,
    };
    let found = lock(&world).vcons.get(&uuid).cloned();
    match found {
        Some(text) => answer(text, trouble).await,
        None => (StatusCode::NOT_FOUND, json!({"detail": "vCon not found"}).to_string()).into_response(),
    }
}
