//! Chain tests and simulations: chains by the real engine, with nothing outside reached.

mod drawn;
#[path = "../place/mod.rs"]
mod place;
mod scaffolded;
mod shipped;
mod simulated;
mod tested;

use std::process::Command;

use place::{Done, Place, done};

/// A configuration with a webhook, a link that fails for ever, a process and two chains.
const CHAINS: &str = include_str!("data/chains.yml");

/// Runs the binary where there is no network: in a namespace of its own, whose loopback is down.
fn without_network(place: &Place, arguments: &[&str]) -> Done {
    let inner = place.command(arguments);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--"]).arg(inner.get_program()).args(arguments);
    command.current_dir(place.0.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let all = done(&mut command);
    assert!(!all.stderr.contains("unshare"), "a network namespace cannot be had here: {}", all.stderr);
    all
}

/// Without the times that differ from run to run, and the widths of columns that follow from them.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        for at in 1..words.len() {
            if words[at] == "ms" && words[at - 1].parse::<f64>().is_ok() {
                words[at - 1] = "N";
            }
        }
        let mut line = words.join(" ");
        if let Some((start, time)) = line.split_once("start: ").filter(|(_, time)| time.ends_with('Z')) {
            line = format!("{start}start: {}", if time.parse::<jiff::Timestamp>().is_ok() { "TIME" } else { time });
        }
        if line.contains("N ms") || line.contains("WHAT IT DOES") {
            let indent = line.len() - line.trim_start().len();
            let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
            line = format!("{:indent$}{}", "", cells.collect::<Vec<_>>().join("  "));
        }
        steady.push_str(&format!("{line}\n"));
    }
    steady
}
