//! Dead letters of three kinds: grouped, and one group goes on from the link that failed, with another option.

use std::collections::BTreeMap;
use std::time::Duration;

use vconductor_tests::recorder::Recorder;
use vconductor_tests::stage::uuid;

use super::{On, Scene, size};

/// By its number a vCon fails at `analyse`, `urgent` or `notify`, each behind `transcribe`.
fn configuration(recorder: &Recorder) -> String {
    let url = |path: &str| recorder.url(path);
    format!(
        "links:
  transcribe: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}
  analyse: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}
  urgent: {{module: links.jq_link, options: {{filter: '.subject | tonumber'}}}}
  notify: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}
chains:
  support:
    ingress_lists: [calls]
    concurrency: 256
    retry: {{attempts: 1}}
    links:
      - transcribe
      - {{link: analyse, if: '.subject | startswith(\"a\")'}}
      - {{link: urgent, if: '.subject | startswith(\"b\")'}}
      - {{link: notify, if: '.subject | startswith(\"c\")'}}
    egress_lists: [done]
",
        url("/transcribe"),
        url("/analyse"),
        url("/notify")
    )
}

fn vcons(count: u32) -> String {
    let line = |number| {
        let kind = ["a", "b", "c"][(number % 3) as usize];
        let uuid = uuid(number);
        format!(
            "{{\"vcon\":\"0.0.1\",\"uuid\":\"{uuid}\",\"created_at\":\"2026-01-02T03:04:05Z\",\"subject\":\"{kind} {number}\",\
             \"parties\":[]}}\n"
        )
    };
    (0..count).map(line).collect()
}

fn called(recorder: &Recorder, path: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for call in recorder.calls().into_iter().filter(|call| call.path == path) {
        *counts.entry(call.uuid).or_default() += 1;
    }
    counts
}

/// Group `a` goes on; the command is stopped by Ctrl-C and by `kill -9` on its way.
async fn one_group_goes_on(on: On, count: u32) {
    let recorder = Recorder::start(Duration::ZERO).await.expect("a recorder");
    recorder.answer("/analyse", 400);
    recorder.answer("/notify", 404);
    let scene = Scene::new(on, &configuration(&recorder));
    std::fs::write(scene.path().join("in.jsonl"), vcons(count)).expect("vCons");
    tokio::task::block_in_place(|| {
        assert_eq!(scene.run(&["ingest", "--list", "calls", "in.jsonl"]).code, 0);
        scene.work();
        let groups = scene.json(&["dlq", "list", "calls", "--group"]);
        let groups = groups.as_array().expect("groups");
        let letters: Vec<u64> = groups.iter().map(|group| group["letters"].as_u64().expect("a count")).collect();
        let thirds = [count.div_ceil(3), (count + 1) / 3, count / 3].map(u64::from);
        assert_eq!((groups.len(), letters.iter().sum::<u64>()), (3, thirds.iter().sum()), "{groups:?}");
        let analyse = groups.iter().find(|group| group["step"] == "analyse").expect("a group");
        assert_eq!(analyse["letters"], thirds[0]);
        let group = analyse["group"].as_str().expect("a name");
        assert_eq!(called(&recorder, "/transcribe").len(), count as usize);

        let set = format!("analyse.options.webhook-urls=[\"{}\"]", recorder.url("/better"));
        let rate = format!("{}/s", (thirds[0] / 4).max(20));
        let asked = [
            "replay",
            "--from",
            "dlq",
            "calls",
            "--group",
            group,
            "--from-link",
            "analyse",
            "--set",
            &set,
            "--config",
            "chains.yml",
            "--ahead",
            "0",
        ];
        let slow = [&asked[..], &["--rate", &rate]].concat();
        let is = |share: u64| scene.count_waiting("calls") >= thirds[0] * share / 10;
        assert!(scene.cut(&slow, "-KILL", || is(2)));
        assert!(scene.cut(&slow, "-INT", || is(5)));
        let between = scene.count_waiting("calls");
        assert!(between < thirds[0], "it was stopped: {between}");
        let rest = scene.json(&asked);
        assert_eq!(rest["left"], thirds[1] + thirds[2], "the other groups stay");
        let waiting = scene.waiting("calls");
        assert_eq!((waiting.len() as u64, waiting.values().copied().max()), (thirds[0], Some(1)), "each once");
        scene.work();
        let better = called(&recorder, "/better");
        assert_eq!((better.len() as u64, better.values().copied().max()), (thirds[0], Some(1)), "each once");
        let transcribed = called(&recorder, "/transcribe");
        assert!(transcribed.len() == count as usize && transcribed.values().all(|times| *times == 1), "paid again");
        assert!(called(&recorder, "/analyse").values().all(|times| *times == 1), "the old option was used again");
        assert_eq!(scene.count_waiting("done"), thirds[0]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn one_group_goes_on_with_the_embedded_store() {
    one_group_goes_on(On::Embedded, 150).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_group_goes_on_with_redis() {
    one_group_goes_on(On::Redis, 150).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; scripts/soak/replay"]
async fn full_size_of_letters() {
    let count = size("REPLAY_LETTERS", 10_000);
    for on in [On::Embedded, On::Redis] {
        let began = std::time::Instant::now();
        one_group_goes_on(on, count).await;
        println!("FIGURES {on:?}: {count} dead letters, one group of three continued, {:?}", began.elapsed());
    }
}
