//! Two conductors share 10,000 vCons of three lists.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vconductor_tests::stage::uuid;
use vconductor_tests::trace::{Work, read};

use super::{LIMIT, Scene, end};

/// Entries of each list: unique uuids, and how many of the busy list's uuids it repeats.
const LISTS: [(&str, u32, u32); 3] = [("busy", 7_000, 1_900), ("middle", 800, 100), ("short", 200, 0)];
const TOTAL: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn two_conductors_share_the_work_in_order_and_nobody_starves_or_overlaps() {
    let scene = Scene::new().await;
    let trace = scene.path("trace");
    let chains: String = LISTS
        .iter()
        .map(|(list, ..)| {
            format!("  {list}: {{ingress_lists: [{list}], egress_lists: [out], links: [trace], concurrency: 24}}\n")
        })
        .collect();
    let mut launch = scene.launch(&format!(
        "links:\n  trace: {{module: links.trace, options: {{path: \"{}\", by: \"${{env:CONDUCTOR}}\", work: 1}}}}\nchains:\n{chains}",
        trace.display()
    ));
    // No recovery here, however busy the machine is: order and shares are judged without exceptions.
    launch.lease = Duration::from_secs(30);
    let log = File::create(scene.path("monitor")).expect("a file");
    let mut monitor = Command::new("redis-cli")
        .args(["-p", &scene.server.port().to_string(), "monitor"])
        .stdout(Stdio::from(log))
        .spawn()
        .expect("`redis-cli` is installed");
    let conductors = [launch.start(1), launch.start(2)];
    scene.registered(2).await;
    let pushed = push(&scene);
    let started = Instant::now();
    while scene.length("out") != TOTAL {
        assert!(started.elapsed() < LIMIT, "{} of {TOTAL} came out: {}", scene.length("out"), scene.state());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    conductors.into_iter().for_each(end);
    tokio::time::sleep(Duration::from_millis(200)).await;
    monitor.kill().expect("it runs");
    monitor.wait().expect("it ends");
    scene.is_clean();

    let work = read(&trace);
    assert_eq!(work.len(), TOTAL);
    each_does_at_least_a_fifth(&work);
    no_two_overlap(&work);
    nobody_starves(&work, &pushed);
    let monitored = std::fs::read_to_string(scene.path("monitor")).expect("a file");
    for (list, uuids) in &pushed {
        claims_are_in_order(list, uuids, &monitored);
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    for uuid in scene.list("out") {
        *counts.entry(uuid).or_default() += 1;
    }
    for uuids in pushed.values().flatten() {
        *counts.get_mut(uuids).unwrap_or_else(|| panic!("{uuids} did not come out")) -= 1;
    }
    assert!(counts.values().all(|rest| *rest == 0), "each entry comes out once");
}

/// Fills the lists, the repeated uuids well mixed in.
fn push(scene: &Scene) -> BTreeMap<&'static str, Vec<String>> {
    let mut pushed = BTreeMap::new();
    let mut first = 0;
    for (list, unique, again) in LISTS {
        let mut uuids = Vec::new();
        for number in 0..unique {
            uuids.push(uuid(first + number));
            if (number + 1) * again / unique > number * again / unique {
                // Right behind its first copy, or one that another list has.
                uuids.push(uuid(if list == "busy" { number } else { number * 7 }));
            }
        }
        assert_eq!(uuids.len(), (unique + again) as usize);
        first += unique;
        pushed.insert(list, uuids);
    }
    for (list, uuids) in &pushed {
        scene.push(list, uuids);
    }
    pushed
}

fn each_does_at_least_a_fifth(work: &[Work]) {
    for by in ["1", "2"] {
        let share = work.iter().filter(|work| work.by == by).count();
        assert!(share >= TOTAL / 5, "conductor {by} did only {share} of {TOTAL}");
    }
}

fn no_two_overlap(work: &[Work]) {
    let mut last: HashMap<&str, &Work> = HashMap::new();
    for work in work {
        if let Some(before) = last.insert(&work.uuid, work) {
            assert!(before.ended <= work.began, "{before:?} and {work:?} overlap");
        }
    }
}

/// The short lists are done long before the busy one.
fn nobody_starves(work: &[Work], pushed: &BTreeMap<&str, Vec<String>>) {
    let of = |list: &str| -> HashSet<&str> { pushed[list].iter().map(String::as_str).collect() };
    let (busy, middle, short) = (of("busy"), of("middle"), of("short"));
    let done_before = |others: &HashSet<&str>| {
        let only = |uuid: &str| others.contains(uuid) && !busy.contains(uuid);
        let last = work.iter().rposition(|work| only(&work.uuid)).expect("it was worked on");
        work[..last].iter().filter(|work| busy.contains(work.uuid.as_str())).count()
    };
    for (name, list, most) in [("short", &short, 3_000), ("middle", &middle, 7_000)] {
        let waited = done_before(list);
        assert!(waited < most, "the last of list {name} waited for {waited} of the busy list");
    }
}

/// What the server saw: uuids that are on one list once left it in the order in which they were put there.
fn claims_are_in_order(list: &str, uuids: &[String], monitored: &str) {
    let mut times: HashMap<&str, usize> = HashMap::new();
    uuids.iter().for_each(|uuid| *times.entry(uuid).or_default() += 1);
    // A uuid that another list has as well may have to wait for its writer.
    let shared = |uuid: &str| list != "busy" && uuid.as_bytes() < super::share::uuid(7_000).as_bytes();
    let is_plain = |uuid: &str| times.get(uuid) == Some(&1) && !shared(uuid);
    let wip = format!("{{{list}}}:wip:");
    let mut claimed = Vec::new();
    for line in monitored.lines().filter(|line| line.contains("\"RPUSH\"") && line.contains(&wip)) {
        for word in line.split('"').filter(|word| word.len() >= 36) {
            if let Some(uuid) = word.get(word.len() - 36..).filter(|uuid| is_plain(uuid)) {
                claimed.push(uuid);
            }
        }
    }
    let expected: Vec<&str> = uuids.iter().map(String::as_str).filter(|uuid| is_plain(uuid)).collect();
    assert!(expected.len() > uuids.len() / 2);
    // Those that the busy list shares with another one may have waited.
    let (mut place, mut late) = (0, 0);
    let places: HashMap<&str, usize> = expected.iter().enumerate().map(|(index, uuid)| (*uuid, index)).collect();
    assert_eq!(claimed.len(), expected.len(), "list {list}: claimed as often as pushed");
    for uuid in claimed {
        if places[uuid] < place {
            late += 1;
        }
        place = place.max(places[uuid]);
    }
    let allowed = if list == "busy" { LISTS[1].2 as usize } else { 0 };
    assert!(late <= allowed, "list {list}: {late} were claimed out of order");
}
