//! Transcribes a recording of three hours by a conductor of its own, and compares what was heard with what was recorded.
//!
//! `long_recording BINARY [--minutes N]`
//!
//! BINARY is `conductor_under_test`; `scripts/soak/long-recording` builds both.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use vconductor_tests::campaign::long_recording::run;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let binary = PathBuf::from(arguments.next().ok_or("usage: long_recording BINARY [--minutes N]")?);
    let mut minutes = 180;
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("an option without its value")?;
        match name.as_str() {
            "--minutes" => minutes = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let found = run(&binary, minutes).await?;
    println!(
        "{minutes} minutes in {:.1} s: {} parts of at most {:.1} MB, {} at the same time; the conductor had {} MiB at most; \
         times off by {:.1} ms at most; {} breaches",
        found.took.as_secs_f64(),
        found.parts,
        found.largest as f64 / 1e6,
        found.at_once,
        found.memory >> 20,
        found.off * 1e3,
        found.breaches.len()
    );
    for breach in found.breaches.iter().take(20) {
        println!("BREACH {breach}");
    }
    Ok(if found.breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
