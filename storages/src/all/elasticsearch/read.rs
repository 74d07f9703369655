//! Loading, listing and deleting.

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::{Value, json};
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListPage, ListQuery};
use vconductor_core::{Error, Result};

use super::bulk::{self, Action};
use super::cluster::Cluster;
use super::fault::fault;
use super::parts;
use super::revisions::{Revisions, body};

/// The most hits of one search (`index.max_result_window`).
const PAGE: usize = 10_000;

/// The whole document of a uuid, where it is kept.
pub(super) async fn load(cluster: &Cluster, revisions: &Revisions, uuid: &str) -> Result<Option<Bytes>> {
    let asked = json!({"docs": [{"_id": uuid, "_source": ["document"]}]});
    let path = format!("{}/_mget", revisions.index);
    let answer = cluster.ask(Method::Post, &path, body(&asked), &[404]).await?;
    let document = answer.body.pointer("/docs/0/_source/document").and_then(Value::as_str);
    Ok(document.map(|document| Bytes::copy_from_slice(document.as_bytes())))
}

/// Uuids by `created_at`.
pub(super) async fn list(cluster: &Cluster, revisions: &Revisions, query: &ListQuery) -> Result<ListPage> {
    revisions.make(cluster).await?;
    // What was saved a moment ago is to be found.
    cluster.ask(Method::Post, &format!("{}/_refresh", revisions.index), None, &[]).await?;
    let limit = query.limit.clamp(1, PAGE - 1);
    let mut range = json!({});
    if let Some(since) = query.since {
        range["gte"] = json!(since);
    }
    if let Some(until) = query.until {
        range["lt"] = json!(until);
    }
    let mut search = json!({
        "size": limit + 1, "_source": false, "track_total_hits": false,
        "query": {"bool": {"filter": [{"range": {"created_at": range}}]}},
        "sort": [{"created_at": "asc"}, {"vcon_id": "asc"}]
    });
    if let Some(cursor) = &query.cursor {
        let (created, uuid) = read_cursor(cursor)?;
        search["search_after"] = json!([created, uuid]);
    }
    let path = format!("{}/_search?filter_path=hits.hits.sort", revisions.index);
    let answer = cluster.ask(Method::Post, &path, body(&search), &[]).await?;
    let hits = answer.body.pointer("/hits/hits").and_then(Value::as_array);
    let mut found: Vec<(Millis, String)> = Vec::new();
    for hit in hits.into_iter().flatten() {
        let (created, uuid) =
            (hit.pointer("/sort/0").and_then(Value::as_i64), hit.pointer("/sort/1").and_then(Value::as_str));
        found.extend(created.zip(uuid.map(str::to_owned)));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let cursor = found.last().filter(|_| more).map(|(created, uuid)| format!("{created} {uuid}"));
    Ok(ListPage { uuids: found.into_iter().map(|(_, uuid)| uuid).collect(), cursor })
}

fn read_cursor(cursor: &str) -> Result<(Millis, &str)> {
    let key = cursor.split_once(' ').and_then(|(created, uuid)| Some((created.parse().ok()?, uuid)));
    key.ok_or_else(|| {
        Error::permanent("this cursor did not come from this storage")
            .help("start without a cursor, and pass on the one of the last page unchanged")
    })
}

/// Deletes every part of a vCon, also those that another program wrote; the record last, so that what a crash leaves can
/// be found and deleted again.
pub(super) async fn delete(cluster: &Cluster, revisions: &Revisions, prefix: &str, uuid: &str) -> Result<bool> {
    revisions.make(cluster).await?;
    let known = revisions.read(cluster, &[uuid]).await?.pop().flatten();
    if let Some(known) = &known {
        let each = known.parts.iter().flat_map(|(index, all)| all.iter().map(move |position| (index, position)));
        let actions: Vec<Action> = each
            .map(|(index, position)| Action::new("delete", index, &parts::id(uuid, *position), json!({}), None))
            .collect();
        finish(cluster, &actions).await?;
    }
    let patterns = parts::patterns(prefix);
    let lenient = "ignore_unavailable=true&allow_no_indices=true";
    cluster.ask(Method::Post, &format!("{patterns}/_refresh?{lenient}"), None, &[]).await?;
    // Not `match` on the analysed text: the words of a uuid are also those of other uuids.
    let exactly = json!({"query": {"bool": {"should": [
        {"term": {"vcon_id.keyword": uuid}}, {"term": {"vcon_id": uuid}}
    ]}}});
    let path = format!("{patterns}/_delete_by_query?{lenient}&conflicts=proceed&refresh=true");
    let answer = cluster.ask(Method::Post, &path, body(&exactly), &[]).await?;
    let others = answer.body.get("deleted").and_then(Value::as_u64).unwrap_or(0);
    if known.is_some() {
        finish(cluster, &[revisions.remove(uuid)]).await?;
    }
    Ok(known.is_some() || others > 0)
}

/// Tries what a save needs, without leaving a trace.
pub(super) async fn probe(cluster: &Cluster, revisions: &Revisions) -> Result<()> {
    revisions.make(cluster).await?;
    // Without a time it is in no list.
    let id = format!("probe-{}", uuid::Uuid::new_v4());
    let source = json!({"vcon_id": id});
    let probe = Action::new("create", &revisions.index, &id, json!({}), Some(&source));
    finish(cluster, &[probe, revisions.remove(&id)]).await
}

async fn finish(cluster: &Cluster, actions: &[Action]) -> Result<()> {
    for done in bulk::send(cluster, actions).await {
        let done = done?;
        if !done.is_done() && done.status != 404 {
            return Err(fault(&cluster.place, done.status, &done.error, None));
        }
    }
    Ok(())
}
