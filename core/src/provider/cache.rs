//! Results by content: the same sound or text with the same options is paid for once, whichever vCon it is in.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::config::parse_duration;
use crate::error::{Error, Result};
use crate::plugin::LinkContext;

/// How long results are kept for later runs, as an option says it: `30d`, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep(pub Option<Duration>);

impl Default for Keep {
    fn default() -> Self {
        Keep(Some(Duration::from_secs(30 * 86_400)))
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeepVisitor)
    }
}

struct KeepVisitor;

impl Visitor<'_> for KeepVisitor {
    type Value = Keep;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("how long results are kept (`30d`, `12h`), or `off`")
    }

    // YAML 1.1 takes `off` for false.
    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Keep, E> {
        Ok(if on { Keep::default() } else { Keep(None) })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Keep, E> {
        match text {
            "off" => Ok(Keep(None)),
            text => match parse_duration(text) {
                Some(time) => Ok(Keep((!time.is_zero()).then_some(time))),
                None => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            },
        }
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Keep, E> {
        self.visit_str(&seconds.to_string())
    }
}

impl JsonSchema for Keep {
    fn schema_name() -> Cow<'static, str> {
        "Keep".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "boolean", "integer"] })
    }
}

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
