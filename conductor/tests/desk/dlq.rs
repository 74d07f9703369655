//! `dlq` and its subcommands.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::place::Place;
use crate::stage::{Conductor, Receiver, chains, eventually, run_id, steady, uuid, with_dead_letters};

#[test]
fn dead_letters_are_listed_grouped_and_shown() {
    let (place, _receiver) = with_dead_letters(3);
    place.ingest("chats", 20..21);
    place.work();
    insta::assert_snapshot!("dlq_list", steady(&place.desk(&["dlq", "list"]).all()));
    insta::assert_snapshot!("dlq_list_calls", steady(&place.desk(&["dlq", "list", "calls", "--limit", "2"]).all()));
    insta::assert_snapshot!("dlq_list_group", steady(&place.desk(&["dlq", "list", "DLQ:calls", "--group"]).all()));
    insta::assert_snapshot!("dlq_list_unknown", place.desk(&["dlq", "list", "cals"]).all());
    let shown = place.desk(&["dlq", "show", &uuid(1)]);
    insta::assert_snapshot!("dlq_show", steady(&shown.all()));
    let letter = place.letters("calls")[1].clone();
    // A second may have passed in between.
    assert_eq!(steady(&place.desk(&["dlq", "show", run_id(&letter)]).stdout), steady(&shown.stdout));
    let json = place.json(&["dlq", "show", run_id(&letter)]);
    assert_eq!(json[0]["ledger"]["steps"][0]["key"]["link"], "tell");
    insta::assert_snapshot!("dlq_show_chat", steady(&place.desk(&["dlq", "show", &uuid(20)]).all()));
    insta::assert_snapshot!("dlq_show_unknown", place.desk(&["dlq", "show", &uuid(99)]).all());
}

#[test]
fn a_retried_run_does_not_do_its_finished_steps_again() {
    let (place, receiver) = with_dead_letters(3);
    place.write("chains.yml", chains(&receiver, "."));
    let dry = place.desk(&["dlq", "retry", "calls", "--dry-run"]);
    assert!(
        dry.code == 0 && dry.stdout.starts_with("3 runs would be put back on their lists from DLQ:calls"),
        "{}",
        dry.stdout
    );
    assert_eq!(place.letters("calls").len(), 3);
    let one = place.json(&["dlq", "retry", "calls", "--uuid", &uuid(1)]);
    assert_eq!((&one["revived"], &one["left"]), (&1.into(), &2.into()));
    let none = place.desk(&["dlq", "retry", "calls", "--class", "poison"]);
    assert!(none.code == 0 && none.stdout.starts_with("no runs put back"), "{}", none.stdout);
    let again = place.desk(&["dlq", "retry", "calls", "--uuid", &uuid(1)]);
    assert!(again.code == 1 && again.stderr.contains("no such dead letter is in DLQ:calls"), "{}", again.stderr);
    let run = run_id(&place.letters("calls")[1]).to_owned();
    let lines = place.desk(&["dlq", "retry", "calls", "--run", &run, "--output", "jsonl"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&lines).unwrap()["status"], "put_back");
    assert_eq!(place.json(&["dlq", "retry", "DLQ:calls", "--limit", "5"])["revived"], 1);
    place.work();
    assert_eq!((receiver.told(), &place.status("done")["waiting"]), (3, &3.into()));
    assert!(place.letters("calls").is_empty());
}

#[test]
fn a_step_that_was_given_up_gets_all_its_attempts_again() {
    let (place, receiver) = (Place::new(), Receiver::start(true));
    place.write("chains.yml", chains(&receiver, ".")).ingest("patient", 0..1);
    for _ in 0..2 {
        place.work();
        assert_eq!(place.letters("patient")[0]["attempts"], 2);
        assert_eq!(place.json(&["dlq", "retry", "patient"])["revived"], 1);
    }
}

