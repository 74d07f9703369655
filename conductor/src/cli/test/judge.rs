//! Whether what happened is what a test expects; every difference is a finding at the line that expects it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use vconductor_core::config::{self, Code, Finding, Mode, Node, Span};
use vconductor_core::document::tags;
use vconductor_core::vcon::Vcon;
use vconductor_core::wildcard;

use crate::matching::{Difference, body_differences, differences};
use crate::offline::{Called, Ended, Executed, Rehearsed};

/// The longest value that a message shows, in bytes.
const SHOWN: usize = 120;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Expect {
    outcome: Option<Outcome>,
    error: Option<String>,
    failed_at: Option<String>,
    links: Option<Vec<String>>,
    tags: Vec<String>,
    no_tags: Vec<String>,
    analysis: Vec<Value>,
    vcon: Option<Value>,
    absent: Vec<String>,
    egress: Option<Vec<String>>,
    storages: Option<Vec<String>>,
    http: Vec<CallSpec>,
    max_cost_usd: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Done,
    Stopped,
    Failed,
    Held,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Stopped => "stopped",
            Outcome::Failed => "failed",
            Outcome::Held => "held",
        }
    }
}

#[derive(Deserialize)]
struct CallSpec {
    #[serde(default)]
    method: Option<String>,
    url: String,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    times: Option<usize>,
}

/// Adds what is not as expected.
pub(super) fn judge(rehearsed: &Rehearsed, node: Option<&Node>, at: &Span, mode: &Mode, findings: &mut Vec<Finding>) {
    let empty = Node::null(at);
    let node = node.unwrap_or(&empty);
    let expect = if node.is_null() { Some(Expect::default()) } else { config::read(node, "expect", mode, findings) };
    let Some(expect) = expect else { return };
    let mut judge = Judge { rehearsed, node, at, findings };
    if !judge.ending(&expect) {
        // What else is not as expected follows from that.
        return;
    }
    judge.links(&expect);
    judge.document(&expect);
    let lists = rehearsed.pushed.keys().cloned().collect();
    judge.places("egress", "it was handed to the lists", expect.egress.as_deref(), &lists);
    let saved = rehearsed.saved.iter().map(|(storage, ..)| storage.clone()).collect();
    judge.places("storages", "it was written to the storages", expect.storages.as_deref(), &saved);
    judge.calls(&expect.http);
    if let Some(most) = expect.max_cost_usd {
        let cost: f64 = rehearsed.executions.iter().filter_map(|execution| execution.cost).sum();
        if cost > most {
            judge.differs(&["max_cost_usd"], format!("it costs {cost} US dollars"), None);
        }
    }
}

/// The links that were executed, in order; retries of one link are one, those of a callback, too.
pub(in crate::cli) fn executed(rehearsed: &Rehearsed) -> Vec<&str> {
    let mut executed: Vec<&str> = Vec::new();
    for execution in &rehearsed.executions {
        if execution.executed != Executed::Park && executed.last() != Some(&execution.link.as_str()) {
            executed.push(&execution.link);
        }
    }
    executed
}

struct Judge<'a> {
    rehearsed: &'a Rehearsed,
    node: &'a Node,
    at: &'a Span,
    findings: &'a mut Vec<Finding>,
}

