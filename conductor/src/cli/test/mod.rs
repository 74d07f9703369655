//! `test`: plays the chain tests that stand beside configurations.

mod file;
mod judge;
mod junit;
mod play;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use vconductor_core::config::{self, Finding, has_errors};
use vconductor_core::plugin::Registry;

use self::file::{Case, File};
pub(super) use self::judge::executed;
pub(super) use self::play::Rehearsable;
use super::configuration;
use super::exit::{Exit, Failure, Result};
use super::output::{self, BAD, DIM, Format, GOOD, styled};
use super::plugins;

const ABOUT: &str = "\
Play chain tests

A file NAME_test.yml beside NAME.yml says what is to become of a vCon: it goes through the chain by the real engine, with \
every HTTP call answered by the test, links mocked where it says so, and storages that only remember what they were given. \
Nothing outside is reached, and waits pass at once. PATH is a file, or a folder that is searched for *_test.yml; without \
one, the present folder.";

const EXAMPLES: &str = "\
Examples:
  vconductor test
  vconductor test chains/ --junit results.xml
  vconductor test calls_test.yml --output json

A test, calls_test.yml:
  env: {SLACK_TOKEN: test}                       # for ${env:...} of calls.yml
  mocks:
    transcribe:                                  # a link, in place of what it would do
      analysis: [{type: transcript, dialog: 0, body: {transcript: I want my money back}}]
  http:
    - url: https://api.openai.com/*              # the answer to a call
      answer: {choices: [{message: {content: \"yes\"}}]}
  tests:
    - name: a complaint goes to the team
      chain: calls
      vcon: {parties: [{tel: \"+12025550123\"}], dialog: [{type: recording, url: https://x.example.com/1.wav}]}
      expect:
        tags: [complaint]
        egress: [complaints]
        http: [{method: POST, url: https://slack.com/api/chat.postMessage, body: {channel: team}}]

Exit codes:
  0 all are as expected   1 some are not   2 there is no such test   78 a test or configuration is wrong";

/// Play chain tests
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Test {
    /// Files, and folders that are searched for *_test.yml
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Play only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// What came of one test.
struct Played {
    name: String,
    findings: Vec<Finding>,
    took: Duration,
}

impl Played {
    fn passed(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Test {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let registry = plugins::registry()?;
        let mut results = Vec::new();
        let mut broken = false;
        for path in self.files()? {
            match self.play(&path, &registry).await {
                Ok(played) => results.push((path.display().to_string(), played)),
                Err(findings) => {
                    broken = true;
                    configuration::complain(&findings);
                }
            }
        }
        if let Some(only) =
            self.only.as_ref().filter(|_| !broken && results.iter().all(|(_, played)| played.is_empty()))
        {
            return Err(Failure::new(Exit::Usage, format!("no test's name contains `{only}`")));
        }
        match self.output {
            Format::Table => output::print(&text(&results))?,
            Format::Json => output::print_json(&documents(&results))?,
            Format::Jsonl => output::print_jsonl(documents(&results))?,
        }
        if let Some(file) = &self.junit {
            std::fs::write(file, junit::document(&results))
                .map_err(|error| Failure::new(Exit::Data, format!("{} cannot be written: {error}", file.display())))?;
        }
        let failed = results.iter().any(|(_, played)| played.iter().any(|played| !played.passed()));
        Ok(match (broken, failed) {
            (true, _) => Exit::Configuration,
            (false, true) => Exit::Findings,
            (false, false) => Exit::Done,
        })
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in &self.paths {
            if path.is_dir() {
                search(path, &mut files);
            } else {
                files.push(path.clone());
            }
        }
        if files.is_empty() {
            let places: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
            return Err(Failure::new(Exit::Data, format!("there is no *_test.yml in {}", places.join(", ")))
                .help("write one beside your configuration; `vconductor test --help` has an example"));
        }
        files.sort();
        Ok(files)
    }

    /// Plays the tests of one file; `Err`: file or configuration are wrong.
    async fn play(&self, path: &Path, registry: &Registry) -> std::result::Result<Vec<Played>, Vec<Finding>> {
        let rehearsable = Rehearsable::read(path, registry)?;
        let wanted = |case: &&Case| self.only.as_ref().is_none_or(|only| case.name.contains(only));
        let mut played = Vec::new();
        for case in rehearsable.file.cases.iter().filter(wanted) {
            played.push(rehearsable.play(case, registry).await?);
        }
        Ok(played)
    }
}

fn search(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            search(&path, files);
        } else if name.ends_with("_test.yml") || name.ends_with("_test.yaml") {
            files.push(path);
        }
    }
}

fn text(results: &[(String, Vec<Played>)]) -> String {
    let mut text = String::new();
    let (mut passed, mut failed) = (0, 0);
    for (file, played) in results {
        text.push_str(&format!("{file}\n"));
        for played in played {
            let time = styled(DIM, format_args!("{} ms", played.took.as_millis()));
            if played.passed() {
                passed += 1;
                text.push_str(&format!("  {}  {}  {time}\n", styled(GOOD, "ok  "), output::plain(&played.name)));
            } else {
                failed += 1;
                text.push_str(&format!("  {}  {}  {time}\n", styled(BAD, "FAIL"), output::plain(&played.name)));
                let told = config::render(&played.findings, output::stdout_has_colour(), output::width());
                text.push_str(&format!("{told}\n"));
            }
        }
    }
    let style = if failed > 0 { BAD } else { GOOD };
    text.push_str(&format!("{}\n", styled(style, format_args!("{passed} passed, {failed} failed"))));
    text
}

fn documents(results: &[(String, Vec<Played>)]) -> Vec<Value> {
    let document = |(file, played): (&String, &Played)| {
        json!({
            "file": file,
            "test": played.name,
            "passed": played.passed(),
            "took_ms": played.took.as_millis(),
            "findings": played.findings,
        })
    };
    results.iter().flat_map(|(file, played)| played.iter().map(move |played| (file, played))).map(document).collect()
}

/// What a chain test says of the outside, for a simulation.
pub(super) struct StandIns {
    /// Answers and mocks.
    pub(super) outside: crate::offline::Outside,
    /// Variables and files.
    pub(super) environment: file::Given,
    /// The configuration that is tested.
    pub(super) config: PathBuf,
}

/// Reads what stands at the top of a file of chain tests.
///
/// # Errors
/// 78 if something is wrong with it, which is told.
pub(super) fn stand_ins(path: &Path) -> Result<StandIns> {
    let mut findings = Vec::new();
    let file = File::read(path, &mut findings);
    let stand_ins = file.map(|file| {
        let outside = file.outside_of_all(&mut findings);
        StandIns { outside, environment: file.environment, config: file.config }
    });
    stand_ins.filter(|_| !has_errors(&findings)).ok_or_else(|| {
        configuration::complain(&findings);
        Failure::Silent(Exit::Configuration)
    })
}
