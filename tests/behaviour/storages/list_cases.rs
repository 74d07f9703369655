//! The cases of listing by time.

use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListQuery, SaveItem, Storage};

use crate::cases::{Case, Subject, case};
use crate::vcons::{created, new_uuid};

pub(crate) const CASES: &[Case] = &[
    case!(list_of_an_empty_place_is_empty, |can| can.list),
    case!(list_pages_by_time, |can| can.list),
    case!(list_keeps_to_its_time_range, |can| can.list),
    case!(list_shows_a_vcon_once, |can| can.list && can.revisions),
    case!(deleted_vcon_is_not_listed, |can| can.list && can.delete),
];

/// 2026-01-01T00:00:00Z
const START: Millis = 1_767_225_600_000;
const HOUR: Millis = 3_600_000;

/// vCons in the order of their time: uuid, and `created_at` as it is written.
type Saved = Vec<(String, String)>;

/// vCons seven hours apart, in changing offsets, from `START`; their uuids are not in the order of time.
async fn save_hourly(storage: &dyn Storage, count: usize) -> Saved {
    let (mut items, mut saved) = (Vec::new(), Vec::new());
    for number in 0..count {
        let time = jiff::Timestamp::from_millisecond(START + number as Millis * 7 * HOUR).expect("a time");
        let offset = jiff::tz::Offset::constant([0, -5, 9, 14, -12][number % 5]);
        let written = time.display_with_offset(offset).to_string();
        let item: SaveItem = created(&uuid::Uuid::new_v4().to_string(), 1, &written);
        saved.push((item.uuid.clone(), written));
        items.push(item);
    }
    fastrand::shuffle(&mut items);
    assert!(storage.save_many(&items).await.iter().all(Result::is_ok));
    saved
}

/// The uuids as this storage lists them: by time, or, where it knows days only, by the day that is written and by name.
fn in_order(subject: &Subject, saved: &[(String, String)]) -> Vec<String> {
    let mut saved = saved.to_vec();
    if subject.entry.module == "storage.s3" {
        saved.sort_by_key(|(uuid, written)| (written[..10].to_owned(), uuid.clone()));
    }
    saved.into_iter().map(|(uuid, _)| uuid).collect()
}

async fn list_all(storage: &dyn Storage, mut query: ListQuery) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..1000 {
        let page = storage.list(&query).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
        assert!(page.uuids.len() <= query.limit, "a page has more than was asked for");
        found.extend(page.uuids);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
    panic!("the list does not end");
}

async fn list_of_an_empty_place_is_empty(subject: Subject) {
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    assert!(list_all(&*subject.open(), query).await.is_empty());
}

async fn list_pages_by_time(subject: Subject) {
    let storage = subject.open();
    let uuids = in_order(&subject, &save_hourly(&*storage, 40).await);
    for limit in [1, 7, 40, 1000] {
        let query = ListQuery { limit, ..ListQuery::default() };
        assert_eq!(list_all(&*storage, query).await, uuids, "pages of {limit}");
    }
    // A cursor outlives the instance.
    let mut query = ListQuery { limit: 15, ..ListQuery::default() };
    query.cursor = storage.list(&query).await.expect("a page").cursor;
    assert_eq!(list_all(&*subject.open(), query).await, uuids[15..]);
}

async fn list_keeps_to_its_time_range(subject: Subject) {
    let storage = subject.open();
    let saved = save_hourly(&*storage, 40).await;
    let range = |from: usize, to: usize| ListQuery {
        since: Some(START + from as Millis * 7 * HOUR),
        until: Some(START + to as Millis * 7 * HOUR),
        limit: 4,
        cursor: None,
    };
    assert_eq!(
        list_all(&*storage, range(3, 21)).await,
        in_order(&subject, &saved[3..21]),
        "since is included, until is not"
    );
    assert!(list_all(&*storage, range(50, 60)).await.is_empty());
    let since = ListQuery { until: None, ..range(30, 0) };
    assert_eq!(list_all(&*storage, since).await, in_order(&subject, &saved[30..]));
}

async fn list_shows_a_vcon_once(subject: Subject) {
    let (storage, uuid) = (subject.open(), new_uuid());
    for (revision, time) in [(1, "2026-01-02T00:00:00Z"), (2, "2026-03-04T00:00:00Z"), (3, "2025-05-06T00:00:00Z")] {
        storage.save(&created(&uuid, revision, time)).await.expect("saved");
    }
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    assert_eq!(list_all(&*storage, query).await, [uuid]);
}

async fn deleted_vcon_is_not_listed(subject: Subject) {
    let storage = subject.open();
    let mut saved = save_hourly(&*storage, 6).await;
    assert!(storage.delete(&saved.remove(2).0).await.expect("delete works"));
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    assert_eq!(list_all(&*storage, query).await, in_order(&subject, &saved));
}