impl Judge<'_> {
    /// A difference, at the innermost place of this path that the test has.
    fn differs(&mut self, path: &[&str], message: String, help: Option<String>) {
        let mut node = self.node;
        for part in path {
            let inner = node.get(part).or_else(|| node.items().get(part.parse::<usize>().ok()?));
            let Some(inner) = inner else { break };
            node = inner;
        }
        let span = if node.span == self.node.span && self.node.is_null() { self.at } else { &node.span };
        let finding = Finding::error(Code::NotAsExpected, span, message);
        self.findings.push(match help {
            Some(help) => finding.help(help),
            None => finding,
        });
    }

    /// Whether the run ended as expected.
    fn ending(&mut self, expect: &Expect) -> bool {
        let ended = &self.rehearsed.ended;
        let wanted = expect.outcome.map_or_else(
            || if expect.error.is_some() || expect.failed_at.is_some() { "failed" } else { "" },
            Outcome::as_str,
        );
        let (step, why, help) = match ended {
            Ended::Failed(failure) => (failure.step.as_str(), failure.message.as_str(), failure.help.clone()),
            Ended::Held(link, why) => (link.as_str(), why.as_str(), None),
            Ended::Done | Ended::Stopped => ("", "", None),
        };
        let told = if step.is_empty() { String::new() } else { format!(" at `{step}`: {why}") };
        // Whoever says nothing wants no failure.
        let fits = if wanted.is_empty() { step.is_empty() } else { wanted == ended.as_str() };
        if !fits {
            let became = match ended {
                Ended::Done => "the run is done".to_owned(),
                Ended::Stopped => "a link stopped the run".to_owned(),
                Ended::Failed(_) => format!("the run failed{told}"),
                Ended::Held(..) => format!("a link would be held{told}"),
            };
            self.differs(&["outcome"], became, help);
            return false;
        }
        if let Some(error) = expect.error.as_deref().filter(|error| !why.contains(error)) {
            self.differs(&["error"], format!("the error does not say {error:?}: {why}"), None);
        }
        if let Some(at) = expect.failed_at.as_deref().filter(|at| *at != step) {
            self.differs(&["failed_at"], format!("it is not `{at}` that failed, but `{step}`: {why}"), None);
        }
        true
    }

    fn links(&mut self, expect: &Expect) {
        let Some(wanted) = &expect.links else { return };
        let executed = executed(self.rehearsed);
        if wanted.iter().map(String::as_str).ne(executed.iter().copied()) {
            self.differs(&["links"], format!("these were executed: {}", listed(executed)), None);
        }
    }

    fn document(&mut self, expect: &Expect) {
        let Ok(vcon) = Vcon::read(self.rehearsed.document.clone()) else {
            return self.differs(&[], "the vCon is not there any more".to_owned(), None);
        };
        let found: BTreeSet<String> = tags(vcon.document())
            .into_iter()
            .map(|tag| tag.value.map_or(tag.name.clone(), |value| format!("{}:{value}", tag.name)))
            .collect();
        let has = |wanted: &str| {
            found.iter().any(|tag| tag == wanted || tag.split_once(':').is_some_and(|(name, _)| name == wanted))
        };
        for (index, tag) in expect.tags.iter().enumerate().filter(|(_, tag)| !has(tag)) {
            let message = format!("the vCon has no tag `{tag}`; it has {}", listed(&found));
            self.differs(&["tags", &index.to_string()], message, None);
        }
        for (index, tag) in expect.no_tags.iter().enumerate().filter(|(_, tag)| has(tag)) {
            self.differs(&["no_tags", &index.to_string()], format!("the vCon has the tag `{tag}`"), None);
        }
        let document: Value = serde_json::from_slice(&self.rehearsed.document).unwrap_or_default();
        let analyses = document["analysis"].as_array().cloned().unwrap_or_default();
        for (index, wanted) in expect.analysis.iter().enumerate() {
            let mut path = vec!["analysis".to_owned(), index.to_string()];
            let message = match nearest_of(wanted, &analyses) {
                Nearest::Fits => continue,
                Nearest::Nothing => "the vCon has no analysis".to_owned(),
                Nearest::Differs(place, difference) => {
                    path.extend(parts(&difference.pointer));
                    format!("no analysis is like this; the nearest is analysis {place}, where {}", told(&difference))
                }
            };
            self.differs(&path.iter().map(String::as_str).collect::<Vec<_>>(), message, None);
        }
        if let Some(wanted) = &expect.vcon {
            for difference in differences(wanted, &document) {
                let mut path = vec!["vcon".to_owned()];
                path.extend(parts(&difference.pointer));
                self.differs(&path.iter().map(String::as_str).collect::<Vec<_>>(), told(&difference), None);
            }
        }
        for (index, pointer) in expect.absent.iter().enumerate() {
            if let Some(found) = document.pointer(pointer) {
                let message = format!("`{pointer}` is there: {}", shown(found));
                self.differs(&["absent", &index.to_string()], message, None);
            }
        }
    }

    /// Names that must be these, whatever their order.
    fn places(&mut self, key: &str, what: &str, wanted: Option<&[String]>, found: &BTreeSet<String>) {
        let Some(wanted) = wanted else { return };
        if wanted.iter().cloned().collect::<BTreeSet<_>>() != *found {
            self.differs(&[key], format!("{what}: {}", listed(found)), None);
        }
    }

    fn calls(&mut self, wanted: &[CallSpec]) {
        for (index, spec) in wanted.iter().enumerate() {
            let to_there = |call: &&Called| {
                wildcard::matches(&spec.url, &call.url)
                    && spec.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(call.method.as_str()))
            };
            let calls: Vec<&Called> = self.rehearsed.calls.iter().filter(to_there).collect();
            let wrong = |call: &&Called| {
                let body = spec.body.as_ref().map_or_else(Vec::new, |body| body_differences(body, &call.body));
                let header = |(name, value): &(&String, &String)| {
                    !call
                        .headers
                        .get(name.as_str())
                        .is_some_and(|found| wildcard::matches(value, &String::from_utf8_lossy(found.as_bytes())))
                };
                (body, spec.headers.iter().filter(header).map(|(name, _)| name.clone()).collect::<Vec<_>>())
            };
            let fitting = calls.iter().filter(|call| wrong(call) == (Vec::new(), Vec::new())).count();
            if spec.times.map_or(fitting > 0, |times| times == fitting) {
                continue;
            }
            let index = index.to_string();
            let mut path = vec!["http".to_owned(), index];
            let message = match (calls.last(), fitting) {
                (_, 1) => "such a call was made once".to_owned(),
                (_, 2..) => format!("such a call was made {fitting} times"),
                (None, _) => {
                    let made: BTreeSet<String> = self.rehearsed.calls.iter().map(Called::shown).collect();
                    format!("no such call was made; there was {}", listed(&made))
                }
                (Some(call), 0) => match wrong(call) {
                    (body, _) if !body.is_empty() => {
                        path.push("body".to_owned());
                        path.extend(parts(&body[0].pointer));
                        format!("{}: in its body {}", call.shown(), told(&body[0]))
                    }
                    (_, headers) => format!("{}: not the header {}", call.shown(), listed(&headers)),
                },
            };
            self.differs(&path.iter().map(String::as_str).collect::<Vec<_>>(), message, None);
        }
    }
}

