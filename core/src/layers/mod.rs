//! What wraps every plugin call: time limits, retries, retry budgets, and the instruments that count them.

pub mod budget;
pub mod instruments;
pub mod retry;
pub mod timeout;

pub use budget::RetryBudget;
pub use retry::{Attempted, RetryPolicy, retry};
pub use timeout::with_timeout;
