//! `check`: is a configuration right?

mod inputs;
mod markdown;
mod online;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use vconductor_core::config::{self, AssumedEnvironment, Environment, Finding, ProcessEnvironment};
use vconductor_core::plugin::Registry;

use super::configuration::{self, Configuration};
use super::exit::{Exit, Result};
use super::{age, output, plugins};
use inputs::Inputs;
use markdown::Block;
use online::{Outcome, Tried};

const ABOUT: &str = "\
Check a configuration

Reads it as `run` does, builds every link and storage, and reports each finding with file, line, column and what to do. \
Opens no connection unless --online says so. CONFIG is a file, a folder of *.yml files, or a pattern such as 'conf/*.yml'; \
several are joined. Without CONFIG: CONSERVER_CONFIG_FILE, else ./example_config.yml.

Of Markdown files (*.md) every block marked `yaml` that holds a configuration is checked by itself; `yaml fragment` says \
that a block shows a part, `yaml no-check` leaves it out.

A file with none of vConductor's own keys is read in compatibility mode: what vcon-server ignores is ignored too, and \
what leaving that mode would change is listed. A warning that is meant is allowed by a comment in its line: \
`# check: allow VC0405`.";

const EXAMPLES: &str = "\
Examples:
  vconductor check chains.yml
  vconductor check chains/ --deny-warnings
  vconductor check chains.yml --online               # do the storages answer, are the keys accepted?
  vconductor check 'docs/**/*.md' README.md          # the YAML in the documentation
  vconductor check chains/ --assume-env --output github   # annotations of a pull request, without secrets

Exit codes:
  0 no errors                  1 warnings, with --deny-warnings; with --online, something refuses
  69 with --online, something does not answer          78 errors";

/// Check a configuration
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Check {
    /// Files, folders of *.yml, patterns, and Markdown files
    #[arg(value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Take variables and secret files that are not set as set, and do not judge what depends on them
    #[arg(long)]
    assume_env: bool,
    /// Try the store, every storage, provider and other server, by calls that cost nothing
    #[arg(long, conflicts_with = "assume_env")]
    online: bool,
    /// How long each of them may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = age::duration, requires = "online")]
    timeout: Duration,
    /// The store to try, for example redis://localhost
    #[arg(long, value_name = "URL", requires = "online")]
    store: Option<String>,
    /// The form of the output; `jsonl` gives a line per finding
    #[arg(long, value_enum, default_value_t)]
    output: CheckFormat,
}

/// The forms that findings have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum CheckFormat {
    /// For people, as a compiler prints them.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document per finding.
    Jsonl,
    /// Annotations of GitHub Actions.
    Github,
}

/// Everything that was looked at.
struct Checked {
    /// The YAML files, joined; `None` when only Markdown was named.
    configuration: Option<Configuration>,
    /// The configurations in Markdown files.
    blocks: Vec<Block>,
    /// What was found in Markdown outside of blocks, or about reading files.
    loose: Vec<Finding>,
    /// What was tried online.
    tried: Vec<Tried>,
}

impl Check {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let registry = plugins::registry()?;
        let mut checked = self.look(&registry)?;
        if self.online && checked.errors() == 0 {
            checked.tried = self.tried(&checked, &registry).await?;
        }
        match self.output {
            CheckFormat::Table => output::print(&told::text(&checked, self))?,
            CheckFormat::Json => output::print_json(&told::document(&checked, self))?,
            CheckFormat::Jsonl => output::print_jsonl(told::lines(&checked))?,
            CheckFormat::Github => output::print(&config::render_github(&checked.findings()))?,
        }
        Ok(self.exit(&checked))
    }

    /// Reads and checks everything that is named.
    fn look(&self, registry: &Registry) -> Result<Checked> {
        let inputs = Inputs::of(&configuration::paths(&self.config, "check")?)?;
        let environment: &dyn Environment = if self.assume_env { &AssumedEnvironment } else { &ProcessEnvironment };
        let configuration =
            (!inputs.yaml.is_empty()).then(|| Configuration::load_in(&inputs.yaml, registry, environment));
        let (mut blocks, mut loose) = (Vec::new(), Vec::new());
        for file in &inputs.markdown {
            blocks.extend(markdown::check(file, registry, &mut loose));
        }
        Ok(Checked { configuration, blocks, loose, tried: Vec::new() })
    }

    async fn tried(&self, checked: &Checked, registry: &Registry) -> Result<Vec<Tried>> {
        let Some(config) = checked.configuration.as_ref().and_then(Configuration::usable) else {
            return Ok(Vec::new());
        };
        online::run(config, registry, self.store.as_deref(), self.timeout).await
    }

    fn exit(&self, checked: &Checked) -> Exit {
        let failed = |code| checked.tried.iter().any(|tried| tried.outcome == code);
        if checked.errors() > 0 {
            Exit::Configuration
        } else if failed(Outcome::NoAnswer) {
            Exit::Unavailable
        } else if failed(Outcome::Refused) || (self.deny_warnings && checked.warnings() > 0) {
            Exit::Findings
        } else {
            Exit::Done
        }
    }
}

impl Checked {
    fn configurations(&self) -> impl Iterator<Item = &Configuration> {
        self.configuration.iter().chain(self.blocks.iter().map(|block| &block.configuration))
    }

    /// All findings about what is written.
    fn written(&self) -> impl Iterator<Item = &Finding> {
        self.loose.iter().chain(self.configurations().flat_map(|configuration| &configuration.findings))
    }

    /// All findings, those of what was tried last.
    fn findings(&self) -> Vec<Finding> {
        let all = self.written().chain(self.tried.iter().filter_map(|tried| tried.finding.as_ref()));
        // Again, so that what is secret to those about the file is secret to the others.
        config::without_allowed(all.cloned().collect())
    }

    fn errors(&self) -> u64 {
        let unread = self.configurations().filter(|configuration| configuration.config.is_none()).count() as u64;
        let told = self.written().filter(|finding| finding.is_error()).count() as u64;
        // What cannot be read at all is an error that was told.
        told.max(unread)
    }

    fn warnings(&self) -> u64 {
        self.written().filter(|finding| !finding.is_error()).count() as u64
    }
}
