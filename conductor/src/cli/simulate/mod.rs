//! `simulate`: what a chain would do with one vCon.

mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use vconductor_core::compare::compare;
use vconductor_core::config::{Config, nearest};

use super::configuration::{self, Configuration};
use super::exit::{Exit, Failure, Result};
use super::output::{self, Format};
use super::plugins;
use super::test::stand_ins;
use super::vcon::{diff, files};
use crate::offline::{Called, Ended, Execution, Outside, Rehearsal, Rehearsed, Unplayable};

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
            Format::Table => output::print(&text::of(&rehearsed, self.trace))?,
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

    fn document(&self, rehearsed: &Rehearsed) -> Value {
        let execution = |execution: &Execution| {
            json!({
                "link": execution.link,
                "attempt": execution.attempt,
                "mocked": execution.mocked,
                "does": text::what(execution).1,
                "changes": execution.after().map(|after| {
                    compare(execution.before.document(), &after).iter().map(diff::shown).collect::<Vec<_>>()
                }).unwrap_or_default(),
                "pushes": execution.pushes,
                "notes": execution.notes,
                "took_ms": execution.took.as_secs_f64() * 1000.0,
                "cost_usd": execution.cost,
            })
        };
        let call = |call: &Called| {
            let status = call.status.map(|status| status.as_u16());
            json!({"method": call.method.as_str(), "url": call.url, "status": status})
        };
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
            "storages": rehearsed.saved.iter().map(|(storage, ..)| storage).collect::<BTreeSet<_>>(),
            "egress": rehearsed.pushed,
            "waited_seconds": rehearsed.waited.as_secs_f64(),
            "vcon": serde_json::from_slice::<Value>(&rehearsed.document).unwrap_or_default(),
        })
    }
}
