//! Dead letters: `GET /dlq` and `POST /dlq/reprocess` as vcon-server has them, and the letters with their reasons.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use vconductor_core::error::Error;
use vconductor_core::layers::instruments;
use vconductor_core::run::RunId;
use vconductor_core::store::{DeadLetter, dead_letter_queue};

use crate::api::Context;
use crate::api::answer::{Invalid, Refusal, Result};
use crate::api::lists;
use crate::api::query::{Query, uuid};
use crate::api::route::{Required, Route, Verb};

/// Letters that are asked for at once.
const PAGE: usize = 500;
/// The most uuids of one answer.
const MOST: usize = 100_000;
/// Letters that go back at once.
const AT_ONCE: usize = 16;

pub(super) fn routes() -> Vec<Route> {
    let list = "The ingress list, or storage: and the name of a storage";
    vec![
        Route::new(Verb::Get, "/dlq", Required::Read, "Tells what lies in a dead letter queue", uuids)
            .wants("ingress_list", "ListName", list)
            .gives(200, "Uuids, oldest run first, 100000 at most", "Uuids"),
        Route::new(
            Verb::Post,
            "/dlq/reprocess",
            Required::Write,
            "Puts dead runs back on their list; they go on where they were",
            reprocess,
        )
        .wants("ingress_list", "ListName", list)
        .query("count", "Count", "How many, 1 to 100000; 1000 where it is not said")
        .gives(200, "How many were put back", "Count"),
        Route::new(
            Verb::Get,
            "/dlq/letters",
            Required::Read,
            "Tells dead runs with their reasons, oldest first",
            letters,
        )
        .wants("ingress_list", "ListName", list)
        .query("cursor", "Uuid", "Only those after this run")
        .query("size", "Count", "How many, 1 to 1000; 50 where it is not said")
        .gives(200, "The letters, and where the next page begins", "Letters"),
        Route::new(
            Verb::Post,
            "/dlq/letters/{run}/retry",
            Required::Write,
            "Puts one dead run back on its list",
            retry,
        )
        .ends(204, "It is on its list")
        .gives(404, "It is not dead, or not any more", "Problem"),
        Route::new(Verb::Delete, "/dlq/letters/{run}", Required::Write, "Forgets one dead run", bury)
            .ends(204, "It is forgotten")
            .gives(404, "It is not dead, or not any more", "Problem"),
    ]
}

/// The queue that a call names.
fn queue(query: &Query) -> Result<(String, String)> {
    let list = query.required("ingress_list")?;
    let list = list.strip_prefix("DLQ:").unwrap_or(list);
    lists::named(list, "ingress_list")?;
    Ok((list.to_owned(), dead_letter_queue(list)))
}

async fn uuids(State(context): State<Context>, query: Query) -> Result<Response> {
    let (_, queue) = queue(&query)?;
    let (mut found, mut cursor) = (Vec::new(), None);
    while found.len() < MOST {
        let page = context.store.dead_letters(&queue, cursor, PAGE).await;
        let page = page.map_err(|error| Refusal::of(&error, "Failed to read DLQ"))?;
        let Some(last) = page.last() else { break };
        cursor = Some(last.run);
        found.extend(page.into_iter().map(|letter| letter.uuid));
    }
    Ok(Json(found).into_response())
}

async fn reprocess(State(context): State<Context>, query: Query) -> Result<Response> {
    let (list, queue) = queue(&query)?;
    let count = query.number("count", 1000, 1..=100_000)?;
    let revived = revive(&context, &queue, usize::try_from(count).unwrap_or(usize::MAX)).await;
    let revived = revived.map_err(|error| Refusal::of(&error, "Failed to reprocess DLQ"))?;
    instruments::api_enqueued(context.lists.label(&list), "dlq_reprocess", revived as u64);
    Ok(Json(revived).into_response())
}

async fn revive(context: &Context, queue: &str, count: usize) -> Result<usize, Error> {
    let (mut revived, mut cursor) = (0, None);
    while revived < count {
        let page = context.store.dead_letters(queue, cursor, PAGE.min(count - revived)).await?;
        let Some(last) = page.last() else { break };
        cursor = Some(last.run);
        let asked = stream::iter(page).map(|letter| context.store.revive(letter.run));
        // In order, so that what failed first goes first again.
        let done: Vec<bool> = asked.buffered(AT_ONCE).try_collect().await?;
        revived += done.into_iter().filter(|done| *done).count();
    }
    Ok(revived)
}

async fn letters(State(context): State<Context>, query: Query) -> Result<Response> {
    let (_, queue) = queue(&query)?;
    let size = query.number("size", 50, 1..=1000)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let cursor = match query.one("cursor") {
        None | Some("") => None,
        Some(text) => Some(run(text, json!(["query", "cursor"]))?),
    };
    let found = context.store.dead_letters(&queue, cursor, size).await;
    let found = found.map_err(|error| Refusal::of(&error, "Failed to read DLQ"))?;
    let next = found.last().filter(|_| found.len() == size).map(|last| last.run);
    let letters: Vec<Value> = found.iter().map(told).collect();
    Ok(Json(json!({"letters": letters, "next_cursor": next})).into_response())
}

fn told(letter: &DeadLetter) -> Value {
    let failure = &letter.failure;
    let at = Timestamp::from_millisecond(failure.at).map(|at| at.to_string()).ok();
    json!({
        "run": letter.run, "uuid": letter.uuid, "list": letter.list, "queue": letter.queue, "class": failure.class,
        "step": failure.step, "message": failure.message, "help": failure.help, "attempts": failure.attempts,
        "failed_at": at,
    })
}

fn run(text: &str, place: Value) -> Result<RunId, Invalid> {
    let text = uuid(text, place.clone())?;
    let message = "Input should be the id of a run";
    Uuid::parse_str(&text).map(RunId).map_err(|_| Invalid::new("uuid_parsing", place, message, json!(text)))
}

async fn retry(State(context): State<Context>, Path(text): Path<String>) -> Result<StatusCode> {
    let run = run(&text, json!(["path", "run"]))?;
    let revived = context.store.revive(run).await;
    gone(revived.map_err(|error| Refusal::of(&error, "Failed to reprocess DLQ"))?)
}

async fn bury(State(context): State<Context>, Path(text): Path<String>) -> Result<StatusCode> {
    let run = run(&text, json!(["path", "run"]))?;
    let buried = context.store.bury(run).await;
    gone(buried.map_err(|error| Refusal::of(&error, "Failed to forget the run"))?)
}

fn gone(done: bool) -> Result<StatusCode> {
    if done { Ok(StatusCode::NO_CONTENT) } else { Err(Refusal::not_found("No dead run has this id")) }
}
