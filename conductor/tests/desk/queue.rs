//! `queue` and its subcommands.

use crate::place::{Place, done};
use crate::stage::{Conductor, Receiver, chains, eventually, steady, uuid, with_dead_letters};

#[test]
fn lists_stand_as_the_table_says() {
    let (place, _receiver) = with_dead_letters(2);
    place.ingest("calls", 10..13);
    place.ingest("chats", 20..21);
    assert_eq!(place.desk(&["queue", "pause", "calls"]).code, 0);
    insta::assert_snapshot!("queue", steady(&place.desk(&["queue"]).all()));
    let mut command = place.command(&["queue", "chats", "--config", "chains.yml"]);
    insta::assert_snapshot!("queue_nobody_works", steady(&done(&mut command).all()));
    insta::assert_snapshot!("queue_unknown", steady(&place.desk(&["queue", "cals"]).all()));
    let status = place.status("calls");
    assert_eq!((&status["waiting"], &status["dead"], &status["paused"]), (&3.into(), &2.into(), &true.into()));
    assert_eq!(place.desk(&["queue", "--output", "jsonl"]).stdout.lines().count(), 2);
    insta::assert_snapshot!("queue_peek", steady(&place.desk(&["queue", "peek", "calls", "--limit", "2"]).all()));
    assert_eq!(place.json(&["queue", "peek", "calls"])[2]["uuid"], uuid(12));
}

#[test]
fn a_paused_list_waits_and_a_resumed_one_goes_on() {
    let (place, receiver) = (Place::new(), Receiver::start(true));
    place.write("chains.yml", chains(&receiver, ".")).ingest("calls", 0..3);
    insta::assert_snapshot!("queue_pause", place.desk(&["queue", "pause", "calls"]).all());
    place.work();
    assert_eq!((receiver.told(), &place.status("calls")["waiting"]), (0, &3.into()));
    insta::assert_snapshot!("queue_resume", place.desk(&["queue", "resume", "calls"]).all());
    place.work();
    assert_eq!((receiver.told(), &place.status("done")["waiting"]), (3, &3.into()));
    let typo = place.desk(&["queue", "pause", "don"]);
    assert!(typo.code == 0 && typo.stderr.contains("did you mean `done`?"), "{}", typo.stderr);
}

