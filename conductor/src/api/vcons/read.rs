//! `GET /vcon/{uuid}` and `GET /vcons`: what is stored, in the form in which it is handed out.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use vconductor_core::error::Error;
use vconductor_core::migrate::Egress;
use vconductor_core::store::{NewVcon, Stored, TenantScope};
use vconductor_core::vcon::Vcon;

use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Invalid, Refusal, Result};
use crate::api::paced::{Held, paced};
use crate::api::query::{Query, uuid};
use crate::api::route::{Required, Route, Verb};

/// The most vCons of one answer.
const MOST: usize = 1000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Get, "/vcon/{uuid}", Required::Read, "Reads a vCon", one)
            .for_tenants()
            .gives(200, "The vCon; its revision is the ETag", "Vcon")
            .gives(404, "There is none", "Problem"),
        Route::new(Verb::Get, "/vcons", Required::Read, "Reads several vCons", several)
            .for_tenants()
            .many("vcon_uuids", "Uuid", "Which ones, 1000 at most")
            .gives(200, "The vCons in the order of the question, null for each that is not there", "Vcons")
            .gives(422, "None is named, too many are, or one is no uuid", "Problem"),
    ]
}

async fn one(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
) -> Result<Response> {
    let uuid = uuid(&text, json!(["path", "vcon_uuid"]))?;
    let read = async {
        let found = find(&context, &caller.tenants, &uuid).await;
        let found = found.map_err(|error| Refusal::of(&error, "Failed to read vCon"))?;
        let stored = found.ok_or_else(|| Refusal::not_found("vCon not found"))?;
        Ok((stored.revision, in_form(context.form, stored.document)))
    };
    let (revision, document, held) = context.answers.read(read).await?;
    let mut response = paced(document, held);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(tag) = HeaderValue::from_str(&etag(revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The ETag of a revision.
pub(super) fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// What is stored; what is not is had back from a storage, and kept for a while. Not for a tenant: a storage does not say
/// whose a vCon is.
async fn find(context: &Context, scope: &TenantScope, uuid: &str) -> Result<Option<Stored>, Error> {
    let stored = context.store.get(scope, uuid).await?;
    if stored.is_some() || scope.tenant().is_some() {
        return Ok(stored);
    }
    let Some(document) = context.storages.load(uuid).await else { return Ok(None) };
    let vcon = NewVcon {
        uuid: uuid.to_owned(),
        document: Some(document.clone()),
        lists: Vec::new(),
        keep: context.keep,
        context: None,
        tenant: None,
    };
    context.store.ingest(vec![vcon]).await?;
    // Read again for its revision, unless it is gone already.
    Ok(Some(context.store.get(scope, uuid).await?.unwrap_or(Stored { document, revision: 0 })))
}

/// A document in the form in which it is handed out. One that cannot be written in it goes as it is.
pub(super) fn in_form(form: Egress, document: Bytes) -> Bytes {
    if form == Egress::AsIs {
        return document;
    }
    Vcon::read(document.clone()).and_then(|vcon| form.text(&vcon)).unwrap_or(document)
}

async fn several(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response> {
    let place = || json!(["query", "vcon_uuids"]);
    let uuids = query.all("vcon_uuids").map(|text| uuid(text, place())).collect::<Result<Vec<_>, _>>()?;
    if uuids.is_empty() {
        return Err(Invalid::missing("vcon_uuids").into());
    }
    if uuids.len() > MOST {
        let message = format!("List should have at most {MOST} items, not {}", uuids.len());
        return Err(Invalid::new("too_long", place(), message, json!(uuids.len())).into());
    }
    // One document at a time is in memory; an answer that cannot be finished breaks off.
    let begin = ((context, caller.tenants), uuids.into_iter(), 0_usize, Held::None);
    let parts = stream::unfold(begin, |(asked, mut uuids, number, before)| async move {
        let (context, scope) = &asked;
        // What was handed on last is written when more is asked for.
        drop(before);
        let Some(uuid) = uuids.next() else {
            let end = (asked, uuids, usize::MAX, None);
            return (number != usize::MAX).then_some((Ok(Bytes::from_static(b"]")), end));
        };
        let read = async {
            let found = find(context, scope, &uuid).await;
            let found = found.map_err(|error| Refusal::of(&error, "Failed to read vCon"))?;
            let document = found.map_or(Bytes::from_static(b"null"), |stored| in_form(context.form, stored.document));
            let opening: &[u8] = if number == 0 { b"[" } else { b"," };
            Ok(((), Bytes::from([opening, &document].concat())))
        };
        let (part, held) = match context.answers.read(read).await {
            Ok(((), part, held)) => (Ok(part), held),
            Err(refusal) => {
                tracing::warn!(uuid, reason = %refusal.detail(), "an answer breaks off");
                (Err(std::io::Error::other("a vCon cannot be read")), None)
            }
        };
        Some((part, (asked, uuids, number + 1, held)))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(parts)).into_response())
}

/// Whether a vCon that is not in the store can be had back from a storage.
pub(in crate::api) async fn is_known(context: &Context, scope: &TenantScope, uuid: &str) -> Result<bool, Error> {
    Ok(find(context, scope, uuid).await?.is_some())
}
