//! A link that writes down when it worked on which vCon, into a file that several conductors share.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::error::{Error, Result};
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::register_link;
use vconductor_core::vcon::Vcon;

/// Writes down when it worked on which vCon.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TraceOptions {
    /// The file.
    path: String,
    /// A word to tell conductors apart.
    by: String,
    /// How long the work takes, in milliseconds.
    #[schemars(extend("x-result" = false))]
    work: u64,
}

struct Trace {
    options: TraceOptions,
}

register_link!(Trace);

impl LinkPlugin for Trace {
    const MODULE: &'static str = "links.trace";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "trace: {module: links.trace}";
    type Options = TraceOptions;

    fn new(_name: &str, options: TraceOptions) -> Result<Self> {
        Ok(Trace { options })
    }
}

#[async_trait]
impl Link for Trace {
    async fn run(&self, _vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let began = now();
        tokio::time::sleep(Duration::from_millis(self.options.work)).await;
        if !self.options.path.is_empty() {
            // One short write at the end of a file is not mixed with others.
            let line = format!("{} {} {began} {}\n", self.options.by, context.step.uuid, now());
            let file = OpenOptions::new().create(true).append(true).open(&self.options.path);
            file.and_then(|mut file| file.write_all(line.as_bytes()))
                .map_err(|error| Error::permanent("cannot write the trace").caused_by(error))?;
        }
        Ok(Outcome::Continue)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Who did it.
    pub by: String,
    /// The vCon.
    pub uuid: String,
    /// From when on, in microseconds.
    pub began: u64,
    /// Until when.
    pub ended: u64,
}

/// Everything that was written down, in the order of its beginning.
pub fn read(path: &Path) -> Vec<Work> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let work = |line: &str| {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("four words").to_owned();
        let (by, uuid, began, ended) = (word(), word(), word(), word());
        Work { by, uuid, began: began.parse().expect("a time"), ended: ended.parse().expect("a time") }
    };
    let mut all: Vec<Work> = text.lines().map(work).collect();
    all.sort_by_key(|work| work.began);
    all
}
