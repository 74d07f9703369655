//! Sweeps: what waits must not expire, what is over goes.

use std::time::Duration;

use redis::{Pipeline, cmd};

use super::commit::millis;
use super::wire::{list, number, text};
use super::{Inner, coordination, foreign, keys, lock, operate, oversight, process, scripts};
use crate::error::Result;
use crate::run::RunId;

/// Ids that one call looks at; the server does nothing else meanwhile.
const PAGE: usize = 500;
/// Calls in one flight.
const FLIGHT: usize = 8;
/// Documents of the index that one sweep looks at.
const DOCUMENTS: usize = 10_000;
/// Dead letters that one sweep removes from a list.
const LETTERS: usize = 1000;

/// Where the next sweep goes on in the index of documents.
#[derive(Debug, Default)]
pub(super) struct Place {
    after: i64,
}

/// Protects what waits, and forgets what is over; returns how many documents have gone.
pub(super) async fn sweep(inner: &Inner) -> Result<usize> {
    protect(inner, inner.settings.horizon).await?;
    foreign::adopt(inner, &process::lists(inner).await?).await?;
    forget_letters(inner).await?;
    forget_early(inner).await?;
    oversight::sweep(inner).await?;
    forget_documents(inner).await
}

/// Pages through everything that waits, paused lists included, and keeps from expiring what would expire within the
/// horizon. What is pushed to a list while it is paged through is younger than the horizon.
pub(super) async fn protect(inner: &Inner, horizon: Duration) -> Result<()> {
    for name in process::lists(inner).await? {
        let base = keys::base(&name);
        for what in ["waiting", "returned", "due", "parked"] {
            let mut from = 0;
            loop {
                let calls: Vec<Vec<String>> = (0..FLIGHT)
                    .map(|page| {
                        vec![
                            what.to_owned(),
                            name.clone(),
                            base.clone(),
                            (from + page * PAGE).to_string(),
                            PAGE.to_string(),
                            millis(horizon).to_string(),
                            millis(inner.settings.document_keep).to_string(),
                            inner.shift().to_string(),
                        ]
                    })
                    .collect();
                // Most lists are short: the others are asked for only when the first page is full.
                let first = inner.wire.run(&scripts::PROTECT, &[], &calls[..1]).await?;
                if number(&first[0]) < PAGE as i64 {
                    break;
                }
                let seen = inner.wire.run(&scripts::PROTECT, &[], &calls[1..]).await?;
                if seen.last().is_none_or(|last| number(last) < PAGE as i64) {
                    break;
                }
                from += FLIGHT * PAGE;
            }
        }
    }
    Ok(())
}

async fn forget_letters(inner: &Inner) -> Result<()> {
    let Some(keep) = inner.settings.dead_letter_keep.filter(|keep| !keep.is_zero()) else { return Ok(()) };
    let until = inner.now() - i64::try_from(millis(keep)).unwrap_or(i64::MAX);
    for name in process::lists(inner).await? {
        let mut over = cmd("ZRANGEBYSCORE");
        over.arg(format!("{}:dead", keys::base(&name))).arg("-inf").arg(until).arg("LIMIT").arg(0).arg(LETTERS);
        for run in list(inner.wire.one(over).await?).into_iter().filter_map(text) {
            if let Ok(run) = uuid::Uuid::parse_str(&run) {
                operate::raise(inner, RunId(run), false).await?;
            }
        }
    }
    Ok(())
}

/// Payloads that no run was parked for.
async fn forget_early(inner: &Inner) -> Result<()> {
    let mut over = cmd("ZRANGEBYSCORE");
    over.arg("vconductor:early:due").arg("-inf").arg(inner.now()).arg("LIMIT").arg(0).arg(LETTERS);
    let tokens: Vec<String> = list(inner.wire.one(over).await?).into_iter().filter_map(text).collect();
    if !tokens.is_empty() {
        let mut pipe = Pipeline::new();
        pipe.cmd("HDEL").arg("vconductor:early").arg(&tokens);
        pipe.cmd("ZREM").arg("vconductor:early:due").arg(&tokens);
        inner.wire.ask(&pipe).await?;
    }
    Ok(())
}

/// Takes documents that have expired out of the index.
async fn forget_documents(inner: &Inner) -> Result<usize> {
    let mut after = lock(&inner.swept).after;
    let (mut looked, mut gone) = (0, 0);
    loop {
        let mut range = cmd("ZRANGEBYSCORE");
        range.arg(keys::DOCUMENTS).arg(format!("({after}")).arg("+inf").arg("LIMIT").arg(0).arg(PAGE);
        let uuids: Vec<String> = list(inner.wire.one(range).await?).into_iter().filter_map(text).collect();
        let Some(last) = uuids.last() else {
            // From the beginning next time.
            after = 0;
            break;
        };
        let mut pipe = Pipeline::new();
        pipe.cmd("ZSCORE").arg(keys::DOCUMENTS).arg(last);
        for uuid in &uuids {
            pipe.cmd("EXISTS").arg(keys::document(uuid));
        }
        let answers = inner.wire.ask(&pipe).await?;
        after = answers.first().map_or(after, number);
        let expired: Vec<&String> =
            uuids.iter().zip(&answers[1..]).filter(|(_, exists)| number(exists) == 0).map(|(uuid, _)| uuid).collect();
        if !expired.is_empty() {
            let mut remove = cmd("ZREM");
            remove.arg(keys::DOCUMENTS).arg(&expired);
            inner.wire.one(remove).await?;
            let expired: Vec<&str> = expired.iter().map(|uuid| uuid.as_str()).collect();
            coordination::forget_results(inner, &expired).await?;
        }
        looked += uuids.len();
        gone += expired.len();
        if looked >= DOCUMENTS {
            break;
        }
    }
    lock(&inner.swept).after = after;
    Ok(gone)
}
