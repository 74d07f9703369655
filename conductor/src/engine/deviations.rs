//! Chains for runs that deviate from theirs: built when the first such run comes, once for all that deviate in the same way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use vconductor_core::config::{
    self, ChainConfig, Code, Config, Environment, Finding, ProcessEnvironment, Setting, Source, Span, nearest,
};
use vconductor_core::error::{Error, Result};
use vconductor_core::plugin::Registry;
use vconductor_core::run::Deviation;

use super::assemble;
use super::chain::{Chain, Chains};
use super::report::Report;

/// So many ways to deviate are remembered; with one more all are built anew as they come.
const MOST: usize = 64;

/// What chains were built from.
pub(super) struct Recipe {
    pub(super) config: Config,
    pub(super) registry: Registry,
    pub(super) report: Arc<Report>,
}

/// The chains of one generation that deviate.
#[derive(Default)]
pub(super) struct Deviations(Mutex<HashMap<(String, Deviation), Arc<Chain>>>);

impl Deviations {
    /// The chain as a run wants it.
    ///
    /// # Errors
    /// Configuration: what the run wants does not fit this generation of the configuration.
    pub(super) fn chain(&self, chains: &Chains, chain: &Arc<Chain>, wanted: &Deviation) -> Result<Arc<Chain>> {
        if wanted.is_none() {
            return Ok(Arc::clone(chain));
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (chain.name.clone(), wanted.clone());
        if let Some(built) = known.get(&key) {
            return Ok(Arc::clone(built));
        }
        let built = build(chains, &chain.name, wanted).map(Arc::new).map_err(|why| {
            Error::configuration(why).help(
                "it goes on with `vconductor replay --from dlq` and another --set, or with --new-run as the chain is \
                 configured",
            )
        })?;
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, Arc::clone(&built));
        Ok(built)
    }
}

fn build(chains: &Chains, name: &str, wanted: &Deviation) -> Result<Chain, String> {
    let Some(recipe) = &chains.recipe else {
        return Err("this conductor was made without a configuration, so its chains cannot be changed".to_owned());
    };
    let built = assemble::deviating(recipe, &chains.built, name, wanted, &ProcessEnvironment, true);
    built.map_err(|findings| said(&findings))
}

/// What is wrong with what a run wants, in one line.
fn said(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error());
    let messages: Vec<String> = errors.map(|finding| finding.message.clone()).collect();
    format!("what this run is to do differently does not fit its chain: {}", messages.join("; "))
}

/// What a run wants to set, with findings about names that its chain does not have.
pub(super) fn settings(chain: &ChainConfig, wanted: &Deviation, findings: &mut Vec<Finding>) -> Vec<Setting> {
    let names: Vec<&str> = chain.steps().map(|step| &*step.link.value).collect();
    let mut need = |text: &str, link: &str| {
        if !names.contains(&link) {
            let message = format!("chain `{}` has no link `{link}`", chain.name);
            findings.push(unknown(text, 0..link.len(), message).nearest(nearest(link, &names)));
        }
    };
    for link in wanted.from_link.iter().chain(&wanted.skip) {
        need(link, link);
    }
    let mut settings = Vec::new();
    let mut wrong = Vec::new();
    for text in &wanted.set {
        match Setting::parse(text) {
            Ok(setting) => {
                need(text, &setting.link);
                settings.push(setting);
            }
            Err(error) => wrong.push(refused(text, &error)),
        }
    }
    findings.append(&mut wrong);
    settings
}

/// A finding about a text of the command line.
pub(super) fn unknown(text: &str, place: std::ops::Range<usize>, message: String) -> Finding {
    let source = Source::new("command line", text);
    Finding::error(Code::UnknownLink, &Span::new(&source, place), message)
}

/// What stands in place of a value that is not shown.
const NOT_SHOWN: &str = "=...";

/// Whether a finding is about a setting that is refused whatever its value means to the link.
fn is_refusal(finding: &Finding) -> bool {
    finding.span.source().text().ends_with(NOT_SHOWN)
}

/// Without the value: it may be a secret.
pub(super) fn refused(text: &str, error: &Error) -> Finding {
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    let source = Source::new("--set", format!("{name}{NOT_SHOWN}"));
    let finding = Finding::error(Code::BadValue, &Span::new(&source, 0..name.len()), error.chain_text());
    match error.help_text() {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// Whether a deviation fits a chain, before any run has it. Answers the variables and files that it names and that are not
/// known here: they may be where the conductor runs, and what is in them can only be judged there.
///
/// # Errors
/// Findings about the places in what was asked for.
pub(crate) fn check(
    config: &Config,
    registry: &Registry,
    chain: &str,
    wanted: &Deviation,
) -> Result<Vec<String>, Vec<Finding>> {
    let recipe = Recipe { config: config.clone(), registry: registry.clone(), report: Arc::new(Report::default()) };
    let elsewhere = Elsewhere::default();
    let built = assemble::deviating(&recipe, &Default::default(), chain, wanted, &elsewhere, false);
    let unknown = elsewhere.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Err(mut findings) = built else { return Ok(unknown) };
    if !unknown.is_empty() {
        // What a link says of a value that was only guessed is worth nothing; without it, it is worth something again.
        findings.retain(|finding| finding.code != Code::BadValue || is_refusal(finding));
        let rest = wanted.set.iter().filter(|text| !text.contains("${")).cloned().collect();
        let known = Deviation { set: rest, ..wanted.clone() };
        let built = assemble::deviating(&recipe, &Default::default(), chain, &known, &ProcessEnvironment, false);
        let more = built.err().unwrap_or_default();
        findings.extend(more.into_iter().filter(|finding| finding.code == Code::BadValue));
    }
    if config::has_errors(&findings) { Err(findings) } else { Ok(unknown) }
}

/// The environment of a conductor, as far as it is known here; with the names of what is not.
#[derive(Default)]
struct Elsewhere(Mutex<Vec<String>>);

impl Elsewhere {
    fn guess(&self, name: &str) -> String {
        let mut unknown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.iter().all(|known| known != name) {
            unknown.push(name.to_owned());
        }
        "not known here".to_owned()
    }
}

impl Environment for Elsewhere {
    fn variable(&self, name: &str) -> Option<String> {
        Some(ProcessEnvironment.variable(name).unwrap_or_else(|| self.guess(name)))
    }

    fn file(&self, path: &str) -> std::io::Result<String> {
        Ok(ProcessEnvironment.file(path).unwrap_or_else(|_| self.guess(path)))
    }
}
