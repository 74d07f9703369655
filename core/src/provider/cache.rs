//! Results by content: the same sound or text with the same options is paid for once, whichever vCon it is in.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::plugin::LinkContext;

/// Names a result by everything that it depends on.
#[derive(Debug, Clone)]
pub struct ResultKey {
    hash: Sha256,
}

impl ResultKey {
    /// The key of a kind of result, for example `transcript`. Raise the kind's version when its form changes.
    pub fn new(kind: &str) -> Self {
        ResultKey { hash: Sha256::new() }.with(kind)
    }

    /// Adds what the result depends on: provider, model, options, hash of the sound or text.
    #[must_use]
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.hash.update((part.len() as u64).to_be_bytes());
        self.hash.update(part);
        self
    }

    fn name(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The result of `work`, or the one that an earlier run kept under `key`; true if nothing was paid. `keep`: how long it is
/// kept; `None` asks and keeps nothing. A store that cannot be asked costs money, not the run.
///
/// # Errors
/// Those of `work`.
pub async fn cached<T, F>(
    context: &LinkContext<'_>,
    key: &ResultKey,
    keep: Option<Duration>,
    work: F,
) -> Result<(T, bool)>
where
    T: Serialize + DeserializeOwned,
    F: Future<Output = Result<T>>,
{
    let Some(keep) = keep else { return Ok((work.await?, false)) };
    let (shared, name) = (context.services.coordination.as_ref(), key.name());
    match shared.result(&name).await {
        Ok(Some(known)) => match serde_json::from_slice(&known) {
            Ok(known) => {
                context.reuse();
                return Ok((known, true));
            }
            Err(error) => tracing::warn!(%error, "a kept result is unreadable and is made again"),
        },
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "kept results cannot be asked for"),
    }
    let result = work.await?;
    let bytes = serde_json::to_vec(&result)
        .map_err(|error| Error::permanent("the result of a paid call is not JSON").caused_by(error))?;
    if let Err(error) = shared.keep_result(&name, &context.step.uuid, bytes.into(), keep).await {
        tracing::warn!(%error, "a result could not be kept for later runs");
    }
    Ok((result, false))
}
