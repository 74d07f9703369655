//! A night on which everything goes wrong, as the operator who was woken sees it: a paused list, a dead storage, a revoked key, a
//! killed conductor, and at last a stopped Redis. `doctor`, `queue`, `runs` and `dlq` each say what is wrong and what to do.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use vconductor_tests::conductors::Launch;
use vconductor_tests::recorder::Recorder;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::uuid;

use super::{LIMIT, Scene, end, until};

/// A system with one chain for each thing that goes wrong.
struct Night {
    scene: Scene,
    config: String,
    /// What each command of the story said.
    story: String,
}

impl Night {
    async fn begin() -> Self {
        let mut scene = Scene::on(RedisServer::durable()).await;
        scene.recorder = Recorder::start(Duration::ZERO).await.expect("a recorder");
        let slow = Recorder::start(Duration::from_secs(600)).await.expect("a recorder");
        scene.recorder.answer("/v1/chat/completions", 401);
        let config = scene.path("chains.yml").display().to_string();
        let text = format!(
            "links:
  tell: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}
  slow: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}
  summarise:
    module: links.analyze_vcon
    options: {{provider: openai, base_url: \"{}\", api_key: sk-revoked, model: gpt-4o-mini, prompt: Summarise}}
storages:
  warehouse: {{module: storage.postgres, options: {{url: \"postgres://someone:secret@127.0.0.1:1/calls\"}}}}
chains:
  mail: {{ingress_lists: [mails], links: [tell], egress_lists: [done]}}
  insight: {{ingress_lists: [insights], links: [summarise], egress_lists: [done]}}
  archive: {{ingress_lists: [records], links: [tell], storages: [warehouse], retry: {{attempts: 1}}}}
  support: {{ingress_lists: [calls], links: [tell, slow], timeout: 300, egress_lists: [done]}}
",
            scene.recorder.url("/tell"),
            slow.url("/slow"),
            scene.recorder.url("/v1"),
        );
        std::fs::write(&config, text).expect("a configuration");
        Night { scene, config, story: String::new() }
    }

    fn launch(&self) -> Launch {
        let binary = Path::new(env!("CARGO_BIN_EXE_conductor_under_test"));
        Launch::new(binary, Path::new(&self.config), &self.scene.server.url())
    }

    /// What a command says now, and how it ends.
    fn ask(&self, words: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
        command.args(words).env("REDIS_URL", self.scene.server.url()).env("NO_COLOR", "1");
        let output = command.current_dir(self.scene.folder.path()).stdin(Stdio::null()).output().expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8(said).expect("text"))
    }

    /// A command that must succeed; what it says as JSON.
    fn json(&self, words: &[&str]) -> Value {
        let (_, said) = self.ask(&[words, &["--output", "json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }

    /// Tells what commands say, and what it must say besides what the snapshot holds.
    fn tell(&mut self, heading: &str, commands: &[(&[&str], i32)]) {
        self.story.push_str(&format!("## {heading}\n"));
        for (words, exit) in commands {
            let (code, said) = self.ask(words);
            println!("$ vconductor {}\n{said}", words.join(" "));
            assert_eq!(code, *exit, "{words:?}: {said}");
            assert!(!said.contains("secret") && !said.contains("sk-revoked"), "a secret in {said}");
            assert!(!said.contains('\u{1b}'), "no colour was asked for: {said:?}");
            let words = words.join(" ").replace(&self.config, "chains.yml");
            self.story.push_str(&format!("\n$ vconductor {words}   # exit {code}\n{}", self.steady(&said)));
        }
        self.story.push('\n');
    }

    /// Without what differs from run to run. Where a line breaks depends on that, too, so paragraphs are one line here.
    fn steady(&self, text: &str) -> String {
        let url = self.scene.server.url();
        let place = url.strip_suffix("/0").unwrap_or(&url);
        let text = text.replace(&self.config, "chains.yml").replace(place, "redis://SERVER");
        let keeps = Regex::new(r"^  (fix:|do:|[a-z]+ {2,})").expect("an expression");
        let mut joined: Vec<String> = Vec::new();
        for line in text.lines() {
            let goes_on = line.starts_with("  ") && !keeps.is_match(line);
            match joined.last_mut().filter(|last| goes_on && !last.is_empty()) {
                Some(last) => *last = format!("{last} {}", line.trim()),
                None => joined.push(line.to_owned()),
            }
        }
        let mut text = joined.join("\n") + "\n";
        for (pattern, instead) in [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "RUN"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "VCON"),
            (r"\b\d+-[0-9a-f]{12}\b", "PROCESS"),
            (r"\(pid \d+ on \S+\)", "(pid PID on HOST)"),
            (r"kill -(HUP|TERM) \d+", "kill -$1 PID"),
            (r"on [^ ]+: reads", "on HOST: reads"),
            (r"# on \S+; and", "# on HOST; and"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
            (r"\b\d\d:\d\d:\d\d\b", "TIME"),
            (r"127\.0\.0\.1:\d{2,5}", "ADDRESS"),
            (r"\b\d+(\.\d+)? (ms|s|min|h|d)\b", "TIME"),
            (r"\b\d+(\.\d+)? [KMGT]iB\b", "SIZE"),
            (r"SIZE used, \d+ %", "SIZE used, PART"),
            (r"Redis \d+\.\d+\.\d+", "Redis VERSION"),
            (r"ADDRESS:[0-9a-f]{8}", "ADDRESS:KEY"),
            (r"refused \d+ times? in a row", "refused N times in a row"),
            (r" {2,}", "  "),
        ] {
            text = Regex::new(pattern).expect("an expression").replace_all(&text, instead).into_owned();
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_what_is_wrong_and_what_to_do() {
    let mut night = Night::begin().await;
    let config = night.config.clone();
    night.tell("Nothing runs, nothing waits", &[(&["doctor"], 0)]);

    let mut conductor = night.launch().start(1);
    night.scene.registered(1).await;
    night.scene.push("mails", &[uuid(0)]);
    until("the first mail is done and remembered", || {
        night.json(&["runs"])["runs"].as_array().is_some_and(|runs| runs.len() == 1)
    })
    .await;
    until("the conductor has told of itself", || {
        night.json(&["doctor"])["headline"].as_str().is_some_and(|said| said.starts_with("Nothing waits"))
    })
    .await;
    night.tell("All is well", &[(&["doctor"], 0), (&["runs"], 0), (&["runs", "show", &uuid(0)], 0)]);

    assert_eq!(night.ask(&["queue", "pause", "mails"]).0, 0);
    night.scene.push("mails", &[uuid(1), uuid(2), uuid(3)]);
    night.tell("Somebody paused a list", &[(&["doctor"], 1), (&["queue"], 0)]);

    night.scene.push("records", &[uuid(11), uuid(12)]);
    until("they wait for the storage", || night.scene.length("DLQ:storage:warehouse") == 2).await;
    night.tell(
        "A storage is dead",
        &[(&["doctor", "--config", &config], 1), (&["dlq", "list"], 0), (&["runs", "--state", "failed"], 0)],
    );

    night.scene.push("insights", &[uuid(21), uuid(22)]);
    until("the link is held", || {
        night.json(&["queue"])["holds"]
            .as_array()
            .is_some_and(|holds| holds.iter().any(|hold| hold["what"] == "link:summarise"))
            && night.json(&["runs", "--chain", "insight"])["runs"].as_array().is_some_and(|runs| runs.len() == 2)
    })
    .await;
    night.tell("A key was revoked", &[(&["doctor"], 1), (&["runs", "--chain", "insight"], 0)]);

    night.scene.push("calls", &[uuid(31)]);
    until("a call is at work and told of", || {
        let runs = night.json(&["runs", "--state", "running"]);
        runs["runs"][0]["step"] == "slow"
    })
    .await;
    night.tell("A call is at work", &[(&["runs", "--state", "running"], 0), (&["runs", "show", &uuid(31)], 0)]);
    conductor.signal("KILL");
    conductor.wait(LIMIT);
    until("its lease is over", || {
        night.json(&["runs", "--state", "stuck"])["runs"].as_array().is_some_and(|runs| !runs.is_empty())
    })
    .await;
    night.tell(
        "The conductor was killed",
        &[(&["doctor"], 1), (&["queue"], 0), (&["runs", "--state", "stuck"], 0), (&["runs", "show", &uuid(31)], 0)],
    );

    let other = night.launch().start(2);
    until("another conductor has taken over", || {
        night.json(&["runs", "--uuid", &uuid(31)])["runs"][0]["state"] == "running"
            && night.json(&["doctor"])["headline"].as_str().is_some_and(|said| said.starts_with("List mails"))
    })
    .await;
    let found = night.json(&["doctor"]);
    let codes: Vec<&str> = found["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|one| one["code"].as_str().expect("a code"))
        .collect();
    assert!(codes.contains(&"list-paused") && codes.contains(&"storage-missing"), "{codes:?}");
    assert!(!codes.contains(&"no-conductor") && !codes.contains(&"run-stuck"), "{codes:?}");

    night.scene.server.kill();
    night.tell("Redis is stopped", &[(&["doctor"], 69), (&["queue"], 69), (&["runs"], 69), (&["dlq", "list"], 69)]);
    night.scene.server.up();
    until("work goes on by itself", || night.ask(&["doctor"]).0 == 1).await;
    assert_eq!(night.ask(&["queue", "resume", "mails"]).0, 0);
    until("the mails are done", || night.scene.length("done") >= 4).await;
    drop(other);
    insta::assert_snapshot!("night", night.story);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_fits_into_eighty_columns() {
    let night = Night::begin().await;
    let conductor = night.launch().start(1);
    night.scene.registered(1).await;
    assert_eq!(night.ask(&["queue", "pause", "mails"]).0, 0);
    night.scene.push("mails", &[uuid(1)]);
    night.scene.push("records", &[uuid(11)]);
    night.scene.push("insights", &[uuid(21)]);
    night.scene.push("calls", &[uuid(31), uuid(32)]);
    until("all of it is seen", || {
        let runs = night.json(&["runs", "--state", "running"]);
        night.scene.length("DLQ:storage:warehouse") == 1 && runs["runs"][0]["step"] == "slow"
    })
    .await;
    let binary = env!("CARGO_BIN_EXE_conductor_under_test");
    for words in ["doctor --config chains.yml", "runs", "queue", "dlq list", &format!("runs show {}", uuid(31))] {
        let line = format!("stty cols 80; {binary} {words}");
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(night.scene.folder.path());
        command.env("REDIS_URL", night.scene.server.url()).env("NO_COLOR", "1").stdin(Stdio::null());
        let output = command.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        println!("$ vconductor {words}\n{said}");
        assert!(!said.contains("\u{1b}[3"), "no colour was asked for: {said:?}");
        for line in
            said.lines().filter(|line| !line.contains("fix:") && !line.contains("do:") && !line.contains("vconductor "))
        {
            assert!(line.chars().count() <= 80, "{} wide: {line}", line.chars().count());
        }
    }
    end(conductor);
}
