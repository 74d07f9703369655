//! What every link must keep, whoever wrote it: the trials are made from the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::document::Document;
use vconductor_core::jose::Payload;
use vconductor_core::plugin::{Link, LinkEntry, Outcome, Registry, schema_value};
use vconductor_core::run::RunId;
use vconductor_core::store::Resumption;
use vconductor_core::vcon::{Form, Vcon};
use vconductor_links as _;
use vconductor_tests::authority::{Authority, Kind, Signer};
use vconductor_tests::link_stage::{LinkStage, Ran, Receiver};

/// Where the links that ship lie, from the workspace's root.
const FOLDER: &str = "links/src/all";

const UUID: &str = "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10";

/// A vCon with spellings that only a link which leaves them alone can keep.
const VCON: &str = r#"{
  "vcon": "0.4.0", "uuid": "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10", "created_at": "2026-01-01T00:00:00.10Z",
  "subject": "Refund", "x_kept": {"number": 1.50e3,  "text": "caf\u00e9",  "list": [1,2.0 , null]},
  "parties": [{"name": "Ann", "tel": "+15550100", "x_kept": 1E0}, {"name": "Bob", "mailto": "bob@example.com"}],
  "dialog": [
    {"type": "text", "start": "2026-01-01T00:00:00Z", "parties": [0, 1], "mediatype": "text/plain", "body": "Hello",
     "encoding": "none", "x_kept": [ ]},
    {"type": "recording", "start": "2026-01-01T00:00:00Z", "parties": [0, 1], "duration": 4.0,
     "url": "https://media.invalid/a.wav", "mediatype": "audio/wav"}
  ],
  "analysis": [{"type": "summary", "dialog": 0, "vendor": "acme", "body": "{\"a\": 1}", "encoding": "json"}],
  "attachments": [
    {"purpose": "tags", "party": 0, "dialog": 0, "body": "[\"sales:sales\"]", "encoding": "json", "x_kept": "\u0041"},
    {"purpose": "note", "party": 0, "dialog": 0, "mediatype": "text/plain", "body": "x", "encoding": "none"}
  ]
}"#;

type Done = Result<(), Failed>;