#[test]
fn what_is_held_is_shown_and_let_go() {
    let place = Place::new();
    place.ingest("calls", 0..2);
    place.hold("link:transcribe", "answered 401 Unauthorized", "check the API key");
    let shown = place.desk(&["queue"]).stdout;
    for part in ["HELD", "link:transcribe", "answered 401", "link:transcribe: check the API key", "in 10 min"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let held = &place.json(&["queue"])["holds"][0];
    assert_eq!((&held["what"], &held["times"], &held["trying"]), (&"link:transcribe".into(), &2.into(), &false.into()));
    let typo = place.desk(&["queue", "release", "link:transcrib"]);
    assert!(typo.code == 1 && typo.stderr.contains("did you mean `link:transcribe`?"), "{}", typo.stderr);
    let released = place.desk(&["queue", "release", "link:transcribe"]);
    assert_eq!((released.code, released.stdout.as_str()), (0, "link:transcribe is let go\n"));
    assert!(!place.desk(&["queue"]).stdout.contains("HELD"));
}

#[test]
fn a_run_does_not_wait_for_what_is_held_for_long_and_says_so() {
    let (place, receiver) = (Place::new(), Receiver::start(true));
    place.write("chains.yml", chains(&receiver, ".")).ingest("calls", 0..2);
    place.ingest("second", 5..6);
    place.hold("chain:support", "the budget of this day is spent", "raise it");
    let ended = place.run(&["run", "chains.yml", "--until-idle"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let told = "chain:support: held since ";
    assert!(
        ended.stdout.contains(told) && ended.stdout.contains("the budget of this day is spent"),
        "{}",
        ended.stdout
    );
    assert!(ended.stderr.contains("chain:support"), "one line of the log: {}", ended.stderr);
    assert_eq!((receiver.told(), &place.status("calls")["waiting"]), (1, &2.into()));
    assert_eq!(place.desk(&["queue", "release", "chain:support"]).code, 0);
    place.work();
    assert_eq!((receiver.told(), &place.status("done")["waiting"]), (3, &3.into()));
}

#[test]
fn moving_keeps_order_and_says_what_it_did() {
    let place = Place::new();
    place.ingest("calls", 0..5);
    let dry = place.desk(&["queue", "move", "calls", "late", "--limit", "2", "--dry-run"]);
    assert_eq!(dry.stdout, "up to 2 runs would be moved from calls to late; runs that have begun stay\n");
    let moved = place.desk(&["queue", "move", "calls", "late", "--limit", "2"]);
    assert_eq!((moved.code, moved.stdout.as_str()), (0, "2 runs moved from calls to late; 3 still on calls\n"));
    assert_eq!(place.json(&["queue", "move", "calls", "late"])["moved"], 3);
    let head = place.json(&["queue", "peek", "late"]);
    let uuids: Vec<&str> = head.as_array().unwrap().iter().map(|run| run["uuid"].as_str().unwrap()).collect();
    assert_eq!(uuids, (0..5).map(uuid).collect::<Vec<_>>());
    let none = place.desk(&["queue", "move", "lat", "calls"]);
    assert!(none.code == 0 && none.stderr.contains("did you mean `late`?"), "{}", none.stderr);
}

#[test]
fn what_is_at_work_is_told_by_its_conductor() {
    let (place, receiver) = (Place::new(), Receiver::start(false));
    place.write("chains.yml", chains(&receiver, ".")).ingest("calls", 0..1);
    let conductor = Conductor::start(&place);
    eventually("the call arrives", || receiver.told() == 1);
    let holders = place.status("calls")["holders"].clone();
    let process = holders[0]["process"].as_str().unwrap().to_owned();
    assert!(process.starts_with(&format!("{}-", conductor.0.id())), "{process}");
    let shown = place.desk(&["queue"]).stdout;
    assert!(shown.contains(&format!("calls: 1 at work in {process}\n")), "{shown}");
    place.ingest("late", 0..1);
    eventually("the second run of the vCon waits for its writer", || {
        place.desk(&["queue"]).stdout.contains("late: 1 waits for another run that works on the same vCon")
    });
    let drain = place.desk(&["queue", "drain", "calls", "--timeout", "500ms"]);
    assert!(drain.code == 1 && drain.stdout.contains("(timeout): 0 waiting, 1 at work"), "{}", drain.stdout);
}

#[test]
fn draining_ends_when_the_list_is_empty() {
    let (place, receiver) = (Place::new(), Receiver::start(true));
    place.write("chains.yml", chains(&receiver, ".")).ingest("calls", 0..200);
    let _conductor = Conductor::start(&place);
    let drained = place.desk(&["queue", "drain", "calls", "--timeout", "60s"]);
    assert_eq!(drained.code, 0, "{}{}", drained.stdout, drained.stderr);
    assert!(drained.stdout.starts_with("calls is empty after "), "{}", drained.stdout);
    assert_eq!(receiver.told(), 200);
    place.ingest("done", 0..1);
    assert_eq!(place.desk(&["queue", "pause", "done"]).code, 0);
    insta::assert_snapshot!("queue_drain_paused", place.desk(&["queue", "drain", "done"]).all());
}

#[test]
fn what_has_begun_is_not_moved() {
    let (place, _receiver) = with_dead_letters(2);
    assert_eq!(place.json(&["dlq", "retry", "calls"])["revived"], 2);
    let moved = place.desk(&["queue", "move", "calls", "second"]);
    assert_eq!(moved.stdout, "no runs moved from calls to second; 2 still on calls\n");
    assert_eq!(moved.stderr, "what is left has begun, so it belongs to its chain and stays\n");
}
