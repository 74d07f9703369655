//! Listing by time: day by day, so that a page costs the days it covers and not the whole tree.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::civil;
use jiff::tz::TimeZone;
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListPage, ListQuery};
use vconductor_core::{Error, Result};

use super::disk::Disk;
use super::fault::fault;
use super::find;
use super::place::stem_of_file;
use crate::stem::uuid;

const HOUR: Millis = 3_600_000;

/// How far a day in some offset may lie from the day in UTC.
const OFFSET: Millis = 26 * HOUR;

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
    days: VecDeque<(i16, i8, i8)>,
}

impl Listing {
    /// Whether this query goes on with it.
    pub(super) fn continues(&self, query: &ListQuery) -> bool {
        (self.since, self.until) == (query.since, query.until) && query.cursor.as_ref() == Some(&self.cursor)
    }
}

impl Disk {
    /// One page, and what is needed for the next one.
    pub(super) fn list(&self, query: &ListQuery, under_way: Option<Listing>) -> Result<(ListPage, Option<Listing>)> {
        let after = query.cursor.as_deref().map(read_cursor).transpose()?;
        let wanted = |key: &Key| {
            query.since.is_none_or(|since| key.0 >= since)
                && query.until.is_none_or(|until| key.0 < until)
                && after.as_ref().is_none_or(|after| key > after)
        };
        let mut listing = match under_way {
            Some(listing) => listing,
            None => self.start(query, after.as_ref(), &wanted)?,
        };
        let limit = query.limit.max(1);
        loop {
            // What may still come from the next days is not earlier than this.
            let horizon = listing.days.front().and_then(|&day| start(day)).map_or(Millis::MAX, |day| day - OFFSET);
            let settled = listing.found.iter().nth(limit).is_some_and(|key| key.0 < horizon);
            if settled {
                break;
            }
            let Some(day) = listing.days.pop_front() else { break };
            self.read_folder(&find::day_folder(day), &wanted, &mut listing.found)?;
        }
        let mut uuids = Vec::with_capacity(limit.min(listing.found.len()));
        let mut last = None;
        while uuids.len() < limit
            && let Some(key) = listing.found.pop_first()
        {
            uuids.push(key.1.clone());
            last = Some(key);
        }
        match last.filter(|_| !listing.found.is_empty()) {
            Some((created, uuid)) => {
                let cursor = format!("{created} {uuid}");
                listing.cursor.clone_from(&cursor);
                Ok((ListPage { uuids, cursor: Some(cursor) }, Some(listing)))
            }
            None => Ok((ListPage { uuids, cursor: None }, None)),
        }
    }

    fn start(&self, query: &ListQuery, after: Option<&Key>, wanted: &dyn Fn(&Key) -> bool) -> Result<Listing> {
        let from = query.since.max(after.map(|after| after.0));
        let days = find::days(&self.options.path)?.into_iter().filter(|&day| {
            let Some(start) = start(day) else { return false };
            from.is_none_or(|from| start + 24 * HOUR + OFFSET >= from)
                && query.until.is_none_or(|until| start - OFFSET < until)
        });
        let mut listing = Listing {
            since: query.since,
            until: query.until,
            cursor: String::new(),
            found: BTreeSet::new(),
            days: days.collect(),
        };
        self.read_folder(Path::new(""), wanted, &mut listing.found)?;
        Ok(listing)
    }

    /// The vCons in one folder.
    fn read_folder(&self, folder: &Path, wanted: &dyn Fn(&Key) -> bool, found: &mut BTreeSet<Key>) -> Result<()> {
        let path = self.options.path.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fault("list", &path, error)),
        };
        for entry in entries {
            let name = entry.map_err(|error| fault("list", &path, error))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let Some((stem, uuid)) = stem_of_file(name).and_then(|stem| Some((stem, uuid(stem)?))) else { continue };
            let place: PathBuf = folder.join(name);
            let created = match self.index.read(stem)? {
                Some(known) if known.place == place => Some(known.created),
                // A file that the vCon has left.
                Some(known) if find::is_file(&self.options.path.join(&known.place))? => None,
                _ => self.created(&place)?,
            };
            found.extend(created.map(|created| (created, uuid)).filter(|key| wanted(key)));
        }
        Ok(())
    }
}

/// Midnight of a day in UTC; `None` for numbers that are no day.
fn start((year, month, day): (i16, i8, i8)) -> Option<Millis> {
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
