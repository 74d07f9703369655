//! The scripts of the cluster layout as commands. The keys of each share one slot.

use std::time::Duration;

use redis::{Cmd, cmd};

use super::keys::{List, Vcon};
use super::outbox::{Entry, Work};

/// How long a carried-out entry is remembered. One that is tried again later than this is done again.
const MARK: Duration = Duration::from_secs(86_400);

fn script(body: &str, keys: &[String], arguments: &[&str]) -> Cmd {
    let mut call = cmd("EVAL");
    call.arg(body).arg(keys.len()).arg(keys).arg(arguments);
    call
}

/// The process of a claim named `<process>:<batch>`.
fn process_of(claim: &str) -> &str {
    claim.rsplit_once(':').map_or(claim, |(process, _)| process)
}

/// Renews the lease of a process on a list, or makes it.
pub fn renew(list: &List, process: &str, lease: Duration) -> Cmd {
    let mut call = cmd("SET");
    call.arg(list.alive(process)).arg(1).arg("PX").arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
    call
}

/// Claims up to `limit` runs (at most 1000) under a name `<process>:<batch>`; `prefix` begins the ids of new runs.
pub fn claim(list: &List, claim: &str, limit: usize, prefix: &str) -> Cmd {
    let keys = [
        list.alive(process_of(claim)),
        list.paused(),
        list.list(),
        list.returned(),
        list.entry(),
        list.wip(claim),
        list.wips(),
    ];
    script(include_str!("../lua/cluster/claim.lua"), &keys, &[claim, &limit.to_string(), prefix])
}

/// Takes the writer lease of a vCon for a run; `token` is the claim's name.
pub fn lease(vcon: &Vcon, run: &str, token: &str) -> Cmd {
    script(include_str!("../lua/cluster/lease.lua"), &[vcon.writer(), vcon.document(), vcon.keep()], &[run, token])
}

/// What the lease is while a run holds it under a token: a save watches it and compares.
pub fn held(run: &str, token: &str) -> String {
    format!("{run} {token}")
}

/// Ends a run (`entry run uuid`) and leaves what is to happen elsewhere. Answers 0 if the claim was lost.
pub fn finish(list: &List, claim: &str, element: &str, entries: &[Entry]) -> Cmd {
    let texts: Vec<String> = entries.iter().map(Entry::text).collect();
    let arguments: Vec<&str> = [claim, element].into_iter().chain(texts.iter().map(String::as_str)).collect();
    script(include_str!("../lua/cluster/finish.lua"), &[list.wip(claim), list.wips(), list.outbox()], &arguments)
}

/// Gives a run back. Answers 0 if the claim was lost.
pub fn release(list: &List, claim: &str, element: &str) -> Cmd {
    let entry = element.split(' ').next().unwrap_or_default();
    later(list, list.returned(), claim, element, entry)
}

/// Gives a run back until a time in milliseconds. Answers 0 if the claim was lost.
pub fn delay(list: &List, claim: &str, element: &str, due: i64) -> Cmd {
    later(list, list.due(), claim, element, &due.to_string())
}

fn later(list: &List, to: String, claim: &str, element: &str, score: &str) -> Cmd {
    script(include_str!("../lua/cluster/later.lua"), &[list.wip(claim), list.wips(), to], &[claim, element, score])
}

/// Puts what is due among those that came back.
pub fn wake(list: &List, limit: usize) -> Cmd {
    script(include_str!("../lua/cluster/wake.lua"), &[list.due(), list.returned()], &[&limit.to_string()])
}

/// Takes a claim back if its process is dead. Answers -1 if it lives.
pub fn reap(list: &List, claim: &str) -> Cmd {
    let keys = [list.alive(process_of(claim)), list.wip(claim), list.wips(), list.returned(), list.crashes()];
    script(include_str!("../lua/cluster/reap.lua"), &keys, &[claim])
}

