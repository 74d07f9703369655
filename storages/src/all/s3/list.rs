//! Listing by time: the days in order, and in each day the objects in the order of their keys, which is how S3 gives them.
//!
//! An order of time inside of a day would be known only when every object of the day had been looked at, and a list that goes on after
//! a stop would look at all of them anew. So a cursor is a key, and a page costs its own objects.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListPage, ListQuery};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

use super::bucket::Bucket;
use super::place::{Places, day_of_key, read_day};
use super::write::{CREATED, is_named};
use crate::days;

/// Objects that are looked at at once.
const AT_ONCE: usize = 32;

/// What a page leaves behind for the next one, and for loading what it names.
#[derive(Debug, Default)]
pub(super) struct Listed(Mutex<Left>);

#[derive(Debug, Default)]
struct Left {
    walk: Option<Walk>,
    /// The days of the vCons of the last page, which their pointers have told.
    days: HashMap<String, String>,
}

/// A list under way.
#[derive(Debug)]
struct Walk {
    query: ListQuery,
    /// The days that are not listed to their end.
    days: VecDeque<String>,
}

impl Listed {
    /// The day that the last page has found a vCon in; told once.
    pub(super) fn day(&self, uuid: &str) -> Option<String> {
        self.left().days.remove(uuid)
    }

    /// One page.
    pub(super) async fn page(&self, bucket: &Bucket, places: &Places, query: &ListQuery) -> Result<ListPage> {
        let kept = self.left().walk.take().filter(|walk| walk.continues(query));
        let mut walk = match kept {
            Some(walk) => walk,
            None => Walk::start(query, days(bucket, places).await?)?,
        };
        let (page, days) = walk.page(bucket, places, query.limit.max(1)).await?;
        walk.query.cursor.clone_from(&page.cursor);
        *self.left() = Left { walk: page.cursor.is_some().then_some(walk), days };
        Ok(page)
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Walk {
    /// Begins where the query's cursor says, with the days that there are.
    fn start(query: &ListQuery, days: Vec<String>) -> Result<Walk> {
        let from = match &query.cursor {
            Some(cursor) => day_of_key(cursor).ok_or_else(|| {
                Error::permanent("this cursor did not come from this storage")
                    .help("start without a cursor, and pass on the one of the last page unchanged")
            })?,
            None => "",
        };
        let days = days.into_iter().filter(|day| {
            day.as_str() >= from
                && times(day).is_some_and(|(first, last)| {
                    query.since.is_none_or(|since| last >= since) && query.until.is_none_or(|until| first < until)
                })
        });
        Ok(Walk { query: query.clone(), days: days.collect() })
    }

    /// Whether this query goes on with it.
    fn continues(&self, query: &ListQuery) -> bool {
        (self.query.since, self.query.until) == (query.since, query.until) && self.query.cursor == query.cursor
    }

    /// The next `limit` vCons, and the days that they are in.
    async fn page(
        &mut self,
        bucket: &Bucket,
        places: &Places,
        limit: usize,
    ) -> Result<(ListPage, HashMap<String, String>)> {
        let (mut page, mut days) = (ListPage::default(), HashMap::new());
        let mut at = self.query.cursor.clone();
        while let Some(day) = self.days.front().cloned() {
            if page.uuids.len() >= limit {
                page.cursor = at;
                break;
            }
            let after = at.as_ref().filter(|at| at.starts_with(&day)).map(|at| places.folder("") + at);
            let (keys, is_last) = bucket.keys(&places.folder(&day), after, limit - page.uuids.len()).await?;
            if let Some(key) = keys.last() {
                at = key.strip_prefix(&places.folder("")).map(str::to_owned);
            }
            let looks = stream::iter(keys).map(|key| self.looked(bucket, places, &day, key)).buffered(AT_ONCE);
            let found: Vec<Option<String>> = looks.try_collect().await?;
            for uuid in found.into_iter().flatten() {
                days.insert(uuid.clone(), day.clone());
                page.uuids.push(uuid);
            }
            if is_last {
                self.days.pop_front();
            }
        }
        Ok((page, days))
    }

    /// The uuid of an object, if it is a vCon that is asked for.
    async fn looked(&self, bucket: &Bucket, places: &Places, day: &str, key: String) -> Result<Option<String>> {
        let Some(uuid) = places.uuid(day, &key) else { return Ok(None) };
        // What no pointer names cannot be loaded: it is left over from a crash, or about to be named.
        if !is_named(bucket, places, &uuid, day).await? {
            return Ok(None);
        }
        let (since, until) = (self.query.since, self.query.until);
        let is_whole = times(day).is_some_and(|(first, last)| {
            since.is_none_or(|since| first >= since) && until.is_none_or(|until| last < until)
        });
        let is_asked = is_whole
            || created(bucket, &key).await?.is_some_and(|created| {
                since.is_none_or(|since| created >= since) && until.is_none_or(|until| created < until)
            });
        Ok(is_asked.then_some(uuid))
    }
}

/// All days that have documents, the first one first.
async fn days(bucket: &Bucket, places: &Places) -> Result<Vec<String>> {
    let mut level = vec![String::new()];
    for digits in [4, 2, 2] {
        let mut next = Vec::new();
        for parent in &level {
            let prefix = places.folder(parent);
            for folder in bucket.folders(&prefix).await? {
                let Some(name) = folder.strip_prefix(&prefix).map(|name| name.trim_end_matches('/')) else {
                    continue;
                };
                if name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit()) {
                    next.push(if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") });
                }
            }
        }
        level = next;
    }
    level.sort_unstable();
    Ok(level)
}

/// The first and the last moment that a vCon of a day may say, whatever its offset.
fn times(day: &str) -> Option<(Millis, Millis)> {
    let day = read_day(day.as_bytes())?;
    let mut numbers = day.split('/');
    days::times((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
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
