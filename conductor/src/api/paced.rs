//! Large answers: documents that are read for many at once, and answers that wait for slow readers, take no more memory than
//! bodies may.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Result;
use super::body::Room;
use super::limits::Limits;

/// Documents that are read from the store at the same time, of whatever size they are.
const READ: usize = 32;
/// Bytes of a piece: the next one is asked for when this one is written.
const PIECE: usize = 64 << 10;

/// The memory that answers may take together.
pub(super) struct Answers {
    reading: Semaphore,
    room: Room,
}

/// An answer's part of the memory, until it is dropped; small ones need none.
pub(super) type Held = Option<OwnedSemaphorePermit>;

impl Answers {
    pub(super) fn new(limits: &Limits) -> Self {
        Answers { reading: Semaphore::new(READ), room: Room::new(limits) }
    }

    /// Reads something, and takes room for what is answered.
    ///
    /// # Errors
    /// What `read` says; 503 when too many large answers wait for their readers.
    pub(super) async fn read<T>(&self, read: impl Future<Output = Result<(T, Bytes)>>) -> Result<(T, Bytes, Held)> {
        // It is never closed.
        let _reading = self.reading.acquire().await.ok();
        let (more, bytes) = read.await?;
        let held = if bytes.len() > Limits::SMALL { Some(self.room.take(bytes.len()).await?) } else { None };
        Ok((more, bytes, held))
    }
}

/// An answer that gives its room back when the last of it is written.
pub(super) fn paced(bytes: Bytes, held: Held) -> Response {
    let Some(held) = held else { return bytes.into_response() };
    let length = HeaderValue::from(bytes.len());
    let pieces = stream::unfold((bytes, held), |(mut rest, held)| async move {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), (rest, held)))
    });
    ([(header::CONTENT_LENGTH, length)], Body::from_stream(pieces)).into_response()
}
