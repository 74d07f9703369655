//! The two paths on which other vConductors follow this one.

use axum::extract::{Json, State};
use axum::response::Response;

use super::Context;
use super::route::{Required, Route, Verb};
use crate::follow::{CLAIM, CONFIRM, ClaimAsk, Runs};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Post, CLAIM, Required::Write, "Hands vCons of a list to another vConductor", claim)
            .takes("application/json", "Object")
            .gives_as(200, "A line about each vCon, then the vCon", "application/vnd.vconductor.handout", "Text"),
        Route::new(Verb::Post, CONFIRM, Required::Write, "Ends what another vConductor has stored", confirm)
            .takes("application/json", "Object")
            .gives(200, "What was ended, and what is not known", "Object"),
    ]
}

async fn claim(State(context): State<Context>, Json(ask): Json<ClaimAsk>) -> Response {
    context.source.answer_claim(ask).await
}

async fn confirm(State(context): State<Context>, Json(runs): Json<Runs>) -> Response {
    context.source.answer_confirm(runs).await
}
