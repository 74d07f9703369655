//! `PUT /vcon/{uuid}`: another document in the place of the one that the caller saw.

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use vconductor_core::store::Replaced;

use super::check::check;
use super::read::etag;
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Invalid, Refusal, Result};
use crate::api::body::Posted;
use crate::api::query::uuid;
use crate::api::route::{Required, Route, Verb};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Verb::Put,
            "/vcon/{uuid}",
            Required::Write,
            "Replaces a vCon that has not changed since it was read",
            put,
        )
        .for_tenants()
        .header("If-Match", "The ETag of the vCon that was read; * replaces whatever is there")
        .takes("application/json", "Vcon")
        .gives(200, "It is replaced; the ETag is its new revision", "Vcon")
        .gives(404, "There is none", "Problem")
        .gives(409, "A run works on it at this moment: read it again later", "Problem")
        .gives(412, "It has changed: read it again", "Problem")
        .gives(422, "It is no vCon, or another one", "Problem")
        .gives(428, "If-Match is missing", "Problem"),
    ]
}

async fn put(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response> {
    let uuid = uuid(&text, json!(["path", "vcon_uuid"]))?;
    let expected = expected(&headers)?;
    let checked = check(posted.bytes.clone())?;
    if checked.uuid != uuid {
        let message = "The uuid of the vCon is not that of the path";
        return Err(Invalid::new("value_error", json!(["body", "uuid"]), message, json!(checked.uuid)).into());
    }
    let replaced = context.store.replace(&caller.tenants, &uuid, checked.text.clone(), expected).await;
    match replaced.map_err(|error| Refusal::of(&error, "Failed to store vCon"))? {
        Replaced::Done(revision) => {
            let mut response = checked.text.into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Ok(tag) = HeaderValue::from_str(&etag(revision)) {
                headers.insert(header::ETAG, tag);
            }
            Ok(response)
        }
        Replaced::Changed(_) => {
            Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "The vCon has changed since it was read; read it again"))
        }
        Replaced::Busy => {
            Err(Refusal::new(StatusCode::CONFLICT, "A run works on this vCon; read it again when it is done").after(1))
        }
        Replaced::Missing => Err(Refusal::not_found("vCon not found")),
    }
}

/// The revision that the caller saw; `None`: whatever is there.
fn expected(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(tag) = headers.get(header::IF_MATCH) else {
        let message = "If-Match is missing: send the ETag with which the vCon was read, or *";
        return Err(Refusal::new(StatusCode::PRECONDITION_REQUIRED, message));
    };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let revision = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    // What is no ETag of ours fits nothing.
    let unknown = || Refusal::new(StatusCode::PRECONDITION_FAILED, "If-Match is no ETag of this vCon");
    revision.map(Some).ok_or_else(unknown)
}
