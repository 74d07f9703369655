//! What a failure leads to.

use std::time::Duration;

use vconductor_core::error::Error;
use vconductor_core::layers::retry::RetryPolicy;

/// The wait before the next attempt, or `None` if there is none: the failure does not go away by itself, or the
/// policy is used up. `attempt` counts from 1.
pub(super) fn retry_delay(policy: &RetryPolicy, attempt: u32, error: &Error) -> Option<Duration> {
    (error.is_retryable() && policy.allows_after(attempt)).then(|| policy.delay(attempt, error.wait()))
}
