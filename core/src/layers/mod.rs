//! What wraps every plugin call: time limits, retries, retry budgets, the instruments that count them, and spans.

pub mod budget;
pub mod instruments;
pub mod retry;
pub mod timeout;
pub mod trace;

pub use budget::RetryBudget;
pub use retry::{Attempted, RetryPolicy, retry};
pub use timeout::with_timeout;
