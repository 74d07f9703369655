//! How a store on Redis works.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use crate::store::Durability;

/// How documents are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// What is found is kept; new ones are RedisJSON where the server has it, else strings.
    #[default]
    Auto,
    /// New ones are strings, byte for byte as they came.
    String,
    /// New ones are RedisJSON, as vcon-server writes them.
    Json,
}

/// How a store on Redis works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a process counts as alive after a renewal.
    pub lease: Duration,
    /// The crash that makes a run a dead letter; from the one before it runs alone.
    pub poison_at: u32,
    /// How long dead letters are kept (`VCON_DLQ_EXPIRY`); `None` and zero keep them for ever.
    pub dead_letter_keep: Option<Duration>,
    /// How long the `tel:`, `mailto:` and `name:` sets live after their last change (`VCON_INDEX_EXPIRY`).
    pub index_keep: Duration,
    /// How long trace contexts wait for their run (`VCON_CONTEXT_EXPIRY`).
    pub context_keep: Duration,
    /// How long a vCon is kept after its last run that would have expired on a list (`VCON_REDIS_EXPIRY`).
    pub document_keep: Duration,
    /// The sorted set of all vCons (`VCON_SORTED_SET_NAME`).
    pub sorted_set: String,
    /// How safe what is taken in must be; a server that cannot give that is refused.
    pub durability: Durability,
    /// How new documents are kept.
    pub encoding: Encoding,
    /// How far ahead a sweep looks for documents on lists that would expire; more than two sweeps.
    pub horizon: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an answer may take. A heartbeat waits for a third of the lease, an idle list's bell a little longer
    /// than it listens. A replica may take as long to have what was written.
    pub response_timeout: Duration,
    /// How long one large document may take.
    pub bulk_timeout: Duration,
    /// From this size on a document is large: it has a connection of its own. Bytes.
    pub large: usize,
    /// Whether saves may send the end of a document alone; `None`: where the server makes that cheap.
    pub tails: Option<bool>,
    /// Shifts the store's time against the server's, in milliseconds. For tests.
    #[doc(hidden)]
    pub clock_shift: Arc<AtomicI64>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lease: Duration::from_secs(30),
            poison_at: 3,
            dead_letter_keep: Some(Duration::from_secs(604_800)),
            index_keep: Duration::from_secs(86_400),
            context_keep: Duration::from_secs(86_400),
            document_keep: Duration::from_secs(3600),
            sorted_set: "vcons".to_owned(),
            durability: Durability::Memory,
            encoding: Encoding::Auto,
            horizon: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(10),
            bulk_timeout: Duration::from_secs(60),
            large: 4 << 20,
            tails: None,
            clock_shift: Arc::default(),
        }
    }
}
