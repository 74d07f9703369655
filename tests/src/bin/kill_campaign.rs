//! Kills conductors and checks that nothing was lost or done twice.
//!
//! `kill_campaign BINARY [--kills N] [--seed N] [--seconds N] [--conductors N] [--redis URL | --storm]`
//!
//! On the embedded store, on an empty Redis of the caller's, or in a storm: on a private Redis that is killed and restarted
//! behind a network that drops, cuts, delays and refuses. BINARY is `conductor_under_test`; `scripts/soak/kill` and
//! `scripts/soak/storm` build both.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vconductor_tests::campaign::{Place, Plan, run};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let binary = PathBuf::from(arguments.next().ok_or("usage: kill_campaign BINARY [--kills N] [--seed N] ...")?);
    let mut plan = Plan {
        binary,
        place: Place::Embedded,
        conductors: 1,
        seed: fastrand::u64(..),
        kills: 200,
        limit: Duration::from_secs(3600),
    };
    while let Some(name) = arguments.next() {
        if name == "--storm" {
            (plan.place, plan.conductors) = (Place::Storm, 3);
            continue;
        }
        let value = arguments.next().ok_or("an option without its value")?;
        match name.as_str() {
            "--kills" => plan.kills = value.parse()?,
            "--seed" => plan.seed = value.parse()?,
            "--conductors" => plan.conductors = value.parse()?,
            "--redis" => (plan.place, plan.conductors) = (Place::Redis(value), 2),
            "--seconds" => plan.limit = Duration::from_secs(value.parse()?),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    println!("seed {}", plan.seed);
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let found = run(&plan, folder.path()).await?;
    for (point, kills) in &found.kills {
        println!("{kills:5} kills at {point}");
    }
    for (harm, times) in &found.harms {
        println!("{times:5} times {harm}");
    }
    println!(
        "{} kills in {} s; {} runs enqueued: {} done, {} dead letters; {} external calls, {} repeated (in flight when their conductor was killed or stopped); {} breaches",
        found.total_kills(),
        started.elapsed().as_secs(),
        found.enqueued,
        found.done,
        found.dead,
        found.calls,
        found.repeated_in_flight,
        found.breaches.len()
    );
    for breach in found.breaches.iter().take(20) {
        println!("BREACH {breach}");
    }
    if found.breaches.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("logs and files: {}", folder.keep().display());
    Ok(ExitCode::FAILURE)
}
