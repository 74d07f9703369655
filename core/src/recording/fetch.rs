//! Getting the bytes: out of the vCon, over https, or from a file.

use reqwest::Url;

use super::cache::Key;
use super::stored::{Spool, Stored};
use super::{MediaPolicy, Recording, blocking, identify, local};
use crate::audio::matches_token_of;
use crate::http::Request;
use crate::migrate::content_hash::respelled;
use crate::plugin::{LinkContext, MediaStore};
use crate::vcon::{Body, Dialog};
use crate::{Error, Result};

/// What a dialog says of its recording; its own, so that the vCon is not held while bytes are on their way.
#[derive(Clone)]
struct Said {
    hashes: Vec<String>,
    mediatype: Option<String>,
    filename: Option<String>,
}

pub(super) async fn fetch(dialog: &Dialog<'_>, context: &LinkContext<'_>, policy: &MediaPolicy) -> Result<Recording> {
    let text = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
    let hashes = dialog.entry().content_hashes();
    let hashes = hashes.into_iter().map(|hash| respelled(&hash).unwrap_or(hash)).collect();
    let said = Said { hashes, mediatype: text(dialog.mediatype()), filename: text(dialog.filename()) };
    if let Some(bytes) = inline(dialog)? {
        return inline_recording(bytes, said, policy).await;
    }
    let Some(url) = dialog.url() else {
        return Err(
            Error::permanent("there is neither a body nor a URL").help("the recording was never put into the vCon")
        );
    };
    let key = Key::of(&url, &said.hashes, context.step.run);
    // Hashes that the storage of media has at this very URL: who knows a hash alone may not know the way to the content.
    let kept = context.media.and_then(|media| {
        let hash = said.hashes.iter().find(|hash| media.is_at(&url, hash))?;
        Some((media, hash.clone()))
    });
    // The text is not repeated: it may hold a password.
    let url = Url::parse(&url).map_err(|error| Error::permanent("its `url` is not a URL").caused_by(error))?;
    let fetched = async {
        let limited = tokio::time::timeout(policy.timeout, async {
            let stored = match &kept {
                Some((media, hash)) => offloaded(*media, hash, policy).await?,
                None => remote(&url, context, policy).await?,
            };
            examined(stored, said).await
        });
        tokio::select! {
            fetched = limited => fetched.unwrap_or_else(|_| Err(too_slow(policy))),
            () = context.cancel.cancelled() => Err(Error::retryable("stopped while the recording was fetched")),
        }
    };
    let recording = context.services.recordings.cache().get(key, Box::pin(fetched)).await?;
    // It may have been fetched under wider rules.
    if recording.len() > policy.max_bytes {
        return Err(too_large(recording.len(), policy));
    }
    identify::check_length(recording.info(), policy.max_duration)?;
    Ok(recording)
}

/// The bytes in the dialog's body.
fn inline(dialog: &Dialog<'_>) -> Result<Option<Vec<u8>>> {
    match dialog.body()? {
        Body::Bytes(bytes) => Ok(Some(bytes)),
        Body::None => Ok(None),
        Body::Text(_) | Body::Json(_) => Err(Error::permanent("its body is no recording but text")
            .help("a recording in a body is base64url, with `encoding: base64url` beside it")),
    }
}

async fn inline_recording(bytes: Vec<u8>, said: Said, policy: &MediaPolicy) -> Result<Recording> {
    if bytes.len() as u64 > policy.max_bytes {
        return Err(too_large(bytes.len() as u64, policy));
    }
    let mut spool = Spool::default();
    spool.push(&bytes).await?;
    drop(bytes);
    // The hash beside a body is not that of the body: `content_hash` belongs to `url`.
    let recording = examined(spool.finish().await?, Said { hashes: Vec::new(), ..said }).await?;
    identify::check_length(recording.info(), policy.max_duration)?;
    Ok(recording)
}

async fn remote(url: &Url, context: &LinkContext<'_>, policy: &MediaPolicy) -> Result<Stored> {
    match url.scheme() {
        "file" => local::open(url, policy).await,
        _ => download(url, context, policy).await,
    }
}

/// What was taken out of a document before, from where it was put: the bucket need not be open to everybody.
async fn offloaded(media: &dyn MediaStore, hash: &str, policy: &MediaPolicy) -> Result<Stored> {
    let content = media.fetch(hash).await?.ok_or_else(|| {
        Error::permanent("the recording was put into the storage of media and is not there any more")
            .help("bring it back from a version or a backup of that storage")
    })?;
    if content.len() as u64 > policy.max_bytes {
        return Err(too_large(content.len() as u64, policy));
    }
    let mut spool = Spool::default();
    spool.push(&content).await?;
    drop(content);
    spool.finish().await
}

async fn download(url: &Url, context: &LinkContext<'_>, policy: &MediaPolicy) -> Result<Stored> {
    let request = Request::get(url.as_str())?;
    let mut download = context.http.download(&request, policy.max_bytes).await?;
    let mut spool = Spool::default();
    while let Some(chunk) = download.chunk().await? {
        spool.push(&chunk).await?;
    }
    spool.finish().await
}

/// Compares with the hashes that the vCon says, and finds out what it is.
async fn examined(stored: Stored, said: Said) -> Result<Recording> {
    blocking(move || {
        for token in &said.hashes {
            let matches = matches_token_of(stored.source(), token).map_err(super::stored::unreadable)?;
            if matches == Some(false) {
                return Err(Error::permanent("the recording is not the one that the vCon means: its hash is another")
                    .help("it was changed, or the `content_hash` is wrong; ask who made the vCon"));
            }
        }
        identify::identify(stored, said.mediatype.as_deref(), said.filename.as_deref())
    })
    .await
}

fn too_slow(policy: &MediaPolicy) -> Error {
    Error::retryable(format!("the recording did not come within {:?}", policy.timeout))
        .help("it is tried again; raise `media: timeout` if fetching really takes longer")
}

fn too_large(found: u64, policy: &MediaPolicy) -> Error {
    Error::permanent(format!("the recording has {found} bytes, and {} are allowed", policy.max_bytes))
        .help("raise `media: max_size` if such recordings are expected")
}
