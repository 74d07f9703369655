//! Listing by time: the days in order, and in each day the objects with what their metadata say.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::civil;
use jiff::tz::TimeZone;
use tokio::task::JoinSet;
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListPage, ListQuery};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

use super::bucket::Bucket;
use super::place::Places;
use super::write::{CREATED, is_named};

const HOUR: Millis = 3_600_000;
/// A day in an offset begins at most so much before or after the day in UTC.
const OFFSET: Millis = 26 * HOUR;
/// Objects that are looked at at once.
const AT_ONCE: usize = 32;

/// `created_at` and uuid: the order of the list.
type Key = (Millis, String);

/// A list under way, kept between two pages so that a day is read once and not once per page.
#[derive(Debug)]
pub(super) struct Listing {
    since: Option<Millis>,
    until: Option<Millis>,
    /// The cursor that goes on with it.
    cursor: String,
    found: BTreeSet<Key>,
    days: VecDeque<String>,
}

impl Listing {
    /// Whether this query goes on with it.
    pub(super) fn continues(&self, query: &ListQuery) -> bool {
        (self.since, self.until) == (query.since, query.until) && query.cursor.as_ref() == Some(&self.cursor)
    }
}

/// One page, and what is needed for the next one.
pub(super) async fn list(
    bucket: &Arc<Bucket>,
    places: &Arc<Places>,
    query: &ListQuery,
    under_way: Option<Listing>,
) -> Result<(ListPage, Option<Listing>)> {
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let wanted = |key: &Key| {
        query.since.is_none_or(|since| key.0 >= since)
            && query.until.is_none_or(|until| key.0 < until)
            && after.as_ref().is_none_or(|after| key > after)
    };
    let mut listing = match under_way {
        Some(listing) => listing,
        None => {
            let from = query.since.max(after.as_ref().map(|after| after.0));
            let days = days(bucket, places).await?.into_iter().filter(|day| {
                let Some(start) = start(day) else { return false };
                from.is_none_or(|from| start + 24 * HOUR + OFFSET >= from)
                    && query.until.is_none_or(|until| start - OFFSET < until)
            });
            Listing {
                since: query.since,
                until: query.until,
                cursor: String::new(),
                found: BTreeSet::new(),
                days: days.collect(),
            }
        }
    };
    let limit = query.limit.max(1);
    loop {
        // What may still come from the next days is not earlier than this.
        let horizon = listing.days.front().and_then(|day| start(day)).map_or(Millis::MAX, |day| day - OFFSET);
        if listing.found.iter().nth(limit).is_some_and(|key| key.0 < horizon) {
            break;
        }
        let Some(day) = listing.days.pop_front() else { break };
        listing.found.extend(of_day(bucket, places, &day).await?.into_iter().filter(wanted));
    }
    let mut page = ListPage::default();
    let mut last = None;
    while page.uuids.len() < limit
        && let Some(key) = listing.found.pop_first()
    {
        page.uuids.push(key.1.clone());
        last = Some(key);
    }
    let Some((created, uuid)) = last.filter(|_| !listing.found.is_empty()) else { return Ok((page, None)) };
    let cursor = format!("{created} {uuid}");
    listing.cursor.clone_from(&cursor);
    page.cursor = Some(cursor);
    Ok((page, Some(listing)))
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

/// Midnight of a day in UTC; `None` for numbers that are no day.
fn start(day: &str) -> Option<Millis> {
    let mut numbers = day.split('/');
    let (year, month, day) =
        (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    let midnight = civil::Date::new(year, month, day).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_millisecond())
}

fn read_cursor(cursor: &str) -> Result<Key> {
    let key = cursor.split_once(' ').and_then(|(created, uuid)| Some((created.parse().ok()?, uuid.to_owned())));
    key.ok_or_else(|| {
        Error::permanent("this cursor did not come from this storage")
            .help("start without a cursor, and pass on the one of the last page unchanged")
    })
}
