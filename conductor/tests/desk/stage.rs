//! A store in which real chains left dead letters, and what is needed to look at it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use vconductor_core::clock::{Clock, SystemClock};
use vconductor_core::store::embedded::{EmbeddedStore, Settings};
use vconductor_core::store::{Coordination, Hold};

use crate::place::{Done, Place};

/// A receiver of webhooks that counts what it is told, or takes calls and never answers.
pub(crate) struct Receiver {
    port: u16,
    told: Arc<AtomicUsize>,
}

impl Receiver {
    pub(crate) fn start(answers: bool) -> Self {
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

    pub(crate) fn told(&self) -> usize {
        self.told.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
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

pub(crate) fn uuid(number: usize) -> String {
    format!("018f2b7c-5e1a-8c33-9d2b-{number:012x}")
}

/// vCons of which the subject is no number.
pub(crate) fn vcons(numbers: std::ops::Range<usize>) -> String {
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
pub(crate) fn chains(receiver: &Receiver, filter: &str) -> String {
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
  patient: {{ingress_lists: [patient], links: [notify], retry: {{attempts: 2, base: 10ms}}}}
  second: {{ingress_lists: [second], links: [tell], egress_lists: [done]}}
  archive: {{ingress_lists: [old], links: [tell], storages: [files], retry: {{attempts: 1}}}}
",
        receiver.url()
    )
}

pub(crate) const BROKEN: &str = ".subject | tonumber";

impl Place {
    /// Holds something for ten minutes, as a conductor does.
    pub(crate) fn hold(&self, what: &str, reason: &str, help: &str) {
        let store = EmbeddedStore::open(&self.0.path().join("data"), Settings::default()).unwrap();
        let now = SystemClock.now();
        let hold = Hold {
            what: what.to_owned(),
            reason: reason.to_owned(),
            help: Some(help.to_owned()),
            since: now - 30_000,
            until: now + 601_000,
            times: 2,
        };
        tokio::runtime::Runtime::new().unwrap().block_on(store.hold(&hold)).unwrap();
    }

    pub(crate) fn desk(&self, arguments: &[&str]) -> Done {
        let mut all = arguments.to_vec();
        all.extend(["--store", "embedded:./data"]);
        self.run(&all)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let done = self.desk(&all);
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
    }

    pub(crate) fn ingest(&self, list: &str, numbers: std::ops::Range<usize>) {
        self.write("in.jsonl", vcons(numbers));
        let done = self.desk(&["ingest", "--list", list, "in.jsonl"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }

    /// Runs the chains until nothing is left to do.
    pub(crate) fn work(&self) {
        let done = self.run(&["run", "chains.yml", "--until-idle", "--quiet"]);
        assert!(done.code <= 1, "{}", done.stderr);
    }

    pub(crate) fn status(&self, list: &str) -> Value {
        self.json(&["queue", list])["lists"][0].clone()
    }

    pub(crate) fn letters(&self, queue: &str) -> Vec<Value> {
        let letters = self.json(&["dlq", "list", queue, "--limit", "100000"]);
        letters.as_array().unwrap().clone()
    }
}

/// A place in which `count` vCons failed behind a link that had been told of each.
pub(crate) fn with_dead_letters(count: usize) -> (Place, Receiver) {
    let (place, receiver) = (Place::new(), Receiver::start(true));
    place.write("chains.yml", chains(&receiver, BROKEN)).ingest("calls", 0..count);
    place.work();
    assert_eq!((receiver.told(), place.letters("calls").len()), (count, count));
    (place, receiver)
}

/// Text without what differs from run to run; as long as before, so that tables keep their form.
pub(crate) fn steady(text: &str) -> String {
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

pub(crate) fn run_id(letter: &Value) -> &str {
    letter["run"].as_str().unwrap()
}

/// A conductor in the background, killed at the end.
pub(crate) struct Conductor(pub(crate) Child);

impl Conductor {
    pub(crate) fn start(place: &Place) -> Self {
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

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
