//! The store without an engine: two lanes that claim, save and push as the conductor does.

use std::sync::Arc;

use bytes::Bytes;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{ClaimRequest, Commit, End, ProcessId, Push, Queue, Quota, Save};

use crate::load::{Measured, Outcome, Round, connect, fill, server};

const BATCH: usize = 64;

pub(crate) async fn round(size: usize, count: usize) -> Outcome<Measured> {
    let server = server();
    fill(&server, count, size).await?;
    let mut connection = connect(&server).await?;
    let round = Round::begin(&mut connection, std::process::id()).await?;
    let url = server.url();
    let worker = std::thread::spawn(move || -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let store = RedisStore::connect(&url, Settings::default()).await?;
            let lanes = [lane(Arc::clone(&store)), lane(store)].map(tokio::spawn);
            for lane in lanes {
                lane.await??;
            }
            Ok(())
        })
    });
    tokio::task::spawn_blocking(move || worker.join()).await?.map_err(|_| "a lane panicked")??;
    round.end(&mut connection, count).await
}

async fn lane(store: Arc<RedisStore>) -> vconductor_core::Result<()> {
    let process = ProcessId::random();
    store.register(&process).await?;
    let mut commits = Vec::new();
    loop {
        let quota = Quota { list: "in".to_owned(), limit: BATCH, weight: 1 };
        let request = ClaimRequest { quotas: vec![quota], limit: BATCH, bytes: 256 << 20 };
        let ended = commits.len();
        let (_, claimed) = store.exchange(&process, std::mem::take(&mut commits), Some(request)).await?;
        if claimed.is_empty() && ended == 0 {
            return store.deregister(&process).await;
        }
        for claimed in claimed {
            let Some(stored) = claimed.stored else { continue };
            let uuid = claimed.claim.uuid.clone();
            let document = Bytes::from([&stored.document[..], b" "].concat());
            let save = Save { uuid: uuid.clone(), document, revision: stored.revision + 1 };
            let pushes = vec![Push { list: "out".to_owned(), uuid }];
            let claim = claimed.claim;
            commits.push(Commit { save: Some(save), pushes, ..Commit::ending(claim, End::Done) });
        }
    }
}
