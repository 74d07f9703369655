//! `dlq retry`: dead runs go on.

use clap::Args;
use serde_json::json;
use uuid::Uuid;
use vconductor_core::run::RunId;

use super::letters::{ClassName, queue_name};
use super::{Begin, Filter, Revivals, Surgery};
use crate::cli::bulk::ahead::AHEAD;
use crate::cli::bulk::cursor;
use crate::cli::bulk::different::Different;
use crate::cli::bulk::rate::Rate;
use crate::cli::bulk::select::Select;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Result};

const ABOUT: &str = "\
Let dead runs go on

They are put at the tail of their ingress list, oldest first, and continue with their ledger: finished steps and \
storages are skipped, attempts and crashes are counted anew. The vCon is as the run left it. Interrupted, the same \
command goes on, and leaves runs alone that it put back and that have died again since.

Runs that begin while the command works are left for the next one.";

const EXAMPLES: &str = "\
Examples:
  vconductor dlq retry calls --dry-run
  vconductor dlq retry calls --class configuration          # after the key was renewed
  vconductor dlq retry calls --group 3f2a91bc --since 2h
  vconductor dlq retry calls --run 0192f1c4-7b1e-7d2a-9a51-3a6f1f0b8c11
  vconductor dlq retry calls --from-link analyse --config chains.yml --rate 20/s
  vconductor dlq retry storage:files";

/// Let dead runs go on
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(super) struct Retry {
    /// The queue, for example DLQ:calls, calls, storage:files
    #[arg(value_name = "QUEUE")]
    queue: String,
    /// Only runs of this vCon
    #[arg(long, value_name = "UUID")]
    uuid: Option<String>,
    /// Only this run
    #[arg(long, value_name = "RUN")]
    run: Option<Uuid>,
    /// Only failures of this kind
    #[arg(long, value_enum, value_name = "CLASS")]
    class: Option<ClassName>,
    /// Only failures of this cause, as `dlq list --group` names it
    #[arg(long, value_name = "FINGERPRINT")]
    group: Option<String>,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    different: Different,
    /// Start over as new runs: nothing counts as finished
    #[arg(long, conflicts_with = "from_link")]
    new_run: bool,
    /// At most so many runs, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// At most so many per time, for example 50/s or 600/m
    #[arg(long, value_name = "N/s")]
    rate: Option<Rate>,
    /// Put nothing on a list on which so many runs wait; 0 for no bound
    #[arg(long, value_name = "N", default_value_t = AHEAD)]
    ahead: u64,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

impl Retry {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        self.different.check_form(desk.configured.as_ref())?;
        let filter = Filter {
            uuid: self.uuid.as_deref().map(canonical),
            run: self.run.map(RunId),
            class: self.class.map(ClassName::class),
            group: self.group.clone(),
        };
        let asked = json!([
            "retry",
            queue_name(&self.queue),
            filter.uuid,
            filter.run,
            filter.class,
            filter.group,
            self.select.asked(),
            self.different.deviation(true).lines(),
            self.new_run,
            self.limit,
        ]);
        let begin = Begin {
            name: cursor::name(None, &asked),
            restart: false,
            rate: self.rate,
            ahead: self.ahead,
            limit: self.limit,
            dry_run: self.dry_run,
            output: self.common.output,
        };
        let surgery = Surgery::new(None, &self.different, self.new_run, desk.configured.as_ref());
        Revivals::new(desk, queue_name(&self.queue), filter, self.select.clone(), surgery, begin).run().await
    }
}

/// A uuid as it is stored; identifiers that are no UUIDs are stored as they are.
pub(super) fn canonical(text: &str) -> String {
    Uuid::parse_str(text).map_or_else(|_| text.to_owned(), |uuid| uuid.to_string())
}
