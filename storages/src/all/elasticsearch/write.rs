//! Saving: the records first, then the parts, then the records without what has gone.
//!
//! Parts carry the revision as their version, so that a write of an older revision that arrives late changes nothing. A
//! version is also what a delete leaves behind for a minute; who is refused for that alone writes without it.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use vconductor_core::plugin::SaveItem;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

use super::bulk::{self, Action, Done};
use super::cluster::Cluster;
use super::fault::{again, fault};
use super::options::Options;
use super::parts::{self, Part, missing};
use super::revisions::{Record, Revisions};

/// How often a save begins again because others write the same vCon.
const ROUNDS: u64 = 30;
/// The longest uuid; an id may have 512 bytes.
const LONGEST_UUID: usize = 400;

/// One vCon on its way.
struct Write {
    /// Its position among the items.
    position: usize,
    record: Record,
    parts: Vec<Part>,
    /// Parts of earlier revisions that this one does not have.
    gone: Vec<(String, usize)>,
    /// Where the record stands.
    place: Option<(u64, u64)>,
}

/// One part to write or to remove, of the write with this index.
struct Task {
    write: usize,
    index: String,
    id: String,
    part: Option<Part>,
    /// Whether the revision is its version.
    versioned: bool,
}

/// Writes vCons; one result each.
pub(super) async fn save(
    cluster: &Cluster,
    revisions: &Revisions,
    options: &Options,
    items: &[SaveItem],
) -> Vec<Result<()>> {
    let mut results: Vec<Result<()>> = items.iter().map(|_| Ok(())).collect();
    let mut newest: HashMap<&str, usize> = HashMap::new();
    for (position, item) in items.iter().enumerate() {
        let known = newest.entry(&item.uuid).or_insert(position);
        if item.revision > items[*known].revision {
            *known = position;
        }
    }
    let mut writes = Vec::with_capacity(newest.len());
    for (&uuid, &position) in &newest {
        match prepare(options, uuid, &items[position]) {
            Ok((record, parts)) => writes.push(Write { position, record, parts, gone: Vec::new(), place: None }),
            Err(error) => results[position] = Err(error),
        }
    }
    if let Err(error) = save_all(cluster, revisions, writes, &mut results).await {
        for position in newest.values() {
            if results[*position].is_ok() {
                results[*position] = Err(again(&error));
            }
        }
    }
    // What was saved for the newest of several was saved for all of them.
    for (position, item) in items.iter().enumerate() {
        let newest = newest[item.uuid.as_str()];
        if newest != position
            && let Err(error) = &results[newest]
        {
            results[position] = Err(again(error));
        }
    }
    results
}

fn prepare(options: &Options, uuid: &str, item: &SaveItem) -> Result<(Record, Vec<Part>)> {
    if uuid.is_empty() || uuid.len() > LONGEST_UUID {
        return Err(Error::permanent("a vCon without a uuid, or with a very long one, cannot be saved")
            .help("give it a uuid of at most 400 bytes"));
    }
    let text = options.format.text(&item.vcon)?;
    let parts = parts::split(&options.index_prefix, uuid, &Vcon::read(text.clone())?);
    let created = item.vcon.created_at().unwrap_or_else(jiff::Timestamp::now).as_millisecond();
    // A text that was read as a vCon is UTF-8.
    let document = options.documents.then(|| String::from_utf8_lossy(&text).into_owned());
    let places = parts::places(&parts);
    let record = Record { uuid: uuid.to_owned(), revision: item.revision, created, parts: places, document };
    Ok((record, parts))
}

/// `Err`: something that concerns all that have no error of their own.
async fn save_all(
    cluster: &Cluster,
    revisions: &Revisions,
    writes: Vec<Write>,
    results: &mut [Result<()>],
) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    revisions.make(cluster).await?;
    let claimed = claim(cluster, revisions, writes, results).await?;
    let tasks: Vec<Task> = claimed.iter().enumerate().flat_map(|(index, write)| tasks(index, write)).collect();
    write_parts(cluster, revisions, &claimed, tasks, results).await?;
    // Only now it is certain that what has gone is gone.
    let lighter: Vec<(usize, Action)> = claimed
        .iter()
        .filter(|write| !write.gone.is_empty() && results[write.position].is_ok())
        .map(|write| (write.position, revisions.write(&write.record, write.place)))
        .collect();
    let actions: Vec<Action> = lighter.iter().map(|(_, action)| action.clone()).collect();
    for ((position, _), done) in lighter.iter().zip(bulk::send(cluster, &actions).await) {
        match done {
            Ok(done) if done.is_done() || done.conflicts() => {}
            Ok(done) => results[*position] = Err(fault(&cluster.place, done.status, &done.error, None)),
            Err(error) => results[*position] = Err(error),
        }
    }
    Ok(())
}

