//! `dlq retry`: dead runs go on.

use clap::Args;
use serde_json::json;
use uuid::Uuid;
use vconductor_core::run::RunId;

use super::letters::{ClassName, queue_name};
use super::{Filter, Revivals};
use crate::cli::bulk::again::Again;
use crate::cli::bulk::cursor;
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
    #[command(flatten)]
    again: Again,
    #[command(flatten)]
    common: Common,
}

impl Retry {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        self.again.different.check_form(desk.configured.as_ref())?;
        let filter = Filter {
            uuid: self.uuid.as_deref().map(canonical),
            run: self.run.map(RunId),
            class: self.class.map(ClassName::class),
            group: self.again.group.clone(),
        };
        let queue = queue_name(&self.queue);
        let asked = json!(["retry", queue, filter.uuid, filter.run, filter.class, self.again.asked()]);
        let begin = self.again.begin(cursor::name(None, &asked), false, self.common.output);
        Revivals::new(desk, queue, filter, &self.again, None, begin).run().await
    }
}

/// A uuid as it is stored; identifiers that are no UUIDs are stored as they are.
pub(crate) fn canonical(text: &str) -> String {
    Uuid::parse_str(text).map_or_else(|_| text.to_owned(), |uuid| uuid.to_string())
}
