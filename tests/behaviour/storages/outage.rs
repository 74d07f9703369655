//! The cases of a server that goes away or lets nobody in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vconductor_core::Class;
use vconductor_core::plugin::{ListQuery, SaveItem, Storage};

use crate::backends::Outage;
use crate::cases::{Case, Subject};
use crate::vcons::{item, new_uuid, small, whole};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "wrong_credentials_are_for_the_operator",
        needs: |_| true,
        run: |subject| Box::pin(async { wrong_credentials(subject).await.err() }),
    },
    Case {
        name: "server_killed_in_mid_batch_loses_nothing_that_was_saved",
        needs: |_| true,
        run: |subject| Box::pin(async { killed_in_mid_batch(subject).await.err() }),
    },
];

async fn wrong_credentials(subject: Subject) -> Result<(), &'static str> {
    let intruder = subject.place.intruder.clone()?;
    let storage = (subject.entry.build)("intruder", intruder).expect("options are fine");
    let saved = storage.save(&small(&new_uuid(), 1)).await;
    for result in [saved, storage.health().await] {
        let error = result.expect_err("nobody is let in");
        let text = error.chain_text();
        assert!(error.class() == Class::Configuration && error.help_text().is_some(), "{text}");
        assert!(!text.contains("wrong-secret"), "{text}");
    }
    Ok(())
}

/// vCons of some 6 KB.
fn batch() -> Vec<SaveItem> {
    let vcon = |uuid: &str| whole(uuid, "2026-09-10T14:00:00Z", json!({"subject": "x".repeat(6000)})).to_string();
    (0..500).map(|_| new_uuid()).map(|uuid| item(&uuid, 1, vcon(&uuid))).collect()
}

async fn killed_in_mid_batch(subject: Subject) -> Result<(), &'static str> {
    let Outage { options, mut server } = (subject.place.outage?)();
    let storage = (subject.entry.build)("under-test", options).expect("options are fine");
    let mut saved = batch();
    assert!(storage.save_many(&saved).await.iter().all(Result::is_ok), "all is well at first");
    // The first batch made connections and tables; how long one takes from then on says the second.
    let (started, second) = (Instant::now(), batch());
    assert!(storage.save_many(&second).await.iter().all(Result::is_ok), "all is well still");
    let whole = started.elapsed();
    saved.extend(second);
    let mut failed = 0;
    for kill in (1..=4_u32).cycle().take(20) {
        let items = batch();
        let (batch, copies) = (Arc::clone(&storage), items.clone());
        let running = tokio::spawn(async move { batch.save_many(&copies).await });
        // Somewhere in the batch, each time at another place.
        tokio::time::sleep(whole * kill / 6).await;
        server.kill();
        for (item, result) in items.into_iter().zip(running.await.expect("it ends")) {
            match result {
                Ok(()) => saved.push(item),
                Err(error) => {
                    assert!(error.is_retryable() && error.help_text().is_some(), "{}", error.chain_text());
                    failed += 1;
                }
            }
        }
        server.up();
        let again = Instant::now();
        while let Err(error) = storage.save(&small(&new_uuid(), 1)).await {
            assert!(again.elapsed() < Duration::from_secs(30), "it does not go on: {}", error.chain_text());
            assert!(error.is_retryable(), "{}", error.chain_text());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if kill == 4 && failed > 0 {
            break;
        }
    }
    assert!(failed > 0, "no batch was cut in two");
    let listed = listed(&*storage).await;
    for item in &saved {
        if storage.capabilities().read {
            assert!(storage.load(&item.uuid).await.expect("loads").is_some(), "{} was saved and is gone", item.uuid);
        }
        assert!(listed.as_ref().is_none_or(|all| all.contains(&item.uuid)), "{} is not listed", item.uuid);
    }
    Ok(())
}

async fn listed(storage: &dyn Storage) -> Option<std::collections::HashSet<String>> {
    if !storage.capabilities().list {
        return None;
    }
    let mut query = ListQuery { limit: 777, ..ListQuery::default() };
    let mut found = std::collections::HashSet::new();
    loop {
        let page = storage.list(&query).await.expect("a page");
        found.extend(page.uuids);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Some(found);
        }
    }
}
