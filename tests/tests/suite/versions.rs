//! Chains that make another version of a vCon: it is there once, whatever happens, and the one that came stays.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Store, TenantScope};
use vconductor_tests::conductors::Launch;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::{Stage, uuid, vcon};

const LINKS: &str = "links:
  redact: {module: links.redact, options: {type: PII, remove: ['/parties/*'], lists: [redacted]}}
  switch: {module: links.redact, options: {type: PII, remove: ['/parties/*'], go_on_with: new}}
  amend: {module: links.create_amended, options: {set: {/subject: Refund}}}
  tag: {module: links.tag, options: {tags: [seen]}}
  probe: {module: links.probe_external, options: {log: versions, fail_times: 2}}
";

fn chain(steps: &str) -> String {
    format!(
        "{LINKS}chains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n    links: {steps}\n    retry: {{attempts: 20, base: 5ms, cap: 5ms}}\n"
    )
}

/// The only uuid on a list, taken off it.
async fn only(stage: &Stage, list: &str) -> String {
    let taken = stage.take(list).await;
    assert!(taken.len() == 1 && taken.values().all(|count| *count == 1), "{list}: {taken:?}");
    taken.into_keys().next().unwrap()
}

async fn all(store: &dyn Store) -> Vec<String> {
    store.documents(&TenantScope::Everything, None, 100).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redacted_version_goes_on_its_own_list_and_the_original_on_its_way() {
    let stage = Stage::new();
    stage.give("in", &uuid(1), &vcon(&uuid(1))).await;
    // What fails and is retried behind it makes no second one.
    stage.run(&chain("[redact, probe, tag]")).await;
    assert_eq!(only(&stage, "out").await, uuid(1));
    let made = only(&stage, "redacted").await;
    assert_eq!(all(&*stage.store).await, [uuid(1), made.clone()]);
    let (original, redacted) = (stage.document(&uuid(1)).await, stage.document(&made).await);
    assert_eq!((&redacted["redacted"]["uuid"], &original["redacted"]), (&uuid(1).into(), &Value::Null));
    let tags = |vcon: &Value| vcon["attachments"].as_array().map_or(0, Vec::len);
    assert!(tags(&original) > tags(&redacted), "only what came is tagged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_on_with_the_new_version() {
    for (steps, reference) in [("[switch, probe, tag]", "redacted"), ("[amend, probe, tag]", "amended")] {
        let stage = Stage::new();
        let before = vcon(&uuid(2));
        stage.give("in", &uuid(2), &before).await;
        stage.run(&chain(steps)).await;
        let new = only(&stage, "out").await;
        assert_ne!(new, uuid(2));
        assert_eq!(all(&*stage.store).await, [uuid(2), new.clone()]);
        assert_eq!(
            stage.store.get(&TenantScope::Everything, &uuid(2)).await.unwrap().unwrap().document,
            before,
            "byte for byte"
        );
        let new = stage.document(&new).await;
        assert_eq!(new[reference]["uuid"], uuid(2));
        let tagged = new["attachments"].as_array().unwrap().iter().any(|one| one["purpose"] == "tags");
        assert!(tagged, "{new}");
    }
}

/// Runs a chain with a conductor that kills itself at `point`, and then with others until nothing is left.
fn run_killed(config: &Path, store: &str, point: &str) {
    let mut launch = Launch::new(Path::new(env!("CARGO_BIN_EXE_conductor_under_test")), config, store);
    launch.arguments = vec!["--until-idle".to_owned()];
    launch.kill_at = Some(format!("{point}:1"));
    let killed = launch.start(0).wait(Duration::from_secs(30));
    assert_eq!(killed.code(), None, "it is killed at {point}");
    launch.kill_at = None;
    let mut conductor = launch.start(1);
    let ended = conductor.wait(Duration::from_secs(30));
    assert!(ended.success(), "{point}: {}", conductor.tail());
}

const POINTS: [&str; 6] =
    ["in-link", "before-step-commit", "after-step-commit", "before-storages", "before-ack", "after-ack"];

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_makes_neither_none_nor_two() {
    let server = RedisServer::start();
    for (steps, switches) in [("[redact, tag]", false), ("[switch, tag]", true)] {
        for (number, point) in (10..).zip(POINTS) {
            for on_redis in [false, true] {
                let place = tempfile::tempdir().unwrap();
                let config = place.path().join("chain.yml");
                std::fs::write(&config, chain(steps)).unwrap();
                let (stage, url) = if on_redis {
                    server.cli(&["FLUSHALL"]);
                    let settings = Settings { lease: Duration::from_millis(1200), ..Settings::default() };
                    let store = RedisStore::connect(&server.url(), settings).await.unwrap();
                    (Stage::on(store), server.url())
                } else {
                    let stage = Stage::new();
                    let url = format!("embedded:{}", stage.folder().join("store").display());
                    (stage, url)
                };
                stage.give("in", &uuid(number), &vcon(&uuid(number))).await;
                run_killed(&config, &url, point);
                let case = format!("{steps} {point} {url}");
                let out = only(&stage, "out").await;
                let made = if switches { out } else { only(&stage, "redacted").await };
                assert_ne!(made, uuid(number), "{case}");
                assert_eq!(all(&*stage.store).await, [uuid(number), made.clone()], "{case}");
                assert_eq!(stage.document(&made).await["redacted"]["uuid"], uuid(number), "{case}");
            }
        }
    }
}
