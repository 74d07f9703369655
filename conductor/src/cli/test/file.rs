//! What stands in a `*_test.yml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use vconductor_core::config::{self, Code, Environment, Finding, Mode, Node, Span};
use vconductor_core::error::Class;
use vconductor_core::http::{HeaderMap, HeaderName, HeaderValue, Method, OfflineAnswer, StatusCode};

use crate::offline::{Answer, Mock, Outside};

/// The uuid of a vCon that is written without one.
const UUID: &str = "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10";

/// A file of chain tests.
pub(super) struct File {
    /// The configuration that is tested.
    pub(super) config: PathBuf,
    /// What its placeholders mean.
    pub(super) environment: Given,
    processes: bool,
    mocks: Option<Node>,
    http: Option<Node>,
    pub(super) cases: Vec<Case>,
    /// How the file is read: every key must be known.
    pub(super) mode: Mode,
    folder: PathBuf,
}

/// One test.
pub(super) struct Case {
    /// Its name, or the chain's.
    pub(super) name: String,
    /// The chain.
    pub(super) chain: String,
    /// Where the chain is named.
    pub(super) chain_span: Span,
    /// What is expected.
    pub(super) expect: Option<Node>,
    node: Node,
    now: Option<i64>,
}

/// Variables and files that a test gives to the configuration; nothing comes from the process.
#[derive(Debug, Default)]
pub(in crate::cli) struct Given {
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

impl Environment for Given {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn file(&self, path: &str) -> std::io::Result<String> {
        let missing = || std::io::Error::other("the test gives no such file under `files`");
        self.files.get(path).cloned().ok_or_else(missing)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    config: Option<String>,
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    processes: bool,
    mocks: Option<IgnoredAny>,
    http: Option<IgnoredAny>,
    tests: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct CaseHead {
    #[serde(default)]
    name: Option<String>,
    chain: String,
    #[serde(rename = "vcon")]
    _vcon: IgnoredAny,
    #[serde(default)]
    now: Option<String>,
    #[serde(default, rename = "mocks")]
    _mocks: Option<IgnoredAny>,
    #[serde(default, rename = "http")]
    _http: Option<IgnoredAny>,
    #[serde(default, rename = "expect")]
    _expect: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MockSpec {
    analysis: Vec<Value>,
    tags: Vec<String>,
    set: BTreeMap<String, Value>,
    push: Vec<String>,
    stop: bool,
    error: Option<String>,
    class: Option<Class>,
    cost_usd: Option<f64>,
}

#[derive(Deserialize)]
struct AnswerSpec {
    #[serde(default)]
    method: Option<String>,
    url: String,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    times: Option<usize>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    answer: Option<Value>,
    #[serde(default)]
    answer_file: Option<String>,
    #[serde(default)]
    unreachable: bool,
}

impl File {
    /// Reads a file. `None`: the findings say what is wrong.
    pub(super) fn read(path: &Path, findings: &mut Vec<Finding>) -> Option<File> {
        let (node, found) = config::load_tree(path, &Given::default());
        findings.extend(found);
        let node = node?;
        let mode = Mode::Native { key: "tests".to_owned(), span: node.span.clone() };
        let head: Head = config::read(&node, "the test", &mode, findings)?;
        let Some(tests) = node.get("tests").filter(|_| head.tests.is_some()) else {
            let finding = Finding::error(Code::MissingKey, &node.span, "there are no `tests`");
            findings.push(finding.help("write `tests:` with a list; `vconductor test --help` has an example"));
            return None;
        };
        let cases = tests.items().iter().filter_map(|test| case(test, &mode, findings)).collect();
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let config = folder.join(head.config.unwrap_or_else(|| tested_by(path)));
        let environment = Given { variables: head.env, files: head.files };
        let (mocks, http) = (node.get("mocks").cloned(), node.get("http").cloned());
        Some(File { config, environment, processes: head.processes, mocks, http, cases, mode, folder })
    }

    /// What stands in for the outside in a test: its own mocks and answers before those of the file.
    pub(super) fn outside(&self, case: &Case, findings: &mut Vec<Finding>) -> Outside {
        let own = (case.node.get("mocks"), case.node.get("http"));
        Outside { now: case.now, ..self.outside_with(own, findings) }
    }

    /// Where a mock of a test, or of all tests, stands.
    pub(super) fn mock_span(&self, case: &Case, link: &str) -> Span {
        let mocks = [case.node.get("mocks"), self.mocks.as_ref()];
        let mut entries = mocks.into_iter().flatten().flat_map(Node::entries);
        entries.find(|(key, _)| key.name == link).map_or(&case.chain_span, |(key, _)| &key.span).clone()
    }

    /// What stands in for the outside in every test.
    pub(super) fn outside_of_all(&self, findings: &mut Vec<Finding>) -> Outside {
        self.outside_with((None, None), findings)
    }

    fn outside_with(&self, (mocks, http): (Option<&Node>, Option<&Node>), findings: &mut Vec<Finding>) -> Outside {
        let mut outside = Outside { processes: self.processes, ..Outside::default() };
        for mocks in [self.mocks.as_ref(), mocks].into_iter().flatten() {
            for (name, node) in mocks.entries() {
                outside.mocks.insert(name.name.clone(), mocks_of(&name.name, node, &self.mode, findings));
            }
        }
        for answers in [http, self.http.as_ref()].into_iter().flatten() {
            for node in answers.items() {
                outside.answers.extend(answer(node, &self.mode, &self.folder, findings));
            }
        }
        outside
    }

    /// The vCon of a test: its uuid and document.
    pub(super) fn vcon(&self, case: &Case, findings: &mut Vec<Finding>) -> Option<(String, Bytes)> {
        let node = case.node.get("vcon")?;
        let mut wrong = |message: String| findings.push(Finding::error(Code::BadValue, &node.span, message));
        let document = match node.as_str() {
            Some(file) => match std::fs::read(self.folder.join(file)) {
                Ok(bytes) => Bytes::from(bytes),
                Err(error) => {
                    wrong(format!("`{file}` cannot be read: {error}"));
                    return None;
                }
            },
            None => Bytes::from(filled(node.to_json()).to_string()),
        };
        match vconductor_core::vcon::Vcon::read(document.clone()) {
            Ok(vcon) => match vcon.id() {
                Some(uuid) => return Some((uuid, document)),
                None => wrong("the vCon has no uuid".to_owned()),
            },
            Err(error) => wrong(format!("this is no vCon: {}", error.message())),
        }
        None
    }
}

/// `calls.yml` for `calls_test.yml`.
fn tested_by(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.replacen("_test.", ".", 1)
}

fn case(node: &Node, mode: &Mode, findings: &mut Vec<Finding>) -> Option<Case> {
    let head: CaseHead = config::read(node, "tests", mode, findings)?;
    let now = match head.now.as_deref().map(str::parse::<jiff::Timestamp>) {
        None => None,
        Some(Ok(time)) => Some(time.as_millisecond()),
        Some(Err(error)) => {
            let span = node.get("now").map_or(&node.span, |now| &now.span);
            findings.push(Finding::error(Code::BadValue, span, format!("this is no time: {error}")));
            None
        }
    };
    let chain_span = node.get("chain").map_or(&node.span, |chain| &chain.span).clone();
    let (name, expect) = (head.name.unwrap_or_else(|| head.chain.clone()), node.get("expect").cloned());
    Some(Case { name, chain: head.chain, chain_span, expect, node: node.clone(), now })
}

/// A vCon with what it needs, where that is not what is tested.
fn filled(mut vcon: Value) -> Value {
    if let Value::Object(members) = &mut vcon {
        members.entry("vcon").or_insert_with(|| json!("0.4.0"));
        members.entry("uuid").or_insert_with(|| json!(UUID));
        members.entry("created_at").or_insert_with(|| json!("2026-01-02T03:04:05Z"));
        members.entry("parties").or_insert_with(|| json!([]));
    }
    vcon
}

/// One mock, or several for one execution after the other.
fn mocks_of(name: &str, node: &Node, mode: &Mode, findings: &mut Vec<Finding>) -> Vec<Mock> {
    let nodes = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
    let read = |node: &Node| {
        if node.is_null() {
            return Some(Mock::default());
        }
        let spec: MockSpec = config::read(node, &format!("mocks.{name}"), mode, findings)?;
        let class = spec.class.unwrap_or(Class::Permanent);
        let tag = |text: &String| {
            let (name, value) = text.split_once(':').unwrap_or((text, text));
            (name.to_owned(), value.to_owned())
        };
        Some(Mock {
            tags: spec.tags.iter().map(tag).collect(),
            analyses: spec.analysis,
            set: spec.set.into_iter().collect(),
            push: spec.push,
            stop: spec.stop,
            error: spec.error.map(|message| (class, message)),
            cost: spec.cost_usd,
        })
    };
    nodes.iter().filter_map(read).collect()
}

fn answer(node: &Node, mode: &Mode, folder: &Path, findings: &mut Vec<Finding>) -> Option<Answer> {
    let spec: AnswerSpec = config::read(node, "http", mode, findings)?;
    let mut wrong = |message: String| findings.push(Finding::error(Code::BadValue, &node.span, message));
    let body = match (&spec.answer_file, spec.answer) {
        (Some(file), _) => match std::fs::read(folder.join(file)) {
            Ok(bytes) => bytes,
            Err(error) => {
                wrong(format!("`{file}` cannot be read: {error}"));
                return None;
            }
        },
        (None, Some(Value::String(text))) => text.into_bytes(),
        (None, Some(value)) => value.to_string().into_bytes(),
        (None, None) => Vec::new(),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &spec.headers {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
            _ => wrong(format!("`{name}` is no header")),
        }
    }
    let Ok(status) = StatusCode::from_u16(spec.status.unwrap_or(200)) else {
        wrong("`status` is no HTTP status".to_owned());
        return None;
    };
    let method = match spec.method.as_deref().map(|method| method.to_uppercase().parse::<Method>()) {
        Some(Err(_)) => {
            wrong("`method` is no HTTP method".to_owned());
            return None;
        }
        Some(Ok(method)) => Some(method),
        None => None,
    };
    let answer = (!spec.unreachable).then(|| OfflineAnswer { status, headers, body: body.into() });
    Some(Answer { method, url: spec.url, body: spec.body, times: spec.times, answer })
}
