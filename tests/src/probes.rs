//! Plugins for tests: a link, a storage and a tracer that do what their options say and write down what they saw.
//!
//! Each test uses a `log` name of its own, so that tests run side by side in one process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::document::Edit;
use vconductor_core::error::{Error, Result};
use vconductor_core::plugin::{
    Capabilities, Effect, Hook, Hop, Link, LinkContext, LinkPlugin, Outcome, RunInfo, SaveItem, Storage, StoragePlugin,
    Tracer, TracerPlugin,
};
use vconductor_core::store::Resumption;
use vconductor_core::vcon::Vcon;
use vconductor_core::{register_hook, register_link, register_storage, register_tracer};

#[derive(Default)]
struct World {
    /// What was seen, by log.
    seen: BTreeMap<String, Vec<String>>,
    /// Storages and links that fail now.
    broken: BTreeSet<String>,
    /// Documents of probe storages: (log, uuid) to (revision, text).
    stored: BTreeMap<(String, String), (u64, Bytes)>,
    /// Probe storages that do not answer when asked for their health.
    hanging: BTreeSet<String>,
    /// Executions under way now and the most at once, by log.
    running: BTreeMap<String, (usize, usize)>,
}

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(Mutex::default);

fn world() -> MutexGuard<'static, World> {
    WORLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that was written under a log, in order.
pub fn seen(log: &str) -> Vec<String> {
    world().seen.get(log).cloned().unwrap_or_default()
}

/// How many lines of a log are exactly this one.
pub fn count(log: &str, line: &str) -> usize {
    seen(log).iter().filter(|seen| *seen == line).count()
}

/// Breaks (or mends) every probe with this log name: it fails with a retryable error.
pub fn set_broken(log: &str, broken: bool) {
    let mut world = world();
    if broken {
        world.broken.insert(log.to_owned());
    } else {
        world.broken.remove(log);
    }
}

/// Lets the health of probe storages with this log name hang (or answer again).
pub fn set_hanging(log: &str, hanging: bool) {
    let mut world = world();
    if hanging {
        world.hanging.insert(log.to_owned());
    } else {
        world.hanging.remove(log);
    }
}

/// The most executions of links with this log name at one moment.
pub fn peak(log: &str) -> usize {
    world().running.get(log).map_or(0, |(_, most)| *most)
}

/// The token under which a probe parked, out of its log; the last one if it parked several times.
pub fn token(log: &str, name: &str) -> Option<String> {
    let start = format!("{name} token ");
    seen(log).iter().rev().find_map(|line| line.strip_prefix(&start).map(str::to_owned))
}

/// Counts an execution while it is under way.
struct UnderWay(String);

impl UnderWay {
    fn new(log: &str) -> Self {
        let mut world = world();
        let (now, most) = world.running.entry(log.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        UnderWay(log.to_owned())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some((now, _)) = world().running.get_mut(&self.0) {
            *now -= 1;
        }
    }
}

/// The document that a probe storage holds.
pub fn stored(log: &str, uuid: &str) -> Option<Bytes> {
    world().stored.get(&(log.to_owned(), uuid.to_owned())).map(|(_, text)| text.clone())
}

fn write(log: &str, line: String) -> usize {
    let mut world = world();
    let lines = world.seen.entry(log.to_owned()).or_default();
    lines.push(line);
    lines.len()
}

/// Does what its options say and writes `<name>` with the uuid to its log.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProbeOptions {
    /// Where to write what happens.
    log: String,
    /// Fail this many executions of one vCon.
    fail_times: u32,
    /// Class of the failures: retryable, permanent or configuration.
    class: String,
    /// stop, or a uuid to switch to.
    outcome: String,
    /// Sleep this long, in milliseconds.
    sleep: u64,
    /// Set this member of the document to the link's name.
    set: String,
    /// Add this tag.
    tag: String,
    /// Push to this list.
    push: String,
    /// Park for this long (milliseconds) at the first execution.
    park: Option<u64>,
    /// Park this many times instead of once.
    parks: u32,
    /// Fail once, retryably, at the first execution after a park.
    fail_resumed: bool,
    /// Write the tags of the document to the log.
    show: bool,
    /// Units of a paid service that each execution uses.
    usage: f64,
    /// Changes nothing.
    #[schemars(extend("x-result" = false))]
    patience: u32,
    /// Parts that are done with `once`.
    parts: u32,
    /// Fail after this many parts, at the first execution.
    fail_after_part: Option<u32>,
    /// Panic.
    panic: bool,
    /// Kill the process that works on the vCon.
    kill: bool,
}