fn main() {
    let registry = Registry::collect().expect("the links are registered");
    let mut trials = vec![Trial::test("every_file_is_registered", {
        let files = registry.links.values().map(|entry| entry.file).collect();
        move || every_file_is_registered(&files)
    })];
    // The probes of the engine's tests are linked in too; they are no part of what ships.
    for entry in registry.links.into_values().filter(|entry| !entry.file.starts_with("tests/")) {
        let mut add = |name: &str, trial: fn(&'static LinkEntry) -> Done| {
            trials.push(Trial::test(format!("{}::{name}", entry.module), move || trial(entry)));
        };
        add("is_named_after_its_file", is_named_after_its_file);
        add("is_documented", is_documented);
        add("says_whether_it_costs_money", says_whether_it_costs_money);
        add("has_an_example_that_builds", has_an_example_that_builds);
        add("needs_no_options_map", needs_no_options_map);
        add("leaves_the_rest_of_the_vcon_alone", |entry| on_runtime(leaves_the_rest_alone(entry)));
        add("adds_nothing_the_second_time", |entry| on_runtime(adds_nothing_the_second_time(entry)));
        add("repeats_no_call_when_resumed", |entry| on_runtime(repeats_no_call_when_resumed(entry)));
        add("returns_when_cancelled", |entry| on_runtime(returns_when_cancelled(entry)));
        add("survives_vcons_of_any_shape", |entry| on_runtime(survives_vcons_of_any_shape(entry)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn every_file_is_registered(registered: &BTreeSet<&str>) -> Done {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FOLDER);
    for file in std::fs::read_dir(folder)? {
        let name = file?.file_name();
        let path = format!("{FOLDER}/{}", name.to_string_lossy());
        // A folder holds the parts of the link beside it.
        if !registered.iter().any(|file| *file == path || *file == format!("{path}.rs")) {
            return Err(format!("{path} registers no link: add `register_link!`").into());
        }
    }
    Ok(())
}

fn is_named_after_its_file(entry: &LinkEntry) -> Done {
    let path = entry.file.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/'));
    let path = path.ok_or_else(|| format!("{} does not lie in {FOLDER}", entry.file))?;
    let name = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    expect(entry.module == format!("links.{name}"), || format!("{} is in {}", entry.module, entry.file))
}

fn is_documented(entry: &LinkEntry) -> Done {
    let schema = schema_value(&(entry.schema)());
    let described = |schema: &Value| schema["description"].as_str().is_some_and(|text| !text.is_empty());
    expect(described(&schema), || "the struct of the options has no doc comment".to_owned())?;
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        expect(described(property), || format!("the option `{name}` has no doc comment"))?;
    }
    Ok(())
}

/// A budget that is spent skips what says that it costs money. What does so keeps its results (the option `cache`), and nothing
/// else has any to keep.
fn says_whether_it_costs_money(entry: &LinkEntry) -> Done {
    let keeps_results = schema_value(&(entry.schema)())["properties"].get("cache").is_some();
    expect(entry.paid == keeps_results, || format!("`PAID` is {}, the option `cache` says otherwise", entry.paid))
}

fn has_an_example_that_builds(entry: &'static LinkEntry) -> Done {
    let options = example_options(entry)?;
    let schema = schema_value(&(entry.schema)());
    for name in options.as_object().into_iter().flat_map(|options| options.keys()) {
        expect(schema["properties"].get(name).is_some(), || format!("there is no option `{name}`"))?;
    }
    build(entry, options).map(|_| ())
}

fn needs_no_options_map(entry: &'static LinkEntry) -> Done {
    if requires_options(entry) {
        return Ok(());
    }
    match (entry.build)("link", json!({})) {
        Ok(_) => Ok(()),
        // A paid service without a key: what is missing is in the message, and `check` shows it.
        Err(error) => expect(error.class() == Class::Configuration && error.help_text().is_some(), || {
            format!("without options: {}", error.chain_text())
        }),
    }
}

async fn leaves_the_rest_alone(entry: &'static LinkEntry) -> Done {
    let bench = Bench::new(entry).await?;
    let before = Vcon::read(VCON)?;
    for (options, link) in &bench.links {
        let ran = bench.finished(link, &before).await;
        if ran.result.is_err() {
            continue;
        }
        expect(entry.edits || ran.requested.edits.is_empty(), || "it edits, and says that it does not".to_owned())?;
        let mut after = ran.applied(&before)?;
        if after.form() == Form::Signed {
            after = Payload::of(after.document())?.innermost()?;
        }
        let text = |vcon: &Vcon, pointer: &str| vcon.document().get(pointer).map(|view| view.text().into_owned());
        for pointer in ["/x_kept", "/parties/0/x_kept", "/dialog/0/x_kept", "/attachments/0/x_kept", "/dialog/1"] {
            let (was, is) = (text(&before, pointer), text(&after, pointer));
            expect(was == is, || format!("{pointer} was {was:?} and is {is:?} with {options}"))?;
        }
    }
    Ok(())
}

async fn adds_nothing_the_second_time(entry: &'static LinkEntry) -> Done {
    let mut bench = Bench::new(entry).await?;
    let before = Vcon::read(VCON)?;
    for (options, link) in bench.links.clone() {
        let first = bench.finished(&link, &before).await;
        if first.result.is_err() {
            continue;
        }
        let once = first.applied(&before)?;
        bench.new_run();
        let second = bench.finished(&link, &once).await;
        let twice = second.applied(&once)?;
        expect(once.to_bytes() == twice.to_bytes(), || {
            let (once, twice) = (once.to_bytes(), twice.to_bytes());
            format!("{options}: {} became {}", String::from_utf8_lossy(&once), String::from_utf8_lossy(&twice))
        })?;
    }
    Ok(())
}

async fn repeats_no_call_when_resumed(entry: &'static LinkEntry) -> Done {
    let bench = Bench::new(entry).await?;
    let vcon = Vcon::read(VCON)?;
    for (options, link) in &bench.links {
        let first = bench.finished(link, &vcon).await;
        if first.result.is_err() {
            continue;
        }
        let calls = bench.receiver.received().len();
        let again = bench.finished(link, &vcon).await;
        expect(again.result? == first.result?, || format!("{options}: the resumed step decides otherwise"))?;
        let repeated = bench.receiver.received().len() - calls;
        expect(repeated == 0, || format!("{options}: the resumed step repeats {repeated} calls"))?;
    }
    Ok(())
}

async fn returns_when_cancelled(entry: &'static LinkEntry) -> Done {
    let bench = Bench::new(entry).await?;
    bench.stage.cancel.cancel();
    let vcon = Vcon::read(VCON)?;
    for (options, link) in &bench.links {
        let run = bench.stage.run(link.as_ref(), &vcon);
        let returned = tokio::time::timeout(Duration::from_secs(2), run).await.is_ok();
        expect(returned, || format!("{options}: still running after two seconds"))?;
    }
    Ok(())
}

async fn survives_vcons_of_any_shape(entry: &'static LinkEntry) -> Done {
    let mut bench = Bench::new(entry).await?;
    let whole: Value = serde_json::from_str(VCON)?;
    let mut pointers = Vec::new();
    collect_pointers(&whole, String::new(), &mut pointers);
    let replacements = [
        json!(null),
        json!(true),
        json!(-1),
        json!(""),
        json!("x"),
        json!([]),
        json!([null, 1, "a:b"]),
        json!({"a": {}}),
    ];
    for pointer in &pointers {
        for replacement in &replacements {
            let mut mutated = whole.clone();
            if let Some(place) = mutated.pointer_mut(pointer) {
                place.clone_from(replacement);
            }
            // What is no vCon at all never gets to a link.
            let Ok(vcon) = Document::from_value(&mutated).and_then(Vcon::from_document) else { continue };
            for (options, link) in bench.links.clone() {
                bench.new_run();
                let case = || format!("{pointer} = {replacement} with {options}");
                let (stage, vcon) = (Arc::clone(&bench.stage), vcon.clone());
                let ran = tokio::spawn(async move {
                    let ran = stage.run(link.as_ref(), &vcon).await;
                    if ran.result.is_ok() { ran.applied(&vcon).map(drop) } else { Ok(()) }
                });
                let applied = ran.await.map_err(|panic| format!("{}: {panic}", case()))?;
                applied.map_err(|error| format!("{}: its edits fail: {error}", case()))?;
            }
        }
    }
    Ok(())
}

/// Places of every kind, one in each list.
fn collect_pointers(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| collect_pointers(member, format!("{pointer}/{name}"), found));
        }
        Value::Array(elements) => {
            elements.first().into_iter().for_each(|first| collect_pointers(first, format!("{pointer}/0"), found));
        }
        _ => {}
    }
    found.push(pointer);
}

