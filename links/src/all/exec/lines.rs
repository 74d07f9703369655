//! Lines of bounded length, and the last ones of standard error.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::task::JoinHandle;

/// A longer line of standard error is shown in pieces.
const LONGEST_LOG_LINE: usize = 4096;

/// Lines of standard error that an error shows.
const KEPT_LINES: usize = 8;

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By a line break, which is not part of the line.
    Line,
    /// The other side closed; what came before is in the line.
    Closed,
    /// It has more bytes than allowed; those are still to be read.
    TooLong,
}

/// Reads a line of at most `limit` bytes.
pub(super) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    limit: usize,
) -> io::Result<Ended> {
    line.clear();
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(Ended::Closed);
        }
        let room = &available[..available.len().min(limit + 1 - line.len())];
        if let Some(end) = room.iter().position(|&byte| byte == b'\n') {
            line.extend_from_slice(&room[..end]);
            reader.consume(end + 1);
            return Ok(Ended::Line);
        }
        let taken = room.len().min(limit - line.len());
        line.extend_from_slice(&room[..taken]);
        let too_long = taken < room.len();
        reader.consume(taken);
        if too_long {
            return Ok(Ended::TooLong);
        }
    }
}

/// Reads standard error as long as it is open, so that a process that writes much is never held up.
#[derive(Debug)]
pub(super) struct Talk {
    last: Arc<Mutex<VecDeque<String>>>,
    task: JoinHandle<()>,
}

impl Talk {
    /// Starts reading; each line goes to the log, without the texts in `secrets`.
    pub(super) fn listen(link: &str, stderr: impl AsyncRead + Unpin + Send + 'static, secrets: Vec<String>) -> Talk {
        let last: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let (kept, link) = (Arc::clone(&last), link.to_owned());
        let task = tokio::spawn(async move {
            let mut reader = BufReader::new(stderr);
            let mut line = Vec::new();
            loop {
                let ended = read_line(&mut reader, &mut line, LONGEST_LOG_LINE).await.unwrap_or(Ended::Closed);
                if !line.is_empty() {
                    let mut text = String::from_utf8_lossy(&line).into_owned();
                    for secret in &secrets {
                        text = text.replace(secret.as_str(), "[secret]");
                    }
                    tracing::info!(link, "{text}");
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.truncate(KEPT_LINES - 1);
                    kept.push_front(text.chars().take(300).collect());
                }
                if ended == Ended::Closed {
                    break;
                }
            }
        });
        Talk { last, task }
    }

    /// The last lines, the oldest first; after the process has ended, so that none is under way.
    pub(super) async fn last_lines(&mut self) -> Vec<String> {
        // Somebody else may hold the pipe open.
        tokio::time::timeout(std::time::Duration::from_millis(200), &mut self.task).await.ok();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().rev().cloned().collect()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_end_at_breaks_limits_and_the_end() {
        let mut reader = BufReader::with_capacity(3, "abcd\n\nabcde\nxyz".as_bytes());
        let mut line = Vec::new();
        for (expected, ended) in [
            ("abcd", Ended::Line),
            ("", Ended::Line),
            ("abcd", Ended::TooLong),
            ("e", Ended::Line),
            ("xyz", Ended::Closed),
            ("", Ended::Closed),
        ] {
            assert_eq!(read_line(&mut reader, &mut line, 4).await.unwrap(), ended, "{expected}");
            assert_eq!(line, expected.as_bytes());
        }
    }
}
