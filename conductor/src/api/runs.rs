//! `GET /runs` and `GET /runs/events`: what waits and who works on it, and what becomes of runs as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Json, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::answer::{Refusal, Result};
use super::query::Query;
use super::route::{Required, Route, Verb};
use super::{Context, lists};
use crate::engine::events::RunEvent;

/// How often a silent stream shows that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// What events are chosen by.
const CHOICES: [&str; 4] = ["uuid", "list_name", "chain", "outcome"];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Get, "/runs", Required::Read, "Tells what waits on lists, and who works on it", standing)
            .query("list_name", "ListName", "Only this list")
            .gives(200, "The lists", "Standing")
            .gives(422, "The name is that of something else", "Problem"),
        Route::new(
            Verb::Get,
            "/runs/events",
            Required::Read,
            "Tells what becomes of runs of this conductor, as it happens (server-sent events)",
            events,
        )
        .query("uuid", "Uuid", "Only runs of this vCon")
        .query("list_name", "ListName", "Only runs of this list")
        .query("chain", "Text", "Only runs of this chain")
        .query("outcome", "Text", "Only these: done, stopped, retried, parked, waited or dead")
        .gives_as(
            200,
            "Events `run` (JSON: at, uuid, run, list, chain, outcome, took_ms), and `missed` with their number for whoever reads too slowly",
            "text/event-stream",
            "Text",
        )
        .gives(404, "No chains are run here", "Problem"),
    ]
}

async fn standing(State(context): State<Context>, query: Query) -> Result<Response> {
    let failed = |error| Refusal::of(&error, "Failed to look at the lists");
    let named = query.one("list_name").filter(|name| !name.is_empty());
    if let Some(name) = named {
        lists::named(name, "list_name")?;
    }
    let mut told = Vec::new();
    for status in context.store.lists().await.map_err(failed)? {
        if named.is_some_and(|name| name != status.list) {
            continue;
        }
        let standing = context.store.standing(&status.list).await.map_err(failed)?;
        let (mut one, more) = (json!(status), json!(standing));
        if let (Value::Object(one), Value::Object(more)) = (&mut one, more) {
            one.extend(more);
        }
        told.push(one);
    }
    Ok(Json(json!({"lists": told})).into_response())
}

async fn events(State(context): State<Context>, query: Query) -> Result<Response> {
    let Some(report) = &context.report else {
        return Err(Refusal::not_found("No chains are run here: ask the address of `vconductor run --http`"));
    };
    let wanted = CHOICES.map(|name| query.one(name).map(str::to_owned));
    let heard =
        stream::unfold((report.listen(), context.stop.clone(), wanted), |(mut events, stop, wanted)| async move {
            loop {
                let event = tokio::select! {
                    // Whoever listens is no reason to stay.
                    () = stop.cancelled() => return None,
                    event = events.recv() => event,
                };
                let told = match event {
                    Ok(event) if is_wanted(&event, &wanted) => {
                        Event::default().event("run").data(json!(event).to_string())
                    }
                    Ok(_) => continue,
                    Err(RecvError::Lagged(missed)) => Event::default().event("missed").data(missed.to_string()),
                    Err(RecvError::Closed) => return None,
                };
                return Some((Ok::<_, Infallible>(told), (events, stop, wanted)));
            }
        });
    Ok(Sse::new(heard).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)).into_response())
}

fn is_wanted(event: &RunEvent, wanted: &[Option<String>; 4]) -> bool {
    let own = [event.uuid.as_str(), &event.list, &event.chain, event.outcome];
    own.into_iter().zip(wanted).all(|(own, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == own))
}
