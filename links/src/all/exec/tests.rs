use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use vconductor_core::Class;

use super::*;
use crate::link_stage::{LinkStage, Ran};

const UUID: &str = "018f0000-0000-8000-8000-000000000001";

/// A Python process that answers each call with what `body` makes of `call`.
const LOOP: &str = r#"
import json, os, sys, time
hello = json.loads(sys.stdin.readline())
def answer(call, **members):
    print(json.dumps({"id": call["id"], **members}), flush=True)
for line in sys.stdin:
    call = json.loads(line)
"#;

fn python(body: &str) -> Value {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    json!(["python3", "-c", format!("{LOOP}{body}")])
}

fn link(options: Value) -> Exec {
    Exec::new("external", serde_json::from_value(options).unwrap()).unwrap()
}

fn vcon(more: &Value) -> Vcon {
    let mut vcon = json!({"uuid": UUID, "vcon": "0.4.0", "dialog": [], "analysis": [], "attachments": []});
    vcon.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Vcon::read(vcon.to_string()).unwrap()
}

async fn run(link: &Exec, vcon: &Vcon) -> Ran {
    LinkStage::new(UUID).run(link, vcon).await
}

async fn error(link: &Exec) -> Error {
    run(link, &vcon(&json!({}))).await.result.unwrap_err()
}

