//! `replay`: runs vCons again.

use clap::{Args, ValueEnum};
use vconductor_core::config::nearest;

use super::configuration::Configured;
use super::desk::Common;
use super::dlq::{Filter, How, Revivals, Surgery, Target, queue_name};
use super::exit::{Exit, Failure, Result};
use super::output::{self, WARN};

const ABOUT: &str = "\
Run vCons again

From a queue of dead letters the dead runs continue, oldest first, with their ledger: what is finished is not done, or \
paid, again. With --to they go on in another chain: links that it has in common with the old one, with the same \
options, stay finished; its storages and egress lists are served from the start.

Ctrl-C ends it when the present batch is done. What was put back has left the queue, so the same command goes on; also \
after a crash.";

const EXAMPLES: &str = "\
Examples:
  vconductor replay --from dlq calls --dry-run
  vconductor replay --from dlq calls --rate 50/s --limit 1000
  vconductor replay --from dlq calls --to support-v2 --config chains.yml
  vconductor replay --from dlq storage:files";

/// Run vCons again
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// What kind of place they come from
    #[arg(long, value_enum, value_name = "KIND")]
    from: From,
    /// The queue of dead letters, for example calls or storage:files
    #[arg(value_name = "LIST")]
    source: String,
    /// The chain (needs --config) or list where they go on
    #[arg(long, value_name = "CHAIN|LIST")]
    to: Option<String>,
    /// At most so many runs, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// Dead letters: their runs continue
    Dlq,
}

impl Replay {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let From::Dlq = self.from;
        let desk = self.common.open().await?;
        let to = match &self.to {
            Some(name) => Some(target(name, desk.configured.as_ref())?),
            None => None,
        };
        let How { rate, from_link, new_run, dry_run } = &self.how;
        let chains = desk.configured.map(|all| all.chains().to_vec()).unwrap_or_default();
        let revivals = Revivals {
            store: desk.store,
            queue: queue_name(&self.source),
            filter: Filter::default(),
            surgery: Surgery { to, from_link: from_link.clone(), new_run: *new_run, chains },
            limit: self.limit,
            rate: *rate,
            dry_run: *dry_run,
            output: self.common.output,
        };
        revivals.run().await
    }
}

/// The list of a chain, or a list. Without a configuration every name is one of a list.
fn target(name: &str, configured: Option<&Configured>) -> Result<Target> {
    let Some(configured) = configured else {
        let message =
            format!("without --config `{name}` is taken for a list; nobody checks that a chain takes from it");
        output::complain(WARN, "warning", message, None);
        return Ok(Target { list: name.to_owned(), chain: None });
    };
    let chains = configured.chains();
    if let Some(chain) = chains.iter().find(|chain| chain.name == name) {
        let Some(list) = chain.ingress_lists.first() else {
            return Err(Failure::new(Exit::Configuration, format!("chain `{name}` takes from no list"))
                .help("give it `ingress_lists`"));
        };
        return Ok(Target { list: list.clone(), chain: Some(name.to_owned()) });
    }
    if let Some(chain) = chains.iter().find(|chain| chain.ingress_lists.iter().any(|list| list == name)) {
        return Ok(Target { list: name.to_owned(), chain: Some(chain.name.clone()) });
    }
    let names: Vec<&String> = chains.iter().flat_map(|chain| chain.ingress_lists.iter().chain([&chain.name])).collect();
    let failure = Failure::new(Exit::Usage, format!("`{name}` is neither a chain nor a list that a chain takes from"));
    Err(match nearest(name, names) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure,
    })
}
