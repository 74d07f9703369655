//! The checker: what became of every run, told from outside of the engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Findings;
use crate::recorder::{Call, overlaps, repeated};

/// A finished call must be in the ledger after so long, apart from times in which the store was away.
const UNSAVED: Duration = Duration::from_secs(5);
/// The checker's clock and the recorder's may see two events in the other order.
const SLACK: Duration = Duration::from_millis(60);

/// What a store holds at the end.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Uuids on the egress list.
    pub(super) out: BTreeMap<String, usize>,
    /// Uuids of dead letters.
    pub(super) dead: BTreeMap<String, usize>,
    /// The stored documents of uuids on the egress list.
    pub(super) documents: BTreeMap<String, String>,
    /// How long the documents of done uuids have to live, in milliseconds, where that is to be judged.
    pub(super) left_to_live: BTreeMap<String, i64>,
    /// What should be gone and is not.
    pub(super) left: Vec<String>,
}

/// When a conductor was killed or stopped, by its number.
pub(super) type Deaths = BTreeMap<u32, Vec<Instant>>;

/// How often each uuid was put on the list: at least, and at most (a push whose reply was lost may have happened).
pub(super) type Expected = BTreeMap<String, (usize, usize)>;

/// Judges everything.
pub(super) fn check(
    held: &Held,
    expected: &Expected,
    calls: &[Call],
    deaths: &Deaths,
    folder: &Path,
    findings: &mut Findings,
) {
    findings.enqueued = expected.values().map(|(least, _)| least).sum();
    findings.done = held.out.values().sum();
    findings.dead = held.dead.values().sum();
    findings.calls = calls.iter().filter(|call| call.answered).count();
    for (uuid, (least, most)) in expected {
        let ended = held.out.get(uuid).unwrap_or(&0) + held.dead.get(uuid).unwrap_or(&0);
        if ended < *least || ended > *most {
            findings.breaches.push(format!("{uuid} was enqueued {least} to {most} times and ended {ended} times"));
        }
        if held.out.contains_key(uuid) {
            findings.breaches.extend(wrong_file(held, folder, uuid));
            findings.breaches.extend(wrong_time(held, uuid, *most));
        }
    }
    findings.breaches.extend(held.left.iter().map(|left| format!("left behind: {left}")));
    let unknown = held.out.keys().filter(|uuid| !expected.contains_key(*uuid));
    findings.breaches.extend(unknown.map(|uuid| format!("{uuid} came out but was never put in")));
    for (one, other) in overlaps(calls) {
        findings.breaches.push(format!("two runs of {} overlap: {one:?} and {other:?}", one.uuid));
    }
    for call in repeated(calls) {
        match unsaved(&call, calls, deaths) {
            Ok(()) => findings.repeated_in_flight += 1,
            Err(why) => {
                findings.breaches.push(format!("effect {} was executed again: {why}: {call:?}", call.effect_id))
            }
        }
    }
}

/// Whether a finished call may be unknown to the ledger: its conductor died or was stopped after it, and had not gone on
/// to the next call of that vCon, which it does only when the ledger has this one.
fn unsaved(call: &Call, calls: &[Call], deaths: &Deaths) -> Result<(), String> {
    let ended = call.ended.unwrap_or(call.began);
    let deaths = deaths.get(&call.caller).map(Vec::as_slice).unwrap_or_default();
    let Some(death) = deaths.iter().filter(|death| **death + SLACK >= ended).min() else {
        return Err(format!("conductor {} lived on", call.caller));
    };
    if *death > ended + UNSAVED {
        return Err(format!("conductor {} had {:?} to save it", call.caller, *death - ended));
    }
    let next = calls.iter().find(|next| {
        next.caller == call.caller
            && next.uuid == call.uuid
            && next.effect_id != call.effect_id
            && next.began > ended
            && next.began + SLACK < *death
    });
    next.map_or(Ok(()), |next| Err(format!("its conductor went on to {} before it died", next.path)))
}

/// What was given an hour to live has it again when its run is done; the others live for ever.
fn wrong_time(held: &Held, uuid: &str, times: usize) -> Option<String> {
    let left = *held.left_to_live.get(uuid)?;
    let is_right = if times == 1 { (1..=3_600_000).contains(&left) } else { left == -1 };
    (!is_right).then(|| format!("{uuid} (enqueued {times} times) has {left} ms to live"))
}

fn wrong_file(held: &Held, folder: &Path, uuid: &str) -> Option<String> {
    let path = folder.join(format!("files/2026/01/02/{uuid}.json"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Some(format!("{uuid} is done but {} is missing", path.display()));
    };
    let Ok(vcon) = serde_json::from_str::<Value>(&text) else {
        return Some(format!("{} is not JSON", path.display()));
    };
    let tags = vcon.pointer("/attachments/0/body").and_then(Value::as_str).unwrap_or_default();
    if tags != "[\"first:first\",\"last:last\"]" || !text.contains("1e3") {
        return Some(format!("{uuid} was not stored as its links left it: tags {tags:?}"));
    }
    // A run that died after its links may have left the document ahead of the file.
    if !held.dead.contains_key(uuid) && held.documents.get(uuid) != Some(&text) {
        return Some(format!("{uuid} is not the same in the store and in its file"));
    }
    None
}
