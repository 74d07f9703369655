//! Where the bytes of a recording lie: small ones in memory, large ones in a file without a name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use symphonia::core::io::MediaSource;
use tokio::io::AsyncWriteExt as _;

use crate::{Error, Result};

/// What is larger goes to disk.
const LARGEST_IN_MEMORY: usize = 1024 * 1024;

/// Bytes in memory or in a file; clones share them.
#[derive(Clone)]
pub(super) enum Stored {
    Memory(Bytes),
    File { file: Arc<File>, length: u64 },
}

impl Stored {
    /// What `file` holds now.
    pub(super) fn file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Stored::File { file: Arc::new(file), length })
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Stored::Memory(bytes) => bytes.len() as u64,
            Stored::File { length, .. } => *length,
        }
    }

    /// A reader of its own position, from the start.
    pub(super) fn source(&self) -> Source {
        Source { stored: self.clone(), position: 0 }
    }

    /// All of it. Blocks.
    pub(super) fn read_all(&self) -> Result<Bytes> {
        if let Stored::Memory(bytes) = self {
            return Ok(bytes.clone());
        }
        let mut all = Vec::with_capacity(usize::try_from(self.len()).unwrap_or(0));
        self.source().read_to_end(&mut all).map_err(unreadable)?;
        Ok(all.into())
    }
}

pub(super) fn unreadable(error: io::Error) -> Error {
    Error::retryable("cannot read the recording").caused_by(error)
}

/// Reads [`Stored`] bytes.
pub(super) struct Source {
    stored: Stored,
    position: u64,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &self.stored {
            Stored::Memory(bytes) => {
                let start = usize::try_from(self.position).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[start..]).read(buffer)?
            }
            // Not beyond the length that was checked, should the file grow.
            Stored::File { file, length } => {
                let left = usize::try_from(length.saturating_sub(self.position)).unwrap_or(usize::MAX);
                let end = buffer.len().min(left);
                std::os::unix::fs::FileExt::read_at(&**file, &mut buffer[..end], self.position)?
            }
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.stored.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.stored.len())
    }
}

/// Takes bytes as they come and puts them where their number wants them.
#[derive(Default)]
pub(super) struct Spool {
    memory: Vec<u8>,
    file: Option<tokio::fs::File>,
}

impl Spool {
    /// Takes more bytes.
    ///
    /// # Errors
    /// Retryable when the disk cannot be written.
    pub(super) async fn push(&mut self, chunk: &[u8]) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None if self.memory.len() + chunk.len() <= LARGEST_IN_MEMORY => {
                self.memory.extend_from_slice(chunk);
                return Ok(());
            }
            None => {
                let file = tempfile::tempfile().map_err(unwritable)?;
                let file = self.file.insert(tokio::fs::File::from_std(file));
                file.write_all(&std::mem::take(&mut self.memory)).await.map_err(unwritable)?;
                file
            }
        };
        file.write_all(chunk).await.map_err(unwritable)
    }

    /// All that was taken.
    ///
    /// # Errors
    /// Retryable when the disk cannot be written.
    pub(super) async fn finish(self) -> Result<Stored> {
        let Some(mut file) = self.file else { return Ok(Stored::Memory(self.memory.into())) };
        file.flush().await.map_err(unwritable)?;
        Stored::file(file.into_std().await).map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> Error {
    let folder = std::env::temp_dir();
    Error::retryable(format!("cannot keep a recording in {}", folder.display()))
        .help("make room there, or set TMPDIR to a folder with room")
        .caused_by(error)
}
