//! Listing by time: documents by their own date, and those that have none by the one beside them.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, doc};
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListPage, ListQuery};
use vconductor_core::{Error, Result};

use super::server::Server;

/// A time and the id that has it, as they sort.
type Place = (Millis, String);

/// One page.
pub(super) async fn list(server: &Server, query: &ListQuery) -> Result<ListPage> {
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let limit = query.limit.max(1);
    let own = find(server, query, after.as_ref(), "created_at", doc! {}, limit).await?;
    // Signed and encrypted vCons, and those whose date nobody can read.
    let dateless = doc! {"created_at": {"$not": {"$type": "date"}}};
    let mut found = find(server, query, after.as_ref(), "_vconductor.created_at", dateless, limit).await?;
    found.extend(own);
    found.sort();
    let more = found.len() > limit;
    found.truncate(limit);
    let cursor = found.last().filter(|_| more).map(|(time, id)| format!("{time}|{id}"));
    Ok(ListPage { uuids: found.into_iter().map(|(_, id)| id).collect(), cursor })
}

/// The first places by one member, one more than asked for, which tells whether there is another page.
async fn find(
    server: &Server,
    query: &ListQuery,
    after: Option<&Place>,
    member: &str,
    mut filter: Document,
    limit: usize,
) -> Result<Vec<Place>> {
    let mut range = doc! {"$gte": query.since.map_or(DateTime::MIN, DateTime::from_millis)};
    if let Some(until) = query.until {
        range.insert("$lt", DateTime::from_millis(until));
    }
    let mut all = vec![doc! {member: range}];
    if let Some((time, id)) = after {
        let time = DateTime::from_millis(*time);
        all.push(doc! {"$or": [{member: {"$gt": time}}, {member: time, "_id": {"$gt": id}}]});
    }
    filter.insert("$and", all);
    let opened = server.open().await?;
    let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let documents = opened.database.collection::<Document>(server.collection());
    let found =
        documents.find(filter).projection(doc! {"_id": 1, member: 1}).sort(doc! {member: 1, "_id": 1}).limit(rows);
    let found: Vec<Document> = server.answer(async { found.await?.try_collect().await }).await?;
    Ok(found.iter().filter_map(|document| place(document, member)).collect())
}

fn place(document: &Document, member: &str) -> Option<Place> {
    let mut value = None;
    let mut inside = Some(document);
    for name in member.split('.') {
        value = inside?.get(name);
        inside = value.and_then(Bson::as_document);
    }
    let time = value?.as_datetime()?.timestamp_millis();
    // Ids of another kind are none of vCons.
    Some((time, document.get_str("_id").ok()?.to_owned()))
}

/// Where the last page ended.
fn read_cursor(cursor: &str) -> Result<Place> {
    let parts = cursor.split_once('|').and_then(|(time, id)| Some((time.parse().ok()?, id.to_owned())));
    parts.ok_or_else(|| {
        Error::permanent("this cursor did not come from this storage")
            .help("start without a cursor, and pass on the one of the last page unchanged")
    })
}
