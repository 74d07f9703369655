//! What `replay` and `dlq retry` ask in the same words: which runs, done how, how many and how fast.

use clap::Args;
use serde_json::{Value, json};

use super::ahead::{AHEAD, Pace};
use super::different::Different;
use super::rate::Rate;
use super::select::Select;
use crate::cli::dlq::Begin;
use crate::cli::output::Format;

/// Which runs go on, and how.
#[derive(Debug, Args)]
pub(crate) struct Again {
    /// Only dead letters of this cause, as `dlq list --group` names it
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) select: Select,
    #[command(flatten)]
    pub(crate) different: Different,
    /// Dead runs start over as new runs: nothing counts as finished
    #[arg(long, conflicts_with = "from_link")]
    pub(crate) new_run: bool,
    /// At most so many runs
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// At most so many per time, for example 50/s or 600/m
    #[arg(long, value_name = "N/s")]
    rate: Option<Rate>,
    /// Put nothing on a list on which so many runs wait; 0 for no bound
    #[arg(long, value_name = "N", default_value_t = AHEAD)]
    ahead: u64,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

impl Again {
    /// What decides which runs go on and as what; how fast does not.
    pub(crate) fn asked(&self) -> Value {
        let different = self.different.deviation(true).lines();
        json!([self.group, self.select.asked(), different, self.new_run, self.limit])
    }

    /// How fast.
    pub(crate) fn pace(&self) -> Pace {
        Pace::new(self.rate, self.ahead)
    }

    /// How dead letters are gone through, with the cursor of this name.
    pub(crate) fn begin(&self, name: String, restart: bool, output: Format) -> Begin {
        let Again { rate, ahead, limit, dry_run, .. } = *self;
        Begin { name, restart, rate, ahead, limit, dry_run, output }
    }
}
