//! The forms of the output, and what is no finding.

use std::net::TcpListener;

use serde_json::Value;

use crate::place::Place;

const WARNED: &str = "store: embedded:./data\nlinks:\n  tag: {module: links.tag}\n  other: {module: links.tag}\nchains:\n  calls: {ingress_lists: [calls], links: [tag]}\n";

#[test]
fn warnings_fail_only_where_they_are_denied_in_every_form() {
    let place = Place::new();
    place.write("a.yml", WARNED);
    for output in ["table", "json", "jsonl", "github"] {
        assert_eq!(place.run(&["check", "a.yml", "--output", output]).code, 0, "{output}");
        assert_eq!(place.run(&["check", "a.yml", "--output", output, "--deny-warnings"]).code, 1, "{output}");
    }
    let allowed = WARNED
        .replace("  other:", "  # kept for the migration; check: allow VC0405\n  # check: allow VC0405\n  other:");
    place.write("a.yml", allowed);
    assert_eq!(place.run(&["check", "a.yml", "--deny-warnings"]).code, 0);
}

#[test]
fn the_forms_for_programs_say_the_same() {
    let place = Place::new();
    place.write("a.yml", WARNED.replace("links: [tag]", "links: [tga], storages: [files]"));
    insta::assert_snapshot!("github", place.run(&["check", "a.yml", "--output", "github"]).stdout);
    let json = place.run(&["check", "a.yml", "--output", "json"]).stdout;
    insta::assert_snapshot!("json", json);
    let document: Value = serde_json::from_str(&json).unwrap();
    let lines = place.run(&["check", "a.yml", "--output", "jsonl"]).stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(document["findings"].as_array().unwrap(), &lines);
}

/// Storages, providers, webhooks and Redis at an address where somebody would notice.
#[test]
fn no_socket_is_opened_without_online() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    let place = Place::new();
    let text = format!(
        "store: redis://{at}\nlinks:\n  ask: {{module: links.analyze, options: {{base_url: \"http://{at}/v1\", api_key: none}}}}\n  \
         tell: {{module: links.webhook, options: {{webhook-urls: [\"http://{at}/hook\"]}}}}\nstorages:\n  \
         search: {{module: storage.elasticsearch, options: {{url: \"http://{at}\"}}}}\nchains:\n  \
         calls: {{ingress_lists: [calls], links: [ask, tell], storages: [search]}}\n"
    );
    place.write("a.yml", text);
    let said = place.run(&["check", "a.yml"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody connected");
    let online = place.run(&["check", "a.yml", "--online", "--timeout", "1s"]);
    assert_ne!(online.code, 0, "{}", online.all());
    assert!(listener.accept().is_ok(), "nobody connected with --online: {}", online.all());
}
