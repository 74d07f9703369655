//! `/config`: the configuration, without its secrets, and another one in its place; `/config/reload`: what is in the files now
//! is put to work.

use std::fmt;
use std::sync::{Arc, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::{Value, json};

use super::Context;
use super::answer::{Invalid, Refusal, Result};
use super::body::Posted;
use super::route::{Required, Route, Verb};
use crate::reload::{Reloads, Trigger};

/// Puts a configuration in the place of the file's: secrets that are hidden in it are those of the file.
pub type Replace = dyn Fn(Value) -> std::result::Result<(), NotReplaced> + Send + Sync;

/// Why a configuration is not replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReplaced {
    /// It is wrong; each sentence says what and where.
    Wrong(Vec<String>),
    /// The file cannot be written.
    Failed(String),
}

impl fmt::Display for NotReplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReplaced::Wrong(findings) => f.write_str(&findings.join("; ")),
            NotReplaced::Failed(why) => f.write_str(why),
        }
    }
}

/// A configuration as the API shows and replaces it.
#[derive(Clone)]
pub struct Configuration {
    /// As it may be shown.
    pub shown: Value,
    /// How it is replaced; `None`: it is not in one file.
    pub replace: Option<Arc<Replace>>,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Get, "/config", Required::Admin, "Shows the configuration, without its secrets", show)
            .gives(200, "The configuration by which this process works", "Object")
            .gives(404, "It was started without one", "Problem"),
        Route::new(
            Verb::Post,
            "/config",
            Required::Admin,
            "Replaces the file of the configuration, if it is right, and puts it to work",
            replace,
        )
        .takes("application/json", "Object")
        .ends(204, "It is written, and this process works by it")
        .gives(404, "This process was started without a configuration", "Problem")
        .gives(409, "It is not in one file, or it is written but wants a restart", "Problem")
        .gives(422, "It is wrong; the file is as it was", "Problem"),
        Route::new(
            Verb::Get,
            "/config/reload",
            Required::Admin,
            "Tells which generation of the configuration works, and what became of the last reload",
            status,
        )
        .gives(200, "How it stands", "Object")
        .gives(404, "This process was started without a configuration", "Problem"),
        Route::new(
            Verb::Post,
            "/config/reload",
            Required::Admin,
            "Reads the files of the configuration again and puts them to work, if they are right",
            reload,
        )
        .gives(200, "They work, or say nothing new", "Object")
        .gives(404, "This process was started without a configuration", "Problem")
        .gives(422, "They are wrong, or want a restart; the generation of before works on", "Problem"),
    ]
}

fn none() -> Refusal {
    Refusal::not_found("This process was started without a configuration")
}

fn configuration(context: &Context) -> Result<Configuration> {
    context.configuration.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(none)
}

fn reloads(context: &Context) -> Result<&Reloads> {
    context.reloads.as_ref().ok_or_else(none)
}

async fn status(State(context): State<Context>) -> Result<Response> {
    Ok(Json(reloads(&context)?.status()).into_response())
}

async fn reload(State(context): State<Context>) -> Result<Response> {
    let reloads = reloads(&context)?;
    let done = reloads.ask(Trigger::Api).await.ok_or_else(ending)?;
    if done.is_refused() {
        let wrong = |reason| Invalid::new("configuration", json!(["configuration"]), reason, Value::Null);
        return Err(Refusal::invalid(done.reasons().into_iter().map(wrong).collect()));
    }
    Ok(Json(reloads.status()).into_response())
}

fn ending() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "This process is ending")
}

async fn show(State(context): State<Context>) -> Result<Response> {
    Ok(Json(configuration(&context)?.shown).into_response())
}

/// The file is written; this says whether it is at work.
async fn work_by_it(context: &Context) -> Result<StatusCode> {
    let Some(reloads) = &context.reloads else { return Ok(StatusCode::NO_CONTENT) };
    let done = reloads.ask(Trigger::Api).await.ok_or_else(ending)?;
    if done.is_refused() {
        let detail = format!("It is written, but this process does not work by it: {}", done.reasons().join("; "));
        return Err(Refusal::new(StatusCode::CONFLICT, detail));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn replace(State(context): State<Context>, posted: Posted) -> Result<StatusCode> {
    let configuration = configuration(&context)?;
    let Some(replace) = configuration.replace else {
        return Err(Refusal::new(StatusCode::CONFLICT, "The configuration is not in one file; change its files"));
    };
    let value: Value = serde_json::from_slice(&posted.bytes).map_err(|error| {
        Invalid::new("json_invalid", json!(["body"]), format!("JSON decode error: {error}"), json!({}))
    })?;
    if !value.is_object() {
        return Err(
            Invalid::new("dict_type", json!(["body"]), "Input should be a valid dictionary", Value::Null).into()
        );
    }
    let done = tokio::task::spawn_blocking(move || replace(value)).await;
    let failed = || Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed to update configuration");
    match done.map_err(|_| failed())? {
        Ok(()) => work_by_it(&context).await,
        Err(NotReplaced::Wrong(findings)) => {
            let wrong = |finding| Invalid::new("configuration", json!(["body"]), finding, Value::Null);
            Err(Refusal::invalid(findings.into_iter().map(wrong).collect()))
        }
        Err(NotReplaced::Failed(why)) => {
            tracing::error!(why, "the configuration cannot be replaced");
            Err(failed())
        }
    }
}
