//! The command line from outside: the binary, its output and its exit codes.

mod place;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use place::{Done, Place, done, told};

const UUID: &str = "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10";

fn run_with(place: &Place, arguments: &[&str], input: &str) -> Done {
    let mut command = place.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    told(child.wait_with_output().unwrap())
}

fn audio(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/audio").join(name)).unwrap()
}

fn vcon(uuid: &str) -> String {
    format!(
        "{{\"vcon\":\"0.0.1\",\"uuid\":\"{uuid}\", \"created_at\":\"2024-01-02T03:04:05Z\",\"parties\":[],\"n\":1e3}}"
    )
}

#[test]
fn help_of_every_command() {
    let place = Place::new();
    let commands = [
        "",
        "run",
        "ingest",
        "show",
        "vcon",
        "queue",
        "dlq",
        "runs",
        "doctor",
        "replay",
        "test",
        "simulate",
        "explain",
        "new",
        "schema",
        "graph",
        "copy",
        "keys",
        "serve",
        "check",
        "list",
        "describe",
        "completions",
    ];
    for command in commands {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|part| !part.is_empty()).collect();
        let done = place.run(&arguments);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{command}");
        let name = if command.is_empty() { "help".to_owned() } else { format!("help_{command}") };
        insta::assert_snapshot!(name, done.stdout);
    }
}

#[test]
fn usage_errors_are_2_and_say_what_to_do() {
    let place = Place::new();
    assert_eq!(place.run(&["ingest", "call.json"]).code, 2);
    let done = place.run(&["describe", "links.tga"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("did you mean `links.tag`?"), "{}", done.stderr);
    insta::assert_snapshot!("run_without_configuration", place.run(&["run"]).all());
    insta::assert_snapshot!("unknown_command", place.run(&["rnu"]).all());
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = Place::new().run(&["completions", shell]);
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains("until-idle"), "{shell}");
    }
}

#[test]
fn list_and_describe_know_every_plugin() {
    let place = Place::new();
    let listed = place.run(&["list", "--output", "jsonl"]);
    let modules: Vec<String> = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["module"].as_str().unwrap().to_owned())
        .collect();
    assert!(modules.iter().any(|module| module == "links.tag"));
    let table = place.run(&["list"]).stdout;
    for module in modules {
        assert!(table.contains(&module), "{module}");
        let described = place.run(&["describe", &module]);
        assert_eq!(described.code, 0, "{module}");
        assert!(described.stdout.starts_with(&module), "{module}");
        let schema: Value =
            serde_json::from_str(&place.run(&["describe", &module, "--output", "json"]).stdout).unwrap();
        assert!(schema["description"].as_str().is_some_and(|text| !text.is_empty()), "{module}");
    }
}

#[test]
fn a_manual_has_summary_options_and_example() {
    insta::assert_snapshot!("describe_tag", Place::new().run(&["describe", "tag"]).all());
}

#[test]
fn check_shows_place_and_fix() {
    let place = Place::new();
    place.write(
        "broken.yml",
        "store: embedded:./data\nlinks:\n  tag: {module: links.tga}\nchains:\n  calls:\n    links: [tg]\n    ingress_lists: [calls]\n",
    );
    insta::assert_snapshot!("check_broken", place.run(&["check", "broken.yml"]).all());
    insta::assert_snapshot!("check_broken_github", place.run(&["check", "broken.yml", "--output", "github"]).all());
    let done = place.run(&["check", "broken.yml", "--output", "jsonl"]);
    assert_eq!(done.code, 78);
    assert!(done.stdout.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["line"].is_u64()));
}

