//! What an operator sees and does on Redis while conductors work: `queue`, `dlq` and `replay` as processes of their own.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use vconductor_tests::recorder::Recorder;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::uuid;

use super::{Scene, calling, end, until};

/// What a command did.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A command on the scene's store.
fn command(scene: &Scene, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
    command.args(words).env("REDIS_URL", scene.server.url()).current_dir(scene.folder.path()).stdin(Stdio::null());
    command
}

fn run(scene: &Scene, words: &[&str]) -> Done {
    let output = command(scene, words).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    println!("$ vconductor {}\n{stdout}{stderr}", words.join(" "));
    Done { code: output.status.code().unwrap_or(-1), stdout, stderr }
}

/// A command that must succeed; what it says as JSON.
fn json(scene: &Scene, words: &[&str]) -> Value {
    let done = run(scene, &[words, &["--output", "json"]].concat());
    assert_eq!(done.code, 0, "{words:?}: {}", done.stderr);
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn all(count: u32) -> Vec<String> {
    (0..count).map(uuid).collect()
}

/// A chain whose only link fails for good, and one that takes what the first gave up.
fn failing(scene: &Scene) -> String {
    let url = scene.recorder.url("/call");
    format!(
        "links:\n  broken: {{module: links.webhook, options: {{webhook-urls: [\"http://127.0.0.1:1/closed\"]}}}}\n  \
         call: {{module: links.webhook, options: {{webhook-urls: [\"{url}\"]}}}}\n\
         chains:\n  first: {{ingress_lists: [in], links: [call, broken], retry: {{attempts: 1}}, concurrency: 256}}\n  \
         second: {{ingress_lists: [next], egress_lists: [out], links: [call]}}\n"
    )
}

/// So many dead letters in `DLQ:in`, each with a call in its ledger.
async fn with_letters(count: u32) -> Scene {
    let mut scene = Scene::on(RedisServer::start()).await;
    scene.recorder = Recorder::start(Duration::ZERO).await.expect("a recorder");
    scene.push("in", &all(count));
    let conductor = scene.launch(&failing(&scene)).start(1);
    until("all are dead letters", || scene.length("DLQ:in") == count as usize).await;
    end(conductor);
    assert_eq!(scene.answered("/call"), count as usize);
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_why_nothing_moves_and_makes_it_move() {
    let mut scene = Scene::new().await;
    scene.recorder = Recorder::start(Duration::from_millis(1500)).await.expect("a recorder");
    let launch = scene.launch(&calling(&scene, ", concurrency: 3"));
    scene.push("in", &all(8));
    let conductor = launch.start(1);
    until("three are at work", || scene.recorder.calls().len() == 3).await;
    let status = |list: &str| json(&scene, &["queue", list])["lists"][0].clone();
    let busy = status("in");
    assert_eq!((&busy["waiting"], &busy["claimed"], &busy["paused"]), (&5.into(), &3.into(), &false.into()));
    assert_eq!((&busy["holders"][0]["runs"], busy["holders"].as_array().expect("holders").len()), (&3.into(), 1));
    // Its producer wrote no time; the conductor's sweep has seen it at the head.
    until("an age is known", || status("in")["oldest_age_seconds"].as_u64().is_some_and(|age| age < 60)).await;
    let said = run(&scene, &["queue"]);
    assert!(said.stdout.contains("in: 3 at work in "), "{}", said.stdout);

    assert_eq!(run(&scene, &["queue", "pause", "in"]).code, 0);
    until("what was begun is done", || scene.length("out") == 3).await;
    let peek = json(&scene, &["queue", "peek", "in", "--limit", "2"]);
    assert_eq!((&peek[0]["uuid"], &peek[1]["uuid"]), (&uuid(3).into(), &uuid(4).into()));
    let said = run(&scene, &["queue"]).stdout;
    assert!(said.contains("paused") && said.contains("queue resume in"), "it says how to go on: {said}");
    let moved = json(&scene, &["queue", "move", "in", "later", "--limit", "2"]);
    assert_eq!(moved["moved"], 2);
    assert_eq!(scene.list("later"), [uuid(3), uuid(4)]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!((scene.length("out"), scene.length("in")), (3, 3), "a paused list stays as it is");

    assert_eq!(run(&scene, &["queue", "resume", "in"]).code, 0);
    let drained = run(&scene, &["queue", "drain", "in", "--timeout", "30s"]);
    assert!(drained.code == 0 && drained.stdout.starts_with("in is empty"), "{}{}", drained.stdout, drained.stderr);
    assert_eq!(scene.length("out"), 6);
    end(conductor);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_say_why_and_go_on_or_are_forgotten_by_name() {
    let scene = with_letters(6).await;
    // One that vcon-server left.
    scene.push("elsewhere", &[uuid(77)]);
    scene.server.cli(&["RPUSH", "DLQ:in", &uuid(77)]);
    let listed = run(&scene, &["dlq", "list"]);
    assert!(listed.stdout.contains("DLQ:in") && listed.stdout.contains('7'), "{}", listed.stdout);
    let shown = run(&scene, &["dlq", "show", &uuid(2)]);
    assert!(shown.code == 0 && shown.stdout.contains("broken") && shown.stdout.contains("call"), "{}", shown.stdout);
    let foreign = run(&scene, &["dlq", "show", &uuid(77)]);
    assert!(foreign.code == 0 && foreign.stdout.contains("another program put it on DLQ:in"), "{}", foreign.stdout);
    let retried = json(&scene, &["dlq", "retry", "in", "--uuid", &uuid(77)]);
    assert_eq!((&retried["revived"], &retried["left"]), (&1.into(), &6.into()));
    assert_eq!((scene.list("in"), scene.length("DLQ:in")), (vec![uuid(77)], 6));

    let refused = run(&scene, &["dlq", "purge", "in"]);
    assert!(refused.code == 2 && refused.stderr.contains("--yes"), "{} {}", refused.code, refused.stderr);
    assert_eq!(scene.length("DLQ:in"), 6, "nothing is forgotten without a word");
    let mistyped = run(&scene, &["dlq", "list", "inn"]);
    assert!(mistyped.stderr.contains("did you mean"), "{}", mistyped.stderr);
    let purged = run(&scene, &["dlq", "purge", "in", "--yes"]);
    assert!(purged.code == 0 && purged.stdout.contains("6 dead letters of DLQ:in forgotten"), "{}", purged.stdout);
    assert_eq!(
        (scene.server.cli(&["EXISTS", "DLQ:in"]), scene.server.cli(&["KEYS", "*:ledger:*"])),
        ("0".into(), "".into())
    );
    assert_eq!(scene.server.cli(&["EXISTS", &format!("vcon:{}", uuid(2))]), "1", "its vCon stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_letters_are_put_back_once_each_although_it_is_stopped_and_killed() {
    const COUNT: u32 = 10_000;
    let scene = with_letters(COUNT).await;
    let chains = scene.path("chains.yml");
    std::fs::write(&chains, failing(&scene)).expect("a configuration");
    let chains = chains.display().to_string();
    let replay = ["replay", "--from", "dlq", "in", "--to", "second", "--config", &chains];
    let some = |more: &[&str]| json(&scene, &[&replay, more].concat());

    let dry = some(&["--dry-run", "--limit", "100"]);
    assert_eq!((&dry["revived"], &dry["left"], &dry["dry_run"]), (&100.into(), &COUNT.into(), &true.into()));
    let began = Instant::now();
    assert_eq!(some(&["--limit", "200", "--rate", "200/s"])["revived"], 200);
    assert!(began.elapsed() > Duration::from_millis(700), "the rate is kept");
    assert_eq!(scene.list("next"), all(200), "the oldest, in their order");

    let half_way = |scene: &Scene, past: usize| scene.length("next") > past;
    // Ctrl-C.
    let mut stopped =
        command(&scene, &replay).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    until("some are put back", || half_way(&scene, 1000)).await;
    let pid = stopped.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("a signal").success());
    let output = stopped.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the same command goes on with the rest"), "{said}");
    let after_stop = scene.length("next");
    assert!(after_stop < COUNT as usize - 1000, "it was half way: {after_stop}");

    stopped = command(&scene, &replay).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    until("more are put back", || half_way(&scene, after_stop + 1000)).await;
    stopped.kill().expect("a kill");
    stopped.wait().expect("it ends");
    let after_kill = scene.length("next");
    assert!(after_kill < COUNT as usize, "it was half way: {after_kill}");
    assert_eq!(after_kill + scene.length("DLQ:in"), COUNT as usize, "each is in one place");

    let rest = some(&[]);
    assert_eq!((&rest["left"], &rest["refused"], &rest["gone"]), (&0.into(), &0.into(), &0.into()));
    let back = scene.list("next");
    assert_eq!(back.len(), COUNT as usize);
    assert_eq!(
        back.into_iter().collect::<BTreeSet<_>>(),
        all(COUNT).into_iter().collect(),
        "every letter exactly once"
    );
    assert_eq!(scene.server.cli(&["EXISTS", "DLQ:in"]), "0");

    let conductor = scene.launch(&failing(&scene)).start(2);
    until("all are done", || scene.length("out") == COUNT as usize).await;
    assert_eq!(scene.answered("/call"), COUNT as usize, "what was paid is not paid again in the other chain");
    end(conductor);
    scene.is_clean();
}
