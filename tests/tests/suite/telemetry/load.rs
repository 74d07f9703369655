//! Under load: every run one trace, every step its span, every figure right, every name documented.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use vconductor_core::layers::instruments::{ALL, CONVENTIONS};
use vconductor_tests::collector::{Collector, Span};
use vconductor_tests::recorder::Recorder;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::{Stage, uuid, vcon};

use super::{below, give, launch, only, run, traces, until};

const VCONS: u32 = 2000;

/// Every kind of step: alone and side by side, pure and calling, and a storage.
fn configuration(folder: &Path, recorder: &Recorder) -> String {
    format!(
        "links:\n  mark: {{module: links.tag, options: {{tags: [seen]}}}}\n  one: {{module: links.tag, options: {{tags: [one]}}}}\n  \
         two: {{module: links.tag, options: {{tags: [two]}}}}\n  \
         call: {{module: links.webhook, options: {{webhook-urls: ['{}']}}}}\n\
         storages:\n  files: {{module: storage.file, options: {{path: '{}', fsync: false}}}}\n\
         chains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n    \
         links: [mark, {{parallel: [one, two]}}, call]\n    storages: [files]\n",
        recorder.url("/call"),
        folder.join("files").display()
    )
}

/// One run's trace: what there is, below what, and what is said of it.
fn check_trace(trace: &[Span], system: &str) -> String {
    let root = only(trace, "vcon_processing.c");
    let said = |span: &Span, name: &str| span.attributes.get(name).cloned().unwrap_or_default();
    let id = said(root, "vcon.uuid");
    assert_eq!(root.parent, "", "{root:?}");
    assert_eq!(said(root, "vconductor.run.id").replace('-', ""), root.trace, "a trace is called as its run");
    let expected = [
        ("vcon_id", id.as_str()),
        ("chain_name", "c"),
        ("messaging.system", system),
        ("messaging.destination.name", "in"),
        ("messaging.operation.type", "process"),
        ("messaging.message.id", id.as_str()),
        ("vconductor.outcome", "done"),
        ("vconductor.attempt", "1"),
    ];
    for (name, value) in expected {
        assert_eq!(said(root, name), value, "{name} of {root:?}");
    }
    let children: BTreeSet<&str> = below(trace, root).iter().map(|span| span.name.as_str()).collect();
    let all = ["ack in", "claim in", "link.call", "link.mark", "link.one", "link.two", "storage.files"];
    assert_eq!(children, all.into_iter().collect(), "{trace:#?}");
    let post = only(trace, "POST");
    assert_eq!(post.parent, only(trace, "link.call").id);
    assert_eq!((said(post, "http.response.status_code").as_str(), post.kind), ("200", 3));
    assert_eq!(trace.len(), 9, "{trace:#?}");
    for (number, name) in [(0, "mark"), (1, "one"), (1, "two"), (2, "call")] {
        let link = only(trace, &format!("link.{name}"));
        assert_eq!((said(link, "link_index"), said(link, "link_name")), (number.to_string(), name.to_owned()));
        assert_eq!((said(link, "vcon.uuid"), said(link, "vconductor.outcome")), (id.clone(), "continue".to_owned()));
        assert!(root.time.0 <= link.time.0 && link.time.1 <= root.time.1, "{link:?} is not within {root:?}");
    }
    assert_eq!(said(only(trace, "claim in"), "messaging.operation.type"), "receive");
    assert_eq!(said(only(trace, "ack in"), "messaging.operation.type"), "settle");
    assert!(trace.iter().all(|span| !span.failed));
    id
}

