//! Whole configurations: what is refused and how it is said, what is accepted and what it means.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::jq::CompileError;

/// No variable is set, no file exists.
struct Bare;

impl Environment for Bare {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> io::Result<String> {
        Err(io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tag {
    tags: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Webhook {
    #[serde(rename = "webhook-urls")]
    webhook_urls: Vec<String>,
    headers: BTreeMap<String, String>,
    timeout: Option<Period>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    Percentage,
    Rate,
    Modulo,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only read")]
struct Sampler {
    method: Method,
    value: f64,
    seed: Option<u64>,
}

#[derive(Deserialize, Default)]
struct Anything {}

struct Fake;

fn typed<T: serde::de::DeserializeOwned>(options: &Options, mode: &Mode, findings: &mut Vec<Finding>) -> Known {
    let _: Option<T> = options.read(mode, findings);
    Known::Yes
}

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Catalog for Fake {
    fn check_link_options(&self, module: &str, options: &Options, mode: &Mode, findings: &mut Vec<Finding>) -> Known {
        match module {
            "links.tag" => typed::<Tag>(options, mode, findings),
            "links.webhook" => typed::<Webhook>(options, mode, findings),
            "links.sampler" => typed::<Sampler>(options, mode, findings),
            "links.analyze" | "links.deepgram_link" => Known::Yes,
            _ => Known::No,
        }
    }

    fn check_storage_options(&self, module: &str, _: &Options, _: &Mode, _: &mut Vec<Finding>) -> Known {
        if self.storage_modules().iter().any(|known| known == module) { Known::Yes } else { Known::No }
    }

    fn check_tracer_options(&self, module: &str, options: &Options, mode: &Mode, findings: &mut Vec<Finding>) -> Known {
        if module == "tracers.jlinc" { typed::<Anything>(options, mode, findings) } else { Known::No }
    }

    fn link_modules(&self) -> Vec<String> {
        listed(&["links.tag", "links.webhook", "links.sampler", "links.analyze", "links.deepgram_link"])
    }

    fn storage_modules(&self) -> Vec<String> {
        listed(&["storage.file", "storage.postgres", "storage.s3"])
    }

    fn tracer_modules(&self) -> Vec<String> {
        listed(&["tracers.jlinc"])
    }

    fn compile_jq(&self, program: &str) -> Result<(), CompileError> {
        match program.strip_suffix('>') {
            Some(_) => {
                let message = "something is missing behind `>`".to_owned();
                Err(CompileError { offset: program.len(), message })
            }
            None => Ok(()),
        }
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/testdata").join(name)
}

/// Loads and checks a text as `vconductor check` does.
fn checked(name: &str, text: &str) -> (Loaded, Vec<Finding>) {
    let loaded = load_text(name, text, &Bare);
    let mut findings = loaded.findings.clone();
    if let Some(config) = &loaded.config {
        findings.extend(check(config, &Fake));
    }
    load::sort(&mut findings, &loaded.sources);
    (loaded, findings)
}

fn config(text: &str) -> Config {
    let (loaded, findings) = checked("t.yml", text);
    assert!(!has_errors(&findings), "{}", render(&findings, false, 120));
    loaded.config.unwrap()
}

#[test]
fn broken_configurations_are_reported_with_place_and_remedy() {
    let mut files: Vec<_> = std::fs::read_dir(folder("broken")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20);
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let (_, findings) = checked(name, &std::fs::read_to_string(&file).unwrap());
        assert!(!findings.is_empty(), "{name} has no finding");
        for finding in &findings {
            assert!(finding.advice().is_some() || finding.message.contains("must be"), "no advice: {finding:?}");
        }
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "testdata/snapshots" }, {
            insta::assert_snapshot!(name.strip_suffix(".yml").unwrap(), render(&findings, false, 120));
        });
    }
}

#[test]
fn the_forms_of_vcon_server_load_without_error_in_compatibility_mode() {
    let text = std::fs::read_to_string(folder("good/vcon_server_sample.yml")).unwrap();
    let (loaded, findings) = checked("sample.yml", &text);
    assert!(!has_errors(&findings), "{}", render(&findings, false, 120));
    let config = loaded.config.unwrap();
    assert_eq!(config.mode, Mode::Compatible);
    assert_eq!((config.links.len(), config.storages.len(), config.tracers.len()), (9, 3, 0));
    assert_eq!(config.storage("s3_copy").unwrap().options.node.to_json()["aws_bucket"], "c");
    assert_eq!(config.ingress_auth[1].keys.len(), 2);
    assert_eq!(config.followers[0].pulling_interval, Duration::from_secs(60));
    // What vcon-server ignores has no effect here.
    let shut = config.chain("shut_chain").unwrap();
    assert!(shut.enabled && shut.timeout.is_none() && shut.tracers.is_none());
    let noted: Vec<_> = compat_effects(&config).iter().map(|effect| effect.span.to_string()).collect();
    assert_eq!(noted, ["sample.yml:81:5", "sample.yml:82:5"]);
    assert_eq!(findings.iter().filter(|finding| finding.code == Code::Compatibility).count(), 1);
}

#[test]
fn every_native_form_is_read() {
    let config = config(&std::fs::read_to_string(folder("good/native.yml")).unwrap());
    assert!(matches!(&config.mode, Mode::Native { key, span } if key == "store" && span.line() == 1));
    assert_eq!(config.store.as_deref(), Some("embedded:./vconductor-data"));
    let chain = config.chain("support").unwrap();
    assert_eq!((chain.concurrency, chain.weight, chain.enabled), (Some(64), 2, true));
    assert_eq!(chain.timeout, Some(Duration::from_secs(600)));
    assert_eq!(chain.tracers.as_ref().unwrap()[0].value, "jlinc");
    assert_eq!(chain.retry.unwrap().attempts, Some(8));
    let steps: Vec<_> = chain.steps().collect();
    assert_eq!(steps.iter().map(|s| &*s.link).collect::<Vec<_>>(), ["tag", "hook", "tag", "hook", "tag", "hook"]);
    assert!(matches!(&chain.links[2], Step::Parallel { links, .. } if links[1].on_error == OnError::Stop));
    let hook = steps[1];
    assert_eq!(hook.condition.as_ref().unwrap().value, ".dialog | length > 0");
    assert_eq!((hook.on_error, hook.on_signed), (OnError::Continue, OnSigned::Wrap));
    assert_eq!(hook.timeout, Some(Duration::from_secs(90)));
    assert_eq!(hook.retry.unwrap().cap, Some(Period(Duration::from_secs(300))));
    let options = config.step_options(hook).unwrap().node.to_json();
    assert_eq!(options["headers"], serde_json::json!({"A": "z", "C": "d"}));
    assert_eq!(options["webhook-urls"][0], "https://example.org/main");
    assert_eq!(config.step_options(steps[4]).unwrap().node.to_json(), serde_json::json!({"tags": ["b"]}));
    assert_eq!((chain.storages[0].required, chain.storages[1].required), (true, false));
    assert_eq!(chain.storages[1].retry.unwrap().attempts, Some(3));
}

#[test]
fn each_of_our_keys_ends_compatibility_mode() {
    let cases = [
        ("store: redis://x", "store", 1),
        ("media: {}", "media", 1),
        ("prices: []", "prices", 1),
        ("durability: aof", "durability", 1),
        ("http: {}", "http", 1),
        ("chains: {a: {links: [], weight: 1}}", "chains.a.weight", 1),
        ("chains: {a: {links: [], concurrency: 1}}", "chains.a.concurrency", 1),
        ("chains: {a: {links: [], retry: {}}}", "chains.a.retry", 1),
        ("chains:\n  a:\n    links:\n      - b\n      - {link: b}", "chains.a.links.link", 5),
        ("chains: {a: {links: [{parallel: [b]}]}}", "chains.a.links.parallel", 1),
        ("chains: {a: {links: [{b: {c: 1}}]}}", "chains.a.links.b", 1),
        ("chains: {a: {links: [], storages: [{storage: s}]}}", "chains.a.storages.storage", 1),
    ];
    for (text, expected, line) in cases {
        match load_text("t.yml", text, &Bare).config.unwrap().mode {
            Mode::Native { key, span } => assert_eq!((key.as_str(), span.line()), (expected, line)),
            Mode::Compatible => panic!("{text} is compatible"),
        }
    }
    let both = "links: {a: {module: links.tag, options: {x: 1}}}\nchains: {c: {links: [a], timeout: 5, enabled: 0}}\n";
    assert_eq!(load_text("t.yml", both, &Bare).config.unwrap().mode, Mode::Compatible);
}

#[test]
fn of_two_chains_on_one_list_the_last_wins_in_compatibility_mode() {
    let text = "links: {t: {module: links.tag}}\nchains:\n  a: {links: [t], ingress_lists: [x, y]}\n  b: {links: [t], ingress_lists: [x]}\n";
    let config = config(text);
    let lists = |name| config.chain(name).unwrap().ingress_lists.iter().map(|l| l.value.clone()).collect::<Vec<_>>();
    assert_eq!((lists("a"), lists("b")), (vec!["y".to_owned()], vec!["x".to_owned()]));
    assert_eq!(compat_effects(&config)[0].span.to_string(), "t.yml:3:35");
}

#[test]
fn nothing_in_a_section_is_an_empty_section() {
    let config = config("links:\nstorages:\nchains:\ntracers:\nimports:\ningress_auth:\nfollowers:\n");
    assert!(config.links.is_empty() && config.chains.is_empty() && config.followers.is_empty());
    assert!(load_text("t.yml", "", &Bare).findings.is_empty());
}

#[test]
fn the_hash_follows_content_and_not_layout() {
    let hash = |text| load_text("t.yml", text, &Bare).config.unwrap().hash;
    assert_eq!(hash("links: {a: {module: x}}"), hash("# c\nlinks:\n  a:\n    module: 'x'\n"));
    assert_ne!(hash("links: {a: {module: x}}"), hash("links: {a: {module: y}}"));
    assert_ne!(hash("chains: {a: {links: []}, b: {links: []}}"), hash("chains: {b: {links: []}, a: {links: []}}"));
    assert_eq!(hash("").len(), 64);
}

#[test]
fn files_and_folders_are_joined_and_names_may_not_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.yml", "store: redis://x\nlinks:\n  tag: {module: links.tag}\n");
    write(
        "b.yaml",
        "links:\n  hook: {module: links.webhook}\nchains:\n  c: {links: [tag, hook], ingress_lists: [l]}\n",
    );
    write("b_test.yml", "not: [a configuration");
    write("notes.txt", "nor this");
    let loaded = load(&[dir.path().to_owned()], &Bare);
    assert!(!loaded.has_errors(), "{:?}", loaded.findings);
    assert_eq!(loaded.config.unwrap().links.len(), 2);
    assert_eq!(loaded.sources.len(), 2);

    write("c.yml", "store: redis://y\nlinks:\n  tag: {module: links.tag}\n");
    let loaded = load(&[dir.path().to_owned()], &Bare);
    let twice: Vec<_> = loaded.findings.iter().filter(|finding| finding.code == Code::NameInTwoFiles).collect();
    assert_eq!(twice.len(), 2);
    assert!(twice[1].span.to_string().ends_with("c.yml:3:3"), "{}", twice[1].span);
    assert!(twice[1].related[0].0.to_string().ends_with("a.yml:3:3"));
    assert!(render(&loaded.findings, false, 200).contains("first defined here"));

    let missing = load(&[dir.path().join("none.yml")], &Bare);
    assert!(missing.has_errors() && missing.config.is_none());
    assert!(render(&missing.findings, false, 120).contains("cannot read"));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(load(&[empty.path().to_owned()], &Bare).findings[0].code, Code::Unreadable);
}

#[test]
fn interpolated_secrets_never_reach_a_finding_or_a_debug_print() {
    struct Set;
    impl Environment for Set {
        fn variable(&self, _: &str) -> Option<String> {
            Some("hunter2".into())
        }
        fn file(&self, _: &str) -> io::Result<String> {
            Ok("hunter2".into())
        }
    }
    let text = "store: x\nlinks:\n  a: {module: '${env:A}', options: {tags: ['${file:/x}']}}\n  b: {module: links.sampler, options: {method: '${A}', value: '${env:B}'}}\nchains:\n  c:\n    timeout: ${env:T}\n    links: ['${env:L}', {link: a, if: '${env:I}', on_error: '${env:E}'}]\n    storages: ['${env:S}']\n    ingress_lists: ['${env:I}', '${env:I}']\n    egress_lists: ['${env:I}']\n";
    let loaded = load_text("t.yml", text, &Set);
    let mut findings = loaded.findings.clone();
    findings.extend(check(loaded.config.as_ref().unwrap(), &Fake));
    assert!(findings.len() > 5);
    let shown = render(&findings, false, 120) + &render_github(&findings) + &serde_json::to_string(&findings).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,200}") {
        let (_, findings) = checked("t.yml", &text);
        let _shown = render(&findings, false, 80);
    }

    #[test]
    fn no_text_of_yaml_marks_makes_the_loader_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "é", ": ", ":", "- ", "\n", "  ", "\t", "[", "]", "{", "}", "&x ", "*x", "!!int ", "!t ", "|", ">",
                "'", "\"", "#", "<<: ", "---\n", "${env:A}", "${", "}", "links: ", "chains: ", "storages: ", "options: ",
                "module: ", "0x", "1:30", "~", ",", "? ", "parallel: ", "link: ", "\r\n", "%",
            ]),
            0..40,
        )
    ) {
        let (_, findings) = checked("t.yml", &parts.concat());
        let _shown = render(&findings, false, 80) + &render_github(&findings);
    }
}
