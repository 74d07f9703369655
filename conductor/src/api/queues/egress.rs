//! `GET /vcon/egress`: takes uuids off a list, oldest first.

use axum::extract::State;
use axum::response::{IntoResponse as _, Json, Response};

use crate::api::Context;
use crate::api::answer::{Refusal, Result};
use crate::api::lists;
use crate::api::query::Query;
use crate::api::route::{Required, Route, Verb};

/// The most uuids of one answer.
const MOST: u64 = 10_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Get, "/vcon/egress", Required::Write, "Takes uuids off a list for good, oldest first", egress)
            .wants("egress_list", "ListName", "The list")
            .query("limit", "Count", "How many, 1 at least and 10000 at most")
            .gives(200, "What was taken; fewer where there are no more", "Uuids")
            .gives(422, "No list is named, or the name is that of something else", "Problem"),
    ]
}

async fn egress(State(context): State<Context>, query: Query) -> Result<Response> {
    let list = query.required("egress_list")?;
    lists::named(list, "egress_list")?;
    let limit = query.number("limit", 1, 0..=MOST)?;
    let taken = context.source.pop(list, usize::try_from(limit).unwrap_or(usize::MAX)).await;
    Ok(Json(taken.map_err(|error| Refusal::of(&error, "Failed to pop from egress list"))?).into_response())
}
