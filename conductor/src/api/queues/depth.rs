//! `GET /stats/queue` and `GET /vcon/count`: how much waits.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::json;
use vconductor_core::error::Error;

use crate::api::Context;
use crate::api::answer::{Refusal, Result};
use crate::api::lists;
use crate::api::query::Query;
use crate::api::route::{Required, Route, Verb};

/// What names of queues of dead letters start with.
const DEAD: &str = "DLQ:";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Verb::Get,
            "/stats/queue",
            Required::Read,
            "Tells how much waits on a list or in a dead letter queue",
            stats,
        )
        .wants("list_name", "ListName", "The list, or DLQ: and a list")
        .gives(200, "Its depth", "Depth")
        .gives(422, "No list is named, or the name is that of something else", "Problem"),
        Route::new(Verb::Get, "/vcon/count", Required::Read, "Tells how much waits on an egress list", count)
            .wants("egress_list", "ListName", "The list")
            .gives(200, "How many", "Count")
            .gives(422, "No list is named, or the name is that of something else", "Problem"),
    ]
}

async fn stats(State(context): State<Context>, query: Query) -> Result<Response> {
    let list = query.required("list_name")?;
    let depth = if list.starts_with(DEAD) {
        dead(&context, list).await
    } else {
        lists::named(list, "list_name")?;
        waiting(&context, list).await
    };
    let depth = depth.map_err(|error| Refusal::of(&error, "Failed to get queue depth"))?;
    Ok(Json(json!({"list_name": list, "depth": depth})).into_response())
}

async fn count(State(context): State<Context>, query: Query) -> Result<Response> {
    let list = query.required("egress_list")?;
    lists::named(list, "egress_list")?;
    let depth = waiting(&context, list).await;
    Ok(Json(depth.map_err(|error| Refusal::of(&error, "Failed to count egress list"))?).into_response())
}

async fn waiting(context: &Context, list: &str) -> Result<u64, Error> {
    let pending = context.store.pending(&[list.to_owned()], Duration::ZERO).await?;
    Ok(pending.waiting + pending.paused)
}

async fn dead(context: &Context, queue: &str) -> Result<u64, Error> {
    let queues = context.store.dead_letter_queues().await?;
    Ok(queues.into_iter().find(|found| found.queue == queue).map_or(0, |found| found.letters))
}
