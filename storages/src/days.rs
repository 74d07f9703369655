//! Listing by time where vCons lie in one folder per day: a page costs the days it covers and not the whole tree.

use std::collections::{BTreeSet, VecDeque};

use jiff::civil;
use jiff::tz::TimeZone;
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListPage, ListQuery};
use vconductor_core::{Error, Result};

const HOUR: Millis = 3_600_000;
/// A day in an offset begins at most so much before or after the day in UTC.
const OFFSET: Millis = 26 * HOUR;

/// Year, month and day, as a folder says them.
pub(crate) type Day = (i16, i8, i8);

/// `created_at` and uuid: the order of the list.
pub(crate) type Key = (Millis, String);

/// A list under way, kept between two pages so that a day is read once and not once per page.
#[derive(Debug)]
pub(crate) struct Listing {
    query: ListQuery,
    after: Option<Key>,
    found: BTreeSet<Key>,
    days: VecDeque<Day>,
}

impl Listing {
    /// Begins where the query's cursor says, with the days that there are, the first one first.
    ///
    /// # Errors
    /// Permanent, when the cursor is none of ours.
    pub(crate) fn start(query: &ListQuery, days: impl IntoIterator<Item = Day>) -> Result<Listing> {
        let after = query.cursor.as_deref().map(read_cursor).transpose()?;
        let from = query.since.max(after.as_ref().map(|after| after.0));
        let days = days.into_iter().filter(|&day| {
            let Some((first, last)) = times(day) else { return false };
            from.is_none_or(|from| last >= from) && query.until.is_none_or(|until| first < until)
        });
        Ok(Listing { query: query.clone(), after, found: BTreeSet::new(), days: days.collect() })
    }

    /// Whether this query goes on with it.
    pub(crate) fn continues(&self, query: &ListQuery) -> bool {
        (self.query.since, self.query.until) == (query.since, query.until) && self.query.cursor == query.cursor
    }

    /// The next day that is to be read; none when the next page is complete.
    pub(crate) fn next_day(&mut self, limit: usize) -> Option<Day> {
        // What may still come from the next days is not earlier than this.
        let horizon = self.days.front().and_then(|&day| times(day)).map_or(Millis::MAX, |(first, _)| first);
        let is_settled = self.found.iter().nth(limit.max(1)).is_some_and(|key| key.0 < horizon);
        if is_settled { None } else { self.days.pop_front() }
    }

    /// Takes what a day has and the query asks for.
    pub(crate) fn add(&mut self, keys: impl IntoIterator<Item = Key>) {
        let (query, after) = (&self.query, &self.after);
        self.found.extend(keys.into_iter().filter(|key| {
            query.since.is_none_or(|since| key.0 >= since)
                && query.until.is_none_or(|until| key.0 < until)
                && after.as_ref().is_none_or(|after| key > after)
        }));
    }

    /// The page, and what the next one goes on with.
    pub(crate) fn page(mut self, limit: usize) -> (ListPage, Option<Listing>) {
        let mut page = ListPage::default();
        let mut last = None;
        while page.uuids.len() < limit.max(1)
            && let Some(key) = self.found.pop_first()
        {
            page.uuids.push(key.1.clone());
            last = Some(key);
        }
        let Some((created, uuid)) = last.filter(|_| !self.found.is_empty()) else { return (page, None) };
        page.cursor = Some(format!("{created} {uuid}"));
        self.query.cursor.clone_from(&page.cursor);
        self.after = Some((created, uuid));
        (page, Some(self))
    }
}

/// The first and the last moment of a day in any offset; `None` for numbers that are no day.
pub(crate) fn times((year, month, day): Day) -> Option<(Millis, Millis)> {
    let midnight = civil::Date::new(year, month, day).ok()?.to_zoned(TimeZone::UTC).ok()?;
    let midnight = midnight.timestamp().as_millisecond();
    Some((midnight - OFFSET, midnight + 24 * HOUR + OFFSET))
}

fn read_cursor(cursor: &str) -> Result<Key> {
    let key = cursor.split_once(' ').and_then(|(created, uuid)| Some((created.parse().ok()?, uuid.to_owned())));
    key.ok_or_else(|| {
        Error::permanent("this cursor did not come from this storage")
            .help("start without a cursor, and pass on the one of the last page unchanged")
    })
}
