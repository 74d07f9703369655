//! Kills conductors on the embedded store, or on a Redis, and checks that nothing was lost or done twice.
//!
//! `kill_campaign BINARY [--kills N] [--seed N] [--seconds N] [--redis URL]`; BINARY is `conductor_under_test`; `scripts/soak/kill` builds both.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use vconductor_tests::campaign::{Plan, run};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let binary =
        PathBuf::from(arguments.next().ok_or("usage: kill_campaign BINARY [--kills N] [--seed N] [--seconds N]")?);
    let mut plan = Plan { binary, seed: fastrand::u64(..), kills: 200, limit: Duration::from_secs(3600), redis: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("an option without its value")?;
        match name.as_str() {
            "--kills" => plan.kills = value.parse()?,
            "--seed" => plan.seed = value.parse()?,
            "--redis" => plan.redis = Some(value),
            "--seconds" => plan.limit = Duration::from_secs(value.parse()?),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    println!("seed {}", plan.seed);
    let folder = tempfile::tempdir()?;
    let found = run(&plan, folder.path()).await?;
    for (point, kills) in &found.kills {
        println!("{kills:5} kills at {point}");
    }
    println!(
        "{} kills; {} runs enqueued: {} done, {} dead letters; {} external calls, {} repeated (in flight at a kill); {} breaches",
        found.total_kills(),
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
    Ok(if found.breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
