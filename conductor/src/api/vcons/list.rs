//! `GET /vcon`: which vCons there are, by time in pages as vcon-server has them, or by arrival with a cursor.

use axum::extract::{Extension, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::json;
use vconductor_core::store::{TenantScope, TimeRange};

use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Refusal, Result};
use crate::api::query::{Query, uuid};
use crate::api::route::{Required, Route, Verb};

/// The most uuids of one page.
const MOST: u64 = 10_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Get, "/vcon", Required::Read, "Tells which vCons there are", list)
            .for_tenants()
            .query("page", "Count", "The page, from 1; newest first")
            .query("size", "Count", "Uuids of a page: 50, at most 10000")
            .query("since", "Time", "Only those whose created_at is not before this")
            .query("until", "Time", "Only those whose created_at is not after this")
            .query(
                "cursor",
                "Text",
                "Instead of page, since and until: oldest arrival first, after this uuid (empty: from the start)",
            )
            .gives(200, "Uuids; with a cursor, the header X-Next-Cursor says where the next page begins", "Uuids")
            .gives(410, "The vCon of the cursor was deleted: start again", "Problem")
            .gives(422, "A parameter is wrong", "Problem"),
    ]
}

async fn list(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    query: Query,
) -> Result<Response> {
    let size = query.number("size", 50, 1..=MOST)?;
    let limit = usize::try_from(size).unwrap_or(usize::MAX);
    if let Some(cursor) = query.one("cursor") {
        return by_arrival(&context, &caller.tenants, &uri, cursor, limit).await;
    }
    let page = query.number("page", 1, 1..=u64::from(u32::MAX))?;
    let range = TimeRange { since: query.time("since")?, until: query.time("until")? };
    let skip = usize::try_from((page - 1).saturating_mul(size)).unwrap_or(usize::MAX);
    let found = context.store.by_time(&caller.tenants, range, skip, limit).await;
    Ok(Json(found.map_err(|error| Refusal::of(&error, "Failed to list vCons"))?).into_response())
}

async fn by_arrival(context: &Context, scope: &TenantScope, uri: &Uri, cursor: &str, limit: usize) -> Result<Response> {
    let after = match cursor {
        "" => None,
        text => Some(uuid(text, json!(["query", "cursor"]))?),
    };
    let found = context.store.documents(scope, after, limit).await.map_err(|error| {
        if error.is_retryable() {
            return Refusal::of(&error, "Failed to list vCons");
        }
        Refusal::new(StatusCode::GONE, error.message())
    })?;
    let next = found.last().filter(|_| found.len() == limit).cloned();
    let mut response = Json(&found).into_response();
    if let Some(next) = next {
        let link = format!("<{}?cursor={next}&size={limit}>; rel=\"next\"", uri.path());
        let headers = [(HeaderName::from_static("x-next-cursor"), next), (header::LINK, link)];
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
    }
    Ok(response)
}
