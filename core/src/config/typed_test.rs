use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::config::code::Code;
use crate::config::source::Source;
use crate::config::units::Period;
use crate::config::yaml::parse;
use crate::secret::Secret;

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(rename_all = "snake_case")]
enum Method {
    #[default]
    Percentage,
    Modulo,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct Sample {
    method: Method,
    rate: f64,
    count: u16,
    live: bool,
    name: String,
    tags: Vec<String>,
    headers: BTreeMap<String, String>,
    any: serde_json::Value,
    key: Secret,
    maybe: Option<u32>,
    wait: Period,
    inner: Inner,
    to: Option<OneOrMany>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct Inner {
    model: String,
    #[serde(alias = "language")]
    lang: String,
}

#[derive(Debug, Deserialize)]
struct Strict {
    url: String,
    #[serde(default)]
    retries: u32,
}

fn native() -> Mode {
    Mode::Native { key: "store".into(), span: Span::new(&Source::new("t.yml", ""), 0..0) }
}

fn tree(text: &str) -> Node {
    let mut findings = Vec::new();
    let node = parse(&Source::new("t.yml", text), &mut findings).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    node
}

fn good<T: DeserializeOwned>(text: &str) -> T {
    let mut findings = Vec::new();
    let value = read(&tree(text), "o", &native(), &mut findings);
    assert!(findings.is_empty(), "{text}: {findings:?}");
    value.unwrap()
}

/// Code, place and message of every finding.
fn bad<T: DeserializeOwned>(text: &str) -> Vec<(Code, String, String)> {
    let mut findings = Vec::new();
    let value: Option<T> = read(&tree(text), "o", &native(), &mut findings);
    assert!(value.is_none() || findings.iter().all(|f| f.code == Code::UnknownOption), "{text}");
    findings
        .into_iter()
        .map(|f| {
            let advice = f.advice().map(|advice| format!(" / {advice}")).unwrap_or_default();
            (f.code, f.span.to_string(), f.message + &advice)
        })
        .collect()
}

#[test]
fn values_are_taken_as_python_would_take_them() {
    let sample: Sample = good(
        "method: off\nrate: 1\ncount: 60.0\nlive: 1\nname: 0123\ntags: [2024, a, 1e3]\nheaders: {X: 1}\n\
         any: {a: [1, 2.5, null, yes]}\nkey: 12345\nmaybe:\nwait: 5m\ninner: {model: x, language: en}\nto: [a]\n",
    );
    assert_eq!(sample.method, Method::Off);
    assert_eq!((sample.rate, sample.count, sample.live, sample.name.as_str()), (1.0, 60, true, "0123"));
    assert_eq!(sample.tags, ["2024", "a", "1e3"]);
    assert_eq!(sample.headers["X"], "1");
    assert_eq!(sample.any, serde_json::json!({"a": [1, 2.5, null, true]}));
    assert_eq!((sample.key.expose(), sample.maybe), ("12345", None));
    assert_eq!(sample.wait.0.as_secs(), 300);
    assert_eq!((sample.inner.model.as_str(), sample.inner.lang.as_str()), ("x", "en"));
    assert!(matches!(sample.to, Some(OneOrMany::Many(list)) if list == ["a"]));
    let one: Sample = good("to: a");
    assert!(matches!(one.to, Some(OneOrMany::One(text)) if text == "a"));
}

#[test]
fn nothing_means_the_default_everywhere() {
    let sample: Sample = good("");
    assert_eq!(sample.count, 0);
    let sample: Sample = good("rate:\ncount:\nname:\ntags:\nheaders:\ninner:\nmethod:\nany:\nkey:\n");
    assert_eq!((sample.rate, sample.tags.len(), sample.inner.model.as_str()), (0.0, 0, ""));
}

#[test]
fn every_wrong_option_is_reported_with_path_and_place() {
    let found = bad::<Sample>(
        "rate: much\ncount: 70000\ntags: [a, {b: c}]\ninner: {modle: x, model: [1]}\nmethod: modulus\n\
         rat: 1\nname: yes\nwait: 5 minutes\nto: {a: b}\nheaders: [a]\n",
    );
    let mut lines: Vec<_> = found.iter().map(|(code, place, text)| format!("{place} {code} {text}")).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "t.yml:10:10 VC0303 `o.headers` must be a map, not a list",
            "t.yml:1:7 VC0303 `o.rate` must be a number, not the text `much`",
            "t.yml:2:8 VC0305 `o.count` must be a whole number from 0 to 65535, not the number `70000`",
            "t.yml:3:11 VC0303 `o.tags[1]` must be text, not a map",
            "t.yml:4:26 VC0303 `o.inner.model` must be text, not a list",
            "t.yml:4:9 VC0302 `o.inner` has no option `modle` / did you mean `model`?",
            "t.yml:5:9 VC0306 `o.method` cannot be the text `modulus` / did you mean `modulo`? possible: `percentage`, `modulo`, `off`",
            "t.yml:6:1 VC0302 `o` has no option `rat` / did you mean `rate`?",
            "t.yml:7:7 VC0303 `o.name` must be text, not the truth value `yes` / put it in quotes if it is meant as text",
            "t.yml:8:7 VC0303 `o.wait` must be a duration (seconds, or text such as `500ms`, `90s`, `5m`, `2h`, `1d`), not the text `5 minutes`",
            "t.yml:9:5 VC0305 `o.to` has none of the allowed forms: found a map / `vconductor describe` and the module's name show what it takes",
        ]
    );
}

