//! Dead letters of other programs: vcon-server pushes a bare uuid to `DLQ:<list>` and says no more. Each becomes a letter
//! like ours, so that it is listed, put back and purged in the same way; the list itself stays as it is.

use std::collections::HashMap;

use redis::{Pipeline, cmd};

use super::commit::json_of;
use super::lane::text_of;
use super::wire::{list, number, text};
use super::{Inner, keys, scripts};
use crate::error::{Class, Result};
use crate::run::RunId;
use crate::store::{Failure, dead_letter_queue};

/// Uuids that are looked at at once.
const PAGE: usize = 1000;
/// Letters that one call of the script writes; it looks for each in the queue.
const BATCH: usize = 50;

/// Makes letters of what other programs put on the dead-letter queues of these lists.
pub(super) async fn adopt(inner: &Inner, lists: &[String]) -> Result<()> {
    let mut pipe = Pipeline::new();
    for name in lists {
        let queue = dead_letter_queue(name);
        pipe.cmd("LLEN").arg(&queue);
        pipe.cmd("ZCARD").arg(keys::letters(&queue));
    }
    if lists.is_empty() {
        return Ok(());
    }
    // Something else under that name is not ours to judge.
    let counts = inner.wire.try_ask(&pipe).await?;
    for (name, counts) in lists.iter().zip(counts.chunks(2)) {
        if let [length, known] = counts
            && number(length) > number(known)
        {
            adopt_from(inner, name).await?;
        }
    }
    Ok(())
}

async fn adopt_from(inner: &Inner, name: &str) -> Result<()> {
    let (base, queue) = (keys::base(name), dead_letter_queue(name));
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut from = 0;
    loop {
        let mut range = cmd("LRANGE");
        range.arg(&queue).arg(from).arg(from + PAGE - 1);
        let uuids: Vec<String> = list(inner.wire.one(range).await?).into_iter().filter_map(text).collect();
        if uuids.is_empty() {
            return Ok(());
        }
        from += uuids.len();
        let mut known = cmd("HMGET");
        known.arg(format!("{base}:deadof")).arg(&uuids);
        let known = list(inner.wire.one(known).await?);
        let mut foreign = Vec::new();
        for (uuid, runs) in uuids.iter().zip(known) {
            let ours = text(runs).map_or(0, |runs| runs.split_whitespace().count());
            let times = seen.entry(uuid.clone()).or_default();
            *times += 1;
            if *times > ours {
                foreign.push(uuid.clone());
            }
        }
        let calls: Vec<Vec<String>> = foreign.chunks(BATCH).map(|uuids| call(inner, name, &base, uuids)).collect();
        let adopted: i64 = inner.wire.run(&scripts::ADOPT_LETTERS, &[], &calls).await?.iter().map(number).sum();
        if adopted > 0 {
            tracing::info!(%queue, letters = adopted, "another program left dead letters");
        }
    }
}

fn call(inner: &Inner, name: &str, base: &str, uuids: &[String]) -> Vec<String> {
    let queue = dead_letter_queue(name);
    let failure = Failure {
        class: Class::Permanent,
        step: "another program".to_owned(),
        message: format!("another program put it on {queue}; that says nothing of the reason"),
        help: Some("its log may; `vconductor dlq retry` starts it over as a new run".to_owned()),
        attempts: 0,
        at: inner.now(),
    };
    let mut arguments = vec![base.to_owned(), name.to_owned(), queue, inner.now().to_string(), json_of(&failure)];
    for uuid in uuids {
        arguments.extend([uuid.clone(), text_of(RunId::new())]);
    }
    arguments
}

/// The list that a queue of dead letters belongs to; none for those of storages, which only we fill.
pub(super) fn list_of(queue: &str) -> Option<&str> {
    queue.strip_prefix("DLQ:").filter(|list| !list.starts_with("storage:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_storages_are_left_alone() {
        assert_eq!(list_of("DLQ:calls"), Some("calls"));
        assert_eq!(list_of("DLQ:storage:s3"), None);
        assert_eq!(list_of("calls"), None);
    }
}
