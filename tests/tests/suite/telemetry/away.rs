//! A collector that is away, slow or refuses: the engine goes on, what is lost is counted, and the log says it once.

use std::time::{Duration, Instant};

use vconductor_tests::collector::Collector;
use vconductor_tests::servers::redis::free_port;
use vconductor_tests::stage::Stage;

use super::{LIMIT, give, launch, until};

const VCONS: u32 = 1000;
const CHAIN: &str = "links:\n  mark: {module: links.tag, options: {tags: [seen]}}\n\
    chains:\n  c: {ingress_lists: [in], egress_lists: [out], links: [mark]}\n";
const WARNING: &str = "the collector is away, too slow or refuses";

/// Works on vCons with this environment; returns what Prometheus is told of what was lost.
async fn lost(more: &[(&str, &str)]) -> Vec<(String, f64)> {
    let stage = Stage::new();
    give(&stage, 0..VCONS).await;
    let port = free_port();
    let mut environment: Vec<(String, String)> =
        more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    environment.push(("CONSERVER_API_TOKEN".to_owned(), "a-token-for-tests".to_owned()));
    environment.push(("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), "300".to_owned()));
    environment.push(("OTEL_EXPORTER_OTLP_TIMEOUT".to_owned(), "400".to_owned()));
    let mut launch = launch(&stage, CHAIN, environment);
    launch.arguments = vec!["--http".to_owned(), format!("127.0.0.1:{port}")];
    let mut conductor = launch.start(1);
    let (client, url) = (reqwest::Client::new(), format!("http://127.0.0.1:{port}/metrics"));
    let started = Instant::now();
    let figures = loop {
        let call = client.get(&url).header("x-conserver-api-token", "a-token-for-tests").send();
        let text = match call.await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        let done = text.contains(&format!("vconductor_runs_total{{chain=\"c\",outcome=\"ok\"}} {VCONS}\n"));
        let lost: Vec<(String, f64)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("vconductor_telemetry_dropped_total{")?.split_once("} "))
            .map(|(labels, count)| (labels.to_owned(), count.parse().expect("a number")))
            .collect();
        if done
            && lost.iter().any(|(labels, _)| labels.contains("spans"))
            && lost.iter().any(|(labels, _)| labels.contains("metrics"))
        {
            break lost;
        }
        assert!(started.elapsed() < LIMIT, "{text}\n{}", conductor.tail());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let told = Instant::now();
    conductor.signal("TERM");
    assert!(conductor.wait(LIMIT).success(), "{}", conductor.tail());
    assert!(told.elapsed() < Duration::from_secs(12), "the end waited for the collector: {:?}", told.elapsed());
    assert_eq!(stage.take("out").await.len(), VCONS as usize);
    let log = conductor.log();
    for signal in ["spans", "metrics"] {
        let lines = log.lines().filter(|line| line.contains(WARNING) && line.contains(signal)).count();
        assert_eq!(lines, 1, "{signal}: {log}");
    }
    figures
}

fn of(lost: &[(String, f64)], signal: &str, reason: &str) -> f64 {
    let has = |labels: &str| labels.contains(&format!("\"{signal}\"")) && labels.contains(&format!("\"{reason}\""));
    lost.iter().filter(|(labels, _)| has(labels)).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_spans_and_nothing_else() {
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let lost = lost(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "100")]).await;
    assert!(of(&lost, "spans", "refused") > 0.0 && of(&lost, "metrics", "refused") > 0.0, "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_answers_503_costs_spans_and_nothing_else() {
    let collector = Collector::start().await;
    collector.refuses(503);
    let lost = lost(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url), ("OTEL_BSP_SCHEDULE_DELAY", "100")]).await;
    assert!(of(&lost, "spans", "refused") > 0.0 && of(&lost, "metrics", "refused") > 0.0, "{lost:?}");
    assert!(collector.spans().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_collector_fills_the_queue_which_stays_as_small_as_it_is() {
    let collector = Collector::start().await;
    collector.takes(Duration::from_secs(30));
    let lost = lost(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ])
    .await;
    // Each run has four spans; at most the queue and a batch under way are not counted yet.
    let full = of(&lost, "spans", "queue_full");
    assert!(full + of(&lost, "spans", "refused") >= f64::from(VCONS * 4 - 200) && full > 0.0, "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_comes_back_gets_what_is_left_in_the_queue_and_all_figures() {
    let (stage, collector) = (Stage::new(), Collector::start().await);
    collector.refuses(503);
    give(&stage, 0..VCONS).await;
    let mut launch = launch(&stage, CHAIN, collector.environment());
    launch.arguments.clear();
    let mut conductor = launch.start(1);
    until("it was asked and refused", || collector.requests().0 >= 3).await;
    collector.accepts();
    until("all spans are there", || {
        collector.spans().iter().filter(|span| span.name == "vcon_processing.c").count() == VCONS as usize
    })
    .await;
    conductor.signal("TERM");
    assert!(conductor.wait(LIMIT).success(), "{}", conductor.tail());
    assert_eq!(collector.spans().len(), 4 * VCONS as usize, "none twice, none missing");
    assert_eq!(collector.value("vconductor_runs_total", &[("chain", "c")]), f64::from(VCONS));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vcon_servers_environment_asks_for_and_is_not_spoken_stops_nothing() {
    let stage = Stage::new();
    give(&stage, 0..10).await;
    let set = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let environment = set.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let log = super::run(launch(&stage, CHAIN, environment)).await;
    assert_eq!(stage.take("out").await.len(), 10);
    assert_eq!(log.matches("the protocol grpc is not spoken here").count(), 1, "{log}");
    let config = stage.folder().join("chain.yml");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_conductor_under_test"))
        .arg("run")
        .arg(&config)
        .args(["--until-idle", "--store", &format!("embedded:{}", stage.folder().join("store").display())])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")
        .output()
        .expect("the conductor");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{text}");
}
