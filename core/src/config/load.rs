//! Reads configuration files: several are joined section by section.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::build::build;
use super::code::Code;
use super::finding::{Finding, has_errors};
use super::interpolate::{Environment, interpolate};
use super::model::Config;
use super::node::{Key, Node, Value};
use super::source::{Source, Span};
use super::yaml::parse;

/// What came of reading configuration files.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration as far as it could be read; it must not run if [`Loaded::has_errors`]. `None`: a file is no
    /// YAML at all.
    pub config: Option<Config>,
    /// What is wrong, in file order.
    pub findings: Vec<Finding>,
    /// The files that were read.
    pub sources: Vec<Arc<Source>>,
}

impl Loaded {
    /// Whether the configuration must not run.
    pub fn has_errors(&self) -> bool {
        self.config.is_none() || has_errors(&self.findings)
    }
}

/// Reads files and folders. A folder stands for its `*.yml` and `*.yaml` files in order of their names, without chain
/// tests (`*_test.yml`).
pub fn load(paths: &[PathBuf], environment: &dyn Environment) -> Loaded {
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        for file in files(path, &mut findings) {
            match std::fs::read_to_string(&file) {
                Ok(text) => sources.push(Source::new(file.display().to_string(), text)),
                Err(error) => findings.push(unreadable(&file, &error.to_string())),
            }
        }
    }
    load_sources(sources, findings, environment)
}

/// Reads one configuration from text; `name` stands for the file name in findings.
pub fn load_text(name: &str, text: &str, environment: &dyn Environment) -> Loaded {
    load_sources(vec![Source::new(name, text)], Vec::new(), environment)
}

/// Reads one YAML file that is no configuration into a tree, as configurations are read: with positions and placeholders.
/// `None`: the findings say why.
pub fn load_tree(path: &Path, environment: &dyn Environment) -> (Option<Node>, Vec<Finding>) {
    let mut findings = Vec::new();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return (None, vec![unreadable(path, &error.to_string())]),
    };
    let source = Source::new(path.display().to_string(), text);
    let root = parse(&source, &mut findings).map(|mut root| {
        interpolate(&mut root, environment, &mut findings);
        root
    });
    (root, findings)
}

fn load_sources(sources: Vec<Arc<Source>>, mut found: Vec<Finding>, environment: &dyn Environment) -> Loaded {
    let mut broken = has_errors(&found);
    let mut roots = Vec::new();
    for source in &sources {
        match parse(source, &mut found) {
            Some(root) => roots.push(root),
            None => broken = true,
        }
    }
    let config =
        roots.into_iter().reduce(|joined, root| join(joined, root, &mut found)).filter(|_| !broken).map(|mut root| {
            interpolate(&mut root, environment, &mut found);
            let hash = hash(&root);
            build(&root, hash, &mut found)
        });
    sort(&mut found, &sources);
    // Aliases and merge keys show one place several times.
    found.dedup_by(|next, known| next.code == known.code && next.span == known.span);
    Loaded { config, findings: found, sources }
}

/// Puts findings into the order of their files and places.
pub(crate) fn sort(findings: &mut [Finding], sources: &[Arc<Source>]) {
    findings.sort_by_key(|finding| {
        let file = sources.iter().position(|source| Arc::ptr_eq(source, finding.span.source()));
        (file, finding.span.range().start, finding.code)
    });
}

fn unreadable(path: &Path, reason: &str) -> Finding {
    let name = path.display().to_string();
    let source = Source::new(name.clone(), "");
    Finding::error(Code::Unreadable, &Span::new(&source, 0..0), format!("cannot read `{name}`: {reason}"))
}

fn files(path: &Path, findings: &mut Vec<Finding>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut files: Vec<PathBuf> = match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).filter(|file| is_configuration(file)).collect(),
        Err(error) => {
            findings.push(unreadable(path, &error.to_string()));
            return Vec::new();
        }
    };
    if files.is_empty() {
        findings.push(unreadable(path, "the folder holds no `.yml` or `.yaml` file"));
    }
    files.sort();
    files
}

fn is_configuration(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    stem.is_some_and(|stem| !stem.ends_with("_test") && !stem.starts_with('.')) && file.is_file()
}

/// Joins two configurations: sections are united, any other key may stand in one file only.
fn join(mut joined: Node, other: Node, findings: &mut Vec<Finding>) -> Node {
    if joined.is_null() {
        return other;
    }
    let Value::Mapping(sections) = &mut joined.value else { return joined };
    let span = other.span.clone();
    let entries = match other.value {
        Value::Mapping(entries) => entries,
        Value::Null => Vec::new(),
        _ => {
            let message = format!("a configuration must be a map, not {}", other.describe());
            findings.push(Finding::error(Code::WrongType, &span, message));
            Vec::new()
        }
    };
    for (key, value) in entries {
        match sections.iter_mut().find(|(known, _)| known.name == key.name) {
            None => sections.push((key, value)),
            Some((known, section)) => unite(known, section, &key, value, findings),
        }
    }
    joined
}

fn unite(known: &Key, section: &mut Node, key: &Key, value: Node, findings: &mut Vec<Finding>) {
    let twice = |key: &Key, first: &Key| {
        Finding::error(Code::NameInTwoFiles, &key.span, format!("`{}` is already defined in another file", key.name))
            .related(&first.span, "first defined here")
            .help("remove or rename one of them")
    };
    if value.is_null() || key.name.starts_with("x-") {
        return;
    }
    if section.is_null() {
        *section = value;
        return;
    }
    match (&mut section.value, value.value) {
        (Value::Mapping(names), Value::Mapping(entries)) => {
            for (key, value) in entries {
                match names.iter().find(|(first, _)| first.name == key.name) {
                    Some((first, _)) => findings.push(twice(&key, first)),
                    None => names.push((key, value)),
                }
            }
        }
        _ => findings.push(twice(key, known)),
    }
}

/// SHA-256 of the content as compact JSON, in file order since the order of chains counts.
fn hash(root: &Node) -> String {
    Sha256::digest(root.to_json().to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}
