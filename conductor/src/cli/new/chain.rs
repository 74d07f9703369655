//! `new chain`: a chain of these links and storages, with its chain test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use vconductor_core::config::Finding;
use vconductor_core::plugin::{Effect, Registry};

use super::found::{Found, find};
use crate::cli::configuration;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::plugins;
use crate::cli::test::{self, Rehearsable};
use crate::offline::Rehearsed;

const ABOUT: &str = "\
Start a chain of these links and storages, with its chain test

PLUGINS are names from `vconductor list`, or a vendor that one link knows (deepgram), in the order in which a vCon passes \
them. Behind a `/` stands where it goes: storages, and links that announce it. Two files are written: NAME.yml with the \
example of every plugin, and NAME_test.yml, in which links that call somebody are mocked.";

const EXAMPLES: &str = "\
Examples:
  vconductor new chain deepgram,analyze/webhook,s3
  vconductor new chain tag/file --name intake --folder chains

Exit codes:
  0 written   2 there is no such plugin, or a file is there   78 an example needs options";

/// Start a chain of these links and storages, with its chain test
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct NewChain {
    /// Links, then `/`, then storages
    #[arg(value_name = "PLUGINS")]
    plugins: String,
    /// The name of the chain and of its ingress list
    #[arg(long, value_name = "NAME", default_value = "calls")]
    name: String,
    /// Where the files are written
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
}

impl NewChain {
    pub(crate) async fn run(&self) -> Result<Exit> {
        super::check_name(&self.name)?;
        let registry = plugins::registry()?;
        let mut plan = Plan::of(&self.plugins, &registry)?;
        let (chain, test) = (format!("{}.yml", self.name), format!("{}_test.yml", self.name));
        let mut files = vec![(chain, plan.chain(&self.name, &self.plugins)), (test, plan.test(&self.name, &[], ""))];
        super::write(&self.folder, &files, self.force)?;
        let started = self.folder.join(&files[1].0);
        // A filter or a sample would decide what becomes of the conversation of the test.
        for link in plan.links.iter_mut() {
            link.mocked |= readable(&started, &registry)?.stops_sometimes(&link.name, &registry);
        }
        files[1].1 = plan.test(&self.name, &[], "");
        super::write(&self.folder, &files[1..], true)?;
        // What the test expects is what the chain does with its examples.
        let played = readable(&started, &registry)?.play_first(&registry).await;
        let rehearsed = played.map_err(|findings| unready(&started, &findings))?;
        files[1].1 = plan.test(&self.name, &executed(&rehearsed), &expected(&rehearsed));
        super::write(&self.folder, &files[1..], true)?;
        let (chain, test) = (self.folder.join(&files[0].0), self.folder.join(&files[1].0));
        let next = [
            format!("vconductor test {}", test.display()),
            format!("vconductor check {}", chain.display()),
            format!("vconductor run {}", chain.display()),
        ];
        super::tell(&self.folder, &files, &next);
        Ok(Exit::Done)
    }
}

/// What the chain consists of.
struct Plan {
    links: Vec<Named>,
    storages: Vec<Named>,
}

/// An entry of `links` or `storages`.
struct Named {
    name: String,
    /// As YAML, two blanks deep.
    text: String,
    /// Whether a test mocks it.
    mocked: bool,
}

