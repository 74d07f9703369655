//! `links.exec`: runs a link in any language as a long-lived process.

mod child;
mod lines;
mod pool;
mod protocol;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use vconductor_core::config::{Period, Size};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Stops};
use vconductor_core::secret::Secret;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

use pool::Pool;
use protocol::Call;

/// Runs a link that is written in any language.
///
/// The command is started once and kept: each vCon goes to its standard input as one line of JSON, and its answer comes
/// back as one line on its standard output (`docs/exec-protocol.md`). What it writes to standard error goes to the log.
/// A process that ends, answers nonsense or takes too long is killed, with the processes that it started, and started
/// again for the next vCon. `examples/exec/vcon_link_adapter.py` runs links of vcon-server this way. Nothing is ever
/// installed: the command must be there.
///
/// A vCon whose answer was lost in a crash of the conductor goes to the process again, with the same `effect_id`: a link
/// that pays for something should hand that on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Options {
    /// The program and its arguments; no shell is involved.
    #[schemars(extend("x-set" = false))]
    command: Vec<String>,
    /// Handed to the process when it starts, as they are. Default: none.
    #[serde(default)]
    options: Value,
    /// Environment variables of the process. Values are kept secret. Default: none.
    #[serde(default)]
    #[schemars(extend("x-set" = false))]
    env: BTreeMap<String, Secret>,
    /// Whether the process gets the conductor's own environment too, with all keys in it. Without, it gets `PATH`,
    /// `HOME` and `LANG`. Default: `false`.
    #[serde(default)]
    #[schemars(extend("x-set" = false))]
    inherit_env: bool,
    /// The folder in which the process runs. Default: that of the conductor.
    #[serde(default)]
    #[schemars(extend("x-set" = false))]
    cwd: Option<PathBuf>,
    /// How many processes run at most. Each works on one vCon at a time; others wait. Default: 1.
    #[serde(default = "default_workers")]
    #[schemars(extend("x-result" = false))]
    workers: usize,
    /// The longest time for one vCon, the start of a process included, waiting for a free process not. Default: `60s`.
    #[serde(default = "default_timeout")]
    #[schemars(extend("x-result" = false))]
    timeout: Period,
    /// The longest answer. Default: `64MB`.
    #[serde(default = "default_max_output")]
    #[schemars(extend("x-result" = false))]
    max_output: Size,
}

fn default_workers() -> usize {
    1
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(60))
}

fn default_max_output() -> Size {
    Size(64 * 1024 * 1024)
}

struct Exec {
    pool: Pool,
}

register_link!(Exec);

impl LinkPlugin for Exec {
    const MODULE: &'static str = "links.exec";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const EXAMPLE: &'static str = "words:\n  module: links.exec\n  options:\n    \
                                   command: [python3, /opt/vconductor/exec/vcon_link_adapter.py, word_count]\n";
    type Options = Options;

    fn new(name: &str, options: Options) -> Result<Self> {
        if options.command.first().is_none_or(String::is_empty) {
            return Err(Error::configuration("option `command` is empty")
                .help("write the program and its arguments as a list, such as [python3, my_link.py]"));
        }
        if options.workers == 0 || options.workers > 1024 {
            return Err(Error::configuration(format!("option `workers`: {} is not 1 to 1024", options.workers))
                .help("start with one and raise it while vCons wait for the link"));
        }
        if options.timeout.0.is_zero() {
            return Err(Error::configuration("option `timeout` is 0").help("write a time such as 60s"));
        }
        for variable in options.env.keys() {
            if variable.is_empty() || variable.contains(['=', '\0']) {
                return Err(Error::configuration(format!("option `env`: `{}` is no name", variable.escape_debug()))
                    .help("names of environment variables have no `=`"));
            }
        }
        Ok(Exec { pool: Pool::new(name, options) })
    }
}

#[async_trait]
impl Link for Exec {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if !context.services.processes {
            return Err(Error::permanent("no process is started here").help(
                "mock the link, or allow processes: `processes: true` in a chain test, --processes of `simulate`",
            ));
        }
        let seen = vcon.normalised();
        let call = Call {
            uuid: &context.step.uuid,
            run: context.step.run.to_string(),
            attempt: context.step.attempt,
            effect_id: context.effect_id("exec"),
            vcon: &seen,
        };
        // Dropping the call kills the process that works on it.
        let answer = tokio::select! {
            answer = self.pool.call(&call) => answer?,
            () = context.cancel.cancelled() => {
                return Err(Error::retryable("the link was stopped before its process answered"));
            }
        };
        let (outcome, edits) = answer.decide(&seen)?;
        edits.into_iter().for_each(|edit| context.edit(edit));
        answer.pushes.into_iter().for_each(|list| context.push(list));
        answer.notes.into_iter().for_each(|note| context.note(note));
        Ok(outcome)
    }

    fn facts(&self) -> Facts {
        Facts { writes_anything: true, ..Facts::stopping(Stops::Sometimes) }
    }
}
