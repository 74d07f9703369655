//! `POST /vcon/ingress`: puts stored vCons on a list.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Invalid, Refusal, Result};
use crate::api::body::Posted;
use crate::api::lists;
use crate::api::query::{Query, uuid};
use crate::api::route::{Required, Route, Verb};
use crate::api::vcons::{enqueue_stored, is_known};

/// The most uuids of one call.
const MOST: usize = 100_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Verb::Post,
            "/vcon/ingress",
            Required::Write,
            "Puts stored vCons on a list, in their order",
            ingress,
        )
        .for_tenants()
        .wants("ingress_list", "ListName", "The list")
        .takes("application/json", "Uuids")
        .ends(204, "Those that are known are on the list; others are passed over")
        .gives(422, "No list is named, or the body is no array of uuids", "Problem")
        .gives(429, "The list has no room", "Problem"),
    ]
}

async fn ingress(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    query: Query,
    posted: Posted,
) -> Result<StatusCode> {
    let scope = &caller.tenants;
    let list = query.required("ingress_list")?;
    lists::named(list, "ingress_list")?;
    let asked = read(&posted.bytes)?;
    let failed = |error| Refusal::of(&error, "Failed to add to ingress list");
    let revisions = context.store.revisions(scope, &asked).await.map_err(failed)?;
    let mut known = Vec::with_capacity(asked.len());
    for (uuid, revision) in asked.into_iter().zip(revisions) {
        // What has left the store may be had back from a storage.
        if revision.is_some() || is_known(&context, scope, &uuid).await.map_err(failed)? {
            known.push(uuid);
        }
    }
    enqueue_stored(&context, &caller, list, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn read(body: &[u8]) -> Result<Vec<String>> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        Invalid::new("json_invalid", json!(["body"]), format!("JSON decode error: {error}"), json!({}))
    })?;
    let Value::Array(elements) = body else {
        return Err(Invalid::new("list_type", json!(["body"]), "Input should be a valid list", Value::Null).into());
    };
    if elements.len() > MOST {
        let message = format!("List should have at most {MOST} items, not {}", elements.len());
        return Err(Invalid::new("too_long", json!(["body"]), message, json!(elements.len())).into());
    }
    let mut found = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        let text = element.as_str().ok_or_else(|| {
            Invalid::new("string_type", json!(["body", index]), "Input should be a valid string", element.clone())
        })?;
        found.push(uuid(text, json!(["body", index]))?);
    }
    Ok(found)
}
