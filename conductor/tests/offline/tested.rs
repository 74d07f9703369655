//! `test`.

use std::fs;

use serde_json::Value;

use super::place::Place;
use super::{CHAINS, steady, without_network};

const WRONG: &str = include_str!("data/wrong_test.yml");

fn place() -> Place {
    let place = Place::new();
    place.write("chains.yml", CHAINS).write("wrong_test.yml", WRONG);
    place
}

/// A file of tests for `chains.yml`.
fn file(text: &str) -> String {
    format!("config: chains.yml\nenv: {{OPENAI_API_KEY: test}}\n{text}")
}

#[test]
fn every_expectation_that_is_not_met_is_told_at_its_line() {
    let told = without_network(&place(), &["test", "wrong_test.yml"]);
    insta::assert_snapshot!("wrong", steady(&told.all()));
}

#[test]
fn results_are_for_machines_too() {
    let place = place();
    let told = without_network(&place, &["test", "--output", "json", "--junit", "results.xml"]);
    assert_eq!(told.code, 1, "{}", told.stderr);
    let results: Value = serde_json::from_str(&told.stdout).unwrap();
    let passed: Vec<bool> = results.as_array().unwrap().iter().map(|result| result["passed"] == true).collect();
    assert_eq!(passed, [true, false, false, false, false, false]);
    let finding = &results[1]["findings"][0];
    assert_eq!((&finding["line"], &finding["code"]), (&16.into(), &"VC0801".into()), "{finding}");
    let junit = fs::read_to_string(place.0.path().join("results.xml")).unwrap();
    assert!(junit.contains(r#"<testsuite name="./wrong_test.yml" tests="6" failures="5""#), "{junit}");
    assert!(junit.contains("the vCon has no tag `urgent`; it has new:new, team:team\">"), "{junit}");
}

#[test]
fn what_is_wrong_with_a_test_is_a_wrong_configuration() {
    let mut all = String::new();
    for (name, text) in [
        ("no tests", file("mocks: {}")),
        ("unknown key", file("tests:\n  - {chain: calls, vcon: {}, expects: {}}")),
        ("unknown expectation", file("tests:\n  - {chain: calls, vcon: {}, expect: {tag: [a]}}")),
        ("unknown chain", file("tests:\n  - {chain: call, vcon: {}}")),
        ("unknown link", file("tests:\n  - {chain: calls, vcon: {}, mocks: {sumarise: {}}}")),
        ("unknown member of a mock", file("tests:\n  - {chain: calls, vcon: {}, mocks: {summarise: {analyses: []}}}")),
        ("no vCon", file("tests:\n  - {chain: calls}")),
        ("no file", file("tests:\n  - {chain: calls, vcon: call.vcon}")),
        ("no time", file("tests:\n  - {chain: calls, vcon: {}, now: yesterday}")),
        ("no status", file("tests:\n  - {chain: calls, vcon: {}, http: [{url: '*', status: 20}]}")),
        ("no key in the environment", "config: chains.yml\ntests:\n  - {chain: calls, vcon: {}}".to_owned()),
        ("no configuration", "config: chain.yml\ntests:\n  - {chain: calls, vcon: {}}".to_owned()),
        ("no YAML", file("tests: [")),
    ] {
        let place = Place::new();
        place.write("chains.yml", CHAINS).write("a_test.yml", text);
        let told = without_network(&place, &["test", "a_test.yml"]);
        assert_eq!(told.code, 78, "{name}: {}{}", told.stdout, told.stderr);
        all.push_str(&format!("== {name}\n{}", told.stderr));
    }
    insta::assert_snapshot!("broken", all);
}

#[test]
fn a_run_without_a_test_is_no_success() {
    let place = place();
    let told = place.run(&["test", "--only", "nothing is called so"]);
    assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{}", told.stderr);
    assert!(told.stderr.contains("no test's name contains"), "{}", told.stderr);
    let empty = Place::new().run(&["test"]);
    assert_eq!(empty.code, 65, "{}", empty.stderr);
    assert!(empty.stderr.contains("there is no *_test.yml in ."), "{}", empty.stderr);
}

#[test]
fn links_wait_retry_run_processes_and_cost_nothing_outside() {
    let place = Place::new();
    let count = "import json, sys\nfor line in sys.stdin:\n    call = json.loads(line)\n    if call['type'] == 'run': \
                 print(json.dumps({'id': call['id'], 'outcome': 'continue', 'edits': [{'op': 'add_tag', 'name': 'counted', 'value': '1'}]}), flush=True)\n";
    place.write("chains.yml", CHAINS).write("count.py", count);
    place.write(
        "a_test.yml",
        file(
            r#"
processes: true
tests:
  - name: an hour of waiting takes no time
    chain: calls
    now: "2026-01-02T03:04:05Z"
    vcon: {}
    http:
      - {url: "https://hooks.example.com/in", status: 503, headers: {retry-after: "3000"}, times: 2}
      - {url: "https://hooks.example.com/in", status: 204}
    expect:
      links: [tag_new, announce]
      http: [{url: "https://hooks.example.com/in", times: 3}]
  - name: one thing after the other
    chain: calls
    vcon: {dialog: [{type: text, body: hello}]}
    mocks:
      announce: {}
      summarise: [{error: busy, class: retryable}, {tags: [second], set: {/subject: Refund}, push: [extra]}]
    expect: {tags: [second], vcon: {subject: Refund}, egress: [done, extra]}
  - name: a link that stops
    chain: long
    vcon: {dialog: [{type: text, body: hello}]}
    expect: {outcome: stopped, links: [only_long], no_tags: [new], egress: []}
  - name: a process
    chain: counted
    vcon: {}
    expect: {tags: ["counted:1"]}
"#,
        ),
    );
    let told = without_network(&place, &["test", "a_test.yml"]);
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    assert!(told.stdout.ends_with("4 passed, 0 failed\n"), "{}", told.stdout);
    let refused = "tests:\n  - {chain: counted, vcon: {}}";
    place.write("a_test.yml", file(refused));
    let told = without_network(&place, &["test", "a_test.yml"]);
    assert_eq!(told.code, 1);
    assert!(told.stdout.contains("no process is started here"), "{}", told.stdout);
}
