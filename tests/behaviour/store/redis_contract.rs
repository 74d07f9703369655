//! What vcon-server, its API and its tools read and write on the Redis that we share with them, member by member. Its API
//! writes RedisJSON, so there is a stand-in for the module; the commands here are those that it sends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vconductor_core::Class;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{
    Claimed, Commit, Committed, Documents, End, NewVcon, Operations, ProcessId, Queue, dead_letter_queue,
};
use vconductor_tests::servers::redis::RedisServer;

use crate::world::{self, ALL, ending, failure, new_vcon, push, request, save, trials};

trials![
    "redis::contract",
    what_its_api_posts_is_claimed_with_its_trace_and_keeps_its_expiry,
    what_we_take_in_is_found_by_its_api,
    values_of_the_index_are_as_they_came,
    the_index_has_the_names_and_expiries_of_its_variables,
    the_index_expires_after_its_last_change,
    a_deleted_vcon_leaves_the_sorted_set_in_both_spellings,
    every_key_that_a_reindex_finds_is_a_vcon,
    its_worker_takes_from_the_same_list,
    what_its_worker_gives_back_goes_first,
    its_api_pops_what_we_hand_on,
    contexts_of_one_uuid_keep_their_order,
    a_context_goes_on_to_every_list_and_expires,
    a_dead_letter_is_a_bare_uuid_and_its_vcon_lives_as_long,
    dead_letters_that_never_expire_keep_their_vcon,
    its_reprocess_continues_our_run,
    a_dead_letter_of_its_is_listed_and_begins_anew,
    dead_letters_of_its_are_purged_and_counted_like_ours,
    a_vcon_that_its_api_deletes_while_it_waits_is_missing,
    what_its_api_overwrites_while_it_waits_is_what_is_worked_on,
];

const POSTED: &str =
    r#"{"uuid":"a","created_at":"2026-01-02T03:04:05+00:00","parties":[{"tel":"+1 202","mailto":null}],"dialog":[]}"#;
const TRACE: &str =
    r#"{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","trace_flags":1,"is_sampled":true}"#;

struct Shared {
    server: RedisServer,
    store: Arc<RedisStore>,
    process: ProcessId,
}

impl Shared {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let server = RedisServer::with_json();
        let store = RedisStore::connect(&server.url(), settings).await.expect("a store");
        let process = ProcessId::random();
        store.register(&process).await.expect("a process");
        Shared { server, store, process }
    }

    fn cli(&self, words: &[&str]) -> String {
        self.server.cli(words)
    }

    fn number(&self, words: &[&str]) -> i64 {
        let answer = self.cli(words);
        answer.parse().unwrap_or_else(|_| panic!("{words:?}: {answer}"))
    }

    /// `POST /vcon?ingress_lists=...`, command by command.
    fn post(&self, uuid: &str, vcon: &str, lists: &[&str]) {
        let key = format!("vcon:{uuid}");
        self.cli(&["JSON.SET", &key, "$", vcon]);
        self.cli(&["EXPIRE", &key, "3600"]);
        self.cli(&["ZADD", "vcons", "1767323045", &key]);
        self.cli(&["SADD", "tel:+1 202", uuid]);
        self.cli(&["EXPIRE", "tel:+1 202", "86400"]);
        for list in lists {
            let context = format!("context:{list}:{uuid}");
            self.cli(&["RPUSH", &context, TRACE]);
            self.cli(&["EXPIRE", &context, "86400"]);
            self.cli(&["RPUSH", list, uuid]);
        }
    }

    async fn take(&self, list: &str, limit: usize) -> Vec<Claimed> {
        let ask = Some(request(&[(list, limit, 1)], limit));
        self.store.exchange(&self.process, Vec::new(), ask).await.expect("an exchange").1
    }

    async fn one(&self, list: &str) -> Claimed {
        self.take(list, 1).await.pop().expect("a run")
    }

    async fn commit(&self, commit: Commit) {
        let (committed, _) = self.store.exchange(&self.process, vec![commit], None).await.expect("an exchange");
        assert_eq!(committed, [Committed::Done]);
    }

    async fn die(&self, claimed: &Claimed) {
        let end = End::Dead { queue: dead_letter_queue(&claimed.claim.list), failure: failure(Class::Permanent) };
        self.commit(ending(claimed, end)).await;
    }

    async fn take_in(&self, uuid: &str, text: &str) {
        let vcon = NewVcon {
            document: Some(Bytes::from(text.to_owned())),
            keep: Some(Duration::from_secs(3600)),
            ..new_vcon(uuid, &["calls"])
        };
        self.store.ingest(vec![vcon]).await.expect("an ingest");
    }
}

