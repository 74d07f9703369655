//! `dlq retry`: dead runs go on.

use clap::Args;
use uuid::Uuid;
use vconductor_core::run::RunId;

use super::letters::{ClassName, queue_name};
use super::{Filter, Rate, Revivals, Surgery};
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Result};

const ABOUT: &str = "\
Let dead runs go on

They are put at the tail of their ingress list, oldest first, and continue with their ledger: finished steps and \
storages are skipped, attempts and crashes are counted anew. The vCon is as the run left it. Interrupted, the same \
command goes on, since what was put back has left the queue.

Runs that begin while the command works are left for the next one.";

const EXAMPLES: &str = "\
Examples:
  vconductor dlq retry calls --dry-run
  vconductor dlq retry calls --class configuration          # after the key was renewed
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
    /// At most so many runs, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    common: Common,
}

/// How runs go on; the same for `dlq retry` and `replay`.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// At most so many per time, for example 50/s or 600/m
    #[arg(long, value_name = "N/s")]
    pub(crate) rate: Option<Rate>,
    /// Do this link and all later ones again, and pay for them again; earlier ones stay finished
    #[arg(long, value_name = "LINK", conflicts_with = "new_run")]
    pub(crate) from_link: Option<String>,
    /// Start over as new runs: nothing counts as finished
    #[arg(long)]
    pub(crate) new_run: bool,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

impl Retry {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        let How { rate, from_link, new_run, dry_run } = &self.how;
        let chains = desk.configured.map(|all| all.chains().to_vec()).unwrap_or_default();
        let filter = Filter {
            uuid: self.uuid.as_deref().map(canonical),
            run: self.run.map(RunId),
            class: self.class.map(ClassName::class),
        };
        let revivals = Revivals {
            store: desk.store,
            queue: queue_name(&self.queue),
            filter,
            surgery: Surgery { to: None, from_link: from_link.clone(), new_run: *new_run, chains },
            limit: self.limit,
            rate: *rate,
            dry_run: *dry_run,
            output: self.common.output,
        };
        revivals.run().await
    }
}

/// A uuid as it is stored; identifiers that are no UUIDs are stored as they are.
pub(crate) fn canonical(text: &str) -> String {
    Uuid::parse_str(text).map_or_else(|_| text.to_owned(), |uuid| uuid.to_string())
}
