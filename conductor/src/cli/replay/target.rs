//! Where runs go on: a chain or a list.

use vconductor_core::config::nearest;

use crate::cli::configuration::Configured;
use crate::cli::dlq::Target;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, WARN};

/// The list of a chain, or a list. Without a configuration every name is one of a list.
pub(super) fn target(name: &str, configured: Option<&Configured>) -> Result<Target> {
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
