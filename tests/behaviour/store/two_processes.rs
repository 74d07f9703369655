//! Two processes of the operating system share a limit.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use libtest_mimic::{Failed, Trial};
use vconductor_core::store::embedded::{EmbeddedStore, Settings};
use vconductor_core::store::redis::RedisStore;
use vconductor_core::store::{Store, Taken};
use vconductor_tests::servers::redis::RedisServer;

use crate::limits::want;
use crate::world;

/// Tells a process that it takes permits of the store of this name, and nothing else.
const STORE: &str = "VCONDUCTOR_TEST_TAKES_FROM";
const MOST: usize = 60;
/// Each process asks more often than the limit allows.
const ASKS: usize = 100;

pub(crate) fn trials() -> Vec<Trial> {
    let name = "limits::two_processes_get_what_is_there_and_no_more";
    let embedded = Trial::test(format!("embedded::{name}"), || {
        let directory = tempfile::tempdir()?;
        share(&directory.path().display().to_string())
    });
    let redis = Trial::test(format!("redis::{name}"), || share(&RedisServer::start().url()));
    vec![embedded, redis]
}

fn share(place: &str) -> Result<(), Failed> {
    let takes = || {
        let mut child = Command::new(std::env::current_exe()?);
        child.env(STORE, place).stdout(Stdio::piped()).spawn()
    };
    let children = [takes()?, takes()?];
    let mut granted = Vec::new();
    for child in children {
        let output = child.wait_with_output()?;
        assert!(output.status.success(), "a process that takes permits fails");
        granted.push(String::from_utf8(output.stdout)?.trim().parse::<usize>()?);
    }
    assert_eq!(granted.iter().sum::<usize>(), MOST, "{granted:?}");
    Ok(())
}

/// Takes permits, if this process is one of the two; prints how many it got.
pub(crate) fn child() -> bool {
    let Ok(place) = std::env::var(STORE) else { return false };
    let granted = world::runtime().block_on(async {
        let store: Arc<dyn Store> = if place.starts_with("redis:") {
            RedisStore::connect(&place, vconductor_core::store::redis::Settings::default()).await.expect("a store")
        } else {
            EmbeddedStore::open(place.as_ref(), Settings::default()).expect("a store")
        };
        let alternatives = [vec![want("requests", MOST as f64, 60, 1.0)]];
        let asks = (0..ASKS).map(|index| {
            let (store, alternatives) = (&store, &alternatives);
            async move {
                tokio::time::sleep(Duration::from_millis(index as u64)).await;
                store.take(alternatives).await.expect("an answer about a permit")
            }
        });
        let taken = join_all(asks).await;
        taken.iter().filter(|taken| matches!(taken, Taken::Granted { .. })).count()
    });
    println!("{granted}");
    true
}
