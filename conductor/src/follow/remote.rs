//! The calls to the other server.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use vconductor_core::config::Follower;
use vconductor_core::error::{Error, Result};
use vconductor_core::http::{HttpClient, Method, Request, StatusCode, Url};
use vconductor_core::run::RunId;
use vconductor_core::secret::Secret;

use super::protocol::{CLAIM, CONFIRM, ClaimAsk, Confirmed, HANDOUT, Handed, Runs, read};
use super::settings::base;
use crate::api;

/// Reading the list of vcon-server takes the ids off it, so giving up early would lose them.
const TAKE: Duration = Duration::from_secs(300);
/// How long fetching one vCon, or claiming some, may take.
const FETCH: Duration = Duration::from_secs(120);
/// How long the other vConductor holds for us what we claimed.
pub(super) const HOLD: Duration = Duration::from_secs(300);

/// The other server.
pub(super) struct Remote {
    http: HttpClient,
    base: Url,
    token: Secret,
    header: String,
    egress_list: String,
    limit: u32,
}

impl Remote {
    pub(super) fn new(follower: &Follower, http: HttpClient) -> Result<Self> {
        let base = base(&follower.url)
            .map_err(|why| Error::configuration(format!("`followers.{}.url` {why}", follower.name)))?;
        let remote = Remote {
            http,
            base,
            token: follower.auth_token.clone(),
            header: api::header_name(),
            egress_list: follower.egress_list.clone(),
            limit: follower.fetch_vcon_limit,
        };
        // What cannot be a header is told now and not at the first call.
        remote.request(Method::GET, &[])?;
        Ok(remote)
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<Request> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = Request::new(method, url.as_str())?.trusted().provider();
        if self.token.is_empty() { Ok(request) } else { request.secret_header(&self.header, &self.token) }
    }

    /// Asks for one uuid of all that are there, which both kinds of servers tell to those whom they know.
    pub(super) async fn greet(&self) -> Result<()> {
        let request = self.request(Method::GET, &["vcon"])?;
        let mut url = request.url().clone();
        url.query_pairs_mut().append_pair("page", "1").append_pair("size", "1");
        let request = Request::get(url.as_str())?.trusted().provider();
        let request = if self.token.is_empty() { request } else { request.secret_header(&self.header, &self.token)? };
        self.http.send(&request).await.map(drop)
    }

    /// Takes ids off the list of a vcon-server. What this returns is nowhere else.
    pub(super) async fn take(&self) -> Result<Vec<String>> {
        let request = self.request(Method::GET, &["vcon", "egress"])?;
        let mut url = request.url().clone();
        url.query_pairs_mut()
            .append_pair("egress_list", &self.egress_list)
            .append_pair("limit", &self.limit.to_string());
        let request = Request::get(url.as_str())?.trusted().provider().timeout(TAKE);
        let request = if self.token.is_empty() { request } else { request.secret_header(&self.header, &self.token)? };
        let ids: Vec<Value> = self.http.send(&request).await?.json()?;
        // An id of another type is no reason to lose the others: it becomes a dead letter under its text.
        Ok(ids.into_iter().map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).collect())
    }

    /// Fetches the document of an id.
    pub(super) async fn fetch(&self, id: &str) -> Result<Bytes> {
        if matches!(id, "" | "." | "..") {
            return Err(Error::permanent(format!("`{id}` is no id of a vCon")).help("look what pushes it to the list"));
        }
        let request = self.request(Method::GET, &["vcon", id])?.timeout(FETCH);
        let response = self.http.exchange(&request).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Err(Error::permanent(format!("the other server has no vCon `{id}` (any more)"))
                .help("if it comes back there, `vconductor dlq retry` fetches it"));
        }
        Ok(self.http.require_success(&request, response)?.body)
    }

    /// Claims vCons of another vConductor; `None`: the other server is none.
    pub(super) async fn claim(&self, follower: String) -> Result<Option<Vec<Handed>>> {
        let path: Vec<&str> = CLAIM.trim_start_matches('/').split('/').collect();
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let list = self.egress_list.clone();
        let ask = ClaimAsk { follower, list, limit, hold_seconds: HOLD.as_secs() };
        let request = self.request(Method::POST, &path)?.json(&ask)?.timeout(FETCH);
        let response = self.http.exchange(&request).await?;
        // A proxy before a vcon-server may refuse unknown paths; a vConductor that refuses us refuses the other way too.
        if matches!(response.status.as_u16(), 401 | 403 | 404 | 405 | 501) {
            return Ok(None);
        }
        let response = self.http.require_success(&request, response)?;
        if response.header("content-type") != Some(HANDOUT) {
            return Ok(None);
        }
        read(response.body).map(Some)
    }

    /// Confirms what is stored here.
    pub(super) async fn confirm(&self, runs: &[RunId]) -> Result<Confirmed> {
        let path: Vec<&str> = CONFIRM.trim_start_matches('/').split('/').collect();
        let request = self.request(Method::POST, &path)?.json(&Runs { runs: runs.to_vec() })?.timeout(FETCH);
        self.http.send(&request).await?.json()
    }
}
