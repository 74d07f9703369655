//! Where recordings may come from, and how large and long they may be.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::cache::Cache;

/// The rules for recordings that a vCon refers to: the section `media` of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPolicy {
    /// Folders that `file:` URLs may point into; none by default.
    pub roots: Vec<PathBuf>,
    /// The largest recording in bytes.
    pub max_bytes: u64,
    /// The longest recording.
    pub max_duration: Duration,
    /// The limit for fetching one, from connecting to the last byte.
    pub timeout: Duration,
    /// Bytes of fetched recordings that are kept for the next link or run that needs them; 0 keeps none.
    pub cache_bytes: u64,
}

impl Default for MediaPolicy {
    fn default() -> Self {
        MediaPolicy {
            roots: Vec::new(),
            max_bytes: 2 * 1024 * 1024 * 1024,
            max_duration: Duration::from_secs(24 * 3600),
            timeout: Duration::from_secs(300),
            cache_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

/// What the links of a process share to get at recordings: the rules, and what was fetched lately. Clones share it.
#[derive(Debug, Clone)]
pub struct Recordings {
    policy: Arc<MediaPolicy>,
    cache: Cache,
}

impl Recordings {
    /// Under these rules, with nothing fetched yet.
    pub fn new(policy: MediaPolicy) -> Self {
        let cache = Cache::new(policy.cache_bytes);
        Recordings { policy: Arc::new(policy), cache }
    }

    /// The rules.
    pub fn policy(&self) -> &MediaPolicy {
        &self.policy
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }
}

impl Default for Recordings {
    fn default() -> Self {
        Recordings::new(MediaPolicy::default())
    }
}
