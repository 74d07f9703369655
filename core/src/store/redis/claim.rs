//! Claims: what the claim script is asked and what it answers.

use std::sync::Arc;

use redis::{Cmd, Pipeline, Value};

use super::bell::Mood;
use super::lane::{parse, text_of};
use super::memory::Wip;
use super::wire::{list, number, text};
use super::{Inner, fault, keys, scripts};
use crate::error::Result;
use crate::run::RunId;
use crate::store::{ClaimRequest, ProcessId};

/// First back-off of a run whose vCon another run is writing, in milliseconds; it doubles up to the second.
const WRITER_BACKOFF: (u32, u32) = (250, 30_000);

/// Whose turn it is: the next claim goes on where the last one stopped, so that weights hold over many small
/// claims and a busy list starves no other.
#[derive(Debug, Default)]
pub(super) struct Rota {
    list: String,
    credit: i64,
}

/// A claim that is asked for.
pub(super) struct Asked {
    /// Its name; the first run's id.
    pub(super) batch: String,
    pub(super) wips: Vec<Arc<Wip>>,
    new_lists: Vec<String>,
    arguments: Vec<String>,
    /// How much the bell had heard when it was asked.
    heard: u64,
}

/// A run that the script handed out.
pub(super) struct Taken {
    pub(super) wip: Arc<Wip>,
    pub(super) entry: i64,
    pub(super) run: RunId,
    pub(super) uuid: String,
    /// The run as it stands in the wip list.
    pub(super) element: String,
    pub(super) known: bool,
    pub(super) json: bool,
    pub(super) large: bool,
}

/// Writes the question for the claim script.
pub(super) fn prepare(inner: &Inner, lane: usize, process: &ProcessId, request: &ClaimRequest) -> Asked {
    let batch = text_of(RunId::new());
    let name = format!("{process}:{batch}");
    let wips: Vec<Arc<Wip>> = request
        .quotas
        .iter()
        .map(|quota| {
            let base = keys::base(&quota.list);
            let key = keys::wip(&base, &name);
            Arc::new(Wip { key, name: name.clone(), base, list: quota.list.clone(), lane })
        })
        .collect();
    let solo_at = inner.solo_at();
    let (any, solo) = inner.memory.holds(process, solo_at);
    let (turn, credit) = inner.turn(|rota| {
        let turn = request.quotas.iter().position(|quota| quota.list == rota.list).unwrap_or(0);
        (turn + 1, rota.credit)
    });
    let mut arguments = vec![process.0.clone(), batch.clone(), batch[..28].to_owned(), inner.shift().to_string()];
    arguments.push(request.limit.to_string());
    arguments.push(request.bytes.to_string());
    arguments.extend([any, solo].map(|flag| u8::from(flag).to_string()));
    arguments.extend([solo_at.to_string(), turn.to_string(), credit.to_string()]);
    arguments.extend([WRITER_BACKOFF.0.to_string(), WRITER_BACKOFF.1.to_string()]);
    arguments.push(u8::from(inner.has_json).to_string());
    arguments.push(inner.settings.large.to_string());
    for (quota, wip) in request.quotas.iter().zip(&wips) {
        arguments.extend([quota.limit.to_string(), quota.weight.to_string(), wip.base.clone()]);
    }
    let new_lists = request.quotas.iter().filter(|quota| inner.announce(&quota.list));
    let new_lists = new_lists.map(|quota| quota.list.clone()).collect();
    Asked { batch, wips, new_lists, arguments, heard: inner.bell.heard() }
}

impl Asked {
    /// Adds the question to a flight; `whole` brings the script along. Its answer is the flight's last.
    pub(super) fn add_to(&self, pipe: &mut Pipeline, whole: bool) {
        let mut names = vec![keys::PROCESSES, keys::PAUSED];
        names.extend(self.wips.iter().map(|wip| wip.list.as_str()));
        let mut call: Cmd = if whole { scripts::CLAIM.whole(&names) } else { scripts::CLAIM.call(&names) };
        call.arg(&self.arguments);
        if !self.new_lists.is_empty() {
            pipe.cmd("SADD").arg(keys::LISTS).arg(&self.new_lists);
        }
        pipe.add_command(call);
    }

    /// Reads the answer.
    pub(super) fn read(&self, inner: &Inner, answer: Value) -> Result<Vec<Taken>> {
        let mut parts = list(answer).into_iter();
        if parts.next().is_none_or(|alive| number(&alive) == 0) {
            return Ok(Vec::new());
        }
        let (Some(turn), Some(credit), Some(states), Some(elements), Some(places)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(fault::odd("a claim"));
        };
        let turn = usize::try_from(number(&turn) - 1).unwrap_or(0);
        inner.turn(|rota| {
            if let Some(wip) = self.wips.get(turn) {
                wip.list.clone_into(&mut rota.list);
                rota.credit = number(&credit);
            }
        });
        for (wip, state) in self.wips.iter().zip(list(states)) {
            let mood = match number(&state) {
                0 => Mood::Empty,
                1 => Mood::Rings,
                _ => Mood::Closed,
            };
            inner.bell.found(&wip.list, mood, self.heard);
        }
        let taken = list(elements).into_iter().zip(list(places));
        taken.map(|(element, place)| self.taken(element, &place).ok_or_else(|| fault::odd("a claim"))).collect()
    }

    fn taken(&self, element: Value, place: &Value) -> Option<Taken> {
        let element = text(element)?;
        let (entry, run, uuid) = parse(&element)?;
        let uuid = uuid.to_owned();
        let place = usize::try_from(number(place)).ok()?;
        let wip = self.wips.get((place / 8).checked_sub(1)?)?;
        let (known, json, large) = (place & 1 != 0, place & 2 != 0, place & 4 != 0);
        Some(Taken { wip: Arc::clone(wip), entry, run, uuid, element, known, json, large })
    }
}