/// What is counted, under our names and those of others.
fn check_metrics(collector: &Collector, system: &str, runs: u32) {
    let runs = f64::from(runs);
    let exactly: [(&str, &[(&str, &str)]); 17] = [
        ("vconductor_runs_total", &[("chain", "c"), ("outcome", "ok")]),
        ("vconductor_run_duration_seconds", &[("chain", "c")]),
        ("vconductor_queue_claimed_total", &[("list", "in")]),
        ("vconductor_link_duration_seconds", &[("chain", "c"), ("link", "two"), ("outcome", "success")]),
        ("vconductor_storage_write_duration_seconds", &[("storage", "files"), ("outcome", "ok")]),
        ("vconductor_webhook_attempts_total", &[("code_class", "2xx")]),
        ("conserver.main_loop.count_vcons_received", &[("ingress_list", "in")]),
        ("conserver.main_loop.count_vcons_processed", &[("chain.name", "c")]),
        ("conserver.main_loop.vcon_processing_time", &[("chain.name", "c")]),
        ("conserver.link.count", &[("link_name", "call"), ("outcome", "success")]),
        ("conserver.link.execution_time", &[("link.name", "call"), ("chain.name", "c")]),
        ("conserver.storage.count", &[("backend", "files"), ("outcome", "success")]),
        ("conserver.storage.duration_ms", &[("backend", "files"), ("outcome", "success")]),
        ("messaging.client.consumed.messages", &[("messaging.system", system), ("messaging.destination.name", "in")]),
        ("messaging.client.consumed.messages", &[("messaging.operation.name", "claim")]),
        ("messaging.process.duration", &[("messaging.system", system), ("messaging.consumer.group.name", "c")]),
        ("messaging.process.duration", &[("messaging.operation.name", "process")]),
    ];
    for (name, attributes) in exactly {
        assert_eq!(collector.value(name, attributes), runs, "{name}");
    }
    let metrics = collector.metrics();
    let sum = |name: &str| -> f64 {
        metrics.iter().filter(|((known, _), _)| known == name).map(|(_, point)| point.sum).sum()
    };
    let (seconds, milliseconds) =
        (sum("vconductor_storage_write_duration_seconds"), sum("conserver.storage.duration_ms"));
    assert!(
        seconds > 0.0 && (seconds * 1000.0 - milliseconds).abs() < 0.01 * milliseconds,
        "{seconds} s, {milliseconds} ms"
    );
}

