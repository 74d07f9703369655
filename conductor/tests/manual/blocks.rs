//! Blocks that are read and not run: configurations, JSON, pieces of files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::authority::{Authority, Kind};
use crate::page::{Block, Page};
use crate::{Findings, root};

/// How many blocks may be left out of the sessions; each has its reason.
const NOT_RUN: usize = 14;

/// What a mark may be, by language.
const MARKS: [(&str, &[&str]); 9] = [
    ("yaml", &["fragment", "no-check"]),
    ("console", &["background"]),
    ("sh", &[]),
    ("json", &[]),
    ("rust", &[]),
    ("python", &[]),
    ("toml", &[]),
    ("text", &[]),
    ("ini", &[]),
];

/// What is wrong with the blocks of a page.
pub(crate) fn check(page: &Page) -> Findings {
    let mut findings = Findings::new();
    for block in page.blocks() {
        let mut tell = |what: String| findings.push(format!("{}: {what}", page.at(block.line)));
        let Some((_, marks)) = MARKS.iter().find(|(language, _)| *language == block.language) else {
            tell(format!("a block is of no known language: `{}`", block.language));
            continue;
        };
        if let Some(mark) = block.marks.iter().find(|mark| !marks.contains(&mark.as_str())) {
            tell(format!("`{}` has no mark `{mark}`", block.language));
        }
        if let Some(file) = block.file.as_ref().filter(|file| !block.is_named && !block.text.contains(*file)) {
            tell(format!("readers do not see the mark: say `{file}` in the text before it"));
        }
        if let Some(from) = &block.from {
            let whole = std::fs::read_to_string(root().join(from)).unwrap_or_default();
            if !whole.contains(block.text.trim_end()) {
                tell(format!("this is not in {from}"));
            }
        } else if block.language == "rust" {
            tell("Rust is a piece of a file that is compiled: `from=PATH`".to_owned());
        }
        match block.language.as_str() {
            "yaml" => yaml(page, block).err().map(tell),
            "json" => json(&block.text).err().map(tell),
            _ => None,
        };
    }
    findings
}

fn json(text: &str) -> Result<(), String> {
    for value in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
        value.map_err(|error| format!("no JSON: {error}"))?;
    }
    Ok(())
}

fn yaml(page: &Page, block: &Block) -> Result<(), String> {
    let mistake = page.path.strip_prefix("docs/errors/").and_then(|name| name.strip_suffix(".md"));
    if block.is("fragment") || block.is("no-check") {
        for document in serde_yaml::Deserializer::from_str(&block.text) {
            serde_yaml::Value::deserialize(document).map_err(|error| format!("no YAML: {error}"))?;
        }
        return Ok(());
    }
    let (passes, told) = checked(&block.text, mistake);
    match mistake {
        Some(code) if told.contains(&format!("[{code}]")) => Ok(()),
        Some(code) => Err(format!("`check` does not tell {code} of this:\n{told}")),
        None if passes => Ok(()),
        None => Err(format!("`check` refuses this:\n{told}")),
    }
}

/// Whether `vconductor check` takes a configuration, and what it says. Variables and files that it names are there, except
/// where that is the mistake.
fn checked(text: &str, mistake: Option<&str>) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = text.to_owned();
    let mut check = Command::new(env!("CARGO_BIN_EXE_vconductor"));
    check.args(["check", "page.yml"]).current_dir(folder.path()).env_clear().stdin(Stdio::null());
    if mistake.is_none() {
        check.envs(named(&text, "${env:").iter().map(|name| (name, value(name))));
        let authority = Authority::new();
        let signer = authority.signer(Kind::Rsa, "signer.example.com");
        for (number, path) in named(&text, "${file:").iter().enumerate() {
            let content = match path {
                _ if path.ends_with("roots.crt") => &authority.root,
                _ if path.ends_with(".crt") => &signer.chain,
                _ => &signer.key,
            };
            let own = format!("file-{number}");
            std::fs::write(folder.path().join(&own), content).expect("it is written");
            text = text.replace(&format!("${{file:{path}}}"), &format!("${{file:{own}}}"));
        }
    }
    std::fs::write(folder.path().join("page.yml"), text).expect("the page is written");
    let output = check.output().expect("it runs");
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), told)
}

/// What placeholders that begin so name, where they give no default.
fn named(text: &str, begin: &str) -> BTreeSet<String> {
    let named = text.split(begin).skip(1).filter_map(|rest| rest.split_once('}'));
    named.map(|(name, _)| name.to_owned()).filter(|name| !name.contains(":-")).collect()
}

/// A value that fits to a variable's name.
fn value(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("_PUBLIC_URL") => "https://hooks.example.com/ingress/twilio_main",
        _ if name.ends_with("_URL") => "http://127.0.0.1:9/",
        _ if name.ends_with("_SECRET") => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "TELNYX_PUBLIC_KEY" => "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
        "TWILIO_ACCOUNT_SID" => "AC0123456789abcdef0123456789abcdef",
        _ => "set-by-the-test",
    }
}

/// Blocks that no session runs: counted, listed, each with a reason.
pub(crate) fn not_run(pages: &[Page]) -> Findings {
    let mut findings = Findings::new();
    let mut left_out = Vec::new();
    for page in pages {
        for block in page.blocks() {
            if let Some(reason) = &block.not_run {
                left_out.push(format!("{}: {reason}", page.at(block.line)));
                if reason.len() < 8 {
                    findings.push(format!("{}: `no-run` wants a reason", page.at(block.line)));
                }
            }
        }
    }
    eprintln!("{} blocks are not run:\n  {}", left_out.len(), left_out.join("\n  "));
    if left_out.len() > NOT_RUN {
        findings.push(format!("{} blocks are not run, more than {NOT_RUN}:\n{}", left_out.len(), left_out.join("\n")));
    }
    findings
}

/// Whether a path of the repository is there.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