/// A link as it is without options and as in its example, with a receiver in place of all URLs.
struct Bench {
    stage: Arc<LinkStage>,
    receiver: Receiver,
    links: Vec<(Value, Arc<dyn Link>)>,
}

impl Bench {
    async fn new(entry: &'static LinkEntry) -> Result<Bench, Failed> {
        let receiver = Receiver::start().await?;
        let mut example = example_options(entry)?;
        let mut number = 0;
        redirect(&mut example, &receiver.url, &mut number);
        let mut links = vec![(example.clone(), build(entry, example)?)];
        if let Ok(link) = (entry.build)("link", json!({})) {
            links.push((json!({}), link));
        }
        Ok(Bench { stage: Arc::new(LinkStage::new(UUID)), receiver, links })
    }

    /// Runs a link, also behind its parking.
    async fn finished(&self, link: &Arc<dyn Link>, vcon: &Vcon) -> Ran {
        let ran = self.stage.run(link.as_ref(), vcon).await;
        match ran.result {
            Ok(Outcome::Park { .. }) => self.stage.resumed(link.as_ref(), vcon, Resumption::TimedOut).await,
            _ => ran,
        }
    }

    fn new_run(&mut self) {
        let stage = Arc::get_mut(&mut self.stage).expect("the executions before have ended");
        stage.step.run = RunId::new();
        stage.forget_parts();
    }
}

/// Puts the receiver in place of every URL.
fn redirect(value: &mut Value, receiver: &str, number: &mut u32) {
    match value {
        Value::String(text) if text.starts_with("http://") || text.starts_with("https://") => {
            *number += 1;
            *text = format!("{receiver}/{number}");
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| redirect(element, receiver, number)),
        Value::Object(members) => members.values_mut().for_each(|member| redirect(member, receiver, number)),
        _ => {}
    }
}

/// The options of the example: it is the YAML that stands under `links:`.
fn example_options(entry: &LinkEntry) -> Result<Value, Failed> {
    let links: BTreeMap<String, Value> = serde_yaml::from_str(entry.example)?;
    let mut links = links.into_values();
    let (Some(link), None) = (links.next(), links.next()) else {
        return Err("the example must hold one link".into());
    };
    expect(link["module"] == entry.module, || format!("the example is for {}", link["module"]))?;
    let mut options = link.get("options").cloned().unwrap_or_else(|| json!({}));
    interpolate(&mut options);
    Ok(options)
}

/// Keys and certificates are read where the configuration is interpolated; here they are made.
fn interpolate(value: &mut Value) {
    static SIGNER: LazyLock<Signer> = LazyLock::new(|| Authority::new().signer(Kind::Rsa, "signer.example.com"));
    match value {
        Value::String(text) if text.starts_with("${file:") && text.ends_with(".key}") => text.clone_from(&SIGNER.key),
        Value::String(text) if text.starts_with("${file:") && text.ends_with(".crt}") => text.clone_from(&SIGNER.chain),
        Value::Array(elements) => elements.iter_mut().for_each(interpolate),
        Value::Object(members) => members.values_mut().for_each(interpolate),
        _ => {}
    }
}

fn requires_options(entry: &LinkEntry) -> bool {
    schema_value(&(entry.schema)())["required"].as_array().is_some_and(|names| !names.is_empty())
}

fn build(entry: &LinkEntry, options: Value) -> Result<Arc<dyn Link>, Failed> {
    (entry.build)("link", options).map_err(|error| error.chain_text().into())
}

fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Done {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

fn on_runtime(trial: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limited = async { tokio::time::timeout(Duration::from_secs(120), trial).await };
    runtime.block_on(limited).unwrap_or_else(|_| Err("the link does not return".into()))
}
