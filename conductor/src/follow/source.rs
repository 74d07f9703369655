//! The side that is followed: hands vCons of a list out to other vConductors and ends them when they are confirmed.
//!
//! [`router`] has the two paths and no authentication: whoever serves it puts it behind the keys of the API.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Json, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::BytesMut;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::run::RunId;
use vconductor_core::store::{
    Claim, ClaimRequest, Claimed, Commit, Committed, End, Failure, Quota, Store, WaitReason, dead_letter_queue,
};

use super::lease::Lease;
use super::protocol::{CLAIM, CONFIRM, ClaimAsk, Confirmed, HANDOUT, Runs, write};

/// The most vCons of one handout.
const MOST: usize = 1000;
/// Bytes of documents in one handout; one document always fits.
const BYTES: u64 = 32 << 20;
/// The longest time for which a handout is held.
const LONGEST: Duration = Duration::from_secs(600);
/// How often is looked for what was not confirmed in time.
const LOOK: Duration = Duration::from_millis(500);
/// How long an egress list waits for a document.
const PATIENCE: Millis = 10_000;
/// Confirmations that are remembered, as their answers can get lost.
const REMEMBERED: usize = 10_000;

/// A store whose lists may be followed.
pub struct Source {
    store: Arc<dyn Store>,
    lease: Arc<Lease>,
    handed: Mutex<Handed>,
    over: CancellationToken,
}

#[derive(Default)]
struct Handed {
    /// What is out.
    out: HashMap<RunId, Out>,
    /// What was confirmed last.
    confirmed: VecDeque<RunId>,
}

/// A vCon that a follower has.
struct Out {
    claim: Claim,
    follower: String,
    until: Instant,
}

impl Source {
    /// Prepares a store for being followed.
    ///
    /// # Errors
    /// If the store is away.
    pub async fn open(store: Arc<dyn Store>) -> Result<Arc<Self>> {
        let lease = Lease::take(Arc::clone(&store), "source", Vec::new()).await?;
        let source = Arc::new(Source { store, lease, handed: Mutex::default(), over: CancellationToken::new() });
        tokio::spawn(Arc::clone(&source).watch());
        Ok(source)
    }

    /// Gives back what is out.
    pub async fn close(&self) {
        self.over.cancel();
        self.lease.leave().await;
    }

    fn handed(&self) -> MutexGuard<'_, Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back what was not confirmed in time.
    async fn watch(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.over.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = Instant::now();
            if let Err(error) = self.take_back(|out| out.until <= now).await {
                tracing::warn!(error = %error.chain_text(), "the store does not answer");
            }
        }
    }

    /// Gives some of what is out back to the head of its list.
    async fn take_back(&self, which: impl Fn(&Out) -> bool) -> Result<()> {
        let back: Vec<(RunId, Out)> = self.handed().out.extract_if(|_, out| which(out)).collect();
        if back.is_empty() {
            return Ok(());
        }
        let claims = back.iter().map(|(_, out)| out.claim.clone()).collect();
        match self.end(claims, End::Release).await {
            Ok(_) => {
                tracing::info!(vcons = back.len(), "handed out and not confirmed; they go back to their list");
                Ok(())
            }
            Err(error) => {
                self.handed().out.extend(back);
                Err(error)
            }
        }
    }

    async fn end(&self, claims: Vec<Claim>, end: End) -> Result<Vec<Committed>> {
        let commits = claims.into_iter().map(|claim| {
            let end = end.clone();
            Commit::ending(claim, end)
        });
        Ok(self.store.exchange(&self.lease.process(), commits.collect(), None).await?.0)
    }

    /// Claims for a follower.
    async fn claim(&self, ask: ClaimAsk) -> Result<BytesMut> {
        self.take_back(|out| out.follower == ask.follower).await?;
        let limit = ask.limit.clamp(1, MOST);
        let until = Instant::now() + Duration::from_secs(ask.hold_seconds).clamp(Duration::from_secs(1), LONGEST);
        let quota = Quota { list: ask.list, limit, weight: 1 };
        let request = ClaimRequest { quotas: vec![quota], limit, bytes: BYTES };
        let (_, claimed) = self.store.exchange(&self.lease.process(), Vec::new(), Some(request)).await?;
        let mut body = BytesMut::new();
        let mut missing = Vec::new();
        for claimed in claimed {
            let claim = claimed.claim.clone();
            // From here on it is out: if the answer gets lost, it comes back by itself.
            let out = Out { claim: claim.clone(), follower: ask.follower.clone(), until };
            self.handed().out.insert(claim.run, out);
            match &claimed.stored {
                Some(stored) => write(&mut body, claim.run, &claim.uuid, &stored.document)?,
                None => missing.push(claimed),
            }
        }
        for claimed in missing {
            self.handed().out.remove(&claimed.claim.run);
            self.end(vec![claimed.claim.clone()], without_document(&claimed)).await?;
        }
        Ok(body)
    }

    /// Ends what a follower has stored.
    async fn confirm(&self, runs: Runs) -> Result<Confirmed> {
        let mut answer = Confirmed::default();
        let mut ours = Vec::new();
        {
            let mut handed = self.handed();
            for run in runs.runs {
                match handed.out.remove(&run) {
                    Some(out) => ours.push((run, out)),
                    None if handed.confirmed.contains(&run) => answer.confirmed.push(run),
                    None => answer.unknown.push(run),
                }
            }
        }
        if ours.is_empty() {
            return Ok(answer);
        }
        let claims = ours.iter().map(|(_, out): &(RunId, Out)| out.claim.clone()).collect();
        let committed = match self.end(claims, End::Done).await {
            Ok(committed) => committed,
            Err(error) => {
                self.handed().out.extend(ours);
                return Err(error);
            }
        };
        let mut handed = self.handed();
        for ((run, _), committed) in ours.into_iter().zip(committed) {
            match committed {
                Committed::Done => {
                    handed.confirmed.push_back(run);
                    answer.confirmed.push(run);
                }
                // This process was declared dead meanwhile: it is out again already, or will be.
                Committed::Lost => answer.unknown.push(run),
            }
        }
        while handed.confirmed.len() > REMEMBERED {
            handed.confirmed.pop_front();
        }
        Ok(answer)
    }
}