/// The pids that a child wrote to a file, one per line.
fn pids(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn is_running(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

async fn assert_ends(pid: &str) {
    for _ in 0..200 {
        if !is_running(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {pid} is still there");
}

#[tokio::test]
async fn edits_pushes_notes_and_options_go_through() {
    let body = r#"answer(call, outcome="continue", pushes=["urgent"], notes=["seen"], edits=[
    {"op": "add_tag", "name": hello["link"], "value": hello["options"]["value"]},
    {"op": "set", "pointer": "/subject", "value": call["vcon"]["subject"] + "ü👩‍👩‍👧"}])"#;
    let link = link(json!({"command": python(body), "options": {"value": "grün"}}));
    let before = vcon(&json!({"subject": "\u{0}\"日本\u{2028}", "x": 1}));
    let ran = run(&link, &before).await;
    let after = ran.applied(&before).unwrap();
    assert_eq!(ran.result.unwrap(), Outcome::Continue);
    assert_eq!((ran.requested.pushes, ran.requested.notes), (vec!["urgent".to_owned()], vec!["seen".to_owned()]));
    assert_eq!(after.subject().unwrap(), "\u{0}\"日本\u{2028}ü👩‍👩‍👧");
    assert_eq!(after.normalised()["attachments"][0]["body"], json!("[\"external:grün\"]"));
}

#[tokio::test]
async fn one_process_serves_many_calls() {
    let link = link(json!({"command": python("answer(call, outcome='switch', uuid=str(os.getpid()))")}));
    let first = run(&link, &vcon(&json!({}))).await.result.unwrap();
    assert!(matches!(first, Outcome::Switch(_)));
    for _ in 0..20 {
        assert_eq!(run(&link, &vcon(&json!({}))).await.result.unwrap(), first);
    }
}

#[tokio::test]
async fn the_environment_holds_only_what_was_configured() {
    let body = "answer(call, outcome='continue', notes=sorted(os.environ))";
    let strict = link(json!({"command": python(body), "env": {"API_KEY": "abc"}}));
    let notes = run(&strict, &vcon(&json!({}))).await.requested.notes;
    assert!(notes.contains(&"API_KEY".to_owned()) && notes.contains(&"PATH".to_owned()), "{notes:?}");
    assert!(!notes.iter().any(|name| name.starts_with("CARGO")), "{notes:?}");
    let open = link(json!({"command": python(body), "inherit_env": true}));
    assert!(run(&open, &vcon(&json!({}))).await.requested.notes.iter().any(|name| name.starts_with("CARGO")));
}

#[tokio::test]
async fn a_crash_is_retryable_shows_the_last_words_and_heals() {
    let body = r#"if call["id"] == 1 and not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    print("key " + os.environ["KEY"] + " is wrong", file=sys.stderr)
    os._exit(3)
answer(call, outcome="continue")"#;
    let folder = tempfile::tempdir().unwrap();
    let mut command = python(body);
    command.as_array_mut().unwrap().push(json!(folder.path().join("crashed")));
    let link = link(json!({"command": command, "env": {"KEY": "geheim123"}}));
    let error = error(&link).await;
    assert!(error.is_retryable() && error.help_text().is_some());
    for part in ["python3", "exit status: 3", "key [secret] is wrong"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert_eq!(run(&link, &vcon(&json!({}))).await.result.unwrap(), Outcome::Continue);
}

#[tokio::test]
async fn garbage_is_permanent_and_does_not_reach_the_next_vcon() {
    let body = r#"if call["vcon"].get("subject") == "bad":
    print("DEBUG: loading\n{}", flush=True)
answer(call, outcome="continue")"#;
    let link = link(json!({"command": python(body)}));
    let error = run(&link, &vcon(&json!({"subject": "bad"}))).await.result.unwrap_err();
    assert_eq!(error.class(), Class::Permanent);
    assert!(
        error.message().contains("DEBUG: loading") && error.help_text().unwrap().contains("standard error"),
        "{error}"
    );
    assert_eq!(run(&link, &vcon(&json!({}))).await.result.unwrap(), Outcome::Continue);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_garbage() {
    let link = link(json!({"command": python("print('x' * 100000, flush=True)"), "max_output": "64KB"}));
    let error = error(&link).await;
    assert!(error.class() == Class::Permanent && error.message().contains("max_output"), "{error}");
}

#[tokio::test]
async fn a_hanging_process_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $! >> {0}; echo $$ >> {0}; wait", file.display());
    let link = link(json!({"command": ["sh", "-c", script], "timeout": 0.5}));
    let error = error(&link).await;
    assert!(error.is_retryable() && error.message().contains("0.5 s") && error.help_text().is_some(), "{error}");
    let pids = pids(&file);
    assert_eq!(pids.len(), 2);
    for pid in pids {
        assert_ends(&pid).await;
    }
}

#[tokio::test]
async fn a_cancelled_call_kills_its_process_and_the_next_call_gets_its_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let body = r#"print(os.getpid(), file=open(sys.argv[1], "a"), flush=True)
if call["vcon"].get("subject") == "slow":
    time.sleep(1000)
answer(call, outcome="switch", uuid=call["vcon"].get("subject"))"#;
    let mut command = python(body);
    command.as_array_mut().unwrap().push(json!(file));
    let link = link(json!({"command": command}));
    let stage = LinkStage::new(UUID);
    let cancel = stage.cancel.clone();
    let slow = vcon(&json!({"subject": "slow"}));
    let (ran, ()) = tokio::join!(stage.run(&link, &slow), async {
        while pids(&file).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    });
    assert!(ran.result.unwrap_err().is_retryable());
    assert_ends(&pids(&file)[0]).await;
    // The same when nobody waits any longer.
    let dropped = tokio::time::timeout(Duration::from_millis(500), run(&link, &slow)).await;
    assert!(dropped.is_err());
    let next = run(&link, &vcon(&json!({"subject": "next"}))).await;
    assert_eq!(next.result.unwrap(), Outcome::Switch("next".to_owned()));
    drop(link);
    for pid in pids(&file) {
        assert_ends(&pid).await;
    }
}

#[tokio::test]
async fn a_slow_start_is_waited_for() {
    let command = json!([
        "sh",
        "-c",
        "sleep 0.7; exec \"$0\" \"$@\"",
        "python3",
        "-c",
        format!("{LOOP}    answer(call, outcome='stop')")
    ]);
    let link = link(json!({"command": command}));
    assert_eq!(run(&link, &vcon(&json!({}))).await.result.unwrap(), Outcome::Stop);
}

#[tokio::test]
async fn two_workers_run_in_parallel_and_a_third_call_waits() {
    let body = "time.sleep(0.5)\nanswer(call, outcome='switch', uuid=str(os.getpid()))";
    let link = link(json!({"command": python(body), "workers": 2}));
    let empty = vcon(&json!({}));
    // Both are started.
    let (_, _) = tokio::join!(run(&link, &empty), run(&link, &empty));
    let start = Instant::now();
    let (one, two, three) = tokio::join!(run(&link, &empty), run(&link, &empty), run(&link, &empty));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(950), "{took:?}: one call at a time in each");
    let (one, two, three) = (one.result.unwrap(), two.result.unwrap(), three.result.unwrap());
    assert!(one != two && (three == one || three == two), "{one:?} {two:?} {three:?}");
}

#[tokio::test]
async fn five_megabytes_go_there_and_back() {
    let body = r#"document = call["vcon"]
document["analysis"].append({"type": "size", "body": str(len(document["dialog"][0]["body"]))})
answer(call, outcome="continue", vcon=document)"#;
    let link = link(json!({"command": python(body)}));
    let before = vcon(&json!({"dialog": [{"type": "recording", "body": "A".repeat(5 * 1024 * 1024)}]}));
    let ran = run(&link, &before).await;
    ran.result.as_ref().unwrap();
    assert_eq!(ran.requested.edits.len(), 1, "only what differs");
    assert_eq!(ran.applied(&before).unwrap().normalised()["analysis"][0]["body"], json!((5 * 1024 * 1024).to_string()));
}

#[tokio::test]
async fn a_flood_on_standard_error_holds_nothing_up() {
    let body = "sys.stderr.write(('y' * 200 + '\\n') * 20000 + 'z' * 3000000)\nanswer(call, outcome='continue')";
    let link = link(json!({"command": python(body), "timeout": 20}));
    for _ in 0..2 {
        assert_eq!(run(&link, &vcon(&json!({}))).await.result.unwrap(), Outcome::Continue);
    }
}

#[tokio::test]
async fn a_process_that_ends_between_calls_is_replaced_unnoticed() {
    // Ends some time after its answer: before, while or after the next call is sent.
    for pause in ["0", "0.01", "0.1"] {
        let body = format!("answer(call, outcome='continue')\ntime.sleep({pause})\nsys.exit(0)");
        let link = link(json!({"command": python(&body)}));
        for number in 0..5 {
            let result = run(&link, &vcon(&json!({}))).await.result;
            assert_eq!(result.unwrap(), Outcome::Continue, "call {number} with {pause} s");
        }
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_is_a_configuration_error() {
    for options in [
        json!({"command": ["/does/not/exist"]}),
        json!({"command": ["sh"], "cwd": "/does/not/exist"}),
        json!({"command": ["/etc/hostname"]}),
    ] {
        let error = error(&link(options.clone())).await;
        assert_eq!(error.class(), Class::Configuration, "{options}: {}", error.chain_text());
        assert!(error.help_text().is_some());
    }
    let error = error(&link(json!({"command": ["true"]}))).await;
    assert!(error.is_retryable() && error.message().contains("exit status: 0"), "{error}");
}

#[tokio::test]
async fn a_process_that_keeps_failing_holds_no_vcon_up() {
    let link = link(json!({"command": ["sh", "-c", "echo broken >&2; exit 4"]}));
    let mut last = error(&link).await;
    for _ in 0..6 {
        last = error(&link).await;
    }
    assert!(last.is_retryable() && last.wait().is_some_and(|wait| wait > Duration::from_secs(1)), "{last}");
    assert!(last.message().contains("in a row") && last.message().contains("broken"), "{last}");
}

#[test]
fn options_are_checked() {
    for (options, expected) in [
        (json!({"command": []}), "`command`"),
        (json!({"command": ["x"], "workers": 0}), "`workers`"),
        (json!({"command": ["x"], "timeout": 0}), "`timeout`"),
        (json!({"command": ["x"], "env": {"A=B": "c"}}), "`env`"),
    ] {
        let Err(error) = Exec::new("external", serde_json::from_value(options).unwrap()) else { panic!("{expected}") };
        assert!(error.message().contains(expected) && error.help_text().is_some(), "{error}");
    }
}

mod adapter {
    use super::*;

    fn adapted(module: &str, options: &Value, folder: Option<&Path>) -> Exec {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/exec");
        link(json!({
            "command": ["python3", examples.join("vcon_link_adapter.py"), module],
            "options": options,
            "env": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": folder.unwrap_or(Path::new("/nowhere"))},
        }))
    }

    /// A link of vcon-server with this body of `run`.
    fn module(folder: &Path, body: &str) {
        let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
        let head = "from lib.vcon_redis import VconRedis\nfrom lib.metrics import record_histogram\nimport vcon\n";
        fs::write(folder.join("probe.py"), format!("{head}def run(vcon_uuid, link_name, opts):\n{body}")).unwrap();
    }

    async fn probe(body: &str) -> Ran {
        let folder = tempfile::tempdir().unwrap();
        module(folder.path(), body);
        run(&adapted("probe", &Value::Null, Some(folder.path())), &vcon(&json!({}))).await
    }

    #[tokio::test]
    async fn the_example_counts_words_and_stops_below_its_minimum() {
        let dialogs =
            json!({"dialog": [{"type": "text", "body": "eins zwei drei"}, {"type": "recording"}], "n": 1e300});
        let before = vcon(&dialogs);
        let link = adapted("word_count", &json!({"minimum": 2}), None);
        let ran = run(&link, &before).await;
        assert_eq!(*ran.result.as_ref().unwrap(), Outcome::Continue);
        let after = ran.applied(&before).unwrap();
        let value = after.normalised();
        assert_eq!(
            value["analysis"],
            json!([
                {"type": "word_count", "dialog": 0, "vendor": "example", "body": "{\"words\": 3}", "encoding": "json"}
            ])
        );
        assert_eq!(value["attachments"], json!([{"purpose": "tags", "body": "[\"words:3\"]", "encoding": "json"}]));
        let again = run(&link, &after).await;
        assert!(again.result.is_ok() && again.requested.edits.is_empty(), "nothing is added twice");
        let strict = adapted("word_count", &json!({"minimum": 4}), None);
        assert_eq!(run(&strict, &before).await.result.unwrap(), Outcome::Stop);
    }

    #[tokio::test]
    async fn return_values_mean_what_they_mean_in_vcon_server() {
        assert_eq!(probe("print('noise')\nreturn vcon_uuid").await.result.unwrap(), Outcome::Continue);
        assert_eq!(probe("return None").await.result.unwrap(), Outcome::Stop);
        assert_eq!(probe("return 'other'").await.result.unwrap(), Outcome::Switch("other".to_owned()));
        assert!(probe("record_histogram('x', 1)\nopts['y'] = 1\nreturn True").await.result.is_ok());
    }

    #[tokio::test]
    async fn exceptions_become_errors_with_their_last_line() {
        let error = probe("raise ValueError('no such model')").await.result.unwrap_err();
        assert_eq!((error.class(), error.message()), (Class::Permanent, "ValueError: no such model"));
        assert!(error.help_text().is_some());
        assert!(probe("raise TimeoutError('busy')").await.result.unwrap_err().is_retryable());
        assert_eq!(probe("raise SystemExit(2)").await.result.unwrap_err().class(), Class::Permanent);
        let nan =
            "v = VconRedis().get_vcon(vcon_uuid)\nv.meta = float('nan')\nVconRedis().store_vcon(v)\nreturn vcon_uuid";
        assert_eq!(probe(nan).await.result.unwrap_err().class(), Class::Permanent);
        let other = probe("VconRedis().get_vcon('other')").await.result.unwrap_err();
        assert!(other.message().contains("only the vCon that it is called for"), "{other}");
        let missing = error_of("not_there").await;
        assert_eq!(missing.class(), Class::Configuration);
        assert!(missing.message().contains("not_there"), "{missing}");
    }

    async fn error_of(module: &str) -> Error {
        error(&adapted(module, &Value::Null, None)).await
    }
}
