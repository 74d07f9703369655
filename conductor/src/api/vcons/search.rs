//! `GET /vcons/search` and `GET /index_vcons`: by what a party has.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use vconductor_core::store::{Term, TermKind};

use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Refusal, Result};
use crate::api::query::Query;
use crate::api::route::{Required, Route, Verb};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Get, "/vcons/search", Required::Read, "Finds vCons by what their parties have", search)
            .for_tenants()
            .query("tel", "Text", "A party's tel, letter for letter")
            .query("mailto", "Text", "A party's mailto, letter for letter")
            .query("name", "Text", "A party's name, letter for letter")
            .gives(200, "Uuids of the vCons that have all that is asked for", "Uuids")
            .gives(400, "Nothing is asked for", "Problem"),
        Route::new(Verb::Get, "/index_vcons", Required::Write, "Makes the index of all stored vCons anew", index)
            .gives(200, "How many are in it", "Count"),
    ]
}

async fn search(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response> {
    let kinds = [TermKind::Tel, TermKind::Mailto, TermKind::Name];
    let asked = kinds.into_iter().filter_map(|kind| Some((kind, query.one(kind.as_str())?)));
    let terms: Vec<Term> = asked
        .filter(|(_, value)| !value.is_empty())
        .map(|(kind, value)| Term { kind, value: value.to_owned() })
        .collect();
    if terms.is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "At least one search parameter must be provided"));
    }
    let found = context.store.search(&caller.tenants, &terms).await;
    Ok(Json(found.map_err(|error| Refusal::of(&error, "An error occurred during the search"))?).into_response())
}

async fn index(State(context): State<Context>) -> Result<Response> {
    let indexed = context.store.reindex().await;
    Ok(Json(indexed.map_err(|error| Refusal::of(&error, "Failed to index vCons"))?).into_response())
}
