//! `POST /vcon`.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::accept::{Batch, TAKEN, Taken, accept};
use super::check::check;
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::Result;
use crate::api::body::Posted;
use crate::api::query::Query;
use crate::api::route::{Required, Route, Verb};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Verb::Post,
            "/vcon",
            Required::Write,
            "Takes a vCon in, and puts it on lists in the same step",
            post,
        )
        .many("ingress_lists", "ListName", "Lists to put it on")
        .header("Idempotency-Key", "Makes a repetition within a day have no effect")
        .for_tenants()
        .takes("application/json", "Vcon")
        .gives(201, "It is safe; the body is what is stored", "Vcon")
        .gives(409, TAKEN, "Problem")
        .gives(422, "It is no vCon, or the key was used for another one", "Problem")
        .gives(429, "A list has no room, or this key makes too many calls", "Problem"),
    ]
}

async fn post(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    query: Query,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response> {
    let checked = check(posted.bytes.clone())?;
    let batch = Batch {
        lists: query.all("ingress_lists").map(str::to_owned).collect(),
        caller: &caller,
        source: "new",
        parameter: "ingress_lists",
        part: (0, 0),
    };
    let taken = accept(&context, &headers, &checked, batch).await?;
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = (StatusCode::CREATED, json, checked.text).into_response();
    if taken == Taken::Before {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}
