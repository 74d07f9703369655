//! What runs are to do otherwise than their chain says.

use clap::Args;
use vconductor_core::config::{Config, Setting};
use vconductor_core::plugin::Registry;
use vconductor_core::run::Deviation;

use crate::cli::configuration::{self, Configured};
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, WARN};
use crate::engine::deviations;

/// What runs are to do otherwise.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Different {
    /// Begin with this link. A dead run does it and all later ones again, and pays for them again
    #[arg(long, value_name = "LINK")]
    pub(crate) from_link: Option<String>,
    /// Leave this link out; may be given several times (needs --config)
    #[arg(long, value_name = "LINK")]
    pub(crate) skip_link: Vec<String>,
    /// An option of a link for these runs alone, as transcribe.options.model=nova-3; a secret as '${env:NAME}' (needs
    /// --config)
    #[arg(long, value_name = "LINK.options.NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Different {
    /// What is kept with the runs; `begins`: with the link to begin with (a dead run's ledger says where it begins).
    pub(crate) fn deviation(&self, begins: bool) -> Deviation {
        let asked = Deviation {
            from_link: self.from_link.clone().filter(|_| begins),
            skip: self.skip_link.clone(),
            set: self.set.clone(),
        };
        // An option that is set twice is as it was set last.
        let one_by_one =
            asked.set.iter().map(|setting| Deviation { set: vec![setting.clone()], ..Deviation::default() });
        one_by_one.fold(Deviation { set: Vec::new(), ..asked.clone() }, |all, one| all.and(&one))
    }

    /// Refuses what needs no chain to be seen as wrong, and what nobody could check.
    pub(crate) fn check_form(&self, configured: Option<&Configured>) -> Result<()> {
        for text in &self.set {
            Setting::parse(text).map_err(|error| usage(&error.chain_text(), error.help_text()))?;
        }
        if configured.is_none() && !(self.set.is_empty() && self.skip_link.is_empty()) {
            return Err(Failure::new(Exit::Usage, "--set and --skip-link need the configuration that has the links")
                .help("name it with --config"));
        }
        Ok(())
    }
}

/// Tells what of a deviation does not fit a chain.
pub(crate) fn check(config: &Config, registry: &Registry, chain: &str, wanted: &Deviation) -> Result<()> {
    if wanted.is_none() {
        return Ok(());
    }
    let unknown = deviations::check(config, registry, chain, wanted).map_err(|findings| {
        let errors: Vec<_> = findings.into_iter().filter(|finding| finding.is_error()).collect();
        configuration::complain(&errors);
        Failure::Silent(Exit::Usage)
    })?;
    if !unknown.is_empty() {
        let message = format!("{} is not known here, so what is in it is not checked", unknown.join(", "));
        output::complain(WARN, "warning", message, Some("the conductor must know it"));
    }
    Ok(())
}

fn usage(message: &str, help: Option<&str>) -> Failure {
    let failure = Failure::new(Exit::Usage, message);
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
