//! Store first, answer then.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use vconductor_core::clock::Millis;
use vconductor_core::error::Result;
use vconductor_core::ingress::Event;
use vconductor_core::store::{NewVcon, TenantScope};

use super::item::{Item, Use, name};
use super::{Gate, list_of};

/// How long it is known that an event was made into a vCon. Vendors send again for a day at most.
const REMEMBER: Duration = Duration::from_secs(7 * 86_400);

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Something of it was new; it is stored.
    Accepted,
    /// All of it was here before.
    Repeated,
    /// It makes no conversation.
    Nothing,
}

impl Gate {
    /// Stores what a delivery tells; `context` is the trace that it belongs to. When this returns it is durable, so that the vendor may forget it.
    ///
    /// # Errors
    /// If the store is away; the vendor is to send it again.
    pub(super) async fn accept(&self, events: Vec<Event>, at: Millis, context: Option<&str>) -> Result<Taken> {
        let (mut seen, mut items) = (BTreeSet::new(), Vec::new());
        let (mut told, mut repeated) = (false, false);
        for event in events {
            if let Event::Call(call) = &event {
                self.keep_call(call).await?;
                told = true;
                if call.disposition.is_none() {
                    continue;
                }
            }
            let key = event.key();
            let uuid = name(Use::Item, &self.name, &key);
            if !seen.insert(uuid.clone()) || self.is_known(&uuid).await? {
                repeated = true;
                continue;
            }
            let document = Item { received: at, event }.document(&uuid)?;
            items.push(NewVcon {
                uuid,
                document: Some(document),
                lists: vec![list_of(&self.name)],
                keep: self.keep,
                context: context.map(str::to_owned),
                tenant: None,
            });
        }
        if repeated {
            // What is known may not have been safe when it came first.
            self.store.ingest(Vec::new()).await?;
        }
        if items.is_empty() {
            return Ok(match (repeated, told) {
                (true, _) => Taken::Repeated,
                (false, true) => Taken::Accepted,
                (false, false) => Taken::Nothing,
            });
        }
        self.store.ingest(items).await?;
        Ok(Taken::Accepted)
    }

    /// Whether the event is an item, or was one. The item is looked for first: it is deleted after it was noted.
    async fn is_known(&self, item: &str) -> Result<bool> {
        Ok(self.store.get(&TenantScope::Everything, item).await?.is_some() || self.maker(item).await?.is_some())
    }

    /// The run that has made the vCon of an item, or is about to.
    pub(super) async fn maker(&self, item: &str) -> Result<Option<String>> {
        let kept = self.store.result(&note(&self.note_of(item))).await?;
        Ok(kept.map(|run| String::from_utf8_lossy(&run).into_owned()))
    }

    /// Notes which run makes the vCon of an item.
    pub(super) async fn note_maker(&self, item: &str, run: &str) -> Result<()> {
        // Not under the item's uuid: what is kept for a vCon goes with it, and this outlives the item.
        let place = self.note_of(item);
        self.store.keep_result(&note(&place), &place, Bytes::copy_from_slice(run.as_bytes()), REMEMBER).await
    }

    fn note_of(&self, item: &str) -> String {
        name(Use::Note, &self.name, item)
    }
}

fn note(place: &str) -> String {
    format!("ingress:{place}")
}
