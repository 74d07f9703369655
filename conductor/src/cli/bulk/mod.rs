//! What commands share that work through many vCons, at a rate, and may be stopped and go on.

pub(crate) mod again;
pub(crate) mod ahead;
pub(crate) mod cursor;
pub(crate) mod different;
pub(crate) mod rate;
pub(crate) mod reasons;
pub(crate) mod select;
pub(crate) mod source;

/// Documents that are loaded at once; with the batch they bound the memory.
pub(crate) const LOADS: usize = 8;
/// A batch is done when it holds so many vCons, or so many bytes.
pub(crate) const BATCH: usize = 64;
/// Bytes of documents in one batch, and in one page of files.
pub(crate) const BATCH_BYTES: usize = 8 << 20;