/// Every name that arrives is in the generated page, and has no other attributes than the page says.
fn check_names(collector: &Collector) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/metrics.md");
    let page = std::fs::read_to_string(page).expect("the generated page");
    let mut documented: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (name, kind) = (cells[1].trim_matches('`'), cells[2]);
        let labels = if name.starts_with("vconductor_") { cells[3] } else { cells[4] };
        assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
        let labels = labels.split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
        documented.insert(name.to_owned(), labels);
    }
    assert_eq!(documented.len(), ALL.len() + CONVENTIONS.len(), "the page is stale: cargo xtask generate");
    let metrics = collector.metrics();
    for (name, attributes) in metrics.keys() {
        let labels = documented.get(name).unwrap_or_else(|| panic!("`{name}` arrived and is not documented"));
        assert!(
            attributes.keys().all(|attribute| labels.contains(attribute)),
            "{name}: {attributes:?}, not {labels:?}"
        );
    }
    let arrived: BTreeSet<&str> = metrics.keys().map(|(name, _)| name.as_str()).collect();
    for convention in CONVENTIONS.iter().filter(|known| known.aliases.iter().any(|alias| arrived.contains(alias.of))) {
        assert!(arrived.contains(convention.name), "{} did not arrive", convention.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_vcons_on_the_embedded_store_are_two_thousand_whole_traces() {
    let (stage, collector) = (Stage::new(), Collector::start().await);
    let recorder = Recorder::start(Duration::ZERO).await.expect("a recorder");
    give(&stage, 0..VCONS).await;
    let mut environment = collector.environment();
    let more = [
        ("OTEL_SERVICE_NAME", "calls"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=planted-secret-key"),
    ];
    environment.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let log = run(launch(&stage, &configuration(stage.folder(), &recorder), environment)).await;
    assert!(!log.contains("planted-secret-key"), "{log}");
    let traces = traces(&collector);
    let seen: BTreeSet<String> = traces.values().map(|trace| check_trace(trace, "embedded")).collect();
    assert_eq!((traces.len(), seen.len()), (VCONS as usize, VCONS as usize));
    check_metrics(&collector, "embedded", VCONS);
    check_names(&collector);
    assert_eq!(collector.requests().1, 0, "all of it could be read");
    assert!(
        collector.headers().iter().all(|headers| headers.get("api-key").is_some_and(|key| key == "planted-secret-key"))
    );
    for resource in collector.resources() {
        assert_eq!(
            (resource["service.name"].as_str(), resource["deployment.environment.name"].as_str()),
            ("calls", "test")
        );
        assert!(resource["service.instance.id"].contains("-pid-") && !resource["host.name"].is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_two_conductors_share_the_work_and_a_producers_trace_goes_through_to_the_egress() {
    let (server, stage, collector) = (RedisServer::start(), Stage::new(), Collector::start().await);
    let recorder = Recorder::start(Duration::ZERO).await.expect("a recorder");
    let mut environment = collector.environment();
    // The other form, with which numbers are texts and ids are hex.
    environment.push(("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), "http/json".to_owned()));
    let mut launch = launch(&stage, &configuration(stage.folder(), &recorder), environment);
    launch.store = server.url();
    launch.arguments.clear();
    let mut conductors = [launch.start(1), launch.start(2)];
    let producer =
        |number: u32| (format!("{:032x}", 0xabcd_0000_u128 + u128::from(number)), format!("{:016x}", number + 1));
    for part in 0..VCONS / 500 {
        let mut pipe = redis::pipe();
        for number in part * 500..(part + 1) * 500 {
            let (id, (trace, span)) = (uuid(number), producer(number));
            let context =
                format!(r#"{{"trace_id": "{trace}", "span_id": "{span}", "trace_flags": 1, "is_sampled": true}}"#);
            pipe.cmd("SET").arg(format!("vcon:{id}")).arg(vcon(&id)).ignore();
            pipe.cmd("RPUSH").arg(format!("context:in:{id}")).arg(context).ignore();
            pipe.cmd("RPUSH").arg("in").arg(&id).ignore();
        }
        pipe.exec(&mut server.connect()).expect("a push");
    }
    until("all are on the egress list", || server.cli(&["LLEN", "out"]) == VCONS.to_string()).await;
    for conductor in &mut conductors {
        conductor.signal("TERM");
        assert!(conductor.wait(super::LIMIT).success(), "{}", conductor.tail());
    }
    let traces = traces(&collector);
    assert_eq!(traces.len(), VCONS as usize);
    let mut by_conductor: BTreeMap<String, usize> = BTreeMap::new();
    for trace in traces.values() {
        let id = check_trace(trace, "redis");
        let root = only(trace, "vcon_processing.c");
        let number: u32 = id[id.len() - 12..].parse().expect("a number");
        assert_eq!(root.links, [producer(number)], "linked to its producer");
        let handed: Value = serde_json::from_str(&server.cli(&["LPOP", &format!("context:out:{id}")]))
            .expect("a context for whoever is next");
        assert_eq!((handed["trace_id"].as_str(), handed["span_id"].as_str()), (Some(&*root.trace), Some(&*root.id)));
        assert_eq!((handed["trace_flags"].as_u64(), handed["is_sampled"].as_bool()), (Some(1), Some(true)));
        *by_conductor.entry(root.attributes["messaging.client.id"].clone()).or_default() += 1;
    }
    println!("runs by conductor: {by_conductor:?}");
    assert_eq!(collector.requests().1, 0, "all of it could be read");
    check_names(&collector);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_keeps_a_part_of_the_runs_and_of_each_the_whole() {
    let (stage, collector) = (Stage::new(), Collector::start().await);
    let recorder = Recorder::start(Duration::ZERO).await.expect("a recorder");
    give(&stage, 0..600).await;
    let mut environment = collector.environment();
    environment.push(("OTEL_TRACES_SAMPLER".to_owned(), "parentbased_traceidratio".to_owned()));
    environment.push(("OTEL_TRACES_SAMPLER_ARG".to_owned(), "0.25".to_owned()));
    run(launch(&stage, &configuration(stage.folder(), &recorder), environment)).await;
    let traces = traces(&collector);
    traces.values().for_each(|trace| drop(check_trace(trace, "embedded")));
    assert!((90..210).contains(&traces.len()), "{} of 600", traces.len());
    assert_eq!(collector.value("vconductor_runs_total", &[("chain", "c")]), 600.0, "figures are of all");
}
