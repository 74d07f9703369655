//! Runs that come back: one trace for all passages, and what failed is seen.

use vconductor_tests::collector::{Collector, Span};
use vconductor_tests::stage::{Stage, uuid};

use super::{below, give, launch, run, traces};

fn roots(trace: &[Span]) -> Vec<&Span> {
    let mut roots: Vec<&Span> = trace.iter().filter(|span| span.parent.is_empty()).collect();
    roots.sort_by_key(|span| span.time.0);
    roots
}

fn outcomes(trace: &[Span]) -> Vec<&str> {
    roots(trace).iter().map(|root| root.attributes["vconductor.outcome"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_and_a_park_go_on_in_the_same_trace_and_a_dead_letter_is_an_error() {
    let (stage, collector) = (Stage::new(), Collector::start().await);
    give(&stage, 0..3).await;
    let configuration = "links:\n  \
        flaky: {module: links.probe, options: {log: telemetry-a, fail_times: 1}}\n  \
        parks: {module: links.probe, options: {log: telemetry-b, park: 100}}\n  \
        broken: {module: links.probe, options: {log: telemetry-c, fail_times: 100, class: permanent}}\n\
        chains:\n  c:\n    ingress_lists: [in]\n    links:\n      \
        - {link: flaky, if: '.uuid | endswith(\"0\")', retry: {attempts: 3, base: 50ms, cap: 50ms}}\n      \
        - {link: parks, if: '.uuid | endswith(\"1\")'}\n      \
        - {link: broken, if: '.uuid | endswith(\"2\")'}\n";
    run(launch(&stage, configuration, collector.environment())).await;
    let traces = traces(&collector);
    let of = |number: u32| {
        let has = |trace: &&Vec<Span>| trace.iter().any(|span| span.attributes.get("vcon.uuid") == Some(&uuid(number)));
        let found: Vec<_> = traces.values().filter(has).collect();
        assert_eq!(found.len(), 1, "vCon {number} has one trace");
        found[0]
    };
    let retried = of(0);
    assert_eq!(outcomes(retried), ["retried", "done"]);
    let [first, second] = roots(retried)[..] else { panic!("{retried:#?}") };
    assert_eq!(
        (first.attributes["vconductor.attempt"].as_str(), second.attributes["vconductor.attempt"].as_str()),
        ("1", "2")
    );
    assert!(
        first.failed && first.attributes["error.type"] == "retryable" && first.attributes["vconductor.step"] == "flaky"
    );
    let failed: Vec<_> = below(retried, first).into_iter().filter(|span| span.failed).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].name.as_str(), failed[0].attributes["vconductor.attempt"].as_str()), ("link.flaky", "1"));
    let again: Vec<_> = below(retried, second).into_iter().filter(|span| span.name == "link.flaky").collect();
    assert!(!again[0].failed && again[0].attributes["vconductor.attempt"] == "2" && !second.failed);
    let names: Vec<_> =
        below(retried, first).iter().map(|span| span.name.clone()).filter(|name| name.ends_with(" in")).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"retry in".to_owned()), "{names:?}");

    let parked = of(1);
    assert_eq!(outcomes(parked), ["parked", "done"]);
    assert!(parked.iter().all(|span| !span.failed));

    let dead = of(2);
    assert_eq!(outcomes(dead), ["dead"]);
    assert!(roots(dead)[0].failed && dead.iter().any(|span| span.name == "dead_letter in"));
    let count = |name: &str, attributes: &[(&str, &str)]| collector.value(name, attributes);
    assert_eq!(count("vconductor_dlq_total", &[("list", "DLQ:in"), ("reason", "permanent")]), 1.0);
    assert_eq!(count("conserver.dlq.count", &[("queue_name", "DLQ:in")]), 1.0);
    assert_eq!(
        count("conserver.main_loop.count_vcons_processed", &[("chain.name", "c")]),
        2.0,
        "failed ones do not count"
    );
    assert_eq!(count("conserver.link.count", &[("link_name", "flaky"), ("outcome", "error")]), 1.0);
    assert_eq!(count("conserver.main_loop.count_vcons_received", &[("ingress_list", "in")]), 5.0, "claims, not vCons");
}