/// Carries out an entry of an outbox, in the slot of what it changes. Answers 0 if that was done already.
pub fn carry_out(entry: &Entry) -> Cmd {
    match &entry.work {
        Work::Append { list, value } => {
            let target = List::of(list);
            let keys = [target.list(), target.mark(&entry.name)];
            let keep = MARK.as_millis().to_string();
            script(include_str!("../lua/cluster/append.lua"), &keys, &[value, &keep])
        }
        Work::Free { uuid, run, token } => {
            let vcon = Vcon::of(uuid);
            let keys = [vcon.writer(), vcon.document(), vcon.keep()];
            script(include_str!("../lua/cluster/free.lua"), &keys, &[run, token])
        }
    }
}

/// Removes an entry that was carried out.
pub fn carried_out(list: &List, entry: &Entry) -> Cmd {
    let mut call = cmd("LREM");
    call.arg(list.outbox()).arg(1).arg(entry.text());
    call
}

#[cfg(test)]
mod tests {
    use super::super::{slot, usable_list};
    use super::*;

    /// The keys that a call declares.
    fn declared(call: &Cmd) -> Vec<String> {
        let words: Vec<String> = call
            .args_iter()
            .filter_map(|argument| match argument {
                redis::Arg::Simple(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => None,
            })
            .collect();
        match words[0].as_str() {
            "EVAL" => words[3..3 + words[2].parse::<usize>().expect("a number of keys")].to_vec(),
            _ => vec![words[1].clone()],
        }
    }

    fn every_call(name: &str, uuid: &str) -> Vec<Cmd> {
        let (list, vcon) = (List::of(name), Vcon::of(uuid));
        let element = format!("7 0ab {uuid}");
        let append = Work::Append { list: name.to_owned(), value: uuid.to_owned() };
        let free = Work::Free { uuid: uuid.to_owned(), run: "0ab".to_owned(), token: "p:1".to_owned() };
        let entries = Entry::of_run("0ab", [append, free]);
        let mut calls = vec![
            renew(&list, "p", Duration::from_secs(30)),
            claim(&list, "p:1", 5, "0a"),
            lease(&vcon, "0ab", "p:1"),
            finish(&list, "p:1", &element, &entries),
            release(&list, "p:1", &element),
            delay(&list, "p:1", &element, 9),
            wake(&list, 5),
            reap(&list, "p:1"),
            carried_out(&list, &entries[0]),
        ];
        calls.extend(entries.iter().map(carry_out));
        calls
    }

    #[test]
    fn the_keys_of_every_call_share_a_slot() {
        let uuid = "0198c5c2-0000-7000-8000-000000000001";
        for name in ["calls", "{site}:calls", "a{calls}b", "DLQ:calls", "context:calls:0198", "with space", "ünï"] {
            assert!(usable_list(name).is_ok(), "{name}");
            for call in every_call(name, uuid) {
                let keys = declared(&call);
                assert!(keys.iter().all(|key| slot(key) == slot(&keys[0])), "{keys:?}");
            }
        }
        let vcon = Vcon::of(uuid);
        for key in [vcon.writer(), vcon.keep(), vcon.revision(), vcon.ledger("0ab")] {
            assert_eq!(slot(&key), slot(&vcon.document()), "{key}");
        }
    }

    #[test]
    fn scripts_touch_declared_keys_only() {
        for call in every_call("calls", "u") {
            let body = call.args_iter().nth(1);
            if let Some(redis::Arg::Simple(body)) = body {
                let body = String::from_utf8_lossy(body).into_owned();
                for line in body.lines().filter(|line| !line.trim_start().starts_with("--")) {
                    for (at, _) in line.match_indices("redis.call('") {
                        let rest = &line[at + "redis.call('".len()..];
                        let (command, rest) = rest.split_once('\'').expect("a command");
                        assert!(command == "TIME" || rest.starts_with(", KEYS["), "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let works = [
            Work::Append { list: "a \"b\" {c}".to_owned(), value: "{\"trace_id\":\"x\"}".to_owned() },
            Work::Free { uuid: "u".to_owned(), run: "0ab".to_owned(), token: "p:1".to_owned() },
        ];
        for entry in Entry::of_run("0ab", works) {
            assert_eq!(Entry::read(&entry.text()), Some(entry));
        }
        assert_eq!(Entry::read("u"), None);
    }
}
