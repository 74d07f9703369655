//! Logs: to stderr, above the live lines of a terminal.
//!
//! What tells how a run ended has a target of its own, [`RUNS`]: one line for each vCon is what a collector of JSON lines wants,
//! and too much for somebody who looks on.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::exit::{Exit, Failure, Result};
use super::progress;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The target of the lines that tell how runs ended.
const RUNS: &str = "vconductor::run";

/// Starts logging. `--verbose` and `--quiet` beat `VCONDUCTOR_LOG`, which beats `RUST_LOG`.
pub(crate) fn start(format: LogFormat, verbose: u8, quiet: bool) -> Result<()> {
    let filter = filter(format, verbose, quiet)?;
    // Whoever reads the log may go away; that must not end the work that is logged.
    let subscriber =
        tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter).with_writer(AboveLines);
    match format {
        LogFormat::Text => {
            let colour = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
            subscriber.with_ansi(colour).with_target(verbose > 0).init();
        }
        LogFormat::Json => {
            subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
    Ok(())
}

fn filter(format: LogFormat, verbose: u8, quiet: bool) -> Result<EnvFilter> {
    let text = match (quiet, verbose) {
        (true, _) => "error".to_owned(),
        (false, 0) => {
            match ["VCONDUCTOR_LOG", "RUST_LOG"].iter().find_map(|name| non_empty(name).map(|text| (*name, text))) {
                Some((name, text)) => {
                    return EnvFilter::try_new(&text).map_err(|error| {
                        Failure::new(Exit::Usage, format!("{name}=`{text}` is not a log filter: {error}"))
                    });
                }
                None if format == LogFormat::Json => own("warn", "info"),
                None => format!("{},{RUNS}=error", own("warn", "info")),
            }
        }
        (false, 1) => own("info", "debug"),
        (false, 2) => own("debug", "trace"),
        (false, _) => "trace".to_owned(),
    };
    EnvFilter::try_new(&text).map_err(|error| Failure::new(Exit::Usage, format!("log filter `{text}`: {error}")))
}

/// One level for other people's code and one for ours.
fn own(others: &str, ours: &str) -> String {
    let crates = ["vconductor", "vconductor_core", "vconductor_links", "vconductor_storages", "vconductor_ingress"];
    crates.iter().fold(others.to_owned(), |text, name| format!("{text},{name}={ours}"))
}

fn non_empty(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Writes each event in one piece while the live lines are out of the way.
struct AboveLines;

impl<'a> MakeWriter<'a> for AboveLines {
    type Writer = AboveLines;

    fn make_writer(&'a self) -> Self::Writer {
        AboveLines
    }
}

impl Write for AboveLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::aside(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_crates_say_more_than_others() {
        assert!(own("warn", "info").starts_with("warn,vconductor=info,"));
        for verbose in 1..4 {
            assert!(filter(LogFormat::Text, verbose, false).is_ok());
        }
        assert_eq!(filter(LogFormat::Json, 0, true).unwrap().to_string(), "error");
    }
}
