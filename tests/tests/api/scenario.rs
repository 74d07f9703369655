//! Requests and expected answers from files.
//!
//! A file is a list of scenarios; each has a server and a store of its own. `expect` is the status; `body` is compared as a
//! part: members that it does not name may be there, and a text that begins with `~` must only be contained, in any case
//! of letters. In paths and bodies, `{1}` stands for a uuid that ends in 1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde::Deserialize;
use serde_json::Value;
use vconductor::api::Settings;
use vconductor_core::config::{ProcessEnvironment, load_text};
use vconductor_core::migrate::Egress;

use crate::world::{Backend, Call, Server, TOKEN, World, runtime, uuid};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    it: String,
    /// The store it is about; both where it is not said.
    only: Option<String>,
    /// The section `ingress_auth`.
    ingress_auth: Option<Value>,
    egress_format_version: Option<String>,
    #[serde(default)]
    list_limits: BTreeMap<String, u64>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// `GET /path`
    request: Option<String>,
    /// Another key than the one that opens everything; empty: none.
    key: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    send: Option<Value>,
    send_text: Option<String>,
    /// Every file of a folder of `fixtures` is sent, and each must be answered alike.
    send_files: Option<String>,
    expect: Option<u16>,
    body: Option<Value>,
    /// The body must not contain this.
    without: Option<String>,
    #[serde(default)]
    answer_headers: BTreeMap<String, String>,
    /// A command for the Redis server, and its answer.
    redis: Option<Vec<String>>,
    says: Option<String>,
}

pub(crate) fn trials(backend: Backend) -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/scenarios");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("scenarios").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut trials = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file");
        let scenarios: Vec<Scenario> =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let subject = file.file_stem().expect("a name").to_string_lossy().into_owned();
        for scenario in
            scenarios.into_iter().filter(|one| one.only.as_deref().is_none_or(|only| only == backend.name()))
        {
            let name = format!("{}::scenarios::{subject}::{}", backend.name(), scenario.it.replace(' ', "_"));
            trials.push(Trial::test(name, move || {
                runtime().block_on(play(backend, &scenario));
                Ok(())
            }));
        }
    }
    assert!(trials.len() >= 25, "only {} scenarios were found", trials.len());
    trials
}

async fn play(backend: Backend, scenario: &Scenario) {
    let world = World::place(backend).await;
    let server = world.serve_with(|settings| scenario.apply(settings)).await;
    for (number, step) in scenario.steps.iter().enumerate() {
        let place = format!("{}, step {}", scenario.it, number + 1);
        if let Some(command) = &step.redis {
            let redis = world.redis.as_ref().expect("a scenario with Redis is `only: redis`");
            let command: Vec<String> = command.iter().map(|word| filled(word)).collect();
            let said = redis.cli(&command.iter().map(String::as_str).collect::<Vec<_>>());
            if let Some(says) = &step.says {
                assert!(is_like(&Value::String(said.clone()), &Value::String(filled(says))), "{place}: {said}");
            }
        }
        match &step.send_files {
            None => step.play(&server, None, &place).await,
            Some(folder) => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
                let files: Vec<_> = std::fs::read_dir(folder).expect("fixtures").flatten().collect();
                assert!(!files.is_empty(), "{place}: there are no files");
                for file in files {
                    let body = std::fs::read(file.path()).expect("a file");
                    step.play(&server, Some(body), &format!("{place}, {}", file.path().display())).await;
                }
            }
        }
    }
    server.api.stop().await;
}

impl Scenario {
    fn apply(&self, settings: &mut Settings) {
        if let Some(auth) = &self.ingress_auth {
            let text = serde_json::json!({"links": {}, "chains": {}, "ingress_auth": auth}).to_string();
            let loaded = load_text("scenario", &text, &ProcessEnvironment);
            settings.ingress_auth = loaded.config.expect("a configuration").ingress_auth;
        }
        if let Some(version) = &self.egress_format_version {
            settings.form = serde_json::from_value::<Egress>(Value::String(version.clone())).expect("a form");
        }
        settings.list_limits.clone_from(&self.list_limits);
    }
}

impl Step {
    async fn play(&self, server: &Server, body: Option<Vec<u8>>, place: &str) {
        let Some(request) = &self.request else { return };
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let mut call = Call::new(method, &filled(path));
        call.key = match self.key.as_deref() {
            None => Some(TOKEN.to_owned()),
            Some("") => None,
            Some(key) => Some(key.to_owned()),
        };
        call.headers = self.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let sent = self.send.as_ref().map(|value| filled(&value.to_string()));
        call.body =
            body.or_else(|| sent.or_else(|| self.send_text.clone()).map(String::into_bytes)).unwrap_or_default();
        let answer = server.ask(call).await;
        assert_eq!(Some(answer.status.as_u16()), self.expect, "{place}: {answer:?}");
        if let Some(expected) = &self.body {
            let expected: Value = serde_json::from_str(&filled(&expected.to_string())).expect("JSON");
            let found = serde_json::from_str(&answer.text).unwrap_or_else(|_| Value::String(answer.text.clone()));
            assert!(is_like(&found, &expected), "{place}: {found} is not {expected}");
        }
        if let Some(without) = &self.without {
            assert!(!answer.text.contains(without), "{place}: {answer:?}");
        }
        for (name, expected) in &self.answer_headers {
            let found = answer.header(name).map_or(Value::Null, |value| Value::String(value.to_owned()));
            assert!(is_like(&found, &Value::String(expected.clone())), "{place}: {name} is {found}");
        }
    }
}

/// A text with its uuids.
fn filled(text: &str) -> String {
    (0..10).fold(text.to_owned(), |text, number| text.replace(&format!("{{{number}}}"), &uuid(number)))
}

fn is_like(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| is_like(found.get(name).unwrap_or(&Value::Null), value))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| is_like(found, expected))
        }
        (found, Value::String(expected)) if expected.starts_with('~') => {
            found.to_string().to_lowercase().contains(&expected[1..].to_lowercase())
        }
        _ => found == expected,
    }
}
