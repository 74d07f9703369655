//! `check --online` against servers on this machine: one that answers, one that refuses, one that is silent, one that is
//! not there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::place::Place;

/// What came in: method, path, and the credentials.
type Heard = Arc<Mutex<Vec<String>>>;

/// A server that speaks HTTP for as long as the test does.
struct Server {
    address: SocketAddr,
    heard: Heard,
}

/// Status and body for a request line and its credentials.
type Says = fn(&str, &str) -> (u16, &'static str);

impl Server {
    fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Heard::default();
        let list = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let list = Arc::clone(&list);
                thread::spawn(move || answer(stream, says, &list));
            }
        });
        Server { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        let mut heard = self.heard.lock().unwrap().clone();
        heard.sort();
        heard
    }
}

fn answer(mut stream: TcpStream, says: Says, heard: &Heard) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let (mut credentials, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_lowercase().as_str() {
                "authorization" | "x-api-key" | "x-conserver-api-token" => credentials = value.to_owned(),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let asked = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        heard.lock().unwrap().push(format!("{asked} {credentials}").trim_end().to_owned());
        let (status, text) = says(&asked, &credentials);
        let length = if asked.starts_with("HEAD") { 0 } else { text.len() };
        let text = &text[..length];
        write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{text}"
        )
        .unwrap();
    }
}

/// Providers, Slack, a webhook and a vcon-server in one.
fn vendors(asked: &str, credentials: &str) -> (u16, &'static str) {
    match (asked, credentials) {
        (_, "Bearer wrongkey" | "Token wrongkey" | "wrongkey") => {
            (401, "{\"error\": {\"message\": \"invalid key wrongkey\"}}")
        }
        ("GET /v1/models", "Bearer limited") => (403, "{}"),
        ("GET /v1/models", _) => (200, "{\"data\": [{\"id\": \"gpt-4.1-mini-2025-04-14\"}, {\"id\": \"gpt-5\"}]}"),
        ("GET /v1/projects", _) => (200, "{\"projects\": []}"),
        ("POST /api/auth.test", "Bearer revoked") => (200, "{\"ok\": false, \"error\": \"token_revoked\"}"),
        ("POST /api/auth.test", _) => (200, "{\"ok\": true, \"user\": \"vconductor\"}"),
        ("HEAD /hook", _) => (405, ""),
        ("GET /vcon?page=1&size=1", _) => (200, "[]"),
        _ => (404, "{}"),
    }
}

fn configuration(at: SocketAddr, key: &str, model: &str) -> String {
    format!(
        "store: embedded:./data\nlinks:\n  hear: {{module: links.transcribe, options: {{vendor: deepgram, base_url: \"http://{at}\", api_key: \"${{env:KEY:-{key}}}\"}}}}\n  \
         ask: {{module: links.analyze, options: {{base_url: \"http://{at}/v1\", model: {model}, api_key: [\"${{env:KEY:-{key}}}\", \"${{env:KEY:-limited}}\"]}}}}\n  \
         alert: {{module: links.post_analysis_to_slack, options: {{base_url: \"http://{at}/api\", token: \"${{env:KEY:-{key}}}\", default_channel_name: a, only_if: {{analysis_type: summary, includes: x}}}}}}\n  \
         tell: {{module: links.webhook, options: {{webhook-urls: [\"http://{at}/hook\"]}}}}\n  tag: {{module: links.tag}}\n  \
         wait: {{module: links.delay, options: {{seconds: 1}}}}\nstorages:\n  files: {{module: storage.file, options: {{path: ./files}}}}\nfollowers:\n  north: {{url: \"http://{at}\", egress_list: out, follower_ingress_list: calls, auth_token: \"${{env:KEY:-{key}}}\", pulling_interval: 60, fetch_vcon_limit: 10}}\n\
         chains:\n  calls: {{ingress_lists: [calls], links: [hear, ask, alert, tell, tag, wait], storages: [files]}}\n"
    )
}

fn tried(document: &Value) -> Vec<String> {
    let tried = document["online"].as_array().unwrap().iter();
    tried
        .map(|one| {
            format!(
                "{} {} {}",
                one["tried"].as_str().unwrap(),
                one["name"].as_str().unwrap(),
                one["outcome"].as_str().unwrap()
            )
        })
        .collect()
}

