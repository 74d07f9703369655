//! `replay`.

use std::process::Stdio;

use crate::place::told;
use crate::stage::{eventually, steady, with_dead_letters};

#[test]
fn a_replay_goes_to_another_chain_and_pays_once() {
    let (place, receiver) = with_dead_letters(4);
    let unknown = place.run(&["replay", "--from", "dlq", "calls", "--to", "secnd", "--config", "chains.yml"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("did you mean `second`?"), "{}", unknown.stderr);
    let dry = place.desk(&["replay", "--from", "dlq", "calls", "--to", "second", "--dry-run"]);
    assert!(dry.stderr.contains("without --config `second` is taken for a list"), "{}", dry.stderr);
    let replayed =
        place.run(&["replay", "--from", "dlq", "calls", "--to", "second", "--config", "chains.yml", "--limit", "3"]);
    insta::assert_snapshot!("replay", steady(&replayed.all()));
    assert_eq!(place.status("second")["waiting"], 3);
    place.work();
    assert_eq!((receiver.told(), &place.status("done")["waiting"]), (4, &3.into()));
    assert_eq!(place.letters("calls").len(), 1);
}

#[test]
fn an_interrupted_replay_goes_on_with_the_same_command() {
    let (place, _receiver) = with_dead_letters(30);
    let arguments = ["replay", "--from", "dlq", "calls", "--rate", "10/s", "--store", "embedded:./data"];
    let child = place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("some are put back", || place.status("calls")["waiting"].as_u64() >= Some(3));
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let stopped = told(child.wait_with_output().unwrap());
    assert_eq!(stopped.code, 1, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("so the same command goes on with the rest"), "{}", stopped.stderr);
    let left = place.letters("calls").len();
    assert!(left > 0 && left < 30, "{left}");
    let mut killed = place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("more are put back", || place.letters("calls").len() < left);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let dry = place.desk(&["replay", "--from", "dlq", "calls", "--restart", "--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.contains("would be put back"), "{}{}", dry.stdout, dry.stderr);
    let rest = place.desk(&["replay", "--from", "dlq", "calls"]);
    assert!(rest.stderr.contains("goes on with what was begun"), "a look forgets nothing: {}", rest.stderr);
    assert!(rest.stdout.contains("; 0 left there"), "{}", rest.stdout);
    assert_eq!(place.status("calls")["waiting"], 30);
    let empty = place.desk(&["replay", "--from", "dlq", "calls"]);
    assert!(empty.code == 0 && empty.stderr.contains("there are no dead letters in DLQ:calls"), "{}", empty.stderr);
}
