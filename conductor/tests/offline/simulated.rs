//! `simulate`.

use serde_json::{Value, json};

use super::place::{Done, Place};
use super::{CHAINS, steady, without_network};

const CALL: &str = r#"{"vcon": "0.4.0", "uuid": "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10", "created_at": "2026-01-02T03:04:05Z",
    "parties": [{"tel": "+12025550123"}], "dialog": [{"type": "text", "start": "2026-01-02T03:04:05Z", "parties": [0],
    "body": "hello", "encoding": "none"}]}"#;

fn place() -> Place {
    let place = Place::new();
    place.write("chains.yml", CHAINS.replace("\"${env:OPENAI_API_KEY}\"", "test")).write("call.vcon", CALL);
    let test = "config: chains.yml\nmocks:\n  announce: {}\n  summarise:\n    cost_usd: 0.0125\n    analysis: [{type: summary, \
                body: {text: A refund.}}]\ntests: []\n";
    place.write("chains_test.yml", test);
    place
}

fn simulate(place: &Place, arguments: &[&str]) -> Done {
    without_network(place, &[&["simulate"], arguments].concat())
}

#[test]
fn whom_a_link_would_call_is_named_and_nobody_is_called() {
    let told = simulate(&place(), &["calls", "call.vcon", "--config", "chains.yml", "--trace"]);
    assert!(!told.all().contains("s3cret"), "{}", told.all());
    insta::assert_snapshot!("would_call", steady(&told.all()));
}

#[test]
fn a_trace_has_what_every_link_changes_and_costs() {
    let told = simulate(&place(), &["calls", "call.vcon", "--with", "chains_test.yml", "--trace"]);
    insta::assert_snapshot!("with_mocks", steady(&told.all()));
}

#[test]
fn a_simulation_is_for_machines_too() {
    let place = place();
    let told = simulate(&place, &["calls", "call.vcon", "--with", "chains_test.yml", "--output", "json"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["outcome"], "done");
    let links: Vec<_> = told["links"].as_array().unwrap().iter().map(|link| (&link["link"], &link["mocked"])).collect();
    assert_eq!(json!(links), json!([["tag_new", false], ["announce", true], ["summarise", true]]));
    assert_eq!(told["links"][2]["cost_usd"], 0.0125);
    assert_eq!(told["links"][2]["changes"][0]["pointer"], "/analysis");
    assert_eq!((&told["storages"], &told["egress"]["done"][0]), (&json!(["bucket", "files"]), &told["vcon"]["uuid"]));
    assert_eq!(told["vcon"]["analysis"][0]["type"], "summary");
}

#[test]
fn a_chain_that_fails_ends_in_one_with_the_step_and_what_to_do() {
    let place = place();
    let test = "config: chains.yml\nhttp: [{url: '*', status: 400, answer: no such hook}]\ntests: []\n";
    place.write("fails_test.yml", test);
    let told = simulate(&place, &["calls", "call.vcon", "--with", "fails_test.yml"]);
    insta::assert_snapshot!("fails", steady(&told.all()));
}

#[test]
fn what_cannot_be_simulated_is_said() {
    let place = place();
    place.write("no.vcon", "{}").write("broken.yml", "chains: {calls: {links: [tag]}}");
    let mut all = String::new();
    for arguments in [
        &["call", "call.vcon", "--config", "chains.yml"][..],
        &["calls", "missing.vcon", "--config", "chains.yml"],
        &["calls", "no.vcon", "--config", "chains.yml"],
        &["calls", "call.vcon", "--config", "broken.yml"],
        &["calls", "call.vcon", "--with", "missing_test.yml"],
    ] {
        let told = simulate(&place, arguments);
        all.push_str(&format!("== {}\nexit {}\n{}{}", arguments.join(" "), told.code, told.stdout, told.stderr));
    }
    insta::assert_snapshot!("refused", all);
}
