//! `DELETE /vcon/{uuid}`.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::json;

use super::hooked;
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Refusal, Result};
use crate::api::query::uuid;
use crate::api::route::{Required, Route, Verb};

pub(super) fn routes() -> Vec<Route> {
    let about = "Deletes a vCon from the store and from every storage that can delete";
    vec![
        Route::new(Verb::Delete, "/vcon/{uuid}", Required::Write, about, delete)
            .for_tenants()
            .ends(204, "It is not there any more"),
    ]
}

async fn delete(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
) -> Result<StatusCode> {
    let uuid = uuid(&text, json!(["path", "vcon_uuid"]))?;
    let deleted = context.store.delete(&caller.tenants, &uuid).await;
    let deleted = deleted.map_err(|error| Refusal::of(&error, "Failed to delete vCon"))?;
    // Whose a vCon is that is not in the store, nobody knows.
    if deleted || caller.tenants.tenant().is_none() {
        context.storages.delete(&uuid).await;
        hooked::deleted(&context, uuid);
    }
    Ok(StatusCode::NO_CONTENT)
}
