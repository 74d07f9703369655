//! Media by content hash, each once, under `[<s3_path>/]media/<hash>`.

use std::collections::HashMap;

use bytes::Bytes;
use vconductor_core::audio::matches_token;
use vconductor_core::plugin::Media;
use vconductor_core::{Error, Result};

use super::bucket::{Bucket, Condition, Upload};
use super::fault::Refused;
use super::place::Places;

/// Keeps content. Whether it is there already is asked first: content is large, and often seen again.
pub(super) async fn keep(bucket: &Bucket, places: &Places, media: &Media) -> Result<String> {
    let key = places.media(checked(&media.hash)?);
    if bucket.head(&key).await?.is_none() {
        let upload = Upload {
            key: &key,
            content: media.content.clone(),
            mediatype: media.mediatype.as_deref().unwrap_or("application/octet-stream"),
            metadata: HashMap::new(),
            // Whoever else writes this key writes the same.
            condition: Condition::None,
        };
        bucket.put(upload).await.map_err(Refused::into_error)?;
    }
    Ok(bucket.url(&key))
}

/// The content of a hash.
pub(super) async fn fetch(bucket: &Bucket, places: &Places, hash: &str) -> Result<Option<Bytes>> {
    let key = places.media(checked(hash)?);
    let Some((content, _)) = bucket.get(&key).await? else { return Ok(None) };
    if matches_token(&content, hash) == Some(true) {
        return Ok(Some(content));
    }
    Err(Error::permanent(format!("{}: what lies under `{key}` does not have that hash", bucket.place))
        .help("somebody has changed it; bring it back from a version or a backup of the bucket"))
}

/// A hash is data of a vCon and becomes a part of a key.
fn checked(hash: &str) -> Result<&str> {
    let digest = hash.strip_prefix("sha512-").unwrap_or_default();
    if digest.len() == 86 && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Ok(hash);
    }
    let shown: String = hash.chars().take(40).collect();
    Err(Error::permanent(format!("`{shown}` is no content hash under which media are kept"))
        .help("it is `sha512-` and 86 characters of base64url"))
}
