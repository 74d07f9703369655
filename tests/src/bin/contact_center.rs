//! Runs `chains/contact-center.yml` against stand-ins of its vendors and the real servers of its storages.
//!
//! `contact_center BINARY [--calls N] [--kills N] [--seed N]`
//!
//! Recordings (40) go through the chain three times, of which the first alone may cost anything; then conductors are killed
//! so many times (0) while more recordings come in. BINARY is `conductor_under_test`; `scripts/soak/contact-center` builds
//! both.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use vconductor_tests::campaign::contact_center::{Order, run};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let binary =
        PathBuf::from(arguments.next().ok_or("usage: contact_center BINARY [--calls N] [--kills N] [--seed N]")?);
    let mut order =
        Order { binary: std::fs::canonicalize(binary)?, calls: 40, kills: 0, seed: fastrand::u64(..), show: true };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("an option without its value")?;
        match name.as_str() {
            "--calls" => order.calls = value.parse()?,
            "--kills" => order.kills = value.parse()?,
            "--seed" => order.seed = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    println!("seed {}", order.seed);
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let found = run(&order, folder.path()).await?;
    println!();
    for (point, kills) in &found.kills {
        println!("{kills:5} kills at {point}");
    }
    for (vendor, (paid, again)) in &found.paid {
        println!("{paid:5} calls of {vendor} paid, {again} of them again (in flight when their conductor was killed)");
    }
    println!(
        "{} kills in {} s; {} runs given: {} done, {} of them after a third crash; {} breaches",
        found.kills.values().sum::<u32>(),
        started.elapsed().as_secs(),
        found.given,
        found.done,
        found.revived,
        found.breaches.len()
    );
    for breach in found.breaches.iter().take(20) {
        println!("BREACH {}", breach.chars().take(2000).collect::<String>());
    }
    if found.breaches.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("logs: {}", folder.keep().display());
    Ok(ExitCode::FAILURE)
}