#[test]
fn a_missing_key_is_reported_once_and_not_after_a_wrong_one() {
    let found = bad::<Strict>("retries: x\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(bad::<Strict>("url: [1]\n").len(), 1);
    assert_eq!(bad::<Strict>("url:\n")[0].0, Code::MissingKey);
    let strict: Strict = good("{url: x, retries: 3}");
    assert_eq!((strict.url.as_str(), strict.retries), ("x", 3));
}

#[test]
fn a_hopeless_map_ends_reading_in_time() {
    let text: String = (0..20_000).map(|n| format!("x{n}: 1\n")).collect();
    assert_eq!(bad::<Sample>(&text).len(), MAX_FINDINGS);
    let headers: String = (0..5_000).map(|n| format!("  x{n}: []\n")).collect();
    assert_eq!(bad::<Sample>(&format!("headers:\n{headers}")).len(), MAX_LEFT_OUT + 1);
}

#[test]
fn hints_tell_how_to_write_a_number() {
    assert_eq!(bad::<Sample>("rate: '1'")[0].2, "`o.rate` must be a number, not the text `1` / remove the quotes");
    assert!(bad::<Sample>("rate: 1e3")[0].2.ends_with("write the number out, for example `1000.0`"));
    assert_eq!(bad::<Sample>("[1]")[0].2, "`o` must be a map, not a list");
}

#[test]
fn unknown_options_are_warnings_in_compatibility_mode() {
    let mut findings = Vec::new();
    let value: Option<Sample> = read(&tree("rat: 1\nrate: 2\n"), "o", &Mode::Compatible, &mut findings);
    assert_eq!(value.unwrap().rate, 2.0);
    assert_eq!((findings.len(), findings[0].is_error()), (1, false));
}

#[test]
fn substituted_values_are_typed_but_never_shown() {
    let mut node = tree("count: ${env:PORT}\nname: ${env:NAME}\nrate: ${env:RATE}\nlive: ${env:ON}\n");
    let Value::Mapping(entries) = &mut node.value else { panic!("a map") };
    for ((_, value), text) in entries.iter_mut().zip(["8080", "0123", "hunter2", "yes"]) {
        value.value = Value::String(text.into());
        value.substituted = true;
    }
    let mut findings = Vec::new();
    let value: Option<Sample> = read(&node, "o", &native(), &mut findings);
    assert!(value.is_none());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].message, "`o.rate` must be a number, not the text `${env:RATE}`");
    if let Value::Mapping(entries) = &mut node.value {
        entries.remove(2);
    }
    let value: Sample = read(&node, "o", &native(), &mut Vec::new()).unwrap();
    assert_eq!((value.count, value.name.as_str(), value.live), (8080, "0123", true));
}
