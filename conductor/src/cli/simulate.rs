//! `simulate`: what a chain would do with one vCon.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{Cell, Color};
use serde_json::{Value, json};
use vconductor_core::compare::compare;
use vconductor_core::config::{Config, nearest};

use super::configuration::{self, Configuration};
use super::exit::{Exit, Failure, Result};
use super::output::{self, BAD, Format, GOOD, STRONG, plain, styled};
use super::plugins;
use super::test::stand_ins;
use super::vcon::{diff, files};
use crate::offline::{Ended, Executed, Execution, Outside, Rehearsal, Rehearsed, Unplayable};

const ABOUT: &str = "\
Show what a chain would do with one vCon

The vCon goes through the chain by the real engine, but nothing outside is reached: a link that would call somebody is passed \
over and the call is named, storages only remember what they were given, and waits pass at once. With --with, HTTP calls are \
answered and links mocked as a chain test says (`mocks:` and `http:` of its file).";

const EXAMPLES: &str = "\
Examples:
  vconductor simulate calls call.vcon --config chains.yml
  vconductor simulate calls call.vcon --config chains.yml --trace       # what every link changes
  vconductor simulate calls call.vcon --with calls_test.yml --trace
  vconductor vcon import call.wav | vconductor simulate calls - --output json

Exit codes:
  0 done, or stopped by a link   1 it would fail   65 no vCon   78 bad configuration";

/// Show what a chain would do with one vCon
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Simulate {
    /// The chain
    #[arg(value_name = "CHAIN")]
    chain: String,
    /// The vCon; - for stdin
    #[arg(value_name = "VCON")]
    vcon: String,
    /// Files and folders of *.yml (default: CONSERVER_CONFIG_FILE, else ./example_config.yml)
    #[arg(long, value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// Answers, mocks and variables of this chain test
    #[arg(long, value_name = "TEST_YML")]
    with: Option<PathBuf>,
    /// Let links start processes
    #[arg(long)]
    processes: bool,
    /// Show the edits of every link
    #[arg(long)]
    trace: bool,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl Simulate {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let registry = plugins::registry()?;
        let (outside, environment, tested) = match &self.with {
            Some(file) => {
                let stand_ins = stand_ins(file)?;
                (stand_ins.outside, Some(stand_ins.environment), Some(stand_ins.config))
            }
            None => (Outside::default(), None, None),
        };
        let paths = match tested.filter(|_| self.config.is_empty()) {
            Some(config) => vec![config],
            None => configuration::paths(&self.config, "simulate CHAIN VCON --config")?,
        };
        let configuration = match &environment {
            Some(environment) => Configuration::load_in(&paths, &registry, environment),
            None => Configuration::load(&paths, &registry),
        };
        let Some(config) = configuration.usable() else {
            configuration::complain(&configuration.findings);
            return Err(Failure::Silent(Exit::Configuration));
        };
        self.check_chain(config)?;
        let vcon = files::read(&self.vcon).map_err(|failure| failure.within(&self.vcon))?;
        let Some(uuid) = vcon.id() else {
            return Err(Failure::new(Exit::Data, format!("{}: the vCon has no uuid", self.vcon)));
        };
        let outside = Outside { processes: self.processes || outside.processes, lenient: true, ..outside };
        let rehearsal = Rehearsal { config, registry: &registry, chain: &self.chain };
        let rehearsed = match rehearsal.run(&uuid, vcon.document().to_bytes(), outside).await {
            Ok(rehearsed) => rehearsed,
            Err(Unplayable::Findings(findings)) => {
                configuration::complain(&findings);
                return Err(Failure::Silent(Exit::Configuration));
            }
            Err(Unplayable::Failed(error)) => return Err(error.into()),
        };
        match self.output {
            Format::Table => output::print(&self.text(&rehearsed))?,
            Format::Json => output::print_json(&self.document(&rehearsed))?,
            Format::Jsonl => output::print_jsonl([self.document(&rehearsed)])?,
        }
        let failed = matches!(rehearsed.ended, Ended::Failed(_) | Ended::Held(..));
        Ok(if failed { Exit::Findings } else { Exit::Done })
    }

    fn check_chain(&self, config: &Config) -> Result<()> {
        if config.chain(&self.chain).is_some() {
            return Ok(());
        }
        let names: Vec<&str> = config.chains.iter().map(|chain| &*chain.name.value).collect();
        let failure = Failure::new(Exit::Usage, format!("there is no chain `{}`", self.chain));
        Err(match nearest(&self.chain, names.iter().copied()) {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help(format!("the chains are: {}", names.join(", "))),
        })
    }

    fn text(&self, rehearsed: &Rehearsed) -> String {
        let mut table = output::table(&["LINK", "WHAT IT DOES", "CHANGES", "TIME", "COST"]);
        for execution in &rehearsed.executions {
            let (colour, what) = what(execution);
            let changes = changes(execution);
            let counted = if changes.is_empty() { "-".to_owned() } else { changes.len().to_string() };
            let cost = execution.cost.map_or_else(|| "-".to_owned(), |cost| format!("${cost:.4}"));
            table.add_row([
                Cell::new(plain(&execution.link)),
                Cell::new(plain(&what)).fg(colour),
                Cell::new(counted),
                output::number(format_args!("{:.1} ms", execution.took.as_secs_f64() * 1000.0)),
                output::number(cost),
            ]);
        }
        let passed = rehearsed.links.iter().filter(|link| !rehearsed.executions.iter().any(|done| done.link == **link));
        for link in passed {
            table.add_row([Cell::new(plain(link)), Cell::new("not executed").fg(Color::DarkGrey)]);
        }
        let mut text = output::table_text(&table);
        if self.trace {
            for execution in &rehearsed.executions {
                text.push_str(&traced(execution));
            }
        }
        text.push_str(&ending(rehearsed));
        text
    }

    fn document(&self, rehearsed: &Rehearsed) -> Value {
        let execution = |execution: &Execution| {
            json!({
                "link": execution.link,
                "attempt": execution.attempt,
                "mocked": execution.mocked,
                "does": what(execution).1,
                "changes": execution.after().map(|after| {
                    compare(execution.before.document(), &after).iter().map(diff::shown).collect::<Vec<_>>()
                }).unwrap_or_default(),
                "pushes": execution.pushes,
                "notes": execution.notes,
                "took_ms": execution.took.as_secs_f64() * 1000.0,
                "cost_usd": execution.cost,
            })
        };
        let call = |call: &crate::offline::Called| json!({"method": call.method.as_str(), "url": call.url, "status": call.status.map(|status| status.as_u16())});
        let failure = match &rehearsed.ended {
            Ended::Failed(failure) => json!({"step": failure.step, "message": failure.message, "help": failure.help}),
            Ended::Held(link, why) => json!({"step": link, "message": why}),
            Ended::Done | Ended::Stopped => Value::Null,
        };
        json!({
            "chain": self.chain,
            "outcome": rehearsed.ended.as_str(),
            "failure": failure,
            "links": rehearsed.executions.iter().map(execution).collect::<Vec<_>>(),
            "calls": rehearsed.calls.iter().map(call).collect::<Vec<_>>(),
            "storages": rehearsed.saved.iter().map(|(storage, ..)| storage).collect::<Vec<_>>(),
            "egress": rehearsed.pushed,
            "waited_seconds": rehearsed.waited.as_secs_f64(),
            "vcon": serde_json::from_slice::<Value>(&rehearsed.document).unwrap_or_default(),
        })
    }
}

