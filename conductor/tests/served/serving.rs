//! The shipped binary as a server: `serve`, and the configuration over HTTP.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::place::Place;
use crate::server::{KEY, Served};

const CONFIG: &str = "store: embedded:./data\nlinks:\n  hook:\n    module: links.webhook\n    options:\n      webhook-urls: \
                      [\"https://hooks.example.com/\"]\n      headers: {Authorization: Bearer secret-of-the-hook}\nchains:\n  c: \
                      {links: [hook], ingress_lists: [calls]}\n";

#[test]
fn the_configuration_is_shown_without_secrets_and_replaced_when_it_is_right() {
    let place = Place::new();
    place.write("chains.yml", CONFIG);
    let served = Served::start(&place, &["chains.yml"]);
    let (status, text) = served.call("GET", "/config", "");
    assert_eq!(status, 200);
    assert!(!text.contains("secret-of-the-hook") && text.contains("hooks.example.com"), "{text}");
    let shown: Value = serde_json::from_str(&text).unwrap();
    let mut changed = shown.clone();
    changed["chains"]["c"]["ingress_lists"] = json!(["calls", "more"]);
    assert_eq!(served.call("POST", "/config", &changed.to_string()).0, 204);
    let read = || std::fs::read_to_string(place.0.path().join("chains.yml")).unwrap();
    let written = read();
    assert!(written.contains("secret-of-the-hook") && written.contains("more"), "{written}");
    let mut wrong = shown;
    wrong["chains"]["c"]["links"] = json!(["hok"]);
    let (status, text) = served.call("POST", "/config", &wrong.to_string());
    assert!(status == 422 && text.contains("hok"), "{text}");
    assert_eq!(read(), written, "a wrong one changes nothing");
    assert_eq!(served.call("POST", "/config", "[]").0, 422);
}

#[test]
fn a_server_without_a_configuration_serves_and_ends_in_good_order() {
    let place = Place::new();
    let mut served = Served::start(&place, &["--store", "embedded:./data"]);
    assert_eq!(served.call("GET", "/config", "").0, 404);
    let vcon = "{\"uuid\":\"018f2b7c-5e1a-8c33-9d2b-000000000001\",\"created_at\":\"2026-01-02\",\"parties\":[]}";
    assert_eq!(served.call("POST", "/vcon?ingress_lists=calls", vcon).0, 201);
    let done = Command::new("kill").arg(served.child.id().to_string()).status().unwrap();
    assert!(done.success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    let queue = place.run(&["queue", "--store", "embedded:./data", "--output", "json"]);
    assert!(queue.stdout.contains("calls"), "{}", queue.stdout);
}

#[test]
fn runs_are_told_as_they_happen_and_listeners_keep_nobody_up() {
    let place = Place::new();
    let chain = "store: embedded:./data\nlinks: {new: {module: links.tag, options: {tags: [new]}}}\nchains:\n  c: {links: [new], \
                 ingress_lists: [calls], egress_lists: [done]}\n";
    place.write("chains.yml", chain);
    let mut served = Served::begin(&place, &["run", "chains.yml", "--http", "127.0.0.1:0"]);
    let mut stream = TcpStream::connect(&served.address).unwrap();
    let path = "/runs/events?outcome=done&chain=c";
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nx-conserver-api-token: {KEY}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    lines.find(String::is_empty).unwrap();
    let uuid = "018f2b7c-5e1a-8c33-9d2b-000000000001";
    let vcon = format!("{{\"uuid\":\"{uuid}\",\"created_at\":\"2026-01-02\",\"parties\":[]}}");
    assert_eq!(served.call("POST", "/vcon?ingress_lists=calls", &vcon).0, 201);
    let event = lines.find_map(|line| Some(line.strip_prefix("data:")?.trim().to_owned())).unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(
        [&event["uuid"], &event["list"], &event["chain"], &event["outcome"]],
        [uuid, "calls", "c", "done"],
        "{event}"
    );
    let (status, text) = served.call("GET", "/runs?list_name=done", "");
    let standing: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &standing["lists"][0]["waiting"]), (200, &json!(1)), "{text}");
    let began = std::time::Instant::now();
    assert!(Command::new("kill").arg(served.child.id().to_string()).status().unwrap().success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let place = Place::new();
    let refused = place.run(&["serve", "--store", "embedded:./data", "--http", "127.0.0.1:0"]);
    assert_eq!(refused.code, 78);
    assert!(refused.stderr.contains("vconductor keys create"), "{}", refused.stderr);
    let made = place.run(&["keys", "create", "crm", "--scope", "read", "--store", "embedded:./data"]);
    assert!(made.code == 0 && made.stdout.starts_with("vck_"), "{}", made.all());
    let id = made.stdout.split('_').nth(1).unwrap().to_owned();
    let listed = place.run(&["keys", "list", "--store", "embedded:./data"]);
    assert!(
        listed.stdout.contains(&id) && listed.stdout.contains("crm") && listed.stdout.contains("never"),
        "{}",
        listed.all()
    );
    assert_eq!(place.run(&["keys", "revoke", &id, "--store", "embedded:./data"]).code, 0);
    assert_eq!(place.run(&["keys", "revoke", &id, "--store", "embedded:./data"]).code, 1);
    assert_eq!(place.run(&["keys", "create", "x", "--scope", "all", "--store", "embedded:./data"]).code, 2);
}
