//! How much a reader lets strangers make it do.

use std::time::Duration;

use crate::Error;

/// The bounds of reading. Nesting of JSON is bounded by [`MAX_DEPTH`](crate::document::MAX_DEPTH) in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a file as it came.
    pub bytes: u64,
    /// Bytes that a compressed text, or all entries of a bundle together, may become.
    pub inflated: u64,
    /// How many times its size a compressed text may become. It is not asked below [`Limits::SMALL`]: text of that size
    /// does no harm however it was packed. Speech and JSON stay below 30 times; the most that gzip can do is 1030 times.
    pub ratio: u64,
    /// Entries of a bundle.
    pub entries: usize,
    /// Signed vCons inside of signed vCons (each archival signature adds one).
    pub nesting: usize,
    /// How long fetching the external content of one vCon may take.
    pub fetching: Duration,
}

impl Limits {
    /// Inflated bytes up to which [`ratio`](Self::ratio) is not asked.
    pub const SMALL: u64 = 4 << 20;

    pub(super) fn too_large(&self, bytes: u64) -> Error {
        Error::permanent(format!("{bytes} bytes are more than the {} that are read", self.bytes))
            .help("a vCon this large should refer to its media by URL instead of holding them")
    }

    pub(super) fn grows_too_large(&self) -> Error {
        Error::permanent(format!("it inflates to more than the {} bytes that are read", self.inflated))
            .help("a vCon this large should refer to its media by URL instead of holding them")
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 512 << 20,
            inflated: 512 << 20,
            ratio: 250,
            entries: 10_000,
            nesting: 8,
            fetching: Duration::from_secs(60),
        }
    }
}
