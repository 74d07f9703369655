//! `GET /calls`: who called whom, when and for how long.

use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::json;

use super::pages::{Wanted, described};
use super::summary;
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::Result;
use crate::api::query::Query;
use crate::api::route::{Required, Route, Verb};

pub(super) fn routes() -> Vec<Route> {
    let route = Route::new(Verb::Get, "/calls", Required::Read, "Lists calls, newest first", list);
    vec![
        described(route)
            .for_tenants()
            .gives(200, "A page; it may be short, or empty, while there is a `next_cursor`", "Calls")
            .gives(422, "A parameter is wrong", "Problem"),
    ]
}

async fn list(State(context): State<Context>, Extension(caller): Extension<Caller>, query: Query) -> Result<Response> {
    let wanted = Wanted::read(&query)?;
    let call = |uuid: &str, vcon: &_| summary::is_call(vcon).then(|| summary::call(uuid, vcon));
    let page = wanted.page(&context, &caller.tenants, call).await?;
    Ok(Json(json!({"calls": page.entries, "next_cursor": page.next})).into_response())
}
