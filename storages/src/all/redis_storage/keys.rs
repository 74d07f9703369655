//! The names of the keys, and the entries of the index by time.
//!
//! The document alone lies under `<prefix>:<uuid>`, where vcon-server has it and other programs look for it. All else
//! starts with `{<prefix>}:`, so that whoever goes through `<prefix>:*` finds documents only.

use uuid::Uuid;
use vconductor_core::clock::Millis;
use vconductor_core::plugin::ListQuery;
use vconductor_core::{Error, Result};

/// Digits of the time in an index entry.
const DIGITS: usize = 15;
/// The year 0, so that no time is negative.
const YEAR_0: Millis = -62_167_219_200_000;

/// The names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    /// What all but the documents starts with.
    side: String,
    /// All vCons by `created_at`: a sorted set whose members are `<time>:<uuid>` with score 0.
    pub(super) created: String,
    /// The same members by the time at which they expire.
    expiry: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self::beside(prefix, format!("{{{prefix}}}"))
    }

    fn beside(prefix: &str, side: String) -> Self {
        let (created, expiry) = (format!("{side}:created"), format!("{side}:expiry"));
        Keys { prefix: prefix.to_owned(), side, created, expiry }
    }

    /// The document of a vCon.
    pub(super) fn document(&self, uuid: &str) -> String {
        format!("{}:{uuid}", self.prefix)
    }

    /// What all scripts get: document, revision and index entry, index by `created_at`, index by expiry.
    pub(super) fn of(&self, uuid: &str) -> [String; 4] {
        let revision = format!("{}:revision:{uuid}", self.side);
        [self.document(uuid), revision, self.created.clone(), self.expiry.clone()]
    }

    /// Where a document waits until it is known to be the newest.
    pub(super) fn incoming(&self) -> String {
        format!("{}:incoming:{}", self.side, Uuid::new_v4().simple())
    }

    /// A uuid that no vCon has, and an index that nothing else looks at.
    pub(super) fn probe(&self) -> (String, Keys) {
        let uuid = format!("probe-{}", Uuid::new_v4());
        let keys = Self::beside(&self.prefix, format!("{}:{uuid}", self.side));
        (uuid, keys)
    }

    /// What stands before a uuid in the name of its document.
    pub(super) fn document_prefix(&self) -> String {
        self.document("")
    }
}

/// The index entry of a vCon; entries sort by time, then by uuid.
pub(super) fn member(created_at: Millis, uuid: &str) -> String {
    format!("{}:{uuid}", time(created_at))
}

/// The uuid in an index entry.
pub(super) fn uuid_of(member: &str) -> &str {
    member.get(DIGITS + 1..).unwrap_or_default()
}

/// Where a page begins and ends, for `ZRANGEBYLEX`.
pub(super) fn range(query: &ListQuery) -> Result<(Vec<u8>, Vec<u8>)> {
    let from = match query.cursor.as_deref() {
        Some(cursor) if cursor.get(DIGITS..=DIGITS) == Some(":") => format!("({cursor}"),
        Some(_) => {
            return Err(Error::permanent("this cursor did not come from this storage")
                .help("start without a cursor, and pass on the one of the last page unchanged"));
        }
        None => query.since.map_or_else(|| "-".to_owned(), |since| format!("[{}:", time(since))),
    };
    let to = query.until.map_or_else(|| "+".to_owned(), |until| format!("({}:", time(until)));
    Ok((from.into_bytes(), to.into_bytes()))
}

fn time(millis: Millis) -> String {
    format!("{:0DIGITS$}", millis.saturating_sub(YEAR_0).clamp(0, 999_999_999_999_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_sort_by_time_and_give_their_uuid_back() {
        let early = member(i64::MIN, "b");
        let late = member(1_757_512_800_250, "a:b");
        assert!(early < late && late < member(i64::MAX, ""), "{early} {late}");
        assert_eq!((uuid_of(&early), uuid_of(&late), uuid_of("short")), ("b", "a:b", ""));
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        let query = |cursor: &str| ListQuery { cursor: Some(cursor.to_owned()), ..ListQuery::default() };
        assert!(range(&query("2026-01-01|x")).is_err());
        assert!(range(&query(&member(0, "x"))).is_ok());
    }
}