#[test]
fn check_names_a_follower_whose_list_nobody_takes_from() {
    let place = Place::new();
    let chains = |list: &str| {
        format!(
            "store: embedded:./data\nfollowers:\n  north:\n    url: https://north.example.com/api\n    egress_list: out\n    \
             follower_ingress_list: {list}\n    auth_token: ${{env:TOKEN:-token}}\n    pulling_interval: 60\n    fetch_vcon_limit: 10\n\
             chains:\n  support: {{ingress_lists: [calls], links: []}}\n  old: {{ingress_lists: [attic], links: [], enabled: false}}\n"
        )
    };
    for (list, help) in [
        ("cals", "did you mean `calls`?"),
        ("archive", "add `archive` to the `ingress_lists`"),
        ("attic", "add `attic`"),
    ] {
        place.write("chains.yml", chains(list));
        let all = place.run(&["check", "chains.yml"]).all();
        for part in ["VC0506", "chains.yml:6:28", &format!("no chain takes from `{list}`"), "followers.north", help] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert!(all.starts_with("exit 0\n"), "a warning: {all}");
        assert_eq!(place.run(&["check", "chains.yml", "--deny-warnings"]).code, 1);
    }
    place.write("chains.yml", chains("calls"));
    let done = place.run(&["check", "chains.yml", "--deny-warnings"]);
    assert_eq!(done.code, 0, "{}", done.all());
}

#[test]
fn check_tells_the_mode_and_what_leaving_it_changes() {
    let place = Place::new();
    let old = "links:\n  tag:\n    module: links.tag\n    options: {tags: [a]}\nchains:\n  calls:\n    links: [tag]\n    \
               ingress_lists: [calls]\n    enabled: 0\n    timeout: 30\n";
    place.write("old.yml", old);
    insta::assert_snapshot!("check_compatibility", place.run(&["check", "old.yml"]).all());
    assert_eq!(place.run(&["check", "old.yml", "--deny-warnings"]).code, 1);
    let good = "store: embedded:./data\nlinks:\n  tag: {module: links.tag, options: {tags: [a]}}\nchains:\n  calls: \
                {links: [tag], ingress_lists: [calls]}\n";
    place.write("good.yml", good);
    insta::assert_snapshot!("check_native", place.run(&["check", "good.yml"]).all());
    let done = done(place.command(&["check"]).env("CONSERVER_CONFIG_FILE", "good.yml"));
    assert_eq!(done.code, 0);
}

#[test]
fn what_is_ingested_is_shown_byte_for_byte() {
    let place = Place::new();
    place.write("call.json", vcon(UUID));
    let done = place.run(&["ingest", "--list", "calls", "call.json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.starts_with("1 taken in to `calls`, 0 refused"), "{}", done.stdout);
    assert_eq!(place.run(&["show", UUID, "--output", "json"]).stdout, vcon(UUID));
    insta::assert_snapshot!("show_stored", place.run(&["show", UUID]).all());
    let unknown = place.run(&["show", "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a11"]);
    assert_eq!(unknown.code, 1, "{}", unknown.stderr);
    assert!(!Place::new().run(&["show", UUID]).stderr.contains("expired"), "no store is made to look into");
    place.write("broken.json", "{");
    assert_eq!(place.run(&["show", "broken.json"]).code, 65);
}

#[test]
fn broken_items_are_refused_and_the_rest_goes_in() {
    let place = Place::new();
    let other = "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a22";
    place.write("in/a.json", "{\n  \"uuid\": 0.0.1\n}");
    place.write("in/b.jsonl", format!("{}\n\n{{\"uuid\" 1}}\n[]\n{}\n", vcon(UUID), vcon(other)));
    place.write("in/notes.txt", "not read");
    place.write("gif.wav", "GIF89a");
    let done = place.run(&["ingest", "--list", "calls", "in", "gif.wav", "gone.json", "*.vcon"]);
    assert!(done.stdout.starts_with("2 taken in to `calls`, 6 refused, 1 other file skipped"), "{}", done.stdout);
    insta::assert_snapshot!("ingest_refused", format!("exit {}\n{}", done.code, done.stderr));
    assert_eq!(place.run(&["show", other]).code, 0);
}

#[test]
fn lines_compressed_files_and_stdin_are_taken() {
    let place = Place::new();
    let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
    for number in 0..3000 {
        writeln!(zip, "{}", vcon(&format!("018f2b7c-5e1a-8c33-9d2b-{number:012x}"))).unwrap();
    }
    place.write("many.jsonl.gz", zip.finish().unwrap());
    let arguments = ["ingest", "--list", "a", "--list", "b", "--output", "json", "many.jsonl.gz", "-"];
    let done = run_with(&place, &arguments, "{\n\"parties\": []\n}\n");
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&summary["taken"], &summary["refused"]), (&3001.into(), &0.into()), "{}", done.stderr);
    assert!(done.stderr.contains("stdin is now vCon "), "{}", done.stderr);
    let last = place.run(&["show", "018f2b7c-5e1a-8c33-9d2b-000000000bb7", "--output", "json"]);
    assert_eq!(last.code, 0);
}

