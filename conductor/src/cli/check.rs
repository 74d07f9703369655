//! `check`: is a configuration right?

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use vconductor_core::config::{self, Config, Finding, compat_effects};

use super::configuration::{self, Configuration};
use super::exit::{Exit, Result};
use super::output::{self, BAD, DIM, GOOD, STRONG, WARN, styled};
use super::plugins;

const ABOUT: &str = "\
Check a configuration

Reads it as `run` does, builds every link and storage, and reports each finding with file, line, column and what to do. \
Opens no connection. CONFIG is a file or a folder of *.yml files; several are joined. Without CONFIG: \
CONSERVER_CONFIG_FILE, else ./example_config.yml.

A file with none of vConductor's own keys is read in compatibility mode: what vcon-server ignores is ignored too, and \
what leaving that mode would change is listed.";

const EXAMPLES: &str = "\
Examples:
  vconductor check chains.yml
  vconductor check chains/ --deny-warnings
  vconductor check chains.yml --output github      # annotations of a pull request

Exit codes:
  0 no errors   1 warnings, with --deny-warnings   78 errors";

/// Check a configuration
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Check {
    /// Files and folders of *.yml
    #[arg(value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
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

impl Check {
    pub(crate) fn run(&self) -> Result<Exit> {
        let paths = configuration::paths(&self.config, "check")?;
        let configuration = Configuration::load(&paths, &plugins::registry()?);
        match self.output {
            CheckFormat::Table => output::print(&self.text(&configuration))?,
            CheckFormat::Json => output::print_json(&document(&configuration))?,
            CheckFormat::Jsonl => output::print_jsonl(&configuration.findings)?,
            CheckFormat::Github => output::print(&config::render_github(&configuration.findings))?,
        }
        Ok(self.exit(&configuration))
    }

    fn exit(&self, configuration: &Configuration) -> Exit {
        if configuration.usable().is_none() {
            Exit::Configuration
        } else if self.deny_warnings && configuration.warnings() > 0 {
            Exit::Findings
        } else {
            Exit::Done
        }
    }

    fn text(&self, configuration: &Configuration) -> String {
        let mut text = config::render(&configuration.findings, output::stdout_has_colour(), output::width());
        if let Some(config) = &configuration.config {
            text.push_str(&format!("{}\n", styled(DIM, configuration::mode(&config.mode))));
            push_effects(&mut text, config);
        }
        let style = match self.exit(configuration) {
            Exit::Done if configuration.warnings() > 0 => WARN,
            Exit::Done => GOOD,
            _ => BAD,
        };
        text.push_str(&format!("{}\n", styled(style, configuration.verdict())));
        text
    }
}

fn push_effects(text: &mut String, config: &Config) {
    let effects = compat_effects(config);
    if effects.is_empty() {
        return;
    }
    text.push_str(&format!(
        "{}\n",
        styled(STRONG, "Ignored as in vcon-server; leaving compatibility mode gives it effect:")
    ));
    for effect in effects {
        text.push_str(&format!("  {}: {}\n", place(effect), effect.message));
    }
}

fn place(finding: &Finding) -> String {
    format!("{}:{}:{}", finding.span.source().name(), finding.span.line(), finding.span.column())
}

fn document(configuration: &Configuration) -> Value {
    let config = configuration.config.as_ref();
    json!({
        "files": configuration.files(),
        "mode": config.map(|config| if config.mode.is_native() { "native" } else { "compatibility" }),
        "generation": config.map(|config| &config.hash),
        "errors": configuration.errors(),
        "warnings": configuration.warnings(),
        "findings": configuration.findings,
        "leaving_compatibility_mode": config.map(compat_effects).unwrap_or_default(),
    })
}
