//! What strangers and careless clients do to the HTTP API, and what others notice of it.
//!
//! `door_campaign BINARY [--idle N] [--slow N] [--uploads N] [--megabytes N]`
//!
//! BINARY is `vconductor` or `conductor_under_test`; `scripts/soak/door` builds both.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use vconductor_tests::campaign::door::{Part, Size, run};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let binary = PathBuf::from(arguments.next().ok_or("usage: door_campaign BINARY [--idle N] [--slow N] ...")?);
    let mut size = Size { idle: 10_000, slow: 500, uploads: (100, 50) };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("an option without its value")?.parse()?;
        match name.as_str() {
            "--idle" => size.idle = value,
            "--slow" => size.slow = value,
            "--uploads" => size.uploads.0 = value,
            "--megabytes" => size.uploads.1 = value,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let folder = tempfile::tempdir()?;
    let show = |part: &Part| {
        let (now, most) = (part.memory.0 >> 20, part.memory.1 >> 20);
        println!(
            "{:18} others waited {:>6.0} ms at most ({} calls); memory {now} MiB, {most} at most; {}",
            part.name,
            part.longest.as_secs_f64() * 1e3,
            part.asked,
            part.told
        );
        part.breaches.iter().take(5).for_each(|breach| println!("BREACH {breach}"));
    };
    let breaches = run(&std::fs::canonicalize(binary)?, size, folder.path(), show).await?;
    println!("{breaches} breaches");
    Ok(if breaches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
