//! Where vCons are read from, page by page: a storage by its time listing, or files in the order of their names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vconductor_core::clock::Millis;
use vconductor_core::error::{Error, Result as CoreResult};
use vconductor_core::layers::timeout::with_timeout;
use vconductor_core::plugin::{ListQuery, Storage};

use super::BATCH_BYTES;
use super::cursor::Cursor;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::intake::{Documents, Found};

/// Items of one page. A cursor remembers two pages.
pub(crate) const PAGE: usize = 128;

/// How long a storage may take for one answer.
const LIMIT: Duration = Duration::from_secs(120);

/// Attempts at what may go away by itself.
const ATTEMPTS: u32 = 5;

/// Where vCons come from.
pub(crate) enum Source {
    /// A storage of the configuration.
    Storage {
        /// Its name.
        name: String,
        /// The storage.
        storage: Arc<dyn Storage>,
        /// `created_at` from here on.
        since: Option<Millis>,
        /// `created_at` before this.
        until: Option<Millis>,
    },
    /// Files and folders.
    Files(Vec<String>),
}

/// One thing of a page.
#[derive(Debug)]
pub(crate) struct Item {
    /// What it is remembered by.
    pub(crate) key: String,
    /// What it is, as far as the page tells.
    pub(crate) what: What,
}

/// What an item is.
#[derive(Debug)]
pub(crate) enum What {
    /// A vCon that is still to be loaded.
    Named,
    /// A vCon.
    Document { uuid: String, text: Bytes },
    /// It is none.
    Refused(String),
}

/// Some items, and where the next ones are.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    pub(crate) next: Option<String>,
}

impl Source {
    /// What a command has still to work through of its present page.
    ///
    /// # Errors
    /// Those of [`page`](Self::page).
    pub(crate) async fn rest(&self, cursor: &Cursor) -> Result<Page> {
        let mut page = self.page(cursor.state.page.as_deref()).await?;
        page.items.retain(|item| !cursor.knows(&item.key));
        Ok(page)
    }

    /// A page from `at` on; the first one where that is `None`.
    ///
    /// # Errors
    /// The storage does not answer, also after several attempts, or the place is not there any more.
    pub(crate) async fn page(&self, at: Option<&str>) -> Result<Page> {
        match self {
            Source::Storage { name, storage, since, until } => {
                let query = ListQuery { since: *since, until: *until, cursor: at.map(str::to_owned), limit: PAGE };
                let page = patiently(name, || storage.list(&query)).await?;
                let named = |uuid: String| Item { key: uuid, what: What::Named };
                Ok(Page { items: page.uuids.into_iter().map(named).collect(), next: page.cursor })
            }
            Source::Files(paths) => files(paths, at),
        }
    }

    /// The document of a vCon that a page only names.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) async fn load(&self, uuid: &str) -> CoreResult<Option<Bytes>> {
        match self {
            Source::Storage { name, storage, .. } => patiently(name, || storage.load(uuid)).await,
            Source::Files(_) => Ok(None),
        }
    }
}

/// Asks again while what fails may go away by itself.
pub(crate) async fn patiently<T, F: Future<Output = CoreResult<T>>>(name: &str, ask: impl Fn() -> F) -> CoreResult<T> {
    let mut attempt = 0;
    loop {
        match with_timeout(LIMIT, name, ask()).await {
            Err(error) if error.is_retryable() && attempt < ATTEMPTS => {
                let wait = error.wait().unwrap_or(Duration::from_millis(250 << attempt));
                attempt += 1;
                tracing::warn!(storage = name, error = %error.chain_text(), attempt, "asked again");
                tokio::time::sleep(wait.min(LIMIT)).await;
            }
            answer => return answer.map_err(|error: Error| error.within(format_args!("storage `{name}`"))),
        }
    }
}

/// The vCons of files behind the one at `at`.
fn files(paths: &[String], at: Option<&str>) -> Result<Page> {
    let mut page = Page::default();
    let mut bytes = 0;
    for found in Documents::after(paths, at).map_err(|gone| {
        Failure::new(Exit::Findings, format!("the command stood at {gone}, which is not there any more"))
            .help("put it back, or begin anew with --restart")
    })? {
        let Found { place, document } = found;
        let what = match document {
            Ok(taken) => {
                bytes += taken.text.len();
                What::Document { uuid: taken.uuid, text: taken.text }
            }
            Err(refusal) => What::Refused(refusal.to_string()),
        };
        page.items.push(Item { key: place.clone(), what });
        if page.items.len() >= PAGE || bytes >= BATCH_BYTES {
            page.next = Some(place);
            break;
        }
    }
    Ok(page)
}
