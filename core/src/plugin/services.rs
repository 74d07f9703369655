//! What all links of a conductor share.

use std::sync::Arc;

use crate::error::Result;
use crate::http::HttpClient;
use crate::price::PriceTable;
use crate::recording::Recordings;
use crate::store::{Coordination, LocalCoordination};

/// What all links of a conductor share; made once, clones share it.
#[derive(Clone)]
pub struct Services {
    /// The HTTP client with its pools, limits and address guard.
    pub http: HttpClient,
    /// Limits, holds and kept results, shared with other conductors through the store.
    pub coordination: Arc<dyn Coordination>,
    /// What paid calls cost.
    pub prices: Arc<PriceTable>,
    /// The rules for recordings, and those that were fetched.
    pub recordings: Recordings,
    /// Whether links may start processes; not in a simulation, unless its user says so.
    pub processes: bool,
}

impl Services {
    /// Services of a process that shares nothing with others: simulations and tests.
    ///
    /// # Errors
    /// If the price table that comes with the program is damaged.
    pub fn alone(http: HttpClient) -> Result<Self> {
        let prices = Arc::new(PriceTable::new(Vec::new())?);
        let recordings = Recordings::default();
        Ok(Services { http, coordination: Arc::new(LocalCoordination::default()), prices, recordings, processes: true })
    }
}