struct Probe<const EXTERNAL: bool> {
    name: String,
    options: ProbeOptions,
}

register_link!(Probe<false>);
register_link!(Probe<true>);

impl<const EXTERNAL: bool> LinkPlugin for Probe<EXTERNAL> {
    const MODULE: &'static str = if EXTERNAL { "links.probe_external" } else { "links.probe" };
    const EFFECT: Effect = if EXTERNAL { Effect::External } else { Effect::Pure };
    const EDITS: bool = true;
    const EXAMPLE: &'static str = "probe: {module: links.probe}";
    type Options = ProbeOptions;

    fn new(name: &str, options: ProbeOptions) -> Result<Self> {
        Ok(Probe { name: name.to_owned(), options })
    }
}

#[async_trait]
impl<const EXTERNAL: bool> Link for Probe<EXTERNAL> {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let options = &self.options;
        let _under_way = UnderWay::new(&options.log);
        let line = format!("{} {}", self.name, context.step.uuid);
        write(&options.log, line.clone());
        let execution = u32::try_from(count(&options.log, &line)).unwrap_or(u32::MAX);
        if options.kill {
            let process = std::process::id().to_string();
            drop(std::process::Command::new("kill").args(["-9", &process]).status());
        }
        if options.panic {
            panic!("the probe was told to");
        }
        if options.show {
            write(&options.log, format!("{} attempt {}", self.name, context.step.attempt));
            let document = String::from_utf8_lossy(&vcon.to_bytes()).into_owned();
            write(&options.log, format!("{} reads {document}", self.name));
        }
        if options.usage > 0.0 {
            context.add_usage("calls", options.usage, None);
        }
        tokio::time::sleep(Duration::from_millis(options.sleep)).await;
        for part in 0..options.parts {
            if options.fail_after_part == Some(part) && execution == 1 {
                return Err(Error::retryable("told to fail between parts"));
            }
            let work = async {
                write(&options.log, format!("{} part {part}", self.name));
                Ok(part)
            };
            context.once(&format!("part {part}"), work).await?;
        }
        if execution <= options.fail_times || world().broken.contains(&options.log) {
            return Err(match options.class.as_str() {
                "permanent" => Error::permanent("told to fail"),
                "configuration" => Error::configuration("told to fail"),
                _ => Error::retryable("told to fail"),
            });
        }
        if !options.set.is_empty() {
            context.edit(Edit::set(format!("/{}", options.set), vconductor_core::document::Json::string(&self.name)));
        }
        if !options.tag.is_empty() {
            context.add_tag(&options.tag, &options.tag);
        }
        if !options.push.is_empty() {
            context.push(&options.push);
        }
        if let Some(wait) = options.park {
            let start = format!("{} token ", self.name);
            let parked = seen(&options.log).iter().filter(|line| line.starts_with(&start)).count();
            if context.resumption.is_none() || parked < options.parks as usize {
                let until = context.clock.now() + i64::try_from(wait).unwrap_or(i64::MAX);
                let token = context.effect_id(&format!("park {parked}"));
                write(&options.log, format!("{start}{token}"));
                return Ok(Outcome::Park { token, until });
            }
            if options.fail_resumed && count(&options.log, &format!("{} fails resumed", self.name)) == 0 {
                write(&options.log, format!("{} fails resumed", self.name));
                return Err(Error::retryable("told to fail after the park"));
            }
            match &context.resumption {
                None => {}
                Some(Resumption::TimedOut) => drop(write(&options.log, format!("{} timed out", self.name))),
                Some(Resumption::Called(payload)) => {
                    write(&options.log, format!("{} called {payload}", self.name));
                }
            }
        }
        Ok(match options.outcome.as_str() {
            "" => Outcome::Continue,
            "stop" => Outcome::Stop,
            uuid => Outcome::Switch(uuid.to_owned()),
        })
    }
}