fn online(place: &Place, more: &[&str]) -> (i32, Value, String) {
    let mut arguments = vec!["check", "c.yml", "--online", "--output", "json"];
    arguments.extend(more);
    let said = place.run(&arguments);
    (said.code, serde_json::from_str(&said.stdout).unwrap(), said.all())
}

#[test]
fn what_answers_is_shown_with_its_time_and_nothing_is_posted_or_paid() {
    let server = Server::start(vendors);
    let place = Place::new();
    place.write("c.yml", configuration(server.address, "right", "gpt-4.1-mini"));
    let (code, document, all) = online(&place, &[]);
    assert_eq!(code, 0, "{all}");
    assert_eq!(
        tried(&document),
        [
            "store store ok",
            "storage files ok",
            "link hear ok",
            "link ask ok",
            "link ask ok",
            "link alert ok",
            "link tell ok",
            "link wait not_tried",
            "follower north ok"
        ],
        "{all}"
    );
    assert_eq!(
        server.heard(),
        [
            "GET /v1/models Bearer limited",
            "GET /v1/models Bearer right",
            "GET /v1/projects Token right",
            "GET /vcon?page=1&size=1 right",
            "HEAD /hook",
            "POST /api/auth.test Bearer right"
        ]
    );
    for secret in ["right", "limited"] {
        assert!(!all.contains(&format!("\"{secret}\"")) && !all.contains(&format!("key {secret}")), "{all}");
    }
    assert!(!place.0.path().join("data").exists(), "the store is not made");
    let table = place.run(&["check", "c.yml", "--online"]);
    assert!(table.stdout.contains("TRIED") && table.stdout.contains("8 of 8 answer and accept us"), "{}", table.all());
}

#[test]
fn what_refuses_is_1_with_the_place_the_reason_and_what_to_do() {
    let server = Server::start(vendors);
    let place = Place::new();
    place.write("c.yml", configuration(server.address, "wrongkey", "gpt-4.1-mini"));
    let (code, document, all) = online(&place, &[]);
    assert_eq!(code, 1, "{all}");
    let refused: Vec<_> = tried(&document).into_iter().filter(|one| one.ends_with("refused")).collect();
    assert_eq!(refused, ["link hear refused", "link ask refused", "link alert refused", "follower north refused"]);
    let findings = document["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 4, "{all}");
    assert!(findings.iter().all(|finding| finding["code"] == "VC0702" && finding["help"].is_string()), "{all}");
    assert_eq!((&findings[0]["line"], &findings[0]["text"]), (&3.into(), &"hear".into()));
    assert!(!all.contains("wrongkey"), "the key is shown: {all}");
    place.write("c.yml", configuration(server.address, "right", "gpt-51"));
    let (code, document, all) = online(&place, &[]);
    assert_eq!(code, 1, "{all}");
    let text = document["findings"][0].to_string();
    assert!(text.contains("has no model `gpt-51`") && text.contains("did you mean `gpt-5`?"), "{text}");
}

#[test]
fn what_is_silent_or_away_is_69_and_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    place.write(
        "c.yml",
        configuration(silent.local_addr().unwrap(), "right", "gpt-5")
            .replace("embedded:./data", "redis://:hidden@127.0.0.1:1"),
    );
    let started = Instant::now();
    let (code, document, all) = online(&place, &["--timeout", "1s"]);
    let time = started.elapsed();
    assert_eq!(code, 69, "{all}");
    assert!(time.as_secs_f64() < 6.0, "all at once: {time:?}");
    assert_eq!(
        document["online"].as_array().unwrap().iter().filter(|one| one["outcome"] == "no_answer").count(),
        6,
        "{all}"
    );
    assert!(!all.contains("hidden"), "{all}");
    let github = place.run(&["check", "c.yml", "--online", "--timeout", "1s", "--output", "github"]);
    assert!(
        github.stdout.lines().filter(|line| line.starts_with("::error file=c.yml,line=")).count() == 6,
        "{}",
        github.all()
    );
}

#[test]
fn a_configuration_with_errors_is_not_tried() {
    let server = Server::start(vendors);
    let place = Place::new();
    place.write("c.yml", configuration(server.address, "right", "gpt-5").replace("links.tag", "links.tga"));
    let said = place.run(&["check", "c.yml", "--online"]);
    assert_eq!(said.code, 78);
    assert!(said.stdout.contains("nothing was tried online"), "{}", said.all());
    assert!(server.heard().is_empty());
}