/// Whoever pushed the uuid may be early; after a while it is a dead letter.
fn without_document(claimed: &Claimed) -> End {
    let now = SystemClock.now();
    if claimed.waiting_since.is_none_or(|since| now - since < PATIENCE) {
        return End::Wait { due: now + 1000, reason: WaitReason::MissingDocument };
    }
    let failure = Failure {
        class: Class::Permanent,
        step: "hand out".to_owned(),
        message: format!("vcon_missing: no document is stored under {}", claimed.claim.uuid),
        help: Some("keep vCons longer than their followers take to come for them".to_owned()),
        attempts: claimed.attempts + 1,
        at: now,
    };
    End::Dead { queue: dead_letter_queue(&claimed.claim.list), failure }
}

/// The two paths of the protocol.
pub fn router(source: Arc<Source>) -> Router {
    Router::new().route(CLAIM, post(claim)).route(CONFIRM, post(confirm)).with_state(source)
}

async fn claim(State(source): State<Arc<Source>>, Json(ask): Json<ClaimAsk>) -> Response {
    source.answer_claim(ask).await
}

async fn confirm(State(source): State<Arc<Source>>, Json(runs): Json<Runs>) -> Response {
    source.answer_confirm(runs).await
}

impl Source {
    /// The answer to a claim.
    pub(crate) async fn answer_claim(&self, ask: ClaimAsk) -> Response {
        match self.claim(ask).await {
            Ok(body) => ([(header::CONTENT_TYPE, HANDOUT)], Body::from(body.freeze())).into_response(),
            Err(error) => refusal(&error),
        }
    }

    /// The answer to a confirmation.
    pub(crate) async fn answer_confirm(&self, runs: Runs) -> Response {
        match self.confirm(runs).await {
            Ok(answer) => Json(answer).into_response(),
            Err(error) => refusal(&error),
        }
    }

    /// Takes uuids off the head of a list for good, at most `limit`: what vcon-server's clients ask for. An answer that gets
    /// lost on its way is lost; whoever cannot bear that follows.
    ///
    /// # Errors
    /// If the store does not answer; what was taken before that is in the answer of nobody and stays taken only when its
    /// step was done.
    pub(crate) async fn pop(&self, list: &str, limit: usize) -> Result<Vec<String>> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let wanted = (limit - taken.len()).min(MOST);
            let quota = Quota { list: list.to_owned(), limit: wanted, weight: 1 };
            let request = ClaimRequest { quotas: vec![quota], limit: wanted, bytes: BYTES };
            let (_, claimed) = self.store.exchange(&self.lease.process(), Vec::new(), Some(request)).await?;
            if claimed.is_empty() {
                break;
            }
            let claims: Vec<Claim> = claimed.into_iter().map(|claimed| claimed.claim).collect();
            let committed = self.end(claims.clone(), End::Done).await?;
            let ended = claims.into_iter().zip(committed).filter(|(_, committed)| *committed == Committed::Done);
            taken.extend(ended.map(|(claim, _)| claim.uuid));
        }
        Ok(taken)
    }
}

fn refusal(error: &Error) -> Response {
    tracing::warn!(error = %error.chain_text(), "a follower cannot be served");
    let status = if error.is_retryable() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    (status, Json(json!({"detail": error.message()}))).into_response()
}
