//! Traces, metrics and the lines of the log, as a collector gets them from conductors in processes of their own.

mod away;
mod calls;
mod lines;
mod load;
mod runs;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use vconductor_tests::collector::{Collector, Span};
use vconductor_tests::conductors::Launch;
use vconductor_tests::stage::{Stage, uuid, vcon};

/// What a test waits for comes within this time, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// A conductor on the stage's store that ends when nothing is left to do.
fn launch(stage: &Stage, configuration: &str, environment: Vec<(String, String)>) -> Launch {
    let config = stage.folder().join("chain.yml");
    std::fs::write(&config, configuration).expect("a configuration");
    let store = format!("embedded:{}", stage.folder().join("store").display());
    let mut launch = Launch::new(Path::new(env!("CARGO_BIN_EXE_conductor_under_test")), &config, &store);
    launch.arguments = vec!["--until-idle".to_owned()];
    // A machine that is busy with other tests must not have runs taken over: each is to be one passage.
    launch.lease = Duration::from_secs(30);
    let quiet = ("VCONDUCTOR_LOG".to_owned(), "warn".to_owned());
    launch.environment = std::iter::once(quiet).chain(environment).collect();
    launch
}

/// Runs a conductor until nothing is left to do; returns its log.
async fn run(launch: Launch) -> String {
    let mut conductor = launch.start(1);
    let ended = tokio::task::spawn_blocking(move || (conductor.wait(LIMIT), conductor.log()));
    let (status, log) = ended.await.expect("a thread");
    assert!(status.code().is_some_and(|code| code < 2), "{status}: {log}");
    log
}

async fn give(stage: &Stage, numbers: std::ops::Range<u32>) {
    stage.give_many(numbers.map(|number| ("in".to_owned(), uuid(number), vcon(&uuid(number)))).collect()).await;
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "after {LIMIT:?} still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Spans by their trace; each id is there once.
fn traces(collector: &Collector) -> BTreeMap<String, Vec<Span>> {
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in collector.spans() {
        assert!(span.time.0 <= span.time.1, "{span:?}");
        let trace = traces.entry(span.trace.clone()).or_default();
        assert!(trace.iter().all(|other| other.id != span.id), "twice: {span:?}");
        trace.push(span);
    }
    traces
}

/// The spans below one.
fn below<'a>(trace: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    trace.iter().filter(|span| span.parent == parent.id).collect()
}

/// The only span of this name.
fn only<'a>(trace: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<&Span> = trace.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name} in {trace:#?}");
    found[0]
}
