//! The HTTP API from outside, over real connections, on both stores.
//!
//! `cargo test -p vconductor-tests --test api [-- <part of a name>]`. Trials are named `<store>::<subject>::<case>`. What
//! vcon-server's own tests ask of it is told as requests and expected answers in `scenarios/*.yml` ([`scenario`]); what
//! needs more than one connection's answers is told in code.

mod access;
mod crash;
mod drain;
mod history;
mod hooks;
mod limits;
mod repeated;
mod replace;
mod scenario;
mod storages;
mod tenants;
mod world;

use libtest_mimic::{Arguments, Trial};

use crate::world::{Backend, Case, World};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for backend in [Backend::Embedded, Backend::Redis] {
        trials.extend(scenario::trials(backend));
        for (subject, cases) in subjects() {
            trials.extend(cases.into_iter().map(|case| trial(backend, subject, case)));
        }
    }
    trials.extend(crash::trials());
    libtest_mimic::run(&arguments, trials).exit();
}

fn subjects() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("access", access::cases()),
        ("drain", drain::cases()),
        ("history", history::cases()),
        ("hooks", hooks::cases()),
        ("limits", limits::cases()),
        ("repeated", repeated::cases()),
        ("replace", replace::cases()),
        ("storages", storages::cases()),
        ("tenants", tenants::cases()),
    ]
}

fn trial(backend: Backend, subject: &str, case: Case) -> Trial {
    Trial::test(format!("{}::{subject}::{}", backend.name(), case.name), move || {
        world::runtime().block_on(async { (case.run)(World::place(backend).await).await });
        Ok(())
    })
}
