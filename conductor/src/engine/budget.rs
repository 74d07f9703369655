//! What a chain may spend in a day: counted for all conductors on one store, by the price table.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::config::OnExceed;
use vconductor_core::error::{Error, Result};
use vconductor_core::store::{Hold, Store};

use super::Shared;
use super::chain::Chain;

/// How long a day's sum is kept: until nobody can be in that day any more, whatever the clock says.
const KEPT: Duration = Duration::from_secs(48 * 3600);

/// Adds what a step cost to the day's sum, and says or does what the budget asks for when that is the step that exceeds it.
///
/// The call is paid already: whatever goes wrong here must not fail the step.
pub(super) async fn spent(shared: &Shared, chain: &Chain, cost: f64) {
    let now = shared.clock.now();
    let (day, next) = day(now);
    let store = &shared.store;
    let sum = match store.add(&counter(&chain.name, &day), cost, KEPT).await {
        Ok(sum) => sum,
        Err(error) => {
            tracing::warn!(chain = chain.name, cost, %error, "what was spent could not be added to the day's sum");
            return;
        }
    };
    let Some(budget) = chain.budget.filter(|budget| sum > budget.usd_per_day && sum - cost <= budget.usd_per_day)
    else {
        return;
    };
    let what = match budget.on_exceed {
        OnExceed::Pause => "no more vCons are taken until tomorrow (UTC)",
        OnExceed::Skip => "links that cost money are skipped until tomorrow (UTC)",
        OnExceed::Warn => "nothing is stopped",
    };
    let limit = budget.usd_per_day;
    tracing::warn!(chain = chain.name, spent = sum, limit, "the budget of the day is spent: {what}");
    if budget.on_exceed == OnExceed::Pause {
        let hold = Hold {
            what: format!("chain:{}", chain.name),
            reason: format!("its budget of {limit} US dollars for the day is spent"),
            help: Some("raise `budget.usd_per_day`, or release it to let it spend more today".to_owned()),
            since: now,
            until: next,
            times: 1,
        };
        shared.holds.stop(hold, now);
    }
}

/// What a chain has spent on this day, on all conductors of a store, in US dollars.
///
/// # Errors
/// The store's.
pub(crate) async fn so_far(store: &dyn Store, chain: &str) -> Result<f64> {
    let (day, _) = day(SystemClock.now());
    store.add(&counter(chain, &day), 0.0, KEPT).await
}

/// Whether links that cost money are to be skipped now.
///
/// # Errors
/// Retryable, when the store cannot say what was spent.
pub(super) async fn is_spent(shared: &Shared, chain: &Chain) -> Result<bool> {
    let Some(budget) = chain.budget.filter(|budget| budget.on_exceed == OnExceed::Skip) else { return Ok(false) };
    let (day, _) = day(shared.clock.now());
    let sum = shared.store.add(&counter(&chain.name, &day), 0.0, KEPT).await;
    let sum = sum.map_err(|error: Error| error.within("the day's spending"))?;
    Ok(sum > budget.usd_per_day)
}

/// What a chain has spent today, for people who ask.
///
/// # Errors
/// If the store cannot say.
pub(crate) async fn spent_today(store: &dyn Store, chain: &str) -> Result<f64> {
    let (day, _) = day(SystemClock.now());
    store.add(&counter(chain, &day), 0.0, KEPT).await
}

fn counter(chain: &str, day: &str) -> String {
    format!("spent:{chain}:{day}")
}

/// The day in UTC, and when the next one begins.
fn day(now: Millis) -> (String, Millis) {
    let today = Timestamp::from_millisecond(now).unwrap_or_default().to_zoned(TimeZone::UTC).date();
    let next = today.saturating_add(1.day()).to_zoned(TimeZone::UTC).map(|next| next.timestamp().as_millisecond());
    (today.to_string(), next.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let noon = 1_767_225_600_000 + 12 * 3_600_000;
        assert_eq!(day(noon), ("2026-01-01".to_owned(), 1_767_225_600_000 + 24 * 3_600_000));
    }
}
