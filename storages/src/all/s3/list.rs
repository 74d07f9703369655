//! Listing by time: the days in order, and in each day the objects with what their metadata say.

use std::sync::Arc;

use tokio::task::JoinSet;
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListPage, ListQuery};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

use super::bucket::Bucket;
use super::place::Places;
use super::write::{CREATED, is_named};
use crate::days::{Day, Key, Listing};

/// Objects that are looked at at once.
const AT_ONCE: usize = 32;

/// One page, and what is needed for the next one.
pub(super) async fn list(
    bucket: &Arc<Bucket>,
    places: &Arc<Places>,
    query: &ListQuery,
    under_way: Option<Listing>,
) -> Result<(ListPage, Option<Listing>)> {
    let mut listing = match under_way {
        Some(listing) => listing,
        None => Listing::start(query, days(bucket, places).await?.iter().filter_map(|day| numbers(day)))?,
    };
    while let Some((year, month, day)) = listing.next_day(query.limit) {
        listing.add(of_day(bucket, places, &format!("{year:04}/{month:02}/{day:02}")).await?);
    }
    Ok(listing.page(query.limit))
}

/// All days that have documents, the first one first.
async fn days(bucket: &Bucket, places: &Places) -> Result<Vec<String>> {
    let mut level = vec![String::new()];
    for digits in [4, 2, 2] {
        let mut next = Vec::new();
        for parent in &level {
            let prefix = places.folder(parent);
            let mut after = None;
            loop {
                let (folders, more) = bucket.list(&prefix, true, after).await?;
                for folder in folders {
                    let Some(name) = folder.strip_prefix(&prefix).map(|name| name.trim_end_matches('/')) else {
                        continue;
                    };
                    if name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit()) {
                        next.push(if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") });
                    }
                }
                after = more;
                if after.is_none() {
                    break;
                }
            }
        }
        level = next;
    }
    level.sort_unstable();
    Ok(level)
}

/// The vCons of one day.
async fn of_day(bucket: &Arc<Bucket>, places: &Arc<Places>, day: &str) -> Result<Vec<Key>> {
    let (mut found, mut after) = (Vec::new(), None);
    let mut looking: JoinSet<Result<Option<Key>>> = JoinSet::new();
    loop {
        let (keys, more) = bucket.list(&places.folder(day), false, after).await?;
        for key in keys {
            let Some(uuid) = places.uuid(day, &key) else { continue };
            while looking.len() >= AT_ONCE {
                found.extend(looked(looking.join_next().await)?);
            }
            let (bucket, places, day) = (Arc::clone(bucket), Arc::clone(places), day.to_owned());
            looking.spawn(async move {
                // What no pointer names cannot be loaded: it is left over from a crash, or about to be named.
                if !is_named(&bucket, &places, &uuid, &day).await? {
                    return Ok(None);
                }
                Ok(created(&bucket, &key).await?.map(|created| (created, uuid)))
            });
        }
        after = more;
        if after.is_none() {
            break;
        }
    }
    while !looking.is_empty() {
        found.extend(looked(looking.join_next().await)?);
    }
    Ok(found)
}

fn looked(ended: Option<Result<Result<Option<Key>>, tokio::task::JoinError>>) -> Result<Option<Key>> {
    match ended {
        None => Ok(None),
        Some(Ok(key)) => key,
        Some(Err(error)) => Err(Error::retryable("looking at an object was broken off").caused_by(error)),
    }
}

/// `created_at` of a document: from its metadata, or, where another program wrote it, from the document itself.
async fn created(bucket: &Bucket, key: &str) -> Result<Option<Millis>> {
    let Some(head) = bucket.head(key).await? else { return Ok(None) };
    if let Some(created) = head.metadata.get(CREATED).and_then(|created| created.parse().ok()) {
        return Ok(Some(created));
    }
    let Some((content, _)) = bucket.get(key).await? else { return Ok(None) };
    Ok(Vcon::read(content).ok().and_then(|vcon| vcon.created_at()).map(|created| created.as_millisecond()))
}

fn numbers(day: &str) -> Option<Day> {
    let mut numbers = day.split('/');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
