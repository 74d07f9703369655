//! Recordings for links: the bytes of a dialog's recording, and parts of them that a vendor accepts.
//!
//! ```no_run
//! # async fn example(vcon: &vconductor_core::vcon::Vcon, context: &vconductor_core::plugin::LinkContext<'_>)
//! # -> vconductor_core::Result<()> {
//! use vconductor_core::recording::{Cut, Recording};
//!
//! for dialog in vcon.dialogs().filter(|dialog| dialog.is_recording()) {
//!     let recording = Recording::fetch(&dialog, context).await?;
//!     let mut parts = recording.parts(&Cut::default())?;
//!     while let Some(part) = parts.next_part().await {
//!         let part = part?; // send it; its times count from `part.offset`
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! [`Recording::fetch`] reads inline bodies, https through the address guard, and `file:` under the operator's roots. What is
//! large lies in a file without a name, which the operating system deletes with its last user, also when the process is killed.
//! [`Recording::parts`] decodes, brings to 16 kHz and cuts in one pass; it holds one part of every channel and no more.

mod cache;
mod cut;
mod decode;
mod fetch;
mod identify;
mod local;
mod parties;
mod parts;
mod policy;
mod resample;
mod silence;
mod stored;
mod wave;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use cut::{Channels, Cut, Part};
pub use parties::channel_parties;
pub use parts::Parts;
pub use policy::{MediaPolicy, Recordings};
use stored::Stored;

use crate::audio::AudioInfo;
use crate::plugin::LinkContext;
use crate::vcon::Dialog;
use crate::{Error, Result};

/// A recording in memory or on disk; clones share it.
#[derive(Clone)]
pub struct Recording {
    shared: Arc<Shared>,
}

struct Shared {
    stored: Stored,
    info: Option<AudioInfo>,
    hash: String,
    mediatype: String,
    extension: String,
}

impl Recording {
    /// The recording of a dialog: from its body, from https through the address guard, or from a file under the
    /// configured roots. What says its hash is compared with it. Recordings from elsewhere are fetched once for all links
    /// of a run.
    ///
    /// # Errors
    /// Retryable when the other side is away or too slow. Permanent when there is no recording, it is too large or too
    /// long, broken or no recording at all, not the one whose hash the vCon says, or from a place that is not allowed.
    pub async fn fetch(dialog: &Dialog<'_>, context: &LinkContext<'_>) -> Result<Self> {
        Self::fetch_under(dialog, context, context.services.recordings.policy()).await
    }

    /// [`fetch`](Self::fetch) under other rules than those of the configuration's section `media`; for a link whose options
    /// narrow them.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub async fn fetch_under(dialog: &Dialog<'_>, context: &LinkContext<'_>, policy: &MediaPolicy) -> Result<Self> {
        // Large: the whole exchange with the other side.
        let fetched = Box::pin(fetch::fetch(dialog, context, policy)).await;
        fetched.map_err(|error| error.within(format_args!("dialog {}", dialog.index())))
    }

    /// The recording in `bytes`.
    ///
    /// # Errors
    /// Permanent when it is broken or no recording at all.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self> {
        identify::identify(Stored::Memory(bytes.into()), None, None)
    }

    /// The recording in a file, which is read in place and must not change meanwhile. Reads all of it, and blocks.
    ///
    /// # Errors
    /// Permanent when it is broken or no recording at all; retryable when it cannot be read.
    pub fn from_file(path: &std::path::Path) -> Result<Self> {
        let stored = std::fs::File::open(path).and_then(Stored::file).map_err(stored::unreadable);
        stored.and_then(|stored| identify::identify(stored, None, None)).map_err(|error| error.within(path.display()))
    }

    /// What it is; `None` for a format that we cannot read and pass on unchanged.
    pub fn info(&self) -> Option<&AudioInfo> {
        self.shared.info.as_ref()
    }

    /// Its size in bytes.
    // A recording is never empty.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.shared.stored.len()
    }

    /// SHA-256 of its bytes in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.shared.hash
    }

    /// A name with the extension that goes with its format. Nothing of the vCon is in it.
    pub fn file_name(&self) -> String {
        format!("recording.{}", self.shared.extension)
    }

    /// Its media type: what its bytes say, else what the dialog says.
    pub fn mediatype(&self) -> &str {
        &self.shared.mediatype
    }

    /// All of it in memory.
    ///
    /// # Errors
    /// Retryable when it cannot be read back.
    pub async fn bytes(&self) -> Result<Bytes> {
        match &self.shared.stored {
            Stored::Memory(bytes) => Ok(bytes.clone()),
            stored => {
                let stored = stored.clone();
                blocking(move || stored.read_all()).await
            }
        }
    }

    /// Its parts for a vendor; they are made when they are asked for. A recording that is small and short enough is one part,
    /// unchanged; so is one that we cannot decode.
    ///
    /// # Errors
    /// Permanent when it is too large and cannot be decoded, or broken; a configuration error when no part can be as small
    /// as `cut` asks.
    pub fn parts(&self, cut: &Cut) -> Result<Parts> {
        Parts::of(self.clone(), cut)
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("len", &self.len())
            .field("info", &self.shared.info)
            .field("hash", &self.shared.hash)
            .finish_non_exhaustive()
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::retryable("the work on a recording was stopped").caused_by(error)))
}
