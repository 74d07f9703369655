//! Crash campaigns: kill conductors at named points or random moments, then check from outside what became of every run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use vconductor_core::error::{Error, Result};
use vconductor_core::store::embedded::{self, EmbeddedStore};
use vconductor_core::store::redis::{self, RedisStore};
use vconductor_core::store::{ClaimRequest, Commit, End, NewVcon, ProcessId, Quota, Store};

use crate::recorder::{Recorder, overlaps, repetitions};

/// The points at which the engine can be killed.
pub const POINTS: [&str; 8] = [
    "after-claim",
    "in-link",
    "before-step-commit",
    "after-step-commit",
    "before-storages",
    "between-storages",
    "before-ack",
    "after-ack",
];

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A conductor's binary with failpoints: `conductor_under_test`.
    pub binary: PathBuf,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Kills to reach.
    pub kills: u32,
    /// End early after this time, checking what was done so far.
    pub limit: Duration,
    /// URL of a Redis to work on; the embedded store otherwise.
    pub redis: Option<String>,
}

impl Plan {
    fn url(&self, folder: &Path) -> String {
        self.redis.clone().unwrap_or_else(|| format!("embedded:{}", folder.join("store").display()))
    }

    async fn open(&self, folder: &Path) -> Result<Arc<dyn Store>> {
        match &self.redis {
            Some(url) => Ok(RedisStore::connect(url, redis::Settings::default()).await?),
            None => Ok(EmbeddedStore::open(&folder.join("store"), embedded::Settings::default())?),
        }
    }
}

/// What a campaign found.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    /// Conductors killed, by point.
    pub kills: BTreeMap<String, u32>,
    /// Runs put on the list.
    pub enqueued: usize,
    /// Runs that came out of the egress list.
    pub done: usize,
    /// Dead letters.
    pub dead: usize,
    /// External calls that were answered.
    pub calls: usize,
    /// External calls answered twice, each in flight at a kill.
    pub repeated_in_flight: usize,
    /// Breaches of a promise; empty if all is well.
    pub breaches: Vec<String>,
}

impl Findings {
    /// All kills.
    pub fn total_kills(&self) -> u32 {
        self.kills.values().sum()
    }
}

/// A call answered this long before a kill may not have been committed yet.
const IN_FLIGHT: Duration = Duration::from_secs(2);

/// Runs a campaign in `folder`.
pub async fn run(plan: &Plan, folder: &Path) -> Result<Findings> {
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let recorder = Recorder::start(Duration::from_millis(15)).await.map_err(io)?;
    let config = folder.join("chain.yml");
    std::fs::write(&config, configuration(&recorder, folder)).map_err(io)?;
    let mut findings = Findings::default();
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    let mut kill_times: Vec<Instant> = Vec::new();
    let started = Instant::now();
    let mut serial = 0_u32;
    while findings.total_kills() < plan.kills && started.elapsed() < plan.limit {
        {
            let store = plan.open(folder).await?;
            let vcons: Vec<NewVcon> =
                (0..rng.usize(8..40)).map(|_| new_vcon(&mut rng, &mut serial, &mut expected)).collect();
            store.ingest(vcons).await?;
        }
        let point = POINTS[rng.usize(0..POINTS.len())];
        let at_random = rng.u8(0..5) == 0;
        let mut child = start(plan, &config, folder, (!at_random).then(|| format!("{point}:{}", rng.u32(1..12))))?;
        if at_random {
            tokio::time::sleep(Duration::from_millis(rng.u64(20..400))).await;
            child.kill().map_err(io)?;
        }
        let status = wait(&mut child, Duration::from_secs(60)).await?;
        if status.is_none() {
            kill_times.push(Instant::now());
            *findings
                .kills
                .entry(if at_random { "random moment".to_owned() } else { point.to_owned() })
                .or_default() += 1;
        }
    }
    let mut last = start(plan, &config, folder, None)?;
    if wait(&mut last, Duration::from_secs(180)).await? != Some(0) {
        findings.breaches.push("the last conductor, which nobody killed, did not end idle with exit code 0".to_owned());
    }
    check(plan, &recorder, folder, &expected, &kill_times, &mut findings).await?;
    Ok(findings)
}

fn configuration(recorder: &Recorder, folder: &Path) -> String {
    let files = folder.join("files");
    format!(
        "links:\n  first: {{module: links.tag, options: {{tags: [first]}}}}\n  \
         call: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}\n  \
         second_call: {{module: links.webhook, options: {{webhook-urls: [\"{}\"]}}}}\n  \
         last: {{module: links.tag, options: {{tags: [last]}}}}\n\
         storages:\n  files: {{module: storage.file, options: {{path: \"{}\"}}}}\n  \
         copy: {{module: storage.webhook, options: {{webhook-urls: [\"{}\"]}}}}\n\
         chains:\n  crash:\n    ingress_lists: [in]\n    concurrency: 16\n    links: [first, call, second_call, last]\n    \
         storages: [files, copy]\n    egress_lists: [out]\n",
        recorder.url("/call"),
        recorder.url("/second"),
        files.display(),
        recorder.url("/copy"),
    )
}

