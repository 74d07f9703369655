//! `links.delay`: lets a vCon wait.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

/// Below this, parking and claiming again costs more than the place that is held.
const SHORTEST_PARK: Duration = Duration::from_secs(1);

/// Lets a vCon wait before the chain goes on.
///
/// A wait of one second or more holds no place of the chain: the run is parked, other vCons pass, and a restart of the
/// conductor does not start the wait again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// How long to wait, in seconds; fractions are fine, a negative number is no wait.
    seconds: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { seconds: 5.0 }
    }
}

struct Delay {
    wait: Duration,
}

register_link!(Delay);

impl LinkPlugin for Delay {
    const MODULE: &'static str = "links.delay";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "\
wait:
  module: links.delay
  options:
    seconds: 30
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let wait = Duration::try_from_secs_f64(options.seconds.max(0.0)).map_err(|error| {
            Error::configuration(format!("option `seconds`: {} is no time to wait", options.seconds)).caused_by(error)
        })?;
        Ok(Delay { wait })
    }
}

#[async_trait]
impl Link for Delay {
    async fn run(&self, _: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if context.resumption.is_some() || self.wait.is_zero() {
            return Ok(Outcome::Continue);
        }
        if self.wait >= SHORTEST_PARK {
            let wait = Millis::try_from(self.wait.as_millis()).unwrap_or(Millis::MAX);
            let until = context.clock.now().saturating_add(wait);
            return Ok(Outcome::Park { token: context.effect_id("delay"), until });
        }
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err(Error::retryable("stopped before the wait was over")),
            () = tokio::time::sleep(self.wait) => Ok(Outcome::Continue),
        }
    }
}

#[cfg(test)]
mod tests {
    use vconductor_core::store::Resumption;

    use super::*;
    use crate::link_stage::{LinkStage, NOW};

    async fn outcome(stage: &LinkStage, seconds: f64) -> Result<Outcome> {
        let link = Delay::new("delay", Options { seconds })?;
        stage.run(&link, &Vcon::read(r#"{"uuid":"u"}"#).unwrap()).await.result
    }

    #[tokio::test(start_paused = true)]
    async fn short_waits_are_slept_and_long_ones_parked() {
        let stage = LinkStage::new("u");
        let started = tokio::time::Instant::now();
        assert_eq!(outcome(&stage, -3.0).await.unwrap(), Outcome::Continue);
        assert_eq!(outcome(&stage, 0.0).await.unwrap(), Outcome::Continue);
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert_eq!(outcome(&stage, 0.25).await.unwrap(), Outcome::Continue);
        assert_eq!(started.elapsed(), Duration::from_millis(250));
        let Outcome::Park { token, until } = outcome(&stage, 1.5).await.unwrap() else { panic!("not parked") };
        assert_eq!(until, NOW + 1500);
        assert_eq!(outcome(&stage, 5.0).await.unwrap(), Outcome::Park { token, until: NOW + 5000 });
        assert!(outcome(&stage, 1e300).await.is_err());
        assert!(matches!(outcome(&stage, 1e18).await.unwrap(), Outcome::Park { until: Millis::MAX, .. }));
    }

    #[tokio::test]
    async fn a_resumed_run_goes_on() {
        let link = Delay::new("delay", Options::default()).unwrap();
        let vcon = Vcon::read(r#"{"uuid":"u"}"#).unwrap();
        let ran = LinkStage::new("u").resumed(&link, &vcon, Resumption::TimedOut).await;
        assert_eq!(ran.result.unwrap(), Outcome::Continue);
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_ends_a_short_wait() {
        let stage = LinkStage::new("u");
        stage.cancel.cancel();
        assert!(outcome(&stage, 0.9).await.unwrap_err().is_retryable());
    }
}
