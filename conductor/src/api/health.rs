//! Whether the process lives, whether it should get calls, and which build it is.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::json;
use tokio::time::timeout;
use vconductor_core::store::TenantScope;

use super::route::{Required, Route, Verb};
use super::{Context, version};

/// How long the store may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Get, "/health", Required::Nothing, "Tells that the process lives; asks nobody else", health)
            .gives(200, "It lives", "Health"),
        Route::new(Verb::Get, "/ready", Required::Nothing, "Tells whether calls should come here", ready)
            .gives(200, "They should", "Readiness")
            .gives(503, "They should go elsewhere: it is ending, or the store does not answer", "Readiness"),
        Route::new(Verb::Get, "/version", Required::Nothing, "Tells which build this is", tell_version).gives(
            200,
            "The build",
            "Version",
        ),
    ]
}

async fn health() -> Response {
    Json(json!({"status": "healthy", "version": version::version()})).into_response()
}

async fn tell_version() -> Response {
    Json(version::version()).into_response()
}

async fn ready(State(context): State<Context>) -> Response {
    let unready = |why: &str| {
        let body = Json(json!({"status": "unavailable", "reason": why}));
        (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
    };
    if context.is_draining() {
        return unready("draining");
    }
    match timeout(PATIENCE, context.store.revisions(&TenantScope::Everything, &["ready".to_owned()])).await {
        Ok(Ok(_)) => Json(json!({"status": "ready"})).into_response(),
        Ok(Err(error)) => {
            tracing::warn!(error = %error.chain_text(), "not ready");
            unready("the store does not answer")
        }
        Err(_) => unready("the store does not answer"),
    }
}