fn what(execution: &Execution) -> (Color, String) {
    let mocked = if execution.mocked { " (mocked)" } else { "" };
    match &execution.executed {
        Executed::Continue => (Color::Green, format!("goes on{mocked}")),
        Executed::Stop => (Color::Yellow, format!("stops the chain{mocked}")),
        Executed::Switch(uuid) => (Color::Green, format!("goes on with {uuid}")),
        Executed::Park => (Color::Yellow, "waits".to_owned()),
        Executed::WouldCall(call) => (Color::Yellow, format!("would call {call}")),
        Executed::Failed(_, message, _) => (Color::Red, format!("fails: {message}{mocked}")),
    }
}

fn changes(execution: &Execution) -> Vec<String> {
    let Ok(after) = execution.after() else { return Vec::new() };
    compare(execution.before.document(), &after).iter().map(diff::line).collect()
}

fn traced(execution: &Execution) -> String {
    let mut text = format!("\n{}\n", styled(STRONG, plain(&execution.link)));
    let lines = changes(execution);
    lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    for list in &execution.pushes {
        text.push_str(&format!("  to list {}\n", plain(list)));
    }
    for note in &execution.notes {
        text.push_str(&format!("  {}\n", plain(note)));
    }
    if let Executed::Failed(_, _, Some(help)) = &execution.executed {
        text.push_str(&format!("  help: {}\n", plain(help)));
    }
    if lines.is_empty() && execution.pushes.is_empty() && execution.notes.is_empty() {
        text.push_str("  changes nothing\n");
    }
    text
}

fn ending(rehearsed: &Rehearsed) -> String {
    let (style, mut text) = match &rehearsed.ended {
        Ended::Done => (GOOD, "done".to_owned()),
        Ended::Stopped => (GOOD, "stopped by a link: no storages, no egress".to_owned()),
        Ended::Failed(failure) => (BAD, format!("failed at `{}`: {}", failure.step, failure.message)),
        Ended::Held(link, why) => (BAD, format!("link `{link}` would be held until it is mended: {why}")),
    };
    text = format!("\n{}\n", styled(style, plain(&text)));
    if let Ended::Failed(failure) = &rehearsed.ended
        && let Some(help) = &failure.help
    {
        text.push_str(&format!("  help: {}\n", plain(help)));
    }
    let saved: Vec<&str> = rehearsed.saved.iter().map(|(storage, ..)| storage.as_str()).collect();
    if !saved.is_empty() {
        text.push_str(&format!("  storages  {}\n", saved.join(", ")));
    }
    if !rehearsed.pushed.is_empty() {
        let lists: Vec<&str> = rehearsed.pushed.keys().map(String::as_str).collect();
        text.push_str(&format!("  lists     {}\n", lists.join(", ")));
    }
    if rehearsed.waited.as_secs() > 0 {
        text.push_str(&format!("  waited    {} s\n", rehearsed.waited.as_secs()));
    }
    text
}