/// What of several values is nearest to the one that is expected.
enum Nearest {
    /// One of them has all of it.
    Fits,
    /// There are none.
    Nothing,
    /// The one at this place, with its first difference.
    Differs(usize, Difference),
}

fn nearest_of(wanted: &Value, all: &[Value]) -> Nearest {
    let mut nearest: Option<(usize, usize, Difference)> = None;
    for (place, found) in all.iter().enumerate() {
        let mut wrong = differences(wanted, found);
        if wrong.is_empty() {
            return Nearest::Fits;
        }
        if nearest.as_ref().is_none_or(|(least, ..)| wrong.len() < *least) {
            nearest = Some((wrong.len(), place, wrong.swap_remove(0)));
        }
    }
    nearest.map_or(Nearest::Nothing, |(_, place, difference)| Nearest::Differs(place, difference))
}

/// The parts of a JSON pointer.
fn parts(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"))
}

fn told(difference: &Difference) -> String {
    let place = if difference.pointer.is_empty() { "the value" } else { &difference.pointer };
    let expected = shown(&difference.expected);
    match &difference.found {
        None => format!("{place} is not there; expected is {expected}"),
        Some(found) => format!("{place} is {}; expected is {expected}", shown(found)),
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().find(|(place, _)| *place >= SHOWN) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
