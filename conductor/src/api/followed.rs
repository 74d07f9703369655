//! The two paths on which other vConductors follow this one.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::Response;

use super::Context;
use super::answer::{Refusal, Result};
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

async fn claim(State(context): State<Context>, ask: Asked<ClaimAsk>) -> Result<Response> {
    Ok(context.source.answer_claim(read(ask)?).await)
}

async fn confirm(State(context): State<Context>, runs: Asked<Runs>) -> Result<Response> {
    Ok(context.source.answer_confirm(read(runs)?).await)
}

/// A body, or what is wrong with it.
type Asked<T> = std::result::Result<Json<T>, JsonRejection>;

fn read<T>(asked: Asked<T>) -> Result<T> {
    asked.map(|Json(read)| read).map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))
}
