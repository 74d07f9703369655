//! From the checked configuration to the chains that the engine runs.

use std::sync::Arc;

use vconductor_core::config::Config;
use vconductor_core::plugin::Registry;

use crate::cli::configuration;
use crate::cli::exit::{Exit, Failure, Result};
use crate::engine::Built;
use crate::engine::assemble::assemble;
use crate::engine::chain::Chains;
use crate::engine::report::Report;

/// Builds every chain; what cannot be built is told with its place.
pub(super) fn assembled(config: &Config, registry: &Registry, report: &Arc<Report>) -> Result<Chains> {
    assemble(config, registry, report, &Built::default()).map_err(|findings| {
        configuration::complain(&findings);
        Failure::Silent(Exit::Configuration)
    })
}
