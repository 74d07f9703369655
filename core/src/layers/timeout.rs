//! A time limit around any future, with an error that names what was too slow.

use std::fmt::Display;
use std::time::Duration;

use crate::{Error, Result};

/// Runs `future`, dropping it when `limit` has passed.
///
/// # Errors
/// The future's own error, or a retryable one that names `what` and the limit.
pub async fn with_timeout<T>(
    limit: Duration,
    what: impl Display,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => Err(Error::retryable(format!("{what}: no result within {limit:?}"))
            .help("it is tried again; raise the `timeout` option if this work really takes longer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_future_fails_with_its_name_and_the_limit() {
        let started = tokio::time::Instant::now();
        let slow = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        };
        let error = with_timeout(Duration::from_millis(1500), "link `transcribe`", slow).await.unwrap_err();
        assert_eq!(error.message(), "link `transcribe`: no result within 1.5s");
        assert!(error.is_retryable());
        assert_eq!(started.elapsed(), Duration::from_millis(1500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_in_time_is_passed_through_with_its_class() {
        assert_eq!(with_timeout(Duration::from_secs(1), "x", async { Ok(7) }).await.unwrap(), 7);
        let failed: Result<()> =
            with_timeout(Duration::from_secs(1), "x", async { Err(Error::permanent("bad input")) }).await;
        assert_eq!(failed.unwrap_err().message(), "bad input");
    }
}
