//! A generation: what a conductor works by until the next configuration takes its place.
//!
//! Everything that is under way keeps the generation with which it began; what begins next has the new one. Runs that come
//! back later (a retry, a callback, a claim of a dead process) go on under the generation of that moment, by the keys of their
//! steps.

use vconductor_core::plugin::Services;

use super::chain::Chains;
use super::deviations::Deviations;

/// One generation at work.
pub(super) struct Generation {
    pub(super) chains: Chains,
    /// What its links share.
    pub(super) services: Services,
    /// By chain, its row among the places; a chain keeps its row for as long as it has its name.
    pub(super) rows: Vec<usize>,
    /// Its chains as single runs want them.
    pub(super) deviations: Deviations,
}