/// A vCon; one in five is enqueued several times.
fn new_vcon(rng: &mut fastrand::Rng, serial: &mut u32, expected: &mut BTreeMap<String, usize>) -> NewVcon {
    *serial += 1;
    let uuid = format!("{:08x}-0000-8000-8000-{:012x}", *serial, rng.u64(0..1 << 48));
    let times = if rng.u8(0..5) == 0 { rng.usize(2..4) } else { 1 };
    let text = format!(
        "{{\"uuid\":\"{uuid}\",\"created_at\":\"2026-01-02T03:04:05Z\",\"parties\":[{{\"tel\":\"+12025550123\"}}],\
         \"dialog\":[{{\"type\":\"text\",\"parties\":[0],\"mediatype\":\"text/plain\",\"encoding\":\"none\",\"body\":\"{}\"}}],\
         \"unknown\":1e3}}",
        "x".repeat(rng.usize(0..4000))
    );
    expected.insert(uuid.clone(), times);
    NewVcon { uuid, document: Some(Bytes::from(text)), lists: vec!["in".to_owned(); times], keep: None, context: None }
}

fn start(plan: &Plan, config: &Path, folder: &Path, kill_at: Option<String>) -> Result<Child> {
    let mut command = Command::new(&plan.binary);
    command.arg("run").arg(config).arg("--store").arg(plan.url(folder)).arg("--until-idle");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env_remove("VCONDUCTOR_KILL_AT");
    if let Some(kill_at) = kill_at {
        command.env("VCONDUCTOR_KILL_AT", kill_at);
    }
    command.spawn().map_err(io)
}

/// The exit code, `None` if it was killed.
async fn wait(child: &mut Child, limit: Duration) -> Result<Option<i32>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(io)? {
            return Ok(status.code());
        }
        if started.elapsed() > limit {
            child.kill().map_err(io)?;
            return Err(Error::permanent(format!("a conductor did not end within {limit:?}: it hangs")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn check(
    plan: &Plan,
    recorder: &Recorder,
    folder: &Path,
    expected: &BTreeMap<String, usize>,
    kills: &[Instant],
    findings: &mut Findings,
) -> Result<()> {
    let store = plan.open(folder).await?;
    let out = drain(&*store, "out").await?;
    let mut dead: BTreeMap<String, usize> = BTreeMap::new();
    for letter in store.dead_letters("DLQ:in", None, usize::MAX >> 1).await? {
        *dead.entry(letter.uuid).or_default() += 1;
    }
    findings.enqueued = expected.values().sum();
    findings.done = out.values().sum();
    findings.dead = dead.values().sum();
    for (uuid, times) in expected {
        let ended = out.get(uuid).unwrap_or(&0) + dead.get(uuid).unwrap_or(&0);
        if ended != *times {
            findings.breaches.push(format!("{uuid} was enqueued {times} times and ended {ended} times"));
        }
        if out.contains_key(uuid) {
            check_file(folder, uuid, findings);
        }
    }
    for status in store.lists().await? {
        if status.waiting + status.claimed + status.scheduled + status.parked > 0 {
            findings.breaches.push(format!("list {} still holds runs: {status:?}", status.list));
        }
    }
    let calls = recorder.calls();
    findings.calls = calls.iter().filter(|call| call.answered).count();
    for (one, other) in overlaps(&calls) {
        findings.breaches.push(format!("two runs of {} overlap: {one:?} and {other:?}", one.uuid));
    }
    for (effect_id, answers) in repetitions(&calls) {
        for answer in answers {
            let in_flight =
                kills.iter().any(|kill| *kill + Duration::from_millis(50) >= answer && *kill <= answer + IN_FLIGHT);
            if in_flight {
                findings.repeated_in_flight += 1;
            } else {
                findings.breaches.push(format!("effect {effect_id} was executed again although it was finished"));
            }
        }
    }
    Ok(())
}

fn check_file(folder: &Path, uuid: &str, findings: &mut Findings) {
    let path = folder.join(format!("files/2026/01/02/{uuid}.json"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        findings.breaches.push(format!("{uuid} is done but {} is missing", path.display()));
        return;
    };
    let Ok(vcon) = serde_json::from_str::<Value>(&text) else {
        findings.breaches.push(format!("{} is not JSON", path.display()));
        return;
    };
    let tags = vcon.pointer("/attachments/0/body").and_then(Value::as_str).unwrap_or_default();
    if tags != "[\"first:first\",\"last:last\"]" || !text.contains("1e3") {
        findings.breaches.push(format!("{uuid} was not stored as its links left it: tags {tags:?}"));
    }
}

/// Takes everything off a list.
async fn drain(store: &dyn Store, list: &str) -> Result<BTreeMap<String, usize>> {
    let process = ProcessId::random();
    store.register(&process).await?;
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let quota = Quota { list: list.to_owned(), limit: 256, weight: 1 };
        let request = ClaimRequest { quotas: vec![quota], limit: 256, bytes: u64::MAX >> 1 };
        let (_, claimed) = store.exchange(&process, Vec::new(), Some(request)).await?;
        if claimed.is_empty() && store.pending(&[list.to_owned()], Duration::from_secs(3600)).await?.is_idle() {
            break;
        }
        let mut commits = Vec::new();
        for claimed in claimed {
            *taken.entry(claimed.claim.uuid.clone()).or_default() += 1;
            let (claim, end) = (claimed.claim, End::Done);
            commits.push(Commit { claim, save: None, ledger: None, keep: None, pushes: Vec::new(), end });
        }
        store.exchange(&process, commits, None).await?;
        store.pump().await?;
    }
    store.deregister(&process).await?;
    Ok(taken)
}

fn io(error: std::io::Error) -> Error {
    Error::permanent("the campaign cannot go on").caused_by(error)
}
