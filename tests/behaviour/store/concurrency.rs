//! Many producers and two processes at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vconductor_core::store::{Committed, End, Store};

use crate::world::{World, cases, ending, new_vcon, push, request};

cases![every_run_completes_exactly_once];

/// Every producer enqueues one uuid three times, and one that all share.
const PRODUCERS: usize = 1000;

/// Completed runs by uuid, and the uuids that are being worked on.
#[derive(Default)]
struct Seen {
    done: HashMap<String, usize>,
    open: HashSet<String>,
}

async fn every_run_completes_exactly_once(world: World) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let handles = [Arc::clone(&world.store), world.another().await];
    let conductors: Vec<_> = handles.into_iter().map(|store| tokio::spawn(conduct(store, Arc::clone(&seen)))).collect();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|index| {
            let store = Arc::clone(&world.store);
            tokio::spawn(async move {
                let uuid = format!("v{index}");
                let vcon = new_vcon(&uuid, &["calls", "chats", "calls"]);
                store.ingest(vec![vcon]).await.expect("an ingest");
                if index % 50 == 0 {
                    store.ingest(vec![new_vcon("shared", &["chats"])]).await.expect("an ingest");
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("a producer");
    }
    for conductor in conductors {
        conductor.await.expect("a conductor");
    }
    let pushed = world.status("done").await.waiting as usize;
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.done.len(), PRODUCERS + 1);
    assert!(seen.done.iter().all(|(uuid, count)| *count == if uuid == "shared" { PRODUCERS / 50 } else { 3 }));
    assert_eq!(pushed, PRODUCERS * 3 + PRODUCERS / 50);
}

async fn conduct(store: Arc<dyn Store>, seen: Arc<Mutex<Seen>>) {
    let process = vconductor_core::store::ProcessId::random();
    store.register(&process).await.expect("a process registers");
    let lists = ["calls".to_owned(), "chats".to_owned()];
    let total = PRODUCERS * 3 + PRODUCERS / 50;
    let mut commits = Vec::new();
    while seen.lock().expect("no panic").done.values().sum::<usize>() < total {
        let ended: Vec<String> =
            commits.iter().map(|commit: &vconductor_core::store::Commit| commit.claim.uuid.clone()).collect();
        for uuid in &ended {
            // Before the exchange: from then on another process may claim the uuid.
            seen.lock().expect("no panic").open.remove(uuid);
        }
        let asked = request(&[("calls", 20, 2), ("chats", 20, 1)], 32);
        let (committed, claimed) =
            store.exchange(&process, std::mem::take(&mut commits), Some(asked)).await.expect("an exchange");
        assert!(committed.iter().all(|committed| *committed == Committed::Done));
        let idle = claimed.is_empty();
        {
            let mut seen = seen.lock().expect("no panic");
            for uuid in ended {
                *seen.done.entry(uuid).or_default() += 1;
            }
            for claimed in &claimed {
                assert!(seen.open.insert(claimed.claim.uuid.clone()), "{} overlaps", claimed.claim.uuid);
                assert!(claimed.stored.is_some());
            }
        }
        if idle {
            store.doorbell(&lists, Duration::from_millis(100)).await;
            store.pump().await.expect("a pump");
        }
        for claimed in claimed {
            let mut commit = ending(&claimed, End::Done);
            commit.pushes = vec![push("done", &claimed.claim.uuid)];
            commits.push(commit);
        }
    }
    store.deregister(&process).await.expect("an end");
}
