//! Saves of the end of a document alone on Redis: always the same bytes as a whole save.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Claimed, Commit, Committed, Documents, End, NewVcon, ProcessId, Queue, Save};
use vconductor_tests::servers::redis::RedisServer;

use crate::world::{ALL, ending, ledger, new_vcon, request, trials};

trials![
    "redis::tail",
    any_edit_is_saved_byte_for_byte,
    an_appended_end_is_all_that_is_sent,
    a_document_that_somebody_else_changed_is_saved_whole,
    a_document_that_somebody_else_deleted_is_saved_whole,
    saves_of_one_run_follow_each_other,
];

struct Held {
    server: RedisServer,
    store: Arc<RedisStore>,
    claimed: Vec<Claimed>,
}

/// These documents, claimed.
async fn held(documents: &[Vec<u8>]) -> Held {
    let server = RedisServer::start();
    // Whatever the installed server would gain by it.
    let settings = Settings { tails: Some(true), ..Settings::default() };
    let store = RedisStore::connect(&server.url(), settings).await.expect("a store");
    let vcon = |(index, document): (usize, &Vec<u8>)| NewVcon {
        document: Some(Bytes::from(document.clone())),
        keep: Some(Duration::from_secs(900)),
        ..new_vcon(&format!("v{index}"), &["in"])
    };
    store.ingest(documents.iter().enumerate().map(vcon).collect()).await.expect("an ingest");
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let count = documents.len();
    let ask = Some(request(&[("in", count, 1)], count));
    let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("a claim");
    assert_eq!(claimed.len(), count);
    Held { server, store, claimed }
}

impl Held {
    fn saving(&self, index: usize, document: &[u8], end: End) -> Commit {
        let mut commit = ending(&self.claimed[index], end);
        let uuid = commit.claim.uuid.clone();
        commit.save = Some(Save { uuid, document: Bytes::copy_from_slice(document), revision: 0 });
        commit
    }

    async fn commit(&self, commits: Vec<Commit>) {
        let (process, count) = (commits[0].claim.process.clone(), commits.len());
        let (committed, _) = self.store.exchange(&process, commits, None).await.expect("a commit");
        assert_eq!(committed, vec![Committed::Done; count]);
    }

    async fn stored(&self, index: usize) -> Bytes {
        self.store.get(ALL, &format!("v{index}")).await.expect("a read").expect("a document").document
    }

    fn calls(&self, command: &str) -> usize {
        let stats = self.server.cli(&["INFO", "commandstats"]);
        let calls = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        calls.map_or(0, |rest| rest.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number"))
    }
}

fn text(random: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| random.alphanumeric() as u8).take(length).collect()
}

async fn any_edit_is_saved_byte_for_byte() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let documents: Vec<Vec<u8>> = (0..300)
        .map(|_| {
            let length = random.usize(1..9000);
            text(&mut random, length)
        })
        .collect();
    let held = held(&documents).await;
    let mut edited = documents.clone();
    for document in &mut edited {
        let at = if random.bool() { document.len() } else { random.usize(0..=document.len()) };
        let end = if random.u8(0..4) == 0 { random.usize(at..=document.len()) } else { at };
        let length = random.usize(0..600);
        let inserted = text(&mut random, length);
        document.splice(at..end, inserted);
    }
    let commits = edited.iter().enumerate().map(|(index, document)| held.saving(index, document, End::Done));
    held.commit(commits.collect()).await;
    for (index, document) in edited.iter().enumerate() {
        assert!(held.stored(index).await == document[..], "document {index}");
    }
    assert!(held.calls("setrange") > 20, "the test would prove nothing");
    let ttl: i64 = held.server.cli(&["TTL", "vcon:v0"]).parse().expect("a number");
    assert!((880..=900).contains(&ttl), "{ttl}");
}

async fn an_appended_end_is_all_that_is_sent() {
    let held = held(&[vec![b'x'; 1_200_000]]).await;
    let input = |held: &Held| -> usize {
        let stats = held.server.cli(&["INFO", "stats"]);
        let bytes = stats.lines().find_map(|line| line.trim().strip_prefix("total_net_input_bytes:"));
        bytes.and_then(|bytes| bytes.parse().ok()).expect("a number")
    };
    let before = input(&held);
    let document = [&vec![b'x'; 1_200_000][..], b"the end"].concat();
    held.commit(vec![held.saving(0, &document, End::Done)]).await;
    let sent = input(&held) - before;
    assert!(sent < 2000, "{sent} bytes were sent");
    assert!(held.stored(0).await == document[..]);
}

async fn a_document_that_somebody_else_changed_is_saved_whole() {
    let old = [vec![b'x'; 2000], vec![b'y'; 2000]].concat();
    let held = held(&[old.clone(), old.clone(), old.clone()]).await;
    // Longer, and other at the beginning: half of each would be seen.
    held.server.cli(&["SET", "vcon:v1", &"z".repeat(4500), "KEEPTTL"]);
    let new = [&old[..], b"end"].concat();
    held.commit((0..3).map(|index| held.saving(index, &new, End::Done)).collect()).await;
    for index in 0..3 {
        assert!(held.stored(index).await == new[..], "document {index}");
    }
}

async fn a_document_that_somebody_else_deleted_is_saved_whole() {
    let old = vec![b'x'; 4000];
    let held = held(&[old.clone(), old.clone()]).await;
    held.server.cli(&["DEL", "vcon:v0"]);
    let new = [&old[..], b"end"].concat();
    held.commit((0..2).map(|index| held.saving(index, &new, End::Done)).collect()).await;
    assert!(held.stored(0).await == new[..] && held.stored(1).await == new[..]);
}

async fn saves_of_one_run_follow_each_other() {
    let old = vec![b'x'; 4000];
    let held = held(&[old.clone(), old.clone()]).await;
    let longer = [&old[..3000], &[b'1'; 1050][..]].concat();
    let shorter = [&old[..3500], &[b'2'; 510][..]].concat();
    let saving = |document: &[u8], end: End| {
        let mut commit = held.saving(0, document, end);
        commit.ledger = Some(ledger("calls"));
        commit
    };
    // Both in one transaction, then one more, and between them something else over the same connection.
    held.commit(vec![saving(&longer, End::Continue), saving(&shorter, End::Continue)]).await;
    assert!(held.stored(0).await == shorter[..]);
    held.commit(vec![held.saving(1, &longer, End::Done)]).await;
    let last = [&old[..3900], &b"end"[..], &[b'x'; 110]].concat();
    held.commit(vec![saving(&last, End::Done)]).await;
    assert!(held.stored(0).await == last[..]);
    assert!(held.stored(1).await == longer[..]);
}
