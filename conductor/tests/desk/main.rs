//! The operator's desk from outside: `queue`, `dlq`, `replay`, `runs` and `doctor` on a store in which real chains left dead letters.

mod dlq;
#[path = "../place/mod.rs"]
mod place;
mod queue;
mod replay;
mod replayed;
mod runs;
mod stage;

use place::{Place, done};

#[test]
fn help_of_every_subcommand() {
    let place = Place::new();
    let subcommands = [
        ["queue", "pause"],
        ["queue", "resume"],
        ["queue", "peek"],
        ["queue", "move"],
        ["queue", "drain"],
        ["dlq", "list"],
        ["dlq", "show"],
        ["dlq", "retry"],
        ["dlq", "purge"],
        ["runs", "show"],
    ];
    for [command, subcommand] in subcommands {
        let done = place.run(&[command, subcommand, "--help"]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{command} {subcommand}");
        insta::assert_snapshot!(format!("help_{command}_{subcommand}"), done.stdout);
    }
}

#[test]
fn wrong_command_lines_are_2_and_missing_stores_are_named() {
    let place = Place::new();
    for arguments in [
        &["dlq"][..],
        &["dlq", "list", "--group"],
        &["dlq", "retry", "calls", "--from-link", "a", "--new-run"],
        &["dlq", "retry", "calls", "--rate", "fast"],
        &["dlq", "purge", "calls", "--older-than", "long"],
        &["queue", "move", "calls", "calls"],
        &["queue", "pause"],
        &["replay", "calls"],
        &["replay", "--from", "tape", "calls"],
        &["replay", "--from", "dlq", "calls", "chats"],
        &["replay", "--from", "list", "calls", "--group", "0", "--to", "chats"],
        &["replay", "--from", "dlq", "calls", "--since", "yesterday"],
        &["copy", "--from", "a"],
    ] {
        let done = place.run(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
    }
    insta::assert_snapshot!("no_store", place.desk(&["queue"]).all());
    assert!(!place.0.path().join("data").exists(), "looking makes no store");
    let redis = done(place.command(&["dlq", "list"]).env("REDIS_URL", "redis://127.0.0.1:1"));
    assert_eq!(redis.code, 69, "{}", redis.stderr);
}
