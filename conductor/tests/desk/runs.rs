//! `runs` and `doctor` on an embedded store.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::place::{Place, done};
use crate::stage::{Conductor, Receiver, chains, eventually, uuid, with_dead_letters};

/// The findings of `doctor`, by their codes.
fn codes(place: &Place) -> Vec<String> {
    let found = place.json(&["doctor"]);
    let findings = found["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn runs_that_ended_are_told_step_by_step() {
    let (place, _receiver) = with_dead_letters(2);
    place.ingest("second", 5..6);
    place.work();
    let runs = place.json(&["runs"]);
    let told: Vec<_> =
        runs["runs"].as_array().unwrap().iter().map(|run| (&run["state"], &run["chain"], &run["step"])).collect();
    let failed = (&"failed".into(), &"support".into(), &"urgent".into());
    assert_eq!(told, [failed, failed, (&"done".into(), &"second".into(), &serde_json::Value::Null)]);
    assert_eq!(place.desk(&["runs", "--state", "failed", "--output", "jsonl"]).stdout.lines().count(), 2);
    assert_eq!(place.json(&["runs", "--chain", "second"])["runs"].as_array().unwrap().len(), 1);
    assert_eq!(place.json(&["runs", "--uuid", &uuid(1)])["runs"].as_array().unwrap().len(), 1);
    let one = place.json(&["runs", "--limit", "1"]);
    assert_eq!((&one["more"], one["runs"].as_array().unwrap().len()), (&true.into(), 2), "one of each state");

    let story = &place.json(&["runs", "show", &uuid(0)])[0];
    let events = story["events"].as_array().unwrap().iter();
    let events: Vec<_> = events.map(|event| (&event["step"], event["outcome"].as_str().unwrap())).collect();
    let expected =
        [(&"tell".into(), "done"), (&"urgent".into(), "failed"), (&serde_json::Value::Null, "failed for good")];
    assert_eq!(events, expected);
    let text = place.desk(&["runs", "show", &uuid(0)]).stdout;
    for part in ["failed in  urgent", "vconductor dlq show", "What it did", "tell", "urgent, try 1: "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let by_run = place.json(&["runs", "show", story["run"].as_str().unwrap()]);
    assert_eq!((by_run.as_array().unwrap().len(), &by_run[0]["uuid"]), (1, &story["uuid"]));
    let unknown = place.desk(&["runs", "show", &uuid(99)]);
    assert!(unknown.code == 1 && unknown.stderr.contains("no run of a vCon or run"), "{}", unknown.stderr);
    assert_eq!(place.run(&["runs", "--state", "asleep"]).code, 2);
}

#[test]
fn a_watch_tells_what_changes_until_ctrl_c() {
    let (place, _receiver) = with_dead_letters(1);
    place.ingest("second", 5..6);
    let asked = ["runs", "--uuid", &uuid(5), "--watch", "--output", "jsonl", "--store", "embedded:./data"];
    let mut watching = place.command(&asked).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let (told, telling) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
    let state = || {
        let line = telling.recv_timeout(Duration::from_secs(20)).expect("it looks again");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(), "waiting");
    place.work();
    eventually("it is told that it is done", || state() == "done");
    assert!(Command::new("kill").args(["-INT", &watching.id().to_string()]).status().unwrap().success());
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}

#[test]
fn a_killed_conductor_is_seen_at_once_and_its_runs_are_stuck() {
    let (place, receiver) = (Place::new(), Receiver::start(false));
    place.write("chains.yml", chains(&receiver, ".")).ingest("calls", 0..1);
    let conductor = Conductor::start(&place);
    eventually("the call is at work and told of", || {
        place.json(&["runs", "--state", "running"])["runs"][0]["step"] == "tell"
    });
    let calm = place.json(&["doctor"]);
    assert!(calm["headline"].as_str().unwrap().starts_with("Work moves: 1 at work"), "{calm}");
    drop(conductor);
    let stuck = place.desk(&["runs", "--state", "stuck"]).stdout;
    let stuck = stuck.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(stuck.contains("is dead; the next one that runs takes it over"), "{stuck}");
    assert!(stuck.contains("do: vconductor run CONFIG"), "{stuck}");
    let doctor = place.desk(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.stdout.starts_with("Nothing moves: no conductor runs on this store."), "{}", doctor.stdout);
    assert_eq!(codes(&place), ["no-conductor", "conductor-dead"]);
}

#[test]
fn a_store_that_is_not_there_or_open_to_all_or_damaged_is_told() {
    let place = Place::new();
    let none = place.desk(&["doctor"]);
    assert_eq!(none.code, 69, "{}", none.stdout);
    assert!(none.stdout.starts_with("There is no store at embedded:./data."), "{}", none.stdout);
    let away = done(place.command(&["doctor", "--output", "json"]).env("REDIS_URL", "redis://:secret@127.0.0.1:1/0"));
    assert!(away.code == 69 && !away.stdout.contains("secret"), "{}", away.stdout);
    assert!(away.stdout.contains("Nothing moves: the store redis://127.0.0.1:1/0 does not answer."), "{}", away.stdout);

    place.ingest("calls", 0..1);
    assert_eq!(codes(&place), ["no-conductor"]);
    let chmod = |mode: &str, what: &str| Command::new("chmod").args([mode, what]).current_dir(place.0.path()).status();
    assert!(chmod("755", "data").unwrap().success());
    assert_eq!(codes(&place), ["no-conductor", "store-readable"]);
    assert!(chmod("700", "data").unwrap().success());
}

#[test]
fn storages_budgets_and_files_of_a_configuration_are_tried() {
    let place = Place::new();
    place.write(
        "chains.yml",
        "store: embedded:./data
links: {mark: {module: links.tag, options: {tags: [a]}}}
storages:
  files: {module: storage.file, options: {path: ./files}}
  pg: {module: storage.postgres, options: {url: \"postgres://u:secret@127.0.0.1:1/x\"}}
chains:
  one: {ingress_lists: [calls], links: [mark], storages: [files, pg], budget: {usd_per_day: 5}}
  two: {ingress_lists: [chats], links: [mark], storages: [{storage: pg, required: false}]}
",
    );
    place.ingest("calls", 0..1);
    let found = done(&mut place.command(&["doctor", "--config", "chains.yml"]));
    assert_eq!(found.code, 1, "{}{}", found.stdout, found.stderr);
    for part in
        ["storage pg does not answer", "Runs of chain one wait", "1 answered: files", "one: $0.00 of $5.00 today"]
    {
        assert!(found.stdout.contains(part), "{part} in {}", found.stdout);
    }
    assert!(!found.stdout.contains("secret"), "{}", found.stdout);
    place.write("chains.yml", "store: embedded:./data\nchains: {one: {ingress_lists: [calls], links: [none]}}\n");
    let wrong = done(&mut place.command(&["doctor", "--config", "chains.yml"]));
    assert!(wrong.stdout.contains("fix: vconductor check chains.yml"), "{}", wrong.stdout);
}
