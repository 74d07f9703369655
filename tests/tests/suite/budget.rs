//! What a chain may spend in a day: paused, skipped or only told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::error::Result;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::register_link;
use vconductor_core::vcon::Vcon;
use vconductor_tests::stage::{Stage, uuid, vcon};

/// Spends one dollar at each execution and tags the vCon.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Nothing {}

struct Paid;

register_link!(Paid);

impl LinkPlugin for Paid {
    const MODULE: &'static str = "links.paid_for_tests";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const EXAMPLE: &'static str = "paid: {module: links.paid_for_tests}";
    type Options = Nothing;

    fn new(_name: &str, _options: Nothing) -> Result<Self> {
        Ok(Paid)
    }
}

#[async_trait]
impl Link for Paid {
    async fn run(&self, _vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        context.add_usage("calls", 1.0, Some(1.0));
        context.add_tag("paid", "yes");
        Ok(Outcome::Continue)
    }
}

fn chain(on_exceed: &str) -> String {
    format!(
        "links:\n  paid: {{module: links.paid_for_tests}}\nchains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n    \
         links: [paid]\n    concurrency: 1\n    budget: {{usd_per_day: 4.5, on_exceed: {on_exceed}}}\n"
    )
}

async fn stage() -> Stage {
    let stage = Stage::new();
    let calls = (0..20).map(|number| ("in".to_owned(), uuid(number), vcon(&uuid(number))));
    stage.give_many(calls.collect()).await;
    stage
}

async fn paid(stage: &Stage) -> usize {
    let mut paid = 0;
    for number in 0..20 {
        paid += usize::from(stage.document(&uuid(number)).await.to_string().contains("paid:yes"));
    }
    paid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_pauses_the_chain_and_loses_nothing() {
    let stage = stage().await;
    let conductor = stage.start(&chain("pause"));
    let store = Arc::clone(&stage.store);
    let held = async || store.holds().await.unwrap().iter().any(|hold| hold.what == "chain:c");
    conductor.until("the chain is held", Duration::from_secs(60), held).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!stage.pending("in").await.is_idle(), "what was not paid for still waits");
    let spent = paid(&stage).await;
    assert!((5..20).contains(&spent), "{spent} of 20 were paid for with a budget of 4.5");
    assert!(stage.store.release("chain:c").await.unwrap());
    // Released by hand it spends on, and the budget does not stop it again.
    conductor.until("all are paid for", Duration::from_secs(60), async || paid(&stage).await == 20).await;
    conductor.until_idle(Duration::from_secs(60)).await;
    conductor.stop().await;
    assert_eq!(stage.take("out").await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_skips_what_costs_money() {
    let stage = stage().await;
    let conductor = stage.start(&chain("skip"));
    conductor.until_idle(Duration::from_secs(60)).await;
    conductor.stop().await;
    assert_eq!(stage.take("out").await.len(), 20);
    assert_eq!(paid(&stage).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_is_only_told_where_that_is_wanted() {
    let stage = stage().await;
    let conductor = stage.start(&chain("warn"));
    conductor.until_idle(Duration::from_secs(60)).await;
    conductor.stop().await;
    assert_eq!(paid(&stage).await, 20);
}
