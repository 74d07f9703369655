//! `doctor`: why is nothing moving?
//!
//! [`facts`] looks, without a judgement; `rules` judges, without a look: each rule is a function of the facts, so that each
//! can be tested without a server. [`report`] tells.

mod facts;
mod outside;
mod report;
mod rules;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use self::facts::Facts;
use self::report::{Finding, Report};
use super::configuration::Configuration;
use super::exit::{Exit, Failure, Result};
use super::output::{self, Format};
use super::{age, plugins, store};

const ABOUT: &str = "\
Why is nothing moving? Look at the store, the conductors, the lists and what they wait for

One sentence first: what stops the work, or that nothing does. Then the findings, the worst first, each with its reason and \
the command that mends it; then what was looked at and found right. Nothing is changed.

With --config the storages of the configuration are tried, its budgets compared with what was spent, and the configuration \
with the one that conductors work by.";

const EXAMPLES: &str = "\
Examples:
  vconductor doctor
  vconductor doctor --config chains.yml                    # tries its storages, too
  vconductor doctor --store redis://localhost:6379/0
  vconductor doctor --output json | jq -r .headline
  vconductor doctor --quiet > /dev/null || page-somebody   # for a monitor

Exit codes:
  0   nothing to complain about (notes at most)
  1   warnings, or something that does not move
  69  the store cannot be reached or used";

/// Why is nothing moving? Look at store, conductors, lists and what they wait for
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// A configuration: for its store, its storages and its budgets
    #[arg(long, value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// The store, for example embedded:./vconductor-data
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// How long one storage, or the check of the store's file, may take
    #[arg(long, value_name = "TIME", value_parser = age::duration, default_value = "5s")]
    patience: Duration,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl Doctor {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let registry = plugins::registry()?;
        let configuration = (!self.config.is_empty()).then(|| Configuration::load(&self.config, &registry));
        let config = configuration.as_ref().and_then(|all| all.config.as_ref());
        let named = config.and_then(|config| config.store.as_ref()).map(|store| store.value.as_str());
        let (flag, patience) = (self.store.as_deref(), self.patience);
        let outside = async {
            match configuration.as_ref().zip(config) {
                Some((all, config)) => Some(outside::look(all, config, &registry, patience).await),
                None => None,
            }
        };
        let (opened, outside) = tokio::join!(store::open_existing(flag, named), outside);
        if let Some(all) = configuration.as_ref().filter(|all| all.config.is_none()) {
            super::configuration::complain(&all.findings);
        }
        let report = match opened {
            Err(failure) => Report::without_store(&store::name(flag, named), &failure, outside.as_ref()),
            Ok(store) => match Facts::gather(&*store, outside, patience).await {
                Ok(facts) => Report::of(&facts),
                // It went away while it was looked at.
                Err(failure) => Report::without_store(&store.describe(), &failure, None),
            },
        };
        match self.output {
            Format::Table => output::print(&report.text())?,
            Format::Json => output::print_json(&report)?,
            Format::Jsonl => output::print_jsonl(report.findings())?,
        }
        Ok(report.exit())
    }
}

impl Report {
    /// The store cannot be used: that comes before everything else.
    fn without_store(place: &str, failure: &Failure, outside: Option<&outside::Outside>) -> Self {
        let mut findings = vec![rules::store::unusable(place, failure)];
        let mut right = Vec::new();
        if let Some(outside) = outside {
            rules::outside::storages(outside, &mut findings, &mut right);
            rules::outside::files(outside, &mut findings, &mut right);
        }
        let headline = findings[0].stops.clone().unwrap_or_default();
        Report::new(place, headline, findings, right, Exit::Unavailable)
    }

    fn of(facts: &Facts) -> Self {
        let (mut findings, mut right) = (Vec::new(), Vec::new());
        rules::store::vitals(facts, &mut findings, &mut right);
        rules::conductors::all(facts, &mut findings, &mut right);
        rules::lists::all(facts, &mut findings, &mut right);
        rules::work::all(facts, &mut findings, &mut right);
        rules::letters::all(facts, &mut findings, &mut right);
        if let Some(outside) = &facts.outside {
            rules::outside::storages(outside, &mut findings, &mut right);
            rules::outside::files(outside, &mut findings, &mut right);
            rules::outside::budgets(outside, &facts.spent, &mut findings, &mut right);
        }
        let headline = headline(facts, &findings);
        let exit = if findings.iter().any(Finding::counts) { Exit::Findings } else { Exit::Done };
        Report::new(&facts.store, headline, findings, right, exit)
    }
}

/// What stops the work; else how the work goes.
fn headline(facts: &Facts, findings: &[Finding]) -> String {
    let mut stops: Vec<&Finding> = findings.iter().filter(|finding| finding.stops.is_some()).collect();
    stops.sort_by_key(|finding| finding.rank);
    if let Some(first) = stops.first().and_then(|finding| finding.stops.as_deref()) {
        return match stops.len() - 1 {
            0 => first.to_owned(),
            1 => format!("{first} One more thing below stops work."),
            more => format!("{first} {more} more things below stop work."),
        };
    }
    let (waiting, claimed, later) = facts.counts();
    let warnings = findings.iter().filter(|finding| finding.counts()).count() as u64;
    let goes = match (waiting, claimed, later) {
        (0, 0, 0) => "Nothing waits and nothing is at work: all lists are empty.".to_owned(),
        (0, 0, later) => format!("Nothing waits for a conductor; {later} go on later by themselves."),
        (waiting, claimed, _) => format!("Work moves: {claimed} at work, {waiting} waiting for their turn."),
    };
    match warnings {
        0 => goes,
        1 => format!("{goes} One warning below."),
        more => format!("{goes} {more} warnings below."),
    }
}