/// Keeps documents in memory.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProbeStorageOptions {
    /// Where to write what happens; `set_broken` on it makes saves fail.
    log: String,
    /// Class of its failures: retryable or permanent.
    class: String,
    /// Panic over a vCon whose uuid ends so.
    panic_on: String,
    /// A save takes this long, in milliseconds.
    sleep: u64,
}

struct ProbeStorage {
    options: ProbeStorageOptions,
}

register_storage!(ProbeStorage);

impl StoragePlugin for ProbeStorage {
    const MODULE: &'static str = "storage.probe";
    const EXAMPLE: &'static str = "probe: {module: storage.probe}";
    type Options = ProbeStorageOptions;

    fn new(_name: &str, options: ProbeStorageOptions) -> Result<Self> {
        Ok(ProbeStorage { options })
    }
}

impl ProbeStorage {
    fn whole(&self) -> Result<()> {
        match (world().broken.contains(&self.options.log), self.options.class.as_str()) {
            (false, _) => Ok(()),
            (true, "permanent") => Err(Error::permanent("the storage refuses it")),
            (true, _) => Err(Error::retryable("the storage is down")),
        }
    }
}

#[async_trait]
impl Storage for ProbeStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities { lossless: true, read: true, delete: false, list: false, revisions: true }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(self.options.sleep)).await;
        if !self.options.panic_on.is_empty() && item.uuid.ends_with(&self.options.panic_on) {
            panic!("the probe storage was told to");
        }
        self.whole().inspect_err(|_| {
            write(&self.options.log, format!("failed {}", item.uuid));
        })?;
        write(&self.options.log, format!("save {}", item.uuid));
        let mut world = world();
        let held = world.stored.entry((self.options.log.clone(), item.uuid.clone())).or_default();
        if item.revision >= held.0 {
            *held = (item.revision, item.vcon.to_bytes());
        }
        Ok(())
    }

    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        self.whole()?;
        Ok(stored(&self.options.log, uuid))
    }

    async fn health(&self) -> Result<()> {
        if world().hanging.contains(&self.options.log) {
            std::future::pending::<()>().await;
        }
        self.whole()
    }
}

/// Writes every hop down.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProbeTracerOptions {
    /// Where to write.
    log: String,
    /// Whether its failure ends the run.
    dlq_vcon_on_error: bool,
}

struct ProbeTracer {
    options: ProbeTracerOptions,
}

register_tracer!(ProbeTracer);

impl TracerPlugin for ProbeTracer {
    const MODULE: &'static str = "tracers.probe";
    type Options = ProbeTracerOptions;

    fn new(_name: &str, options: ProbeTracerOptions) -> Result<Self> {
        Ok(ProbeTracer { options })
    }
}

#[async_trait]
impl Tracer for ProbeTracer {
    async fn trace(&self, hop: &Hop<'_>) -> Result<()> {
        write(&self.options.log, format!("hop {} {} {}", hop.index, hop.uuid_in, hop.uuid_out));
        if world().broken.contains(&self.options.log) { Err(Error::retryable("the tracer is down")) } else { Ok(()) }
    }
}

/// Writes to the log `hook-<chain>`; a broken one stops every run of its chain.
#[derive(Debug, Default)]
struct ProbeHook;

register_hook!(ProbeHook);

#[async_trait]
impl Hook for ProbeHook {
    async fn before_run(&self, run: RunInfo<'_>) -> Result<bool> {
        let log = format!("hook-{}", run.chain);
        write(&log, format!("before {} {}", run.uuid, run.attempt));
        let stopped = world().broken.contains(&log);
        Ok(!stopped)
    }

    async fn after_link(&self, run: RunInfo<'_>, link: &str, result: std::result::Result<&Outcome, &Error>) {
        write(&format!("hook-{}", run.chain), format!("link {link} {}", if result.is_ok() { "ok" } else { "error" }));
    }

    async fn after_run(&self, run: RunInfo<'_>, end: &str) {
        write(&format!("hook-{}", run.chain), format!("after {end}"));
    }
}
