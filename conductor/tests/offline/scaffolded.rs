//! `new` and `schema`: what is started passes its tests, and the schema knows what the loader knows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::place::Place;
use super::without_network;

fn new(place: &Place, arguments: &[&str]) -> super::Done {
    place.run(&[&["new"], arguments].concat())
}

fn modules(place: &Place, kind: &str) -> Vec<String> {
    let listed = place.run(&["list", kind, "--output", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let rows = listed.as_array().unwrap().iter().map(|row| row["module"].as_str().unwrap().to_owned());
    rows.collect()
}

#[test]
fn a_started_chain_of_any_plugin_passes_its_test() {
    let place = Place::new();
    let plugins: Vec<String> = [modules(&place, "links"), modules(&place, "storages")].concat();
    assert!(plugins.len() > 30, "{plugins:?}");
    let mut passing = 0;
    for module in &plugins {
        let name = module.replace('.', "_");
        let started = new(&place, &["chain", module, "--name", &name]);
        let file = place.0.path().join(format!("{name}.yml"));
        if std::fs::read_to_string(&file).unwrap().contains("${file:") {
            // Keys come from nowhere.
            assert_eq!(started.code, 78, "{module}: {}", started.stderr);
            assert!(started.stderr.contains("under `files`"), "{module}: {}", started.stderr);
            std::fs::remove_file(place.0.path().join(format!("{name}_test.yml"))).unwrap();
            continue;
        }
        assert_eq!(started.code, 0, "{module}: {}", started.stderr);
        passing += 1;
    }
    assert!(passing > 25, "{passing}");
    let told = without_network(&place, &["test"]);
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    assert!(told.stdout.ends_with(&format!("{passing} passed, 0 failed\n")), "{}", told.stdout);
}

#[test]
fn a_started_chain_is_shown_whole() {
    let place = Place::new();
    let started = new(&place, &["chain", "deepgram,analyze,analyze/webhook,s3"]);
    let read = |name: &str| std::fs::read_to_string(place.0.path().join(name)).unwrap();
    insta::assert_snapshot!(
        "chain",
        format!(
            "{}\n== calls.yml\n{}\n== calls_test.yml\n{}",
            started.all(),
            read("calls.yml"),
            read("calls_test.yml")
        )
    );
    assert_eq!(without_network(&place, &["test"]).code, 0);
    let again = new(&place, &["chain", "tag"]);
    assert_eq!(again.code, 2, "{}", again.stderr);
    assert!(again.stderr.contains("calls.yml is there already"), "{}", again.stderr);
    assert_eq!(new(&place, &["chain", "tag", "--force"]).code, 0);
}

#[test]
fn what_cannot_be_started_is_said() {
    let place = Place::new();
    let mut all = String::new();
    for arguments in [
        &["chain", "tga"][..],
        &["chain", "openai"],
        &["chain", "a/b/c"],
        &["chain", ","],
        &["link", "Word Count"],
        &["link", "x", "--language", "rust", "--source", "."],
    ] {
        let told = new(&place, arguments);
        assert_eq!(told.code, 2, "{arguments:?}");
        all.push_str(&format!("== {}\n{}", arguments.join(" "), told.stderr));
    }
    insta::assert_snapshot!("new_refused", all);
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 0);
}

#[test]
fn a_started_link_in_python_passes_its_test() {
    let place = Place::new();
    let started = new(&place, &["link", "word_count"]);
    assert_eq!(started.code, 0, "{}", started.stderr);
    let inside = Place(tempfile::tempdir().unwrap());
    for file in ["word_count.py", "chains.yml", "chains_test.yml"] {
        std::fs::copy(place.0.path().join("word_count").join(file), inside.0.path().join(file)).unwrap();
    }
    let told = without_network(&inside, &["test"]);
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    assert!(told.stdout.ends_with("2 passed, 0 failed\n"), "{}", told.stdout);
}

/// What it is built of; that it builds and works the example plugin shows, which it is a copy of.
#[test]
fn a_started_link_in_rust_is_built_of_what_vconductor_is_built_of() {
    let place = Place::new();
    let source = std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
    let started = new(&place, &["link", "word_count", "--language", "rust", "--source", source.to_str().unwrap()]);
    assert_eq!(started.code, 0, "{}", started.stderr);
    let folder = place.0.path().join("word_count");
    let mut cargo = std::process::Command::new(env!("CARGO"));
    let told = super::done(cargo.args(["update", "--workspace", "--offline"]).current_dir(&folder));
    assert_eq!(told.code, 0, "{}", told.stderr);
    let packages = |lock: &std::path::Path| -> BTreeSet<String> {
        let text = std::fs::read_to_string(lock).unwrap();
        let packages = text.split("[[package]]\n").skip(1);
        packages.map(|package| package.lines().take(2).collect::<Vec<_>>().join(" ")).collect()
    };
    let ours = packages(&source.join("Cargo.lock"));
    let theirs = packages(&folder.join("Cargo.lock"));
    let new: Vec<_> = theirs.difference(&ours).collect();
    assert_eq!(new, ["name = \"word_count\" version = \"0.1.0\""]);
    assert!(theirs.len() > 100, "{}", theirs.len());
}

fn schema() -> Value {
    let told = Place::new().run(&["schema"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    serde_json::from_str(&told.stdout).unwrap()
}

/// The keys that the loader names as possible, when it is given one that it does not know.
fn known_to_the_loader(text: &str) -> BTreeSet<String> {
    let place = Place::new();
    let told = place.write("a.yml", text).run(&["check", "a.yml"]);
    let line = told.stdout.lines().find_map(|line| line.split("help: possible: ").nth(1));
    let line = line.unwrap_or_else(|| panic!("{}", told.stdout));
    line.split(", ").map(str::to_owned).collect()
}

fn keys(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_schema_has_the_keys_that_the_loader_knows() {
    let schema = schema();
    assert_eq!(keys(&schema), known_to_the_loader("store: embedded:./x\nqqqqqqqq: 1\n"));
    let defs = &schema["$defs"];
    let native = "store: embedded:./x\n";
    for (name, text) in [
        ("Chain", "chains: {a: {links: [], ingress_lists: [a], qqqqqqqq: 1}}"),
        (
            "StepLink",
            "chains: {a: {links: [{link: b, qqqqqqqq: 1}], ingress_lists: [a]}}\nlinks: {b: {module: links.tag}}",
        ),
        (
            "StorageStep",
            "chains: {a: {links: [], storages: [{storage: b, qqqqqqqq: 1}], ingress_lists: [a]}}\nstorages: {b: {module: storage.file}}",
        ),
        ("Plugin", "links: {b: {module: links.tag, qqqqqqqq: 1}}"),
        ("Adapter", "ingress: {b: {module: ingress.twilio, list: b, qqqqqqqq: 1}}"),
    ] {
        assert_eq!(keys(&defs[name]), known_to_the_loader(&format!("{native}{text}\n")), "{name}");
    }
}

#[test]
fn what_check_accepts_the_schema_accepts_and_wrong_ones_it_refuses() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in [
        "chains/quickstart.yml",
        "chains/contact-center.yml",
        "chains/telephony.yml",
        "examples/plugin/chains.yml",
        "conductor/tests/offline/data/chains.yml",
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let value: Value = serde_yaml::from_str::<Value>(&text).unwrap();
        // Its link is one that this binary does not have.
        if file.contains("plugin") {
            assert!(!validator.is_valid(&value), "{file}");
            continue;
        }
        let wrong: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(wrong, Vec::<String>::new(), "{file}");
    }
    for wrong in [
        "chain: {}",
        "chains: {a: {link: [b]}}",
        "chains: {a: {links: [{link: b, retry: {attempts: many}}]}}",
        "chains: {a: {links: b}}",
        "chains: {a: {concurrency: 0}}",
        "links: {b: {module: links.tga}}",
        "links: {b: {module: links.webhook, options: {webhook-urls: [1]}}}",
        "links: {b: {options: {}}}",
        "http: {allow_private: 3}",
    ] {
        let value: Value = serde_yaml::from_str::<Value>(wrong).unwrap();
        assert!(!validator.is_valid(&value), "{wrong}");
    }
}
