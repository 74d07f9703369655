//! How far a follower has come: kept in our own store, and moved in one step with what is put on lists there. So nothing that
//! was read from another server is put on a list twice, whatever ends the process or the connection to the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::error::{Error, Result};
use vconductor_core::run::RunId;
use vconductor_core::store::{Advance, NewVcon, Store};

use super::protocol::Handed;

/// Runs that are here and were not confirmed there are remembered for so long.
const REMEMBERED: Millis = 24 * 3600 * 1000;
/// How long a checkpoint is kept that nobody moves.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A follower's checkpoint; moved by the process alone that holds the journal of the same id.
pub(super) struct Checkpoint {
    store: Arc<dyn Store>,
    name: String,
    /// What the store said last.
    kept: Option<String>,
    landed: Landed,
}

/// What is on our lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Landed {
    /// Makes every checkpoint another text.
    step: u64,
    /// The reply of a vcon-server that was put on our list last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Uuid>,
    /// Runs of a vConductor that are here and are not confirmed there, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unconfirmed: BTreeMap<RunId, Millis>,
}

impl Checkpoint {
    /// The checkpoint of the follower that other servers know by this id.
    pub(super) fn of(store: Arc<dyn Store>, follower: Uuid) -> Self {
        Checkpoint { store, name: format!("follower:{follower}"), kept: None, landed: Landed::default() }
    }

    /// Runs that are here and are to be confirmed there.
    pub(super) async fn unconfirmed(&mut self) -> Result<Vec<RunId>> {
        self.look().await?;
        Ok(self.landed.unconfirmed.keys().copied().collect())
    }

    /// Puts the ids of a reply on a list, unless they were put there before. After a retryable error it may be asked again.
    pub(super) async fn list(&mut self, reply: Uuid, ids: &[String], list: &str) -> Result<()> {
        self.look().await?;
        if self.landed.reply == Some(reply) {
            return Ok(());
        }
        let vcons = ids.iter().map(|id| to_list(id, None, list)).collect();
        self.advance(Landed { reply: Some(reply), ..self.landed.clone() }, vcons).await
    }

    /// Stores what was handed out and puts it on a list, without what is here already; returns how many were new. After a
    /// retryable error it may be asked again.
    pub(super) async fn land(&mut self, handed: &[Handed], list: &str) -> Result<usize> {
        self.look().await?;
        let mut landed = self.landed.clone();
        let (mut vcons, now) = (Vec::new(), SystemClock.now());
        for Handed { run, uuid, document } in handed {
            if landed.unconfirmed.insert(*run, now).is_none() {
                vcons.push(to_list(uuid, Some(document.clone()), list));
            }
        }
        let fresh = vcons.len();
        self.advance(landed, vcons).await?;
        Ok(fresh)
    }

    /// Forgets runs that are confirmed, and others that nobody asked for in a day.
    pub(super) async fn confirmed(&mut self, runs: &[RunId]) -> Result<()> {
        self.look().await?;
        let mut landed = self.landed.clone();
        let now = SystemClock.now();
        landed.unconfirmed.retain(|run, since| !runs.contains(run) && now - *since < REMEMBERED);
        if landed == self.landed { Ok(()) } else { self.advance(landed, Vec::new()).await }
    }

    /// The store knows better than this process, which may not have heard the answer to its last move.
    async fn look(&mut self) -> Result<()> {
        let kept = self.store.cursor(&self.name).await?;
        if kept != self.kept {
            self.landed =
                kept.as_deref().map_or_else(|| Ok(Landed::default()), serde_json::from_str).map_err(|error| {
                    Error::configuration(format!("the checkpoint `{}` of a follower cannot be read", self.name))
                        .help("a newer vConductor wrote it: let that one follow")
                        .caused_by(error)
                })?;
            self.kept = kept;
        }
        Ok(())
    }

    async fn advance(&mut self, landed: Landed, vcons: Vec<NewVcon>) -> Result<()> {
        let landed = Landed { step: landed.step + 1, ..landed };
        let to = serde_json::to_string(&landed).map_err(|error| Error::permanent(error.to_string()))?;
        let advance = Advance { name: self.name.clone(), from: self.kept.clone(), to: to.clone(), keep: KEPT };
        if !self.store.advance(&advance, vcons, None).await? {
            return Err(Error::retryable("a follower's checkpoint was moved by a step that was on its way"));
        }
        (self.kept, self.landed) = (Some(to), landed);
        Ok(())
    }
}

fn to_list(uuid: &str, document: Option<bytes::Bytes>, list: &str) -> NewVcon {
    let lists = vec![list.to_owned()];
    NewVcon { uuid: uuid.to_owned(), document, lists, keep: None, context: None, tenant: None }
}

#[cfg(test)]
mod tests {
    use vconductor_core::store::embedded::{EmbeddedStore, Settings};

    use super::*;

    fn handed(number: u128) -> Handed {
        Handed { run: RunId(Uuid::from_u128(number)), uuid: format!("u{number}"), document: "{}".into() }
    }

    #[tokio::test]
    async fn what_is_here_is_not_put_there_again_by_whoever_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = EmbeddedStore::open(folder.path(), Settings::default()).unwrap();
        let id = Uuid::from_u128(1);
        let (mut first, mut second) = (Checkpoint::of(Arc::clone(&store), id), Checkpoint::of(Arc::clone(&store), id));
        let reply = Uuid::from_u128(2);
        for checkpoint in [&mut first, &mut second] {
            checkpoint.list(reply, &["a".to_owned(), "b".to_owned()], "ids").await.unwrap();
        }
        assert_eq!(first.land(&[handed(1), handed(2)], "in").await.unwrap(), 2);
        assert_eq!(second.land(&[handed(2), handed(3)], "in").await.unwrap(), 1);
        assert_eq!(first.unconfirmed().await.unwrap().len(), 3);
        first.confirmed(&[handed(1).run, handed(9).run]).await.unwrap();
        assert_eq!(second.unconfirmed().await.unwrap(), [handed(2).run, handed(3).run]);
        second.list(Uuid::from_u128(3), &["c".to_owned()], "ids").await.unwrap();
        let waiting = |list: &'static str| {
            let store = Arc::clone(&store);
            async move { store.waiting(list, 0, 100).await.unwrap() }
        };
        assert_eq!((waiting("ids").await, waiting("in").await), (letters("abc"), numbers(1..=3)));
        // A move that was on its way comes first: what this one carries is not put there.
        first.kept = None;
        let late = first.advance(Landed::default(), vec![to_list("z", None, "ids")]).await.unwrap_err();
        assert!(late.is_retryable() && waiting("ids").await == letters("abc"), "{late}");
        // What went through and was not confirmed is forgotten after a day.
        let old = second.landed.unconfirmed.keys().map(|run| (*run, SystemClock.now() - REMEMBERED)).collect();
        second.landed.unconfirmed = old;
        second.advance(second.landed.clone(), Vec::new()).await.unwrap();
        first.confirmed(&[]).await.unwrap();
        assert!(first.unconfirmed().await.unwrap().is_empty());
    }

    fn letters(all: &str) -> Vec<String> {
        all.chars().map(String::from).collect()
    }

    fn numbers(all: std::ops::RangeInclusive<u32>) -> Vec<String> {
        all.map(|number| format!("u{number}")).collect()
    }
}
