//! An answer whose body is read piece by piece.

use bytes::Bytes;

use super::request::Request;
use super::verdict::transport_error;
use crate::{Error, Result};

/// The body of a 2xx answer, as it comes.
#[derive(Debug)]
pub struct Download {
    request: Request,
    answer: reqwest::Response,
    most: u64,
    read: u64,
}

impl Download {
    pub(super) fn new(request: Request, answer: reqwest::Response, most: u64) -> Result<Self> {
        let announced = answer.content_length().unwrap_or(0);
        let download = Download { request, answer, most, read: 0 };
        if announced > most { Err(download.too_large()) } else { Ok(download) }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Retryable, when the connection breaks before the end; permanent, when there is more than is allowed.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.answer.chunk().await.map_err(|error| transport_error(&self.request, error))?;
        self.read += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.read > self.most { Err(self.too_large()) } else { Ok(chunk) }
    }

    fn too_large(&self) -> Error {
        Error::permanent(format!("{}: the answer has more than {} bytes", self.request.shown(), self.most))
            .help("raise the size limit if such answers are expected")
    }
}
