//! Times and limits of a conductor that the command line sets.

use std::time::Duration;

use clap::Args;

use crate::cli::age;
use crate::cli::exit::{Exit, Failure, Result};
use crate::engine::Settings;

/// A lease is renewed this often within its length, so that two renewals may fail.
const RENEWALS: u32 = 3;
/// A shorter lease would be lost to a pause of the machine.
const SHORTEST: Duration = Duration::from_millis(500);

/// Times and limits of a conductor.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Times and limits")]
pub(crate) struct Times {
    /// Silence after which others take over what this conductor holds; it renews three times as often
    #[arg(long, value_name = "TIME", value_parser = age::duration, default_value = "30s")]
    pub(crate) lease: Duration,
    /// How often dead conductors are looked for, and vCons on lists kept from expiring
    #[arg(long, value_name = "TIME", value_parser = age::duration, default_value = "10s")]
    pub(crate) sweep: Duration,
    /// How long runs may go on after SIGTERM
    #[arg(long, value_name = "TIME", value_parser = age::duration, default_value = "25s")]
    pub(crate) grace: Duration,
    /// How long a run waits for a document that is not stored yet
    #[arg(long, value_name = "TIME", value_parser = age::duration, default_value = "10s")]
    pub(crate) missing: Duration,
    /// The crash that makes a run a dead letter; after the one before, it runs alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value_t = 3)]
    pub(crate) poison_at: u32,
    /// How many ended runs the store remembers for `vconductor runs`, for a day at most; 0: none
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(crate) history: usize,
}

impl Times {
    /// # Errors
    /// If they contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        if self.lease < SHORTEST {
            let message = format!("--lease {:?} is too short: a pause of the machine would cost it", self.lease);
            return Err(Failure::new(Exit::Usage, message).help("give at least 500ms; 30s is the default"));
        }
        if self.sweep.is_zero() {
            return Err(Failure::new(Exit::Usage, "--sweep 0 would do nothing else").help("10s is the default"));
        }
        Ok(())
    }

    pub(crate) fn apply(&self, settings: &Settings) -> Settings {
        Settings {
            lease: self.lease,
            heartbeat: self.lease / RENEWALS,
            sweep: self.sweep,
            grace: self.grace,
            missing_document: self.missing,
            history: self.history,
            ..settings.clone()
        }
    }
}