#[test]
fn a_recording_becomes_a_vcon() {
    let place = Place::new();
    place.write("call.wav", audio("ab_call.wav"));
    let arguments =
        ["ingest", "--list", "calls", "--party", "name=Agent,tel=+15550100", "--output", "jsonl", "call.wav"];
    let done = place.run(&arguments);
    let line: Value = serde_json::from_str(&done.stdout).unwrap();
    let shown = place.run(&["show", line["uuid"].as_str().unwrap()]).stdout;
    assert!(shown.contains("Agent") && shown.contains("audio/x-wav") && shown.contains("call.wav"), "{shown}");
}

#[test]
fn the_list_is_checked_against_the_configuration_and_its_store_is_used() {
    let place = Place::new();
    let config = "store: embedded:./elsewhere\nlinks: {}\nchains:\n  support: {links: [], ingress_lists: [calls]}\n";
    place.write("c.yml", config).write("call.json", vcon(UUID));
    let done = place.run(&["ingest", "--list", "call", "--config", "c.yml", "call.json"]);
    assert!(done.stderr.contains("no chain takes from list `call`"), "{}", done.stderr);
    assert!(done.stderr.contains("did you mean `calls`?"), "{}", done.stderr);
    assert_eq!(place.run(&["show", UUID, "--store", "embedded:./elsewhere"]).code, 0);
}

#[test]
fn a_redis_that_does_not_answer_is_told_without_its_password() {
    let place = Place::new();
    let done = done(place.command(&["show", UUID]).env("REDIS_URL", "redis://:secret@127.0.0.1:1"));
    assert_eq!(done.code, 69, "{}", done.stderr);
    assert!(done.stderr.contains("127.0.0.1:1") && !done.stderr.contains("secret"), "{}", done.stderr);
    place.write(".env", "REDIS_URL=redis://127.0.0.1:1\n");
    assert_eq!(place.run(&["show", UUID]).code, 69);
    assert_eq!(place.run(&["show", UUID, "--store", "embedded:./x"]).code, 1);
}

#[test]
fn a_batch_runs_until_nothing_is_left() {
    let place = Place::new();
    let config = "store: embedded:./data\nlinks:\n  tag: {module: links.tag, options: {tags: [seen]}}\nchains:\n  support: \
                  {links: [tag], ingress_lists: [calls], egress_lists: [done]}\n";
    place.write("c.yml", config).write("call.json", vcon(UUID));
    assert_eq!(place.run(&["ingest", "--list", "calls", "--config", "c.yml", "call.json"]).code, 0);
    let done = place.run(&["run", "c.yml", "--until-idle", "--output", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("native mode, by `store` (c.yml:1:1)"), "{}", done.stderr);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(summary["end"], "idle");
    assert_eq!(summary["chains"][0]["done"], 1);
    assert_eq!(summary["left"][0]["list"], "done");
    let shown = place.run(&["show", UUID, "--store", "embedded:./data"]).stdout;
    assert!(shown.contains("Tags\n  seen"), "{shown}");
}

#[test]
fn sigterm_ends_a_conductor_in_good_order() {
    let place = Place::new();
    place.write("c.yml", "links: {}\nchains:\n  support: {links: [], ingress_lists: [calls]}\n");
    let mut command = place.command(&["run", "c.yml", "--output", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("support <- calls")));
    // The handlers are there before the engine starts; the start line comes a moment earlier.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert!(lines.any(|line| line.unwrap().contains("stopping: 0 at work")));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["end"], "stopped");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let mut command = place.command(&["completions", "bash"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = told(child.wait_with_output().unwrap());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn colour_is_for_terminals() {
    let place = Place::new();
    place.write("call.json", vcon(UUID));
    assert!(!place.run(&["show", "call.json"]).stdout.contains('\u{1b}'));
    assert!(place.run(&["show", "call.json", "--color", "always"]).stdout.contains('\u{1b}'));
}
