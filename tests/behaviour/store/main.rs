//! The behaviour of every store, told as cases; each backend passes the same ones.
//!
//! `cargo test -p vconductor-tests --test store [-- <part of a name>]`. A trial is named
//! `<backend>::<subject>::<case>`.

mod backend;
mod catalogue;
mod commits;
mod concurrency;
mod coordination;
mod crashes;
mod dead_letters;
mod desk;
mod documents;
mod embedded;
mod fairness;
mod keyring;
mod limits;
mod limits_model;
mod model;
mod operations;
mod oversight;
mod parking;
mod queue;
mod redis;
mod redis_bell;
mod redis_cluster;
mod redis_contract;
mod redis_coordination;
mod redis_crowd;
mod redis_durability;
mod redis_faults;
mod redis_json;
mod redis_large;
mod redis_reach;
mod redis_rollback;
mod redis_tail;
mod redis_tenants;
mod replays;
mod retries;
mod tenants;
mod two_processes;
mod world;
mod writers;

use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::backend::Backend;
use crate::world::{Case, World};

fn main() {
    if two_processes::child() {
        return;
    }
    let arguments = Arguments::from_args();
    let backends: Vec<Arc<dyn Backend>> =
        vec![Arc::new(embedded::Embedded), Arc::new(redis::Redis), Arc::new(redis::RedisJson)];
    let mut trials = embedded::trials();
    trials.extend(limits_model::trials());
    trials.extend(model::trials());
    trials.extend(redis_bell::trials());
    trials.extend(redis_cluster::trials());
    trials.extend(redis_contract::trials());
    trials.extend(redis_coordination::trials());
    trials.extend(redis_crowd::trials());
    trials.extend(redis_durability::trials());
    trials.extend(redis_faults::trials());
    trials.extend(redis_json::trials());
    trials.extend(redis_large::trials());
    trials.extend(redis_reach::trials());
    trials.extend(redis_rollback::trials());
    trials.extend(redis_tail::trials());
    trials.extend(redis_tenants::trials());
    trials.extend(two_processes::trials());
    for backend in backends {
        for (subject, cases) in subjects() {
            let cases = cases.into_iter().filter(|case| !backend.leaves_out(case.name));
            trials.extend(cases.map(|case| trial(Arc::clone(&backend), subject, case)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn subjects() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("catalogue", catalogue::cases()),
        ("commits", commits::cases()),
        ("concurrency", concurrency::cases()),
        ("coordination", coordination::cases()),
        ("crashes", crashes::cases()),
        ("dead_letters", dead_letters::cases()),
        ("desk", desk::cases()),
        ("documents", documents::cases()),
        ("fairness", fairness::cases()),
        ("keyring", keyring::cases()),
        ("limits", limits::cases()),
        ("operations", operations::cases()),
        ("oversight", oversight::cases()),
        ("parking", parking::cases()),
        ("queue", queue::cases()),
        ("replays", replays::cases()),
        ("retries", retries::cases()),
        ("tenants", tenants::cases()),
        ("writers", writers::cases()),
    ]
}

fn trial(backend: Arc<dyn Backend>, subject: &str, case: Case) -> Trial {
    Trial::test(format!("{}::{subject}::{}", backend.name(), case.name), move || {
        world::runtime().block_on(async { (case.run)(World::new(backend.open().await)).await });
        Ok(())
    })
}
