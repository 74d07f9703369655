//! Conductors that are killed: a short run of the campaign that `scripts/soak/kill` runs for long, and the poison vCon.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use vconductor_core::error::Class;
use vconductor_tests::campaign::{Findings, Place, Plan, run};
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::{Stage, uuid, vcon};

fn under_test() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_conductor_under_test"))
}

async fn campaign(place: Place, conductors: usize, kills: u32, seconds: u64) -> Findings {
    let folder = tempfile::tempdir().expect("a folder");
    let limit = Duration::from_secs(seconds);
    let plan = Plan { binary: under_test().to_owned(), place, conductors, seed: 20_260_102, kills, limit };
    let found = run(&plan, folder.path()).await.expect("the campaign runs");
    if !found.breaches.is_empty() {
        println!("logs: {}", folder.keep().display());
    }
    assert_eq!(found.breaches, Vec::<String>::new(), "seed {}", plan.seed);
    assert!(found.done + found.dead >= found.enqueued && found.done > 0, "{found:?}");
    println!("{found:?}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_conductors_lose_nothing_and_repeat_only_what_was_in_flight() {
    let found = campaign(Place::Embedded, 1, 16, 120).await;
    assert!(found.total_kills() >= 10, "too few kills to mean anything: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_conductors_on_redis_lose_nothing_and_repeat_only_what_was_in_flight() {
    let server = RedisServer::start();
    let found = campaign(Place::Redis(server.url()), 2, 16, 60).await;
    assert!(found.total_kills() >= 10, "too few kills to mean anything: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills_and_faults_around_conductors_loses_nothing() {
    let found = campaign(Place::Storm, 3, 1000, 20).await;
    assert!(found.total_kills() >= 5 && found.harms.len() >= 5, "too little happened to mean anything: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poison_vcon_among_sixty_three_good_ones_is_the_only_dead_letter() {
    let stage = Stage::new();
    for number in 0..64 {
        stage.give("in", &uuid(number), &vcon(&uuid(number))).await;
    }
    let config = stage.folder().join("chain.yml");
    let text = "links:\n  work: {module: links.probe, options: {log: poison, sleep: 20}}\n  \
                bomb: {module: links.probe, options: {log: poison, kill: true}}\n\
                chains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n    concurrency: 64\n    \
                links: [work, {link: bomb, if: '.uuid | endswith(\"000037\")'}]\n";
    std::fs::write(&config, text).expect("a configuration");
    let mut deaths = 0;
    loop {
        let status = Command::new(under_test())
            .arg("run")
            .arg(&config)
            .arg("--store")
            .arg(format!("embedded:{}", stage.folder().join("store").display()))
            .arg("--until-idle")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the conductor starts");
        if status.code().is_some() {
            break;
        }
        deaths += 1;
        assert!(deaths < 10, "the poison vCon is never given up");
    }
    assert_eq!(deaths, 3);
    let dead = stage.dead("DLQ:in").await;
    let dead: BTreeMap<_, _> = dead.iter().map(|letter| (letter.uuid.clone(), letter.failure.class)).collect();
    assert_eq!(dead, BTreeMap::from([(uuid(37), Class::Poison)]));
    assert_eq!(stage.take("out").await.len(), 63);
}
