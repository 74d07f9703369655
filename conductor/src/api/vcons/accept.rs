//! Taking in: a vCon and its places on lists are safe in one step before anybody is told so.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use vconductor_core::error::Error;
use vconductor_core::layers::instruments;
use vconductor_core::store::{NewVcon, NotTheirs, Once};

use super::check::Checked;
use super::hooked;
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Invalid, Refusal, Result};
use crate::api::lists;
use crate::telemetry::producer;

/// The header that makes a repeated post recognisable.
const KEY: &str = "idempotency-key";
/// The longest key, in bytes.
const LONGEST: usize = 255;
/// How long posts are remembered.
const REMEMBERED: Duration = Duration::from_secs(86_400);
/// What a failure is called, as vcon-server calls it.
const FAILED: &str = "Failed to store vCon";
/// What a tenant is told whose vCon has the uuid of somebody else's.
pub(super) const TAKEN: &str = "The uuid is taken; give the vCon one of its own";

/// Whether a vCon was taken in now, or by an earlier post with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Now,
    Before,
}

/// What vCons are taken in for.
pub(super) struct Batch<'a> {
    pub(super) lists: Vec<String>,
    /// Whose they are, and whose keys for repetitions: two callers may choose the same ones.
    pub(super) caller: &'a Caller,
    /// As metrics call it: `new` or `external`.
    pub(super) source: &'static str,
    /// The parameter that names the lists.
    pub(super) parameter: &'static str,
    /// Which part of a post it is, and which of it alone (0: all).
    pub(super) part: (usize, usize),
}

/// Stores and enqueues one vCon.
pub(super) async fn accept(
    context: &Context,
    headers: &HeaderMap,
    checked: &Checked,
    batch: Batch<'_>,
) -> Result<Taken> {
    accept_batch(context, headers, std::slice::from_ref(checked), batch).await
}

/// Stores and enqueues vCons, all or none.
pub(super) async fn accept_batch(
    context: &Context,
    headers: &HeaderMap,
    checked: &[Checked],
    batch: Batch<'_>,
) -> Result<Taken> {
    for list in &batch.lists {
        lists::named(list, batch.parameter)?;
    }
    let once = repetition(headers, checked, &batch)?;
    let count = checked.len() as u64;
    for list in &batch.lists {
        context.lists.room(&*context.store, list, count).await?;
    }
    let trace = producer::of_call(headers);
    let vcons = checked.iter().map(|checked| NewVcon {
        uuid: checked.uuid.clone(),
        document: Some(checked.text.clone()),
        lists: batch.lists.clone(),
        keep: context.keep,
        context: trace.clone(),
        tenant: batch.caller.tenants.tenant().cloned(),
    });
    let vcons = vcons.collect();
    let failed = |error| failed(&error, FAILED);
    let before = match &once {
        None => context.store.ingest(vcons).await.map(|()| None).map_err(failed)?,
        Some(once) => context.store.ingest_once(&batch.caller.tenants, once, vcons).await.map_err(failed)?,
    };
    match (before, once) {
        (Some(mark), Some(once)) if mark == once.mark => Ok(Taken::Before),
        (Some(_), _) => Err(Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This Idempotency-Key was used for something else; use a new one for every post",
        )),
        (None, _) => {
            for list in &batch.lists {
                instruments::api_enqueued(context.lists.label(list), batch.source, count);
            }
            hooked::created(context, checked, &batch.lists);
            Ok(Taken::Now)
        }
    }
}

/// 409 where the uuid is somebody else's, which is all that is said of it.
fn failed(error: &Error, what: &str) -> Refusal {
    match NotTheirs::caused(error) {
        true => Refusal::new(StatusCode::CONFLICT, TAKEN),
        false => Refusal::of(error, what),
    }
}

fn repetition(headers: &HeaderMap, checked: &[Checked], batch: &Batch<'_>) -> Result<Option<Once>> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=LONGEST).contains(&key.len()));
    let Some(key) = key else {
        let message = "An Idempotency-Key has 1 to 255 visible ASCII characters";
        return Err(Invalid::new("idempotency_key", json!(["header", "Idempotency-Key"]), message, json!(null)).into());
    };
    let part = match batch.part {
        (part, 0) => part.to_string(),
        (part, alone) => format!("{part}.{alone}"),
    };
    let lists = batch.lists.join("\n");
    let content = checked.iter().flat_map(|checked| [checked.uuid.as_bytes(), &checked.text]);
    Ok(Some(Once {
        key: format!("post:{}", digest([batch.caller.name.as_bytes(), key.as_bytes(), part.as_bytes()])),
        mark: digest(std::iter::once(lists.as_bytes()).chain(content)),
        keep: REMEMBERED,
    }))
}

/// SHA-256 of parts in hex; where one ends and the next begins counts.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let hash = parts
        .into_iter()
        .fold(Sha256::new(), |hash, part| hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts stored vCons on a list, all in one step.
pub(in crate::api) async fn enqueue_stored(
    context: &Context,
    caller: &Caller,
    list: &str,
    uuids: Vec<String>,
) -> Result<()> {
    let count = uuids.len() as u64;
    if count == 0 {
        return Ok(());
    }
    context.lists.room(&*context.store, list, count).await?;
    let trace = producer::current();
    let vcons = uuids.into_iter().map(|uuid| NewVcon {
        uuid,
        document: None,
        lists: vec![list.to_owned()],
        keep: None,
        context: trace.clone(),
        tenant: caller.tenants.tenant().cloned(),
    });
    let stored = context.store.ingest(vcons.collect()).await;
    stored.map_err(|error| failed(&error, "Failed to add to ingress list"))?;
    instruments::api_enqueued(context.lists.label(list), "reingress", count);
    Ok(())
}