#[test]
fn from_a_link_on_is_done_again_and_a_new_run_does_all() {
    let (place, receiver) = with_dead_letters(3);
    place.write("chains.yml", chains(&receiver, "."));
    let refused = place.desk(&["dlq", "retry", "calls", "--from-link", "tel"]);
    assert!(refused.code == 1 && refused.stderr.contains("does not know link `tel`"), "{}", refused.stderr);
    let mut arguments =
        vec!["dlq", "retry", "calls", "--limit", "1", "--from-link", "urgent", "--config", "chains.yml"];
    assert_eq!(place.run(&arguments).code, 0);
    place.work();
    assert_eq!((receiver.told(), &place.status("done")["waiting"]), (3, &1.into()));
    arguments[6] = "tell";
    assert_eq!(place.run(&arguments).code, 0);
    place.work();
    assert_eq!((receiver.told(), &place.status("done")["waiting"]), (4, &2.into()));
    assert_eq!(place.desk(&["dlq", "retry", "calls", "--new-run"]).code, 0);
    place.work();
    assert_eq!((receiver.told(), &place.status("done")["waiting"]), (5, &3.into()));
}

#[test]
fn what_fails_again_is_not_chased() {
    let (place, receiver) = with_dead_letters(2);
    let conductor = Conductor::start(&place);
    let done = place.desk(&["dlq", "retry", "calls", "--new-run", "--rate", "4/s"]);
    assert!(done.stdout.starts_with("2 runs put back"), "{}", done.stdout);
    eventually("they fail again", || place.letters("calls").len() == 2);
    drop(conductor);
    assert_eq!(receiver.told(), 4);
}

#[test]
fn a_storage_that_is_back_gets_what_is_missing() {
    let (place, receiver) = (Place::new(), Receiver::start(true));
    place.write("blocked", "a file where a folder is needed").write("chains.yml", chains(&receiver, "."));
    place.ingest("old", 0..2);
    place.work();
    let letters = place.letters("storage:files");
    assert_eq!((letters.len(), &letters[0]["step"]), (2, &"files".into()));
    let queue = place.desk(&["queue"]).stdout;
    assert!(queue.contains("storage files: 2 runs wait for it with their links done"), "{queue}");
    std::fs::remove_file(place.0.path().join("blocked")).unwrap();
    place.desk(&["dlq", "retry", "storage:files"]);
    place.work();
    assert!(place.letters("storage:files").is_empty());
    assert_eq!(receiver.told(), 2);
    assert!(place.0.path().join("blocked/files").is_dir());
}

#[test]
fn purging_asks_for_the_name_of_the_queue() {
    let (place, _receiver) = with_dead_letters(3);
    insta::assert_snapshot!("dlq_purge_refused", place.desk(&["dlq", "purge", "calls"]).all());
    let young = place.desk(&["dlq", "purge", "calls", "--older-than", "1h", "--yes"]);
    assert_eq!((young.code, young.stdout.as_str()), (0, "no dead letters of DLQ:calls forgotten\n"));
    let dry = place.desk(&["dlq", "purge", "calls", "--dry-run"]);
    assert_eq!(dry.stdout, "3 dead letters of DLQ:calls would be forgotten\n");
    let (code, screen) = on_a_terminal(&place, "calls\n");
    assert!(code == 1 && screen.contains("nothing was forgotten"), "{screen}");
    assert_eq!(place.letters("calls").len(), 3);
    let (code, screen) = on_a_terminal(&place, "DLQ:calls\n");
    assert!(code == 0 && screen.contains("3 dead letters of DLQ:calls forgotten"), "{screen}");
    assert!(place.letters("calls").is_empty());
    assert_eq!(place.desk(&["show", &uuid(0)]).code, 0, "its vCon stays");
}

/// Purges on a pseudo-terminal and types an answer.
fn on_a_terminal(place: &Place, answer: &str) -> (i32, String) {
    let line = format!("{} dlq purge calls --store embedded:./data", env!("CARGO_BIN_EXE_vconductor"));
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(place.0.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(answer.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(input);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}
