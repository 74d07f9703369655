//! Tells idle conductors that a list may have something to claim.
//!
//! The bell of a list is `BLMOVE L L LEFT LEFT`: it takes the head and puts it back in one step, so it changes
//! nothing, waits on an empty list, and no id can be lost with its answer. Each list that a claim found empty has
//! a listener with a connection of its own.
//!
//! Runs that come back do not lie on the list but beside it: whoever puts them there says so on [`keys::BELL`], and one
//! subscriber hears it. Where a user may not publish or subscribe, they are found when the wait is over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{Value, cmd};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::keys;
use super::wire::Wire;

/// The longest wait of one command.
const LISTEN: f64 = 2.0;
/// How long such a command may take in all.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a list is looked at that has runs which cannot be claimed now.
const CLOSED: Duration = Duration::from_millis(250);
/// A subscription that has been silent for so long is made anew: the other end may have gone without a word.
const SILENCE: Duration = Duration::from_secs(60);

/// What the last claim found out about a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// There may be something to claim.
    Rings,
    /// It is empty; the listener waits.
    Empty,
    /// It has something that cannot be claimed now (paused, another writer, no room).
    Closed,
}

#[derive(Debug)]
pub(super) struct Bell {
    wire: Arc<Wire>,
    moods: Mutex<HashMap<String, Mood>>,
    listeners: Mutex<HashMap<String, JoinHandle<()>>>,
    subscriber: Mutex<Option<JoinHandle<()>>>,
    changes: watch::Sender<()>,
    /// How often something was heard: what a claim found out before that may be out of date.
    heard: AtomicU64,
}

impl Bell {
    pub(super) fn new(wire: Arc<Wire>) -> Arc<Self> {
        Arc::new(Bell {
            wire,
            moods: Mutex::default(),
            listeners: Mutex::default(),
            subscriber: Mutex::default(),
            changes: watch::Sender::new(()),
            heard: AtomicU64::new(0),
        })
    }

    fn moods(&self) -> MutexGuard<'_, HashMap<String, Mood>> {
        self.moods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was put on a list.
    pub(super) fn ring(&self, list: &str) {
        self.set(list, Mood::Rings);
    }

    /// Something was put beside the list whose keys start with `base`.
    fn ring_base(&self, base: &str) {
        self.heard.fetch_add(1, Ordering::SeqCst);
        let list = self.moods().keys().find(|list| keys::base(list) == base).cloned();
        if let Some(list) = list {
            self.ring(&list);
        }
    }

    /// Any list may have something again.
    pub(super) fn ring_all(&self) {
        self.heard.fetch_add(1, Ordering::SeqCst);
        self.moods().clear();
        self.changes.send_replace(());
    }

    /// Lists that could not be claimed from may be open now.
    pub(super) fn ring_closed(&self) {
        let mut moods = self.moods();
        let before = moods.len();
        moods.retain(|_, mood| *mood != Mood::Closed);
        if moods.len() != before {
            drop(moods);
            self.changes.send_replace(());
        }
    }

    /// How often something was heard so far.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// What a claim found out that was asked when so much had been heard.
    pub(super) fn found(&self, list: &str, mood: Mood, heard: u64) {
        self.set(list, if self.heard() == heard { mood } else { Mood::Rings });
    }

    fn set(&self, list: &str, mood: Mood) {
        {
            let mut moods = self.moods();
            if moods.get(list).copied().unwrap_or(Mood::Rings) == mood {
                return;
            }
            moods.insert(list.to_owned(), mood);
        }
        self.changes.send_replace(());
    }

    fn mood(&self, list: &str) -> Mood {
        self.moods().get(list).copied().unwrap_or(Mood::Rings)
    }

    /// Returns when one of the lists rings, or after `timeout`.
    pub(super) async fn wait(self: &Arc<Self>, lists: &[String], timeout: Duration) {
        self.listen(lists);
        let mut changes = self.changes.subscribe();
        let closed = lists.iter().any(|list| self.mood(list) == Mood::Closed);
        let timeout = if closed { timeout.min(CLOSED) } else { timeout };
        let ringing = async {
            while !lists.iter().any(|list| self.mood(list) == Mood::Rings) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Running out of time is an answer like any other.
        tokio::time::timeout(timeout, ringing).await.unwrap_or_default();
    }

    fn listen(self: &Arc<Self>, lists: &[String]) {
        let mut subscriber = self.subscriber.lock().unwrap_or_else(PoisonError::into_inner);
        if subscriber.as_ref().is_none_or(JoinHandle::is_finished) {
            *subscriber = Some(tokio::spawn(subscribe(Arc::downgrade(self))));
        }
        drop(subscriber);
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for list in lists {
            // One that was spawned on a runtime which is gone has ended with it.
            if listeners.get(list).is_none_or(JoinHandle::is_finished) {
                listeners.insert(list.clone(), tokio::spawn(listen(Arc::downgrade(self), list.clone())));
            }
        }
    }
}

/// Hears what is said on the channel until the store is dropped.
async fn subscribe(bell: Weak<Bell>) {
    loop {
        let Some(strong) = bell.upgrade() else { return };
        let wire = Arc::clone(&strong.wire);
        drop(strong);
        let pause = match wire.subscribe(keys::BELL).await {
            Ok(mut messages) => {
                // What was said before is not heard any more.
                let Some(strong) = bell.upgrade() else { return };
                strong.ring_all();
                drop(strong);
                while let Ok(Some(message)) = tokio::time::timeout(SILENCE, messages.next()).await {
                    let Some(strong) = bell.upgrade() else { return };
                    strong.ring_base(&message.get_payload::<String>().unwrap_or_default());
                }
                CLOSED
            }
            Err(error) if error.is_retryable() => CLOSED,
            Err(error) => {
                tracing::debug!(error = %error.chain_text(), "cannot subscribe; what comes back is found by looking");
                SILENCE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Listens on one list until the store is dropped.
async fn listen(bell: Weak<Bell>, list: String) {
    let mut connection: Option<MultiplexedConnection> = None;
    loop {
        let Some(strong) = bell.upgrade() else { return };
        if strong.mood(&list) != Mood::Empty {
            let mut changes = strong.changes.subscribe();
            if strong.mood(&list) != Mood::Empty {
                drop(strong);
                if changes.changed().await.is_err() {
                    return;
                }
            }
            continue;
        }
        let wire = Arc::clone(&strong.wire);
        drop(strong);
        let heard = match &mut connection {
            Some(open) => hear(open, &list).await,
            None => match wire.open(ANSWER).await {
                Ok(mut open) => {
                    let heard = hear(&mut open, &list).await;
                    connection = Some(open);
                    heard
                }
                Err(error) => {
                    tracing::debug!(%list, error = %error.chain_text(), "cannot listen");
                    None
                }
            },
        };
        match heard {
            Some(true) => {
                let Some(strong) = bell.upgrade() else { return };
                strong.ring(&list);
            }
            Some(false) => {}
            None => {
                connection = None;
                tokio::time::sleep(CLOSED).await;
            }
        }
    }
}

/// Whether the list has an element; `None` if the connection failed.
async fn hear(connection: &mut MultiplexedConnection, list: &str) -> Option<bool> {
    let mut bell = cmd("BLMOVE");
    bell.arg(list).arg(list).arg("LEFT").arg("LEFT").arg(LISTEN);
    match connection.send_packed_command(&bell).await {
        Ok(Value::Nil) => Some(false),
        Ok(Value::ServerError(_)) | Err(_) => None,
        Ok(_) => Some(true),
    }
}