impl Plan {
    fn of(words: &str, registry: &Registry) -> Result<Self> {
        let mut plan = Plan { links: Vec::new(), storages: Vec::new() };
        let parts: Vec<&str> = words.split('/').collect();
        if parts.len() > 2 {
            return Err(Failure::new(Exit::Usage, "there is more than one `/`").help("write LINKS/STORAGES"));
        }
        let mut names = BTreeSet::new();
        for (index, part) in parts.iter().enumerate() {
            for word in part.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                let found = find(registry, word, index == 1)?;
                let (example, mocked) = match &found {
                    Found::Link(entry, Some((option, vendor))) => {
                        (of_vendor(entry.module, entry.example, option, vendor), true)
                    }
                    Found::Link(entry, None) => (entry.example.to_owned(), entry.effect == Effect::External),
                    Found::Storage(entry) => (entry.example.to_owned(), false),
                };
                let named = named(&example, mocked, &mut names);
                match found {
                    Found::Link(..) => plan.links.push(named),
                    Found::Storage(_) => plan.storages.push(named),
                }
            }
        }
        if plan.links.is_empty() && plan.storages.is_empty() {
            return Err(Failure::new(Exit::Usage, "no plugin is named").help("for example `new chain tag/file`"));
        }
        Ok(plan)
    }

    fn chain(&self, name: &str, words: &str) -> String {
        let mut text = format!(
            "# Started with `vconductor new chain {words}`; the manual of a plugin: `vconductor describe NAME`.\n"
        );
        for (section, entries) in [("links", &self.links), ("storages", &self.storages)] {
            if !entries.is_empty() {
                let entries: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
                text.push_str(&format!("{section}:\n{}\n", entries.join("\n")));
            }
        }
        let names = |entries: &[Named]| entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ");
        text.push_str(&format!(
            "chains:\n  {name}:\n    ingress_lists: [{name}]\n    links: [{}]\n    storages: [{}]\n    egress_lists: [{name}_done]\n",
            names(&self.links),
            names(&self.storages)
        ));
        text
    }

    fn test(&self, name: &str, executed: &[String], expected: &str) -> String {
        let mut text = format!(
            "# What becomes of a conversation in {name}.yml; nothing outside is reached:\n#\n#   vconductor test {name}_test.yml\n"
        );
        let variables: BTreeSet<&str> =
            self.links.iter().chain(&self.storages).flat_map(|entry| variables(&entry.text)).collect();
        if !variables.is_empty() {
            text.push_str("env:\n");
            variables.iter().for_each(|variable| text.push_str(&format!("  {variable}: test\n")));
        }
        let mocked: Vec<&str> = self.links.iter().filter(|link| link.mocked).map(|link| link.name.as_str()).collect();
        if !mocked.is_empty() {
            text.push_str("# These do nothing here; say what they would do, for example `{analysis: [...], tags: [...]}`.\nmocks:\n");
            mocked.iter().for_each(|link| text.push_str(&format!("  {link}: {{}}\n")));
        }
        text.push_str(&format!(
            "tests:\n  - name: a conversation\n    chain: {name}\n    vcon:\n      parties: [{{tel: \"+12025550123\"}}, {{tel: \"+12025550187\"}}]\n      \
             dialog: [{{type: text, start: \"2026-01-02T03:04:05Z\", parties: [0, 1], body: Good morning., encoding: none}}]\n"
        ));
        if !expected.is_empty() {
            text.push_str(&format!("    expect:\n      links: [{}]\n{expected}", executed.join(", ")));
        }
        text
    }
}

/// An example under a name that nothing else has.
fn named(example: &str, mocked: bool, names: &mut BTreeSet<String>) -> Named {
    let example = example.trim_matches('\n');
    let (first, rest) = example.split_once('\n').unwrap_or((example, ""));
    let base = first.trim_end_matches(':').to_owned();
    let numbered = |number: usize| if number == 1 { base.clone() } else { format!("{base}_{number}") };
    let name = (1..).map(numbered).find(|name| !names.contains(name)).unwrap_or(base.clone());
    names.insert(name.clone());
    let mut text = format!("  {name}:\n");
    rest.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
    Named { name, text, mocked }
}

/// A link with this vendor: its example, if that is about it, else the vendor and a key.
fn of_vendor(module: &str, example: &str, option: &str, vendor: &str) -> String {
    if example.lines().any(|line| line.trim() == format!("{option}: {vendor}")) {
        return example.to_owned();
    }
    let name = example.split(':').next().unwrap_or(vendor).trim();
    let key = vendor.to_uppercase();
    format!("{name}:\n  module: {module}\n  options:\n    {option}: {vendor}\n    api_key: ${{env:{key}_API_KEY}}\n")
}

/// The variables without a default that a text asks for.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let placeholders = text.split("${env:").skip(1).filter_map(|rest| rest.split('}').next());
    placeholders.filter(|inner| !inner.contains(":-"))
}

fn readable(file: &Path, registry: &Registry) -> Result<Rehearsable> {
    Rehearsable::read(file, registry).map_err(|findings| unready(file, &findings))
}

fn unready(file: &Path, findings: &[Finding]) -> Failure {
    configuration::complain(findings);
    Failure::new(Exit::Configuration, "the files are written, but an example needs options of your own")
        .help(format!("mend them, then `vconductor test {}`", file.display()))
}

/// The links that were executed, in order.
fn executed(rehearsed: &Rehearsed) -> Vec<String> {
    test::executed(rehearsed).into_iter().map(str::to_owned).collect()
}

fn expected(rehearsed: &Rehearsed) -> String {
    let saved: BTreeSet<&str> = rehearsed.saved.iter().map(|(storage, ..)| storage.as_str()).collect();
    let lists: Vec<&str> = rehearsed.pushed.keys().map(String::as_str).collect();
    format!(
        "      outcome: {}\n      storages: [{}]\n      egress: [{}]\n",
        rehearsed.ended.as_str(),
        Vec::from_iter(saved).join(", "),
        lists.join(", ")
    )
}
