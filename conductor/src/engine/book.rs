//! A run's ledger while it is worked on, shared by the branches of a `parallel`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use vconductor_core::run::Ledger;

/// The ledger, and whose turn it is to save it.
pub(super) struct Book {
    ledger: Mutex<Ledger>,
    turn: tokio::sync::Mutex<()>,
}

impl Book {
    pub(super) fn new(ledger: Ledger) -> Self {
        Book { ledger: Mutex::new(ledger), turn: tokio::sync::Mutex::default() }
    }

    /// The ledger as it is now.
    pub(super) fn open(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held from the change of the ledger until it is saved: otherwise an older copy could be saved after a newer
    /// one, or a finished step without the edits that it made.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}