async fn what_its_api_posts_is_claimed_with_its_trace_and_keeps_its_expiry() {
    let shared = Shared::new().await;
    shared.post("a", POSTED, &["calls"]);
    let claimed = shared.one("calls").await;
    assert_eq!(claimed.stored.as_ref().expect("a document").document, POSTED);
    assert_eq!(claimed.context.as_deref(), Some(TRACE));
    assert_eq!(shared.cli(&["EXISTS", "context:calls:a"]), "0", "a worker pops it");
    let mut last = ending(&claimed, End::Done);
    last.save = save("a", r#"{"uuid":"a","created_at":"2026-01-02T03:04:05+00:00","parties":[]}"#, 0);
    shared.commit(last).await;
    assert_eq!(shared.cli(&["TYPE", "vcon:a"]), "ReJSON-RL");
    assert!((3590..=3600).contains(&shared.number(&["TTL", "vcon:a"])));
    assert_eq!(shared.cli(&["ZRANGE", "vcons", "0", "-1"]), "vcon:a", "a save is not an entry of its own");
    assert_eq!(shared.cli(&["SMEMBERS", "tel:+1 202"]), "a");
}

async fn what_we_take_in_is_found_by_its_api() {
    let shared = Shared::new().await;
    shared.take_in("a", POSTED).await;
    // GET /vcon?since&until: whole seconds, both included.
    for (until, since, found) in
        [("+inf", "-inf", "vcon:a"), ("1767323045", "1767323045", "vcon:a"), ("1767323044", "-inf", "")]
    {
        assert_eq!(shared.cli(&["ZREVRANGEBYSCORE", "vcons", until, since, "LIMIT", "0", "50"]), found);
    }
    // GET /vcons/search, GET /vcon/{uuid}, GET /vcons, GET /stats/queue.
    assert_eq!(shared.cli(&["SMEMBERS", "tel:+1 202"]), "a");
    assert_eq!(shared.cli(&["JSON.GET", "vcon:a", "."]), POSTED);
    assert_eq!(shared.cli(&["JSON.MGET", "vcon:a", "vcon:b", "."]), POSTED);
    assert_eq!(shared.cli(&["LLEN", "calls"]), "1");
    assert_eq!(shared.number(&["TTL", "vcon:a"]), 3600);
    assert_eq!(shared.number(&["TTL", "tel:+1 202"]), 86400);
    assert_eq!(shared.number(&["TTL", "vcons"]), -1);
}

async fn values_of_the_index_are_as_they_came() {
    let shared = Shared::new().await;
    let parties = r#"[{"tel":"(555) 0100","name":"Zoë Ünsal"},{"tel":"","mailto":"A.B@Example.ORG","name":null},{},{"tel":5550101}]"#;
    shared.take_in("a", &format!(r#"{{"uuid":"a","created_at":"2026-01-02","parties":{parties}}}"#)).await;
    for key in ["tel:(555) 0100", "name:Zoë Ünsal", "mailto:A.B@Example.ORG", "tel:5550101"] {
        assert_eq!(shared.cli(&["SMEMBERS", key]), "a", "{key}");
    }
    for key in ["tel:", "tel:null", "name:", "name:null", "mailto:null", "mailto:a.b@example.org"] {
        assert_eq!(shared.cli(&["EXISTS", key]), "0", "{key}");
    }
    assert_eq!(shared.number(&["ZSCORE", "vcons", "vcon:a"]), 1_767_312_000);
    // What is no vCon is stored and queued all the same, under the time of its arrival.
    shared.take_in("b", r#"{"uuid":"b","parties":"none"}"#).await;
    assert!(shared.number(&["ZSCORE", "vcons", "vcon:b"]) > 1_767_312_000);
}

async fn the_index_has_the_names_and_expiries_of_its_variables() {
    let settings = Settings {
        sorted_set: "all".to_owned(),
        index_keep: Duration::from_secs(77),
        context_keep: Duration::from_secs(55),
        ..Settings::default()
    };
    let shared = Shared::with(settings).await;
    let vcon = NewVcon {
        document: Some(Bytes::from(POSTED)),
        context: Some(TRACE.to_owned()),
        ..new_vcon("a", &["calls", "chats"])
    };
    shared.store.ingest(vec![vcon]).await.expect("an ingest");
    assert_eq!(
        (shared.number(&["ZSCORE", "all", "vcon:a"]), shared.cli(&["EXISTS", "vcons"])),
        (1_767_323_045, "0".into())
    );
    assert_eq!(shared.number(&["TTL", "tel:+1 202"]), 77);
    for list in ["calls", "chats"] {
        let context = format!("context:{list}:a");
        assert_eq!(
            (shared.cli(&["LRANGE", &context, "0", "-1"]), shared.number(&["TTL", &context])),
            (TRACE.into(), 55)
        );
    }
}

async fn the_index_expires_after_its_last_change() {
    let shared = Shared::new().await;
    shared.take_in("a", POSTED).await;
    shared.cli(&["EXPIRE", "tel:+1 202", "10"]);
    shared.take_in("b", &POSTED.replace(r#""a""#, r#""b""#)).await;
    assert_eq!((shared.number(&["SCARD", "tel:+1 202"]), shared.number(&["TTL", "tel:+1 202"])), (2, 86400));
}

async fn a_deleted_vcon_leaves_the_sorted_set_in_both_spellings() {
    let shared = Shared::new().await;
    shared.take_in("a", POSTED).await;
    shared.take_in("b", POSTED).await;
    // What its worker and API write when a storage had the vCon.
    shared.cli(&["ZADD", "vcons", "1767323045", "a"]);
    assert!(shared.store.delete(ALL, "a").await.expect("a deletion"));
    assert_eq!(shared.cli(&["ZRANGE", "vcons", "0", "-1"]), "vcon:b", "its list of vCons has no page with a gap");
}

async fn every_key_that_a_reindex_finds_is_a_vcon() {
    let shared = Shared::new().await;
    shared.take_in("a", POSTED).await;
    shared.take_in("b", POSTED).await;
    let claimed = shared.take("calls", 2).await;
    let mut step = ending(&claimed[0], End::Continue);
    step.ledger = Some(world::ledger("c"));
    step.save = save("a", POSTED, 0);
    shared.commit(step).await;
    shared.die(&claimed[1]).await;
    // GET /index_vcons reads each of them as a vCon.
    let mut found: Vec<String> = shared.cli(&["KEYS", "vcon:*"]).lines().map(str::to_owned).collect();
    found.sort();
    assert_eq!(found, ["vcon:a", "vcon:b"], "of all that we keep beside them");
    assert!(shared.number(&["DBSIZE"]) > 8, "and that is something");
}

async fn its_worker_takes_from_the_same_list() {
    let shared = Shared::new().await;
    for uuid in ["a", "b", "c"] {
        shared.post(uuid, POSTED, &["calls"]);
    }
    assert_eq!(shared.cli(&["BLPOP", "calls", "1"]), "calls\na");
    assert_eq!(shared.cli(&["LPOP", "context:calls:a"]), TRACE);
    assert_eq!(world::uuids(&shared.take("calls", 9).await), ["b", "c"], "each goes to one of us");
    assert_eq!(shared.cli(&["BLPOP", "calls", "0.1"]), "");
}

async fn what_its_worker_gives_back_goes_first() {
    let shared = Shared::new().await;
    shared.post("a", POSTED, &["calls"]);
    shared.post("b", POSTED, &["calls"]);
    shared.cli(&["BLPOP", "calls", "1"]);
    // It was told to end.
    shared.cli(&["LPUSH", "calls", "a"]);
    assert_eq!(world::uuids(&shared.take("calls", 9).await), ["a", "b"]);
}

async fn its_api_pops_what_we_hand_on() {
    let shared = Shared::new().await;
    for uuid in ["a", "b"] {
        shared.post(uuid, POSTED, &["calls"]);
        let claimed = shared.one("calls").await;
        let mut last = ending(&claimed, End::Done);
        last.pushes = vec![push("done", uuid)];
        shared.commit(last).await;
    }
    // GET /vcon/egress: from the other end.
    assert_eq!(
        [shared.cli(&["RPOP", "done"]), shared.cli(&["RPOP", "done"]), shared.cli(&["RPOP", "done"])],
        ["b", "a", ""]
    );
}

async fn contexts_of_one_uuid_keep_their_order() {
    let shared = Shared::new().await;
    shared.post("a", POSTED, &["calls"]);
    shared.cli(&["RPUSH", "context:calls:a", "second"]);
    shared.cli(&["RPUSH", "calls", "a"]);
    for context in [TRACE, "second"] {
        let claimed = shared.one("calls").await;
        assert_eq!(claimed.context.as_deref(), Some(context));
        shared.commit(ending(&claimed, End::Done)).await;
    }
}

async fn a_context_goes_on_to_every_list_and_expires() {
    let shared = Shared::new().await;
    shared.post("a", POSTED, &["calls"]);
    let claimed = shared.one("calls").await;
    // It outlives a retry.
    shared.commit(ending(&claimed, End::Release)).await;
    let claimed = shared.one("calls").await;
    assert_eq!(claimed.context.as_deref(), Some(TRACE));
    let mut last = ending(&claimed, End::Done);
    last.pushes = vec![push("done", "a"), push("routed", "a")];
    shared.commit(last).await;
    for list in ["done", "routed"] {
        let context = format!("context:{list}:a");
        assert_eq!(shared.number(&["TTL", &context]), 86400);
        assert_eq!(shared.cli(&["LPOP", &context]), TRACE, "its worker goes on with the trace");
    }
}

async fn a_dead_letter_is_a_bare_uuid_and_its_vcon_lives_as_long() {
    let shared = Shared::new().await;
    shared.cli(&["RPUSH", "DLQ:calls", "before"]);
    shared.post("a", POSTED, &["calls"]);
    let claimed = shared.one("calls").await;
    shared.die(&claimed).await;
    // GET /dlq?ingress_list=calls
    assert_eq!(shared.cli(&["LRANGE", "DLQ:calls", "0", "-1"]), "before\na");
    assert!((604_790..=604_800).contains(&shared.number(&["TTL", "vcon:a"])), "VCON_DLQ_EXPIRY");
    // One that never expires is not made to.
    shared.cli(&["JSON.SET", "vcon:b", ".", POSTED]);
    shared.cli(&["RPUSH", "calls", "b"]);
    let claimed = shared.one("calls").await;
    shared.die(&claimed).await;
    assert_eq!(shared.number(&["TTL", "vcon:b"]), -1);
}

async fn dead_letters_that_never_expire_keep_their_vcon() {
    let shared = Shared::with(Settings { dead_letter_keep: None, ..Settings::default() }).await;
    shared.post("a", POSTED, &["calls"]);
    let claimed = shared.one("calls").await;
    shared.die(&claimed).await;
    assert_eq!(shared.number(&["TTL", "vcon:a"]), -1, "VCON_DLQ_EXPIRY=0: for ever, as its manual says");
}

async fn its_reprocess_continues_our_run() {
    let shared = Shared::new().await;
    shared.post("a", POSTED, &["calls"]);
    let claimed = shared.one("calls").await;
    let mut step = ending(&claimed, End::Continue);
    step.ledger = Some(world::ledger("paid"));
    shared.commit(step).await;
    shared.die(&claimed).await;
    // POST /dlq/reprocess
    assert_eq!(shared.cli(&["LPOP", "DLQ:calls"]), "a");
    shared.cli(&["RPUSH", "calls", "a"]);
    let again = shared.one("calls").await;
    assert_eq!((again.claim.run, again.ledger.expect("its ledger").chain.as_str()), (claimed.claim.run, "paid"));
    assert_eq!(shared.store.dead_letter_queues().await.expect("the queues"), []);
}

async fn a_dead_letter_of_its_is_listed_and_begins_anew() {
    let shared = Shared::new().await;
    for uuid in ["x", "y", "x"] {
        shared.post(uuid, POSTED, &[]);
        shared.cli(&["RPUSH", "DLQ:calls", uuid]);
    }
    let letters = shared.store.dead_letters("DLQ:calls", None, 10).await.expect("the letters");
    let told: Vec<_> = letters.iter().map(|letter| (letter.uuid.as_str(), letter.list.as_str())).collect();
    assert_eq!(told, [("x", "calls"), ("y", "calls"), ("x", "calls")], "in their order");
    assert!(letters.iter().all(|letter| letter.failure.message.contains("another program")));
    assert_eq!(shared.store.dead_letters("DLQ:calls", None, 10).await.expect("the letters"), letters, "once");
    assert_eq!(shared.cli(&["LRANGE", "DLQ:calls", "0", "-1"]), "x\ny\nx", "its API still sees them");
    assert!(shared.store.revive(letters[1].run).await.expect("a revival"));
    assert_eq!(shared.cli(&["LRANGE", "DLQ:calls", "0", "-1"]), "x\nx");
    let begun = shared.one("calls").await;
    assert_eq!((begun.claim.uuid.as_str(), begun.ledger.is_none(), begun.attempts), ("y", true, 0));
    shared.commit(ending(&begun, End::Done)).await;
    // Its own reprocess still works on what was listed here.
    shared.cli(&["LPOP", "DLQ:calls"]);
    shared.cli(&["RPUSH", "calls", "x"]);
    let begun = shared.one("calls").await;
    shared.commit(ending(&begun, End::Done)).await;
    assert_eq!(shared.store.dead_letters("DLQ:calls", None, 10).await.expect("the letters").len(), 1);
}

async fn dead_letters_of_its_are_purged_and_counted_like_ours() {
    let shared = Shared::new().await;
    shared.post("a", POSTED, &["calls"]);
    let claimed = shared.one("calls").await;
    shared.die(&claimed).await;
    let mut fill = redis::cmd("EVAL");
    fill.arg("for i = 1, 2500 do redis.call('RPUSH', 'DLQ:calls', 'v' .. i) end").arg(0);
    fill.exec(&mut shared.server.connect()).expect("a backlog");
    let known = shared.store.lists().await.expect("the lists").into_iter().find(|one| one.list == "calls");
    assert_eq!(known.expect("it is known").dead, 2501, "at the first look, without a conductor");
    shared.store.sweep().await.expect("a sweep");
    let queues = shared.store.dead_letter_queues().await.expect("the queues");
    assert_eq!((queues.len(), queues[0].queue.as_str(), queues[0].letters), (1, "DLQ:calls", 2501));
    let status = shared.store.lists().await.expect("the lists").into_iter().find(|one| one.list == "calls");
    assert_eq!(status.expect("it is known").dead, 2501);
    let letters = shared.store.dead_letters("DLQ:calls", None, 9999).await.expect("the letters");
    assert_eq!(letters.len(), 2501);
    for letter in &letters[..3] {
        assert!(shared.store.bury(letter.run).await.expect("it is forgotten"));
    }
    assert_eq!(shared.number(&["LLEN", "DLQ:calls"]), 2498);
}

async fn a_vcon_that_its_api_deletes_while_it_waits_is_missing() {
    let shared = Shared::new().await;
    shared.post("a", POSTED, &["calls"]);
    // DELETE /vcon/a
    shared.cli(&["JSON.DEL", "vcon:a", "."]);
    let claimed = shared.one("calls").await;
    assert_eq!((claimed.claim.uuid.as_str(), claimed.stored.is_none()), ("a", true));
}

async fn what_its_api_overwrites_while_it_waits_is_what_is_worked_on() {
    let shared = Shared::new().await;
    shared.take_in("a", POSTED).await;
    let newer = POSTED.replace("202", "203");
    shared.post("a", &newer, &["calls"]);
    let first = shared.one("calls").await;
    assert_eq!(first.stored.as_ref().expect("a document").document, newer);
    assert!(shared.take("calls", 1).await.is_empty(), "its second run waits for the first");
    shared.commit(ending(&first, End::Done)).await;
    let second = shared.one("calls").await;
    assert_ne!(second.claim.run, first.claim.run);
    shared.commit(ending(&second, End::Done)).await;
}
