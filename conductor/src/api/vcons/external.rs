//! `POST /vcon/external-ingress`: what partners hand in, each with a key for one list.

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::accept::{Batch, TAKEN, accept};
use super::check::check;
use crate::api::Context;
use crate::api::answer::{Refusal, Result};
use crate::api::body::read;
use crate::api::limits::Limits;
use crate::api::lists;
use crate::api::query::Query;
use crate::api::route::{Required, Route, Verb};
use crate::api::server::Peer;

pub(super) fn routes() -> Vec<Route> {
    let about = "Takes a vCon in from outside, with a key for one list";
    vec![
        Route::new(Verb::Post, "/vcon/external-ingress", Required::List, about, external)
            .wants("ingress_list", "ListName", "The list to put it on")
            .header("Idempotency-Key", "Makes a repetition within a day have no effect")
            .for_tenants()
            .takes("application/json", "Vcon")
            .ends(204, "It is safe")
            .gives(409, TAKEN, "Problem")
            .gives(422, "It is no vCon, or the key was used for another one", "Problem")
            .gives(429, "The list has no room, or too many wrong keys came from this address", "Problem"),
    ]
}

async fn external(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    query: Query,
    request: Request,
) -> Result<Response> {
    let list = query.required("ingress_list")?.to_owned();
    lists::named(&list, "ingress_list")?;
    let (parts, body) = request.into_parts();
    let caller = match context.access.partner(&parts.headers, peer.0, &list).await {
        Ok(caller) => caller,
        Err(refusal) => return Err(judged(&context, &parts.headers, body, refusal).await),
    };
    let posted = read(&parts.headers, body, &context, context.limits.body).await?;
    let checked = check(posted.bytes)?;
    let batch =
        Batch { lists: vec![list], caller: &caller, source: "external", parameter: "ingress_list", part: (0, 0) };
    accept(&context, &parts.headers, &checked, batch).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(caller);
    Ok(response)
}

/// vcon-server says first what is wrong with a body, and then with the key. For strangers we do that with small bodies only,
/// so that nobody without a key makes us read much.
async fn judged(context: &Context, headers: &HeaderMap, body: Body, refusal: Refusal) -> Refusal {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let plain = !headers.contains_key(header::CONTENT_ENCODING);
    if refusal.status() != StatusCode::FORBIDDEN || !plain || length.is_none_or(|length| length > Limits::SMALL) {
        return refusal;
    }
    match read(headers, body, context, Limits::SMALL).await {
        Ok(posted) => check(posted.bytes).err().unwrap_or(refusal),
        Err(_) => refusal,
    }
}