/// Writes the records. Answers the writes that go on: those without a newer revision there.
async fn claim(
    cluster: &Cluster,
    revisions: &Revisions,
    writes: Vec<Write>,
    results: &mut [Result<()>],
) -> Result<Vec<Write>> {
    let (mut claimed, mut open) = (Vec::with_capacity(writes.len()), writes);
    for round in 0..ROUNDS {
        let actions: Vec<Action> = open.iter().map(|write| revisions.write(&write.claiming(), write.place)).collect();
        let mut contested = Vec::new();
        for (mut write, done) in open.into_iter().zip(bulk::send(cluster, &actions).await) {
            match done {
                Ok(done) if done.status < 300 => {
                    write.place = done.place;
                    claimed.push(write);
                }
                Ok(done) if done.conflicts() => contested.push(write),
                Ok(done) => results[write.position] = Err(fault(&cluster.place, done.status, &done.error, None)),
                Err(error) => results[write.position] = Err(error),
            }
        }
        if contested.is_empty() {
            return Ok(claimed);
        }
        if round > 0 {
            let spread = u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() % 20);
            tokio::time::sleep(Duration::from_millis(spread + 2 * round)).await;
        }
        let uuids: Vec<&str> = contested.iter().map(|write| write.record.uuid.as_str()).collect();
        let known = revisions.read(cluster, &uuids).await?;
        open = Vec::new();
        for (mut write, known) in contested.into_iter().zip(known) {
            match known {
                Some(known) if known.revision > write.record.revision => continue,
                Some(known) => {
                    write.gone = missing(&write.record.parts, &known.parts);
                    write.place = Some(known.place);
                }
                // It was deleted meanwhile.
                None => (write.gone, write.place) = (Vec::new(), None),
            }
            open.push(write);
        }
        if open.is_empty() {
            return Ok(claimed);
        }
    }
    for write in open {
        let uuid = &write.record.uuid;
        results[write.position] = Err(Error::retryable(format!("vCon `{uuid}` is written by others all the time"))
            .help("it is tried again; if it lasts, look which other program writes there"));
    }
    Ok(claimed)
}

impl Write {
    /// The record while parts are written: it names those that are there still, too.
    fn claiming(&self) -> Record {
        let mut record = self.record.clone();
        for (index, position) in &self.gone {
            record.parts.entry(index.clone()).or_default().push(*position);
        }
        record
    }
}

fn tasks(index: usize, write: &Write) -> Vec<Task> {
    let uuid = &write.record.uuid;
    let task = |place: &str, position, part| Task {
        write: index,
        index: place.to_owned(),
        id: parts::id(uuid, position),
        part,
        versioned: true,
    };
    let written = write.parts.iter().map(|part| task(&part.index, part.position, Some(part.clone())));
    written.chain(write.gone.iter().map(|(place, position)| task(place, *position, None))).collect()
}

impl Task {
    fn action(&self, revision: u64) -> Action {
        let version = i64::try_from(revision).unwrap_or(i64::MAX);
        let more = if self.versioned { json!({"version": version, "version_type": "external_gte"}) } else { json!({}) };
        match &self.part {
            Some(part) => Action::new("index", &self.index, &self.id, more, Some(&Value::Object(part.source.clone()))),
            None => Action::new("delete", &self.index, &self.id, more, None),
        }
    }
}

async fn write_parts(
    cluster: &Cluster,
    revisions: &Revisions,
    writes: &[Write],
    mut tasks: Vec<Task>,
    results: &mut [Result<()>],
) -> Result<()> {
    // As it is, with the body as text, all as text; each perhaps once more without a version.
    for _ in 0..6 {
        if tasks.is_empty() {
            break;
        }
        let actions: Vec<Action> = tasks.iter().map(|task| task.action(writes[task.write].record.revision)).collect();
        let mut again = Vec::new();
        let mut refused = Vec::new();
        for (mut task, done) in tasks.into_iter().zip(bulk::send(cluster, &actions).await) {
            let position = writes[task.write].position;
            let failure = match done {
                Ok(done) if done.is_done() || is_absent(&done, &task) => continue,
                Ok(done) if done.conflicts() && task.versioned => {
                    refused.push(task);
                    continue;
                }
                Ok(done) => match task.part.as_ref().filter(|_| done.misfits()).and_then(Part::plainer) {
                    Some(plainer) => {
                        tracing::debug!(index = task.index, id = task.id, error = %done.error,
                            "a part does not fit the mapping and is written as text");
                        task.part = Some(plainer);
                        again.push(task);
                        continue;
                    }
                    None => fault(&cluster.place, done.status, &done.error, None),
                },
                Err(error) => error,
            };
            if results[position].is_ok() {
                results[position] = Err(failure.within(format_args!("`{}` in `{}`", task.id, task.index)));
            }
        }
        again.extend(still_ours(cluster, revisions, writes, refused).await?);
        tasks = again;
    }
    for task in &tasks {
        results[writes[task.write].position] =
            Err(Error::retryable(format!("`{}` in `{}` is written by others all the time", task.id, task.index))
                .help("it is tried again; if it lasts, look which other program writes there"));
    }
    Ok(())
}

/// A delete of what is not there, in an index that may not be there either.
fn is_absent(done: &Done, task: &Task) -> bool {
    done.status == 404 && task.part.is_none()
}

/// Tasks whose version was refused though no newer revision of the vCon is there; they go on without it.
async fn still_ours(
    cluster: &Cluster,
    revisions: &Revisions,
    writes: &[Write],
    refused: Vec<Task>,
) -> Result<Vec<Task>> {
    let mut asked: Vec<usize> = refused.iter().map(|task| task.write).collect();
    asked.sort_unstable();
    asked.dedup();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let uuids: Vec<&str> = asked.iter().map(|write| writes[*write].record.uuid.as_str()).collect();
    let known = revisions.read(cluster, &uuids).await?;
    let ours = |write: usize| {
        let at = asked.binary_search(&write).ok()?;
        known[at].as_ref().map(|known| known.revision == writes[write].record.revision)
    };
    let kept = refused.into_iter().filter(|task| ours(task.write) == Some(true));
    Ok(kept.map(|task| Task { versioned: false, ..task }).collect())
}
