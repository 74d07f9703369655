//! Crash campaigns: conductors are killed at named points and random moments, and everything around them misbehaves; then
//! a checker outside of the engine tells what became of every run.

mod check;
pub mod contact_center;
mod crew;
pub mod door;
mod held;
pub mod long_recording;
mod nemesis;
mod producer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vconductor_core::error::{Error, Result};
use vconductor_core::store::Documents;
use vconductor_core::store::embedded::{self, EmbeddedStore};
use vconductor_core::store::redis::{self, RedisStore};

use self::check::{Expected, check};
use self::crew::Crew;
use self::nemesis::Storm;
use self::producer::{Maker, Stream};
use crate::recorder::Recorder;

/// The points at which every conductor can be killed.
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

/// The points inside of the store on Redis.
pub const REDIS_POINTS: [&str; 4] = ["claimed-not-loaded", "before-exec", "after-exec", "in-reap"];

/// Where a campaign works.
#[derive(Debug, Clone)]
pub enum Place {
    /// An embedded store in the campaign's folder.
    Embedded,
    /// A Redis of the caller's, which must be empty.
    Redis(String),
    /// A private Redis with `appendfsync always`, behind a proxy; both misbehave.
    Storm,
}

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A conductor's debug build, which has failpoints: `conductor_under_test`.
    pub binary: PathBuf,
    /// Where it works.
    pub place: Place,
    /// Conductors at once.
    pub conductors: usize,
    /// Seed of everything that is random.
    pub seed: u64,
    /// Kills to reach.
    pub kills: u32,
    /// End early after this time, checking what was done so far.
    pub limit: Duration,
}

/// What a campaign found.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    /// Conductors killed, by point.
    pub kills: BTreeMap<String, u32>,
    /// What else was done to them and to what is around them.
    pub harms: BTreeMap<String, u32>,
    /// Runs put on the list.
    pub enqueued: usize,
    /// Runs that came out of the egress list.
    pub done: usize,
    /// Dead letters.
    pub dead: usize,
    /// External calls that were answered.
    pub calls: usize,
    /// External calls answered twice, each in flight when its conductor was killed or stopped.
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

/// Runs a campaign in `folder`.
///
/// # Errors
/// If it cannot go on; breaches are findings.
pub async fn run(plan: &Plan, folder: &Path) -> Result<Findings> {
    let recorder = Recorder::start(Duration::from_millis(15)).await.map_err(io)?;
    let config = folder.join("chain.yml");
    std::fs::write(&config, configuration(&recorder, folder)).map_err(io)?;
    match &plan.place {
        Place::Storm => storm(plan, folder, &config, &recorder).await,
        _ => kills(plan, folder, &config, &recorder).await,
    }
}

/// Batch after batch; conductors end when they are idle, if they are not killed before.
async fn kills(plan: &Plan, folder: &Path, config: &Path, recorder: &Recorder) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut expected = Expected::new();
    let mut maker = Maker::new(plan.seed);
    let (store, points) = match &plan.place {
        Place::Redis(url) => (url.clone(), [&POINTS[..], &REDIS_POINTS].concat()),
        _ => (format!("embedded:{}", folder.join("store").display()), POINTS.to_vec()),
    };
    let mut crew = Crew::new(plan, config, &store, points, &["--until-idle"]);
    let started = Instant::now();
    while findings.total_kills() < plan.kills && started.elapsed() < plan.limit {
        ingest(plan, folder, maker.batch(&mut expected)).await?;
        crew.fill(true);
        let mut gone = 0;
        while gone == 0 {
            gone = crew.look(&mut findings)?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    crew.disarm();
    let last = Instant::now();
    while !crew.is_empty() {
        crew.look(&mut findings)?;
        if last.elapsed() > Duration::from_secs(120) {
            return Err(Error::permanent(format!("conductors do not become idle: {}", crew.tails())));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    crew.finish(&mut findings);
    let held = match &plan.place {
        Place::Redis(url) => held::redis(&mut connect(url)?, false)?,
        _ => held::embedded(folder).await?,
    };
    check(&held, &expected, &recorder.calls(), &crew.deaths, folder, &mut findings);
    Ok(findings)
}

/// Conductors that work all the while, a producer that pushes all the while, and a nemesis.
async fn storm(plan: &Plan, folder: &Path, config: &Path, recorder: &Recorder) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut storm = Storm::start(plan.seed);
    let points = [&POINTS[..], &REDIS_POINTS].concat();
    let mut crew = Crew::new(plan, config, &storm.conductors_url(), points, &[]);
    let stream = Stream::start(&storm.url(), plan.seed ^ 1, Duration::from_millis(12));
    let started = Instant::now();
    while findings.total_kills() < plan.kills && started.elapsed() < plan.limit {
        crew.fill(true);
        storm.act(&mut crew, recorder, &mut findings);
        for _ in 0..40 {
            crew.look(&mut findings)?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let expected = stream.end();
    storm.calm(&mut crew, recorder);
    crew.disarm();
    let last = Instant::now();
    let mut connection = connect(&storm.url())?;
    let mut quiet = 0;
    while quiet < 5 {
        crew.look(&mut findings)?;
        crew.fill(false);
        quiet = if nemesis::is_idle(&mut connection)? { quiet + 1 } else { 0 };
        if last.elapsed() > Duration::from_secs(180) {
            findings.breaches.push(format!("work does not come to an end: {}", crew.tails()));
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    crew.finish(&mut findings);
    let held = held::redis(&mut connection, true)?;
    check(&held, &expected, &recorder.calls(), &crew.deaths, folder, &mut findings);
    Ok(findings)
}

fn configuration(recorder: &Recorder, folder: &Path) -> String {
    let files = folder.join("files");
    let link = |name: &str, path: &str| {
        format!(
            "  {name}: {{module: links.webhook, options: {{webhook-urls: [\"{}\"], headers: {{x-conductor: \"${{env:CONDUCTOR}}\"}}}}}}\n",
            recorder.url(path)
        )
    };
    format!(
        "links:\n  first: {{module: links.tag, options: {{tags: [first]}}}}\n{}{}  \
         last: {{module: links.tag, options: {{tags: [last]}}}}\n\
         storages:\n  files: {{module: storage.file, options: {{path: \"{}\"}}}}\n  \
         copy: {{module: storage.webhook, options: {{webhook-urls: [\"{}\"], headers: {{x-conductor: \"${{env:CONDUCTOR}}\"}}}}}}\n\
         chains:\n  crash:\n    ingress_lists: [in]\n    concurrency: 16\n    retry: {{attempts: 100, base: 50ms, cap: 500ms}}\n    \
         links: [first, call, second_call, last]\n    storages: [files, copy]\n    egress_lists: [out]\n",
        link("call", "/call"),
        link("second_call", "/second"),
        files.display(),
        recorder.url("/copy"),
    )
}

async fn ingest(plan: &Plan, folder: &Path, vcons: Vec<vconductor_core::store::NewVcon>) -> Result<()> {
    match &plan.place {
        Place::Redis(url) => RedisStore::connect(url, redis::Settings::default()).await?.ingest(vcons).await,
        _ => EmbeddedStore::open(&folder.join("store"), embedded::Settings::default())?.ingest(vcons).await,
    }
}

fn connect(url: &str) -> Result<::redis::Connection> {
    let answer = |error| Error::permanent("the checker cannot reach the server").caused_by(error);
    ::redis::Client::open(url).and_then(|client| client.get_connection()).map_err(answer)
}

fn io(error: std::io::Error) -> Error {
    Error::permanent("the campaign cannot go on").caused_by(error)
}
