//! Bodies from strangers: their size before and after inflation, the time they take, and the memory of all of them together
//! are bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use vconductor_core::format::{Limits as FormatLimits, inflate, is_gzip};

use super::Context;
use super::answer::{Refusal, Result};
use super::limits::Limits;

/// Room is counted in steps of so many bytes.
const STEP: usize = 64 << 10;
/// So many pieces of a body that is refused are still read.
const LINGER: usize = 64;

/// The memory that bodies may take together.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        // A single body of the largest size always fits, with what it is inflated to.
        let bytes = limits.bodies.max(2 * limits.body + 2 * STEP);
        Room(Arc::new(Semaphore::new((bytes / STEP).min(Semaphore::MAX_PERMITS))))
    }

    /// Takes room for so many bytes; 503 when there is none for a while.
    pub(super) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let full =
            || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many large vCons at once; come again later").after(5);
        let steps = u32::try_from(bytes.div_ceil(STEP)).map_err(|_| full())?;
        let taken = timeout(Limits::ROOM, Arc::clone(&self.0).acquire_many_owned(steps)).await;
        taken.map_err(|_| full())?.map_err(|_| full())
    }
}

/// A body, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl FromRequest<Context> for Posted {
    type Rejection = Refusal;

    async fn from_request(request: Request, context: &Context) -> Result<Self> {
        let (parts, body) = request.into_parts();
        read(&parts.headers, body, context, context.limits.body).await
    }
}

/// Reads a body of at most `most` bytes.
pub(super) async fn read(headers: &HeaderMap, body: Body, context: &Context, most: usize) -> Result<Posted> {
    let compressed = is_compressed(headers)?;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if declared.is_some_and(|declared| declared > most) {
        return Err(too_large(most));
    }
    let (bytes, room) = gather(body, context, most, declared).await?;
    // By its first bytes too: `application/vcon+gzip` says nothing about an encoding.
    if !compressed && !is_gzip(&bytes) {
        return Ok(Posted { bytes, _room: room });
    }
    let mut wide = context.room.take(most).await?;
    let limits = FormatLimits { inflated: most as u64, ..FormatLimits::default() };
    let inflated = tokio::task::spawn_blocking(move || inflate(&bytes, &limits)).await;
    let inflated =
        inflated.map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed to inflate the body"))?;
    let inflated =
        inflated.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body is no gzip: {error}")))?;
    if inflated.too_large {
        return Err(too_large(most));
    }
    let needed = inflated.bytes.len().div_ceil(STEP);
    drop(wide.split(wide.num_permits().saturating_sub(needed)));
    drop(room);
    Ok(Posted { bytes: inflated.bytes.into(), _room: Some(wide) })
}

/// The room is taken at once and for all of the body: bodies that had a part of theirs each would wait for each other.
async fn gather(
    mut body: Body,
    context: &Context,
    most: usize,
    declared: Option<usize>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>)> {
    let broken = || Refusal::new(StatusCode::BAD_REQUEST, "the body broke off");
    let late = || Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    let (mut first, mut gathered, mut length) = (Bytes::new(), BytesMut::new(), 0_usize);
    let mut room = None;
    while let Some(frame) = timeout(context.limits.progress, body.frame()).await.map_err(|_| late())? {
        let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
        length += data.len();
        if length > most {
            linger(body).await;
            return Err(too_large(most));
        }
        if length > Limits::SMALL && room.is_none() {
            // One that does not say its length may become the largest.
            match context.room.take(declared.unwrap_or(most)).await {
                Ok(taken) => room = Some(taken),
                Err(refusal) => {
                    linger(body).await;
                    return Err(refusal);
                }
            }
            gathered.reserve(declared.unwrap_or_default());
        }
        if first.is_empty() && gathered.is_empty() {
            first = data;
        } else {
            if gathered.is_empty() {
                gathered.extend_from_slice(&std::mem::take(&mut first));
            }
            gathered.extend_from_slice(&data);
        }
    }
    if let Some(room) = &mut room {
        drop(room.split(room.num_permits().saturating_sub(length.div_ceil(STEP))));
    }
    Ok((if gathered.is_empty() { first } else { gathered.freeze() }, room))
}

/// Reads a little of what is refused: a client that is still sending when its connection is closed never sees the answer.
async fn linger(mut body: Body) {
    for _ in 0..LINGER {
        match timeout(Duration::from_secs(1), body.frame()).await {
            Ok(Some(Ok(_))) => {}
            _ => return,
        }
    }
}

fn is_compressed(headers: &HeaderMap) -> Result<bool> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        Ok("" | "identity") => Ok(false),
        Ok("gzip" | "x-gzip") => Ok(true),
        _ => Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body may be encoded as gzip and nothing else")),
    }
}

fn too_large(most: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a body may have {most} bytes, also after inflation; refer to recordings by url"),
    )
}
