//! The operator's desk from outside: `queue`, `dlq` and `replay` on a store in which real chains left dead letters.

mod place;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use place::{Done, Place, done, told};

/// A receiver of webhooks that counts what it is told, or takes calls and never answers.
struct Receiver {
    port: u16,
    told: Arc<AtomicUsize>,
}

impl Receiver {
    fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || serve(stream, &counter, answers));
            }
        });
        Receiver { port, told }
    }

    fn told(&self) -> usize {
        self.told.load(Ordering::SeqCst)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/calls", self.port)
    }
}

fn serve(stream: TcpStream, told: &AtomicUsize, answers: bool) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        told.fetch_add(1, Ordering::SeqCst);
        if !answers {
            std::thread::sleep(Duration::from_secs(60));
        }
        reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    }
}

fn uuid(number: usize) -> String {
    format!("018f2b7c-5e1a-8c33-9d2b-{number:012x}")
}

/// vCons of which the subject is no number.
fn vcons(numbers: std::ops::Range<usize>) -> String {
    let line = |number| {
        format!(
            "{{\"vcon\":\"0.0.1\",\"uuid\":\"{}\",\"created_at\":\"2024-01-02T03:04:05Z\",\"subject\":\"case {number}\",\
             \"parties\":[]}}\n",
            uuid(number)
        )
    };
    numbers.map(line).collect()
}

/// Chains whose second link fails on the vCons above until `filter` is mended.
fn chains(receiver: &Receiver, filter: &str) -> String {
    format!(
        "store: embedded:./data
links:
  tell: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}
  notify: {{module: links.webhook, options: {{webhook-urls: [\"http://127.0.0.1:1/closed\"]}}}}
  urgent: {{module: links.jq_link, options: {{filter: '{filter}'}}}}
storages:
  files: {{module: storage.file, options: {{path: ./blocked/files}}}}
chains:
  support: {{ingress_lists: [calls, late], links: [tell, urgent], retry: {{attempts: 1}}, egress_lists: [done]}}
  chat: {{ingress_lists: [chats], links: [notify], retry: {{attempts: 1}}}}
  second: {{ingress_lists: [second], links: [tell], egress_lists: [done]}}
  archive: {{ingress_lists: [old], links: [tell], storages: [files], retry: {{attempts: 1}}}}
",
        receiver.url()
    )
}

const BROKEN: &str = ".subject | tonumber";

impl Place {
    fn desk(&self, arguments: &[&str]) -> Done {
        let mut all = arguments.to_vec();
        all.extend(["--store", "embedded:./data"]);
        self.run(&all)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let done = self.desk(&all);
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
    }

    fn ingest(&self, list: &str, numbers: std::ops::Range<usize>) {
        self.write("in.jsonl", vcons(numbers));
        let done = self.desk(&["ingest", "--list", list, "in.jsonl"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }

    /// Runs the chains until nothing is left to do.
    fn work(&self) {
        let done = self.run(&["run", "chains.yml", "--until-idle", "--quiet"]);
        assert!(done.code <= 1, "{}", done.stderr);
    }

    fn status(&self, list: &str) -> Value {
        self.json(&["queue", list])["lists"][0].clone()
    }

    fn letters(&self, queue: &str) -> Vec<Value> {
        let letters = self.json(&["dlq", "list", queue, "--limit", "100000"]);
        letters.as_array().unwrap().clone()
    }
}

/// A place in which `count` vCons failed behind a link that had been told of each.
fn with_dead_letters(count: usize) -> (Place, Receiver) {
    let (place, receiver) = (Place::new(), Receiver::start(true));
    place.write("chains.yml", chains(&receiver, BROKEN)).ingest("calls", 0..count);
    place.work();
    assert_eq!((receiver.told(), place.letters("calls").len()), (count, count));
    (place, receiver)
}

/// Text without what differs from run to run; as long as before, so that tables keep their form.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for part in text.split_inclusive([' ', '\n', '(', ')', ',']) {
        let word = part.trim_end_matches([' ', '\n', '(', ')', ',']);
        let is_run =
            word.len() == 36 && word.as_bytes()[14] == b'7' && word.bytes().filter(|byte| *byte == b'-').count() == 4;
        let is_time = word.starts_with("202") && word.ends_with('Z') && word.contains('T');
        let shown = match (is_run, is_time) {
            (true, _) => "00000000-0000-7000-8000-00000000000r".to_owned(),
            (_, true) => "2024-01-02T03:04:05Z".to_owned(),
            _ => word.to_owned(),
        };
        steady.push_str(&shown);
        steady.push_str(&part[word.len()..]);
    }
    // Ages: tests take seconds.
    for seconds in 1..10 {
        for end in [" ", "\n", ";"] {
            let with = |number| format!("{number} s{end}");
            steady = steady.replace(&format!(" {}", with(seconds)), &format!(" {}", with(0)));
            steady = steady.replace(&format!(" 0.{}", with(seconds)), &format!(" 0.{}", with(0)));
        }
    }
    steady
}

fn run_id(letter: &Value) -> &str {
    letter["run"].as_str().unwrap()
}

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
    ] {
        let done = place.run(arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
    }
    insta::assert_snapshot!("no_store", place.desk(&["queue"]).all());
    assert!(!place.0.path().join("data").exists(), "looking makes no store");
    let redis = done(place.command(&["dlq", "list"]).env("REDIS_URL", "redis://localhost"));
    assert_eq!(redis.code, 78, "{}", redis.stderr);
}

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

/// A conductor in the background, killed at the end.
struct Conductor(Child);

impl Conductor {
    fn start(place: &Place) -> Self {
        let mut command = place.command(&["run", "chains.yml", "--quiet"]);
        Conductor(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
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
    assert_eq!(place.desk(&["dlq", "show", run_id(&letter)]).stdout, shown.stdout);
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
    let rest = place.json(&["replay", "--from", "dlq", "calls"]);
    assert_eq!(rest["left"], 0);
    assert_eq!(place.status("calls")["waiting"], 30);
    let empty = place.desk(&["replay", "--from", "dlq", "calls"]);
    assert!(empty.code == 0 && empty.stderr.contains("there are no dead letters in DLQ:calls"), "{}", empty.stderr);
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
