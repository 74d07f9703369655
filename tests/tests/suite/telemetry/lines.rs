//! The log as JSON: one line for each vCon, with fields that stay.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vconductor_tests::collector::Collector;
use vconductor_tests::stage::{Stage, uuid};

use super::{give, launch, run};

/// Fields of every line that tells of a run, those that some have, and those that one has with traces.
const ALWAYS: [&str; 11] =
    ["attempts", "chain", "level", "list", "message", "ms", "outcome", "run", "target", "timestamp", "uuid"];
const FAILED: [&str; 3] = ["error", "error_type", "step"];

const CONFIGURATION: &str = "links:\n  \
    mark: {module: links.probe, options: {log: telemetry-lines, tag: seen}}\n  \
    flaky: {module: links.probe, options: {log: telemetry-flaky, fail_times: 1}}\n  \
    broken: {module: links.probe, options: {log: telemetry-broken, fail_times: 100, class: permanent}}\n\
    chains:\n  c:\n    ingress_lists: [in]\n    links:\n      - mark\n      \
    - {link: flaky, if: '.uuid | endswith(\"1\")', retry: {attempts: 3, base: 50ms, cap: 50ms}}\n      \
    - {link: broken, if: '.uuid | endswith(\"2\")'}\n";

/// The lines of a conductor that logs what it logs by itself.
async fn lines(environment: Vec<(String, String)>) -> Vec<Value> {
    let stage = Stage::new();
    give(&stage, 0..20).await;
    let mut launch = launch(&stage, CONFIGURATION, environment);
    launch.environment.push(("VCONDUCTOR_LOG".to_owned(), String::new()));
    launch.arguments.extend(["--log-format".to_owned(), "json".to_owned()]);
    let log = run(launch).await;
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    lines.into_iter().filter(Value::is_object).collect()
}

fn fields(line: &Value) -> BTreeSet<&str> {
    line.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vcon_has_one_line_when_its_run_ends() {
    let lines = lines(Vec::new()).await;
    let mut told: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for line in &lines {
        let text = line.to_string();
        for number in 0..20 {
            if text.contains(&uuid(number)) {
                told.entry(uuid(number)).or_default().push(line);
            }
        }
    }
    assert_eq!(told.len(), 20);
    for (uuid, lines) in told {
        let [line] = lines[..] else { panic!("{uuid} has {} lines: {lines:?}", lines.len()) };
        assert_eq!((line["target"].as_str(), line["message"].as_str()), (Some("vconductor::run"), Some("run")));
        let dead = uuid.ends_with('2');
        let (level, outcome) = if dead { ("WARN", "dead") } else { ("INFO", "done") };
        assert_eq!((line["level"].as_str(), line["outcome"].as_str()), (Some(level), Some(outcome)), "{line}");
        assert_eq!(line["attempts"], if uuid.ends_with('1') { 2 } else { 1 }, "{line}");
        assert!(line["ms"].is_u64() && line["list"] == "in" && line["chain"] == "c", "{line}");
        let expected: BTreeSet<&str> = ALWAYS.into_iter().chain(FAILED.into_iter().filter(|_| dead)).collect();
        assert_eq!(fields(line), expected, "{line}");
        if dead {
            assert_eq!((line["step"].as_str(), line["error_type"].as_str()), (Some("broken"), Some("permanent")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_traces_a_line_says_which_and_in_text_nobody_is_flooded() {
    let collector = Collector::start().await;
    let lines = lines(collector.environment()).await;
    let runs: Vec<&Value> = lines.iter().filter(|line| line["target"] == "vconductor::run").collect();
    assert_eq!(runs.len(), 20);
    let traces: BTreeSet<String> = collector.spans().into_iter().map(|span| span.trace).collect();
    for line in runs {
        let trace = line["trace_id"].as_str().expect("a trace");
        assert!(traces.contains(trace), "{line}");
        assert_eq!(line["run"].as_str().map(|run| run.replace('-', "")).as_deref(), Some(trace));
    }
    let stage = Stage::new();
    give(&stage, 0..20).await;
    let mut launch = launch(&stage, CONFIGURATION, vec![("VCONDUCTOR_LOG".to_owned(), String::new())]);
    launch.environment.push(("RUST_LOG".to_owned(), String::new()));
    let log = run(launch).await;
    assert!((0..20).all(|number| !log.contains(&uuid(number))), "{log}");
}
