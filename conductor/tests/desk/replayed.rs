//! `replay` with something different, from storages, files and lists.

use std::process::Stdio;

use serde_json::Value;

use crate::place::{Place, told};
use crate::stage::{Receiver, eventually, uuid, vcons};

/// Chains in which every vCon is told of by `tell`, and then `second` fails for some.
fn chains(first: &Receiver, second: &str) -> String {
    format!(
        "store: embedded:./data
links:
  tell: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}
  crm: {{module: links.webhook, options: {{webhook-urls: [\"{second}\"]}}}}
  urgent: {{module: links.jq_link, options: {{filter: '.subject | tonumber'}}}}
  mark: {{module: links.tag, options: {{tags: [\"a:1\"]}}}}
  ask: {{module: links.exec, options: {{command: [\"/bin/true\"]}}}}
storages:
  files: {{module: storage.file, options: {{path: ./files}}}}
  more: {{module: storage.file, options: {{path: ./more}}}}
  rows: {{module: storage.sqlite, options: {{path: ./rows.db}}}}
chains:
  support:
    ingress_lists: [calls]
    links: [tell, {{link: urgent, if: '.subject | endswith(\"1\")'}}, crm, mark]
    retry: {{attempts: 1}}
    egress_lists: [done]
  keep: {{ingress_lists: [keep], links: [], storages: [files], egress_lists: [kept]}}
  programs: {{ingress_lists: [programs], links: [ask]}}
",
        first.url()
    )
}

const CLOSED: &str = "http://127.0.0.1:1/closed";

/// What the storage `files` holds runs through `support`.
const STORED: &[&str] = &["replay", "--from", "storage", "files", "--to", "support", "--config", "chains.yml"];

fn groups(place: &Place) -> Vec<Value> {
    place.json(&["dlq", "list", "calls", "--group"]).as_array().unwrap().clone()
}

/// A place in which six vCons failed at `crm` and one at `urgent`.
fn with_two_groups() -> (Place, Receiver) {
    let (place, first) = (Place::new(), Receiver::start(true));
    place.write("chains.yml", chains(&first, CLOSED)).ingest("calls", 0..7);
    place.work();
    assert_eq!(first.told(), 7);
    (place, first)
}

fn on(place: &Place, arguments: &[&str]) -> crate::place::Done {
    place.run(&[arguments, &["--config", "chains.yml"]].concat())
}

/// How many waiting runs of a list are of how many different vCons.
fn waiting(place: &Place, list: &str) -> (usize, usize) {
    let peeked = place.json(&["queue", "peek", list, "--limit", "100000"]);
    let all: Vec<String> = peeked.as_array().unwrap().iter().map(|run| run["uuid"].to_string()).collect();
    (all.len(), all.iter().collect::<std::collections::BTreeSet<_>>().len())
}

#[test]
fn one_group_goes_on_with_another_option_and_pays_nothing_again() {
    let (place, first) = with_two_groups();
    let second = Receiver::start(true);
    let all = groups(&place);
    assert_eq!(all.iter().map(|group| group["letters"].as_u64().unwrap()).collect::<Vec<_>>(), [6, 1]);
    let command = all[0]["command"].as_str().unwrap();
    let group = command.rsplit_once(' ').unwrap().1;
    assert_eq!(command, format!("vconductor replay --from dlq DLQ:calls --group {group}"));
    let none = place.json(&["replay", "--from", "dlq", "calls", "--group", "00000000"]);
    assert_eq!((&none["revived"], &none["left"]), (&0.into(), &7.into()));
    let set = format!("crm.options.webhook-urls=[\"{}\"]", second.url());
    let replayed =
        on(&place, &["replay", "--from", "dlq", "calls", "--group", group, "--from-link", "crm", "--set", &set]);
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
    place.work();
    assert_eq!((first.told(), second.told()), (7, 6), "what is finished is not done again");
    assert_eq!((&place.status("done")["waiting"], place.letters("calls").len()), (&6.into(), 1));
    let shown = place.desk(&["show", &uuid(0)]);
    assert!(shown.stdout.contains("a:1") || shown.stdout.contains("a: 1"), "{}", shown.stdout);
}

#[test]
fn what_is_different_stays_with_the_run() {
    let (place, first) = with_two_groups();
    // It dies again, elsewhere, and still knows what was different.
    let set = "crm.options.webhook-urls=[\"http://127.0.0.1:1/other\"]";
    let asked = ["replay", "--from", "dlq", "calls", "--set", set, "--skip-link", "urgent"];
    assert_eq!(on(&place, &asked).code, 0);
    place.work();
    assert_eq!((first.told(), place.letters("calls").len()), (7, 7));
    let letters = place.letters("calls");
    assert!(letters.iter().all(|letter| letter["message"].as_str().unwrap().contains("/other")), "{letters:?}");
    for command in ["dlq", "runs"] {
        let shown = place.desk(&[command, "show", &uuid(1)]).stdout;
        assert!(shown.contains("--skip-link urgent") && shown.contains(&format!("--set {set}")), "{shown}");
    }
    let open = Receiver::start(true);
    let again = format!("crm.options.webhook-urls=[\"{}\"]", open.url());
    assert_eq!(on(&place, &["replay", "--from", "dlq", "calls", "--set", &again]).code, 0);
    place.work();
    assert_eq!((first.told(), open.told(), place.letters("calls").len()), (7, 7, 0), "`urgent` is still skipped");
}

#[test]
fn a_finished_link_runs_again_only_if_its_result_changes() {
    let (place, first) = with_two_groups();
    let asked = ["replay", "--from", "dlq", "calls", "--limit", "3", "--skip-link", "crm"];
    assert_eq!(on(&place, &[&asked[..], &["--set", "tell.options.timeout=3"]].concat()).code, 0);
    place.work();
    assert_eq!(first.told(), 7, "a time limit changes no result");
    assert_eq!(on(&place, &[&asked[..], &["--set", "tell.options.payload=thin"]].concat()).code, 0);
    place.work();
    assert_eq!(first.told(), 10);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_done() {
    let (place, _first) = with_two_groups();
    let asked = |arguments: &[&str]| {
        let done = on(&place, &[&["replay", "--from", "dlq", "calls"][..], arguments].concat());
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
        done.stderr
    };
    let mut said = String::new();
    for arguments in [
        &["--set", "crn.options.timeout=3"][..],
        &["--set", "crm.options.timeuot=3"],
        &["--set", "crm.options.timeout=soon"],
        &["--set", "crm.options.secret=whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"],
        &["--set", "crm.options.webhook-urls=[\"${env:HOME}\"]"],
        &["--set", "crm.timeout=3"],
        &["--skip-link", "crn"],
        &["--from-link", "crn"],
        &["--where", ".a |"],
        &["--since", "1d", "--until", "2d"],
    ] {
        let shown = arguments.join(" ").replace("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "SECRET");
        said.push_str(&format!("{shown}\n{}\n", asked(arguments)));
    }
    assert!(!said.contains("whsec_"), "a secret is not repeated");
    insta::assert_snapshot!("replay_refused", said);
    let program = ["replay", "--from", "path", "in.jsonl", "--to", "programs", "--set", "ask.options.command=[rm]"];
    let program = on(&place, &program);
    assert!(program.code == 2 && program.stderr.contains("cannot be set for single runs"), "{}", program.stderr);
    let blind = place.desk(&["replay", "--from", "dlq", "calls", "--set", "crm.options.timeout=3"]);
    assert!(blind.code == 2 && blind.stderr.contains("need the configuration"), "{}", blind.stderr);
    assert_eq!(place.letters("calls").len(), 7);
}

#[test]
fn a_secret_is_read_where_the_chain_runs_and_kept_nowhere() {
    let (place, _first) = with_two_groups();
    let second = Receiver::start(true);
    let url = format!("crm.options.webhook-urls=[\"{}\"]", second.url());
    let asked = [
        "replay",
        "--from",
        "dlq",
        "calls",
        "--set",
        &url,
        "--set",
        "crm.options.secret=${env:HOOK}",
        "--skip-link",
        "urgent",
    ];
    let replayed = on(&place, &asked);
    assert!(replayed.code == 0 && replayed.stderr.contains("HOOK is not known here"), "{}", replayed.stderr);
    place.work();
    let letters = place.letters("calls");
    assert_eq!((letters.len(), second.told()), (7, 0), "the conductor does not know the variable");
    assert!(letters[0]["message"].as_str().unwrap().contains("`HOOK` is not set"), "{letters:?}");
    assert_eq!(letters[0]["class"], "configuration");
    assert_eq!(place.json(&["dlq", "retry", "calls"])["revived"], 7);
    let secret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";
    let mut run = place.command(&["run", "chains.yml", "--until-idle", "--quiet"]);
    assert!(run.env("HOOK", secret).status().unwrap().success());
    assert_eq!((second.told(), place.letters("calls").len()), (7, 0));
    for entry in std::fs::read_dir(place.0.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
        }
    }
}

#[test]
fn by_condition_and_by_time() {
    let (place, _first) = with_two_groups();
    let asked = |arguments: &[&str]| {
        let all = [&["replay", "--from", "dlq", "calls", "--dry-run"][..], arguments].concat();
        place.json(&all)["revived"].as_u64().unwrap()
    };
    assert_eq!(asked(&["--where", ".subject == \"case 3\""]), 1);
    assert_eq!(asked(&["--where", ".subject | endswith(\"1\") | not", "--since", "1h"]), 6);
    assert_eq!((asked(&["--since", "1h"]), asked(&["--until", "1h"])), (7, 0));
    assert_eq!(asked(&["--until", "2024-01-01"]), 0);
}

/// A place in which so many vCons lie in the storage `files`.
fn with_stored(count: usize) -> Place {
    let (place, first) = (Place::new(), Receiver::start(true));
    place.write("chains.yml", chains(&first, CLOSED)).ingest("keep", 0..count);
    place.work();
    assert_eq!(place.status("kept")["waiting"], count);
    place
}

#[test]
fn what_a_storage_holds_is_run_once_whatever_ends_the_command() {
    let place = with_stored(300);
    let all = [STORED, &["--skip-link", "crm"]].concat();
    let asked = [&all[..], &["--rate", "60/s"]].concat();
    let start = || place.command(&asked).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut killed = start();
    eventually("some are put on the list", || waiting(&place, "calls").0 >= 20);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (before, _) = waiting(&place, "calls");
    let stopping = start();
    eventually("more are put on the list", || waiting(&place, "calls").0 > before + 20);
    assert!(std::process::Command::new("kill").args(["-INT", &stopping.id().to_string()]).status().unwrap().success());
    let stopped = told(stopping.wait_with_output().unwrap());
    assert_eq!(stopped.code, 1, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("goes on where it stood"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("the same command goes on behind them"), "{}", stopped.stderr);
    let (before, _) = waiting(&place, "calls");
    assert!(before < 300, "{before}");
    let rest = place.run(&[&all[..], &["--output", "json"]].concat());
    let said: Value = serde_json::from_str(&rest.stdout).unwrap();
    assert_eq!((rest.code, &said["done"], &said["resumed"]), (0, &300.into(), &true.into()), "{}", rest.stderr);
    assert_eq!(waiting(&place, "calls"), (300, 300), "each once, none left out");
    let again = place.run(&all);
    assert!(again.code == 0 && again.stderr.contains("--restart does it again"), "{}", again.stderr);
    assert_eq!(waiting(&place, "calls").0, 300);
    assert_eq!(place.run(&[&all[..], &["--restart", "--limit", "7"]].concat()).code, 0);
    assert_eq!(waiting(&place, "calls").0, 307, "--limit makes it another command");
}

#[test]
fn runs_of_a_storage_begin_where_they_are_asked_to() {
    let (place, second) = (with_stored(4), Receiver::start(true));
    let set = format!("crm.options.webhook-urls=[\"{}\"]", second.url());
    let otherwise = ["--from-link", "crm", "--set", &set, "--skip-link", "mark", "--where", ".subject != \"case 1\""];
    let replayed = place.run(&[STORED, &otherwise].concat());
    assert!(
        replayed.code == 0 && replayed.stdout.starts_with("3 vCons put on `calls`, 1 not asked for"),
        "{}",
        replayed.stdout
    );
    place.work();
    assert_eq!((second.told(), &place.status("done")["waiting"]), (3, &3.into()));
    assert!(!place.desk(&["show", &uuid(0)]).stdout.contains("a:1"), "`mark` was skipped");
}

#[test]
fn what_cannot_be_run_is_told_by_reason() {
    let place = with_stored(2);
    place.write("export/a.jsonl", vcons(10..13)).write("export/b.json", "{broken").write("export/c.json", "[]");
    let asked = ["replay", "--from", "path", "export", "--to", "support", "--output", "json"];
    let replayed = on(&place, &asked);
    let said: Value = serde_json::from_str(&replayed.stdout).unwrap();
    assert_eq!((replayed.code, &said["done"], &said["failed"]), (1, &3.into(), &2.into()), "{}", replayed.stderr);
    assert_eq!(said["reasons"].as_array().unwrap().len(), 2);
    assert_eq!(waiting(&place, "calls"), (3, 3));
    let unknown = on(&place, &["replay", "--from", "storage", "file", "--to", "support"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("did you mean `files`?"), "{}", unknown.stderr);
    let nowhere = on(&place, &["replay", "--from", "path", "export"]);
    assert!(nowhere.code == 2 && nowhere.stderr.contains("needs a target"), "{}", nowhere.stderr);
}

#[test]
fn a_list_is_not_filled_faster_than_it_drains() {
    let place = with_stored(40);
    let asked = [STORED, &["--ahead", "10", "--rate", "40/s"]].concat();
    let mut waits = place.command(&asked).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the list is as long as it may be", || waiting(&place, "calls").0 >= 10);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let (length, _) = waiting(&place, "calls");
    assert!((10..=20).contains(&length), "{length}");
    assert!(waits.try_wait().unwrap().is_none(), "it waits");
    // A conductor that finds the list empty ends, be it that the replay has more.
    eventually("the replay has put all of them", || {
        place.work();
        waits.try_wait().unwrap().is_some()
    });
    place.work();
    assert_eq!(place.letters("calls").len(), 40, "all came to the closed end");
}

#[test]
fn waiting_runs_leave_their_list_once() {
    let (place, first) = (with_stored(6), Receiver::start(true));
    place.write("chains.yml", chains(&first, &first.url()));
    let asked = ["replay", "--from", "list", "kept", "--to", "support", "--where", ".subject != \"case 0\""];
    let moved = on(&place, &asked);
    assert!(moved.code == 0 && moved.stdout.starts_with("5 vCons put on `calls`, 1 not asked for"), "{}", moved.stdout);
    assert_eq!((waiting(&place, "kept").0, waiting(&place, "calls").0), (1, 5));
    let here = on(&place, &["replay", "--from", "list", "calls", "--skip-link", "urgent", "--skip-link", "crm"]);
    assert!(here.code == 0 && here.stdout.starts_with("5 vCons put on `calls`"), "{} {}", here.stdout, here.stderr);
    place.work();
    assert_eq!((first.told(), &place.status("done")["waiting"]), (5, &5.into()));
}

#[test]
fn a_copy_is_verified_and_goes_on() {
    let place = with_stored(200);
    let asked = ["copy", "--from", "files", "--to", "rows", "--verify", "--config", "chains.yml"];
    let mut slow = place.command(&[&asked[..], &["--rate", "40/s"]].concat());
    let mut killed = slow.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("two batches are copied", || {
        let look = place.run(&[&asked[..], &["--dry-run", "--output", "json"]].concat());
        let said: Value = serde_json::from_str(&look.stdout).unwrap_or_default();
        said["there_already"].as_u64() >= Some(20)
    });
    killed.kill().unwrap();
    killed.wait().unwrap();
    let copied = place.run(&[&asked[..], &["--output", "json"]].concat());
    let said: Value = serde_json::from_str(&copied.stdout).unwrap();
    let number = |name: &str| said[name].as_u64().unwrap();
    assert_eq!(copied.code, 0, "{}{}", copied.stdout, copied.stderr);
    assert_eq!(number("copied") + number("there_already"), 200, "{said}");
    assert!(said["resumed"] == true && number("there_already") <= 64, "{said}");
    let back = on(&place, &["copy", "--from", "rows", "--to", "./back/", "--verify"]);
    assert!(back.code == 0 && back.stdout.starts_with("200 vCons copied and verified to ./back/"), "{}", back.stdout);
    let there = on(&place, &["copy", "--from", "./back/", "--to", "files"]);
    assert!(
        there.code == 0 && there.stdout.starts_with("no vCons copied to files, 200 there already"),
        "{}",
        there.stdout
    );
    place.write("other/a.json", vcons(3..4).replace("case 3", "case three"));
    let differs = on(&place, &["copy", "--from", "./other", "--to", "rows"]);
    assert!(differs.code == 1 && differs.stdout.contains("1 differ and stay as they are"), "{}", differs.stdout);
    assert!(differs.stdout.contains("/subject"), "{}", differs.stdout);
    let replaced = on(&place, &["copy", "--from", "./other", "--to", "rows", "--overwrite", "--verify"]);
    assert!(replaced.code == 0 && replaced.stdout.starts_with("1 vCon copied and verified"), "{}", replaced.stdout);
    let dry =
        on(&place, &["copy", "--from", "files", "--to", "more", "--dry-run", "--where", ".subject == \"case 5\""]);
    assert!(
        dry.code == 0 && dry.stdout.starts_with("1 vCon would be copied to more, 199 not asked for"),
        "{}",
        dry.stdout
    );
    assert!(!place.0.path().join("more").exists());
}
