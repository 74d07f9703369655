//! Pages through the vCons that fit, newest first.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::json;
use vconductor_core::store::{TenantScope, Term, TermKind, TimeRange, seconds};
use vconductor_core::vcon::Vcon;

use super::summary;
use crate::api::Context;
use crate::api::answer::{Invalid, Refusal, Result};
use crate::api::query::Query;
use crate::api::route::Route;

/// The most entries of one page.
const MOST: u64 = 200;
/// Uuids that one step of a walk reads.
const STEP: usize = 200;
/// vCons that one call looks at; the page may be short then, and says where to go on.
const LOOKED_AT: usize = 2000;
/// Up to so many vCons of a number are read and sorted; of a number with more all are walked through.
const FEW: usize = 500;

/// Which conversations are asked for.
pub(super) struct Wanted {
    range: TimeRange,
    number: Option<String>,
    direction: Option<String>,
    tags: Vec<String>,
    skip: usize,
    size: usize,
}

/// A page, and where the next one begins.
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<String>,
}

/// Describes the parameters that [`Wanted`] reads.
pub(super) fn described(route: Route) -> Route {
    route
        .query("since", "Time", "Only those whose created_at is not before this")
        .query("until", "Time", "Only those whose created_at is not after this")
        .query("number", "Text", "Only those with a party that has this number, with or without `tel:`")
        .query("direction", "Text", "Only those in this direction: inbound or outbound")
        .many("tag", "Text", "Only those with all of these tags, `name` or `name:value`")
        .query("size", "Count", "Entries of a page: 50, at most 200")
        .query("cursor", "Text", "Where to go on: `next_cursor` of the page before, with the same other parameters")
}

impl Wanted {
    pub(super) fn read(query: &Query) -> Result<Self> {
        let mut range = TimeRange { since: query.time("since")?, until: query.time("until")? };
        let mut skip = 0;
        if let Some(text) = query.one("cursor").filter(|text| !text.is_empty()) {
            let read = text.split_once('.').and_then(|(until, skip)| Some((until.parse().ok()?, skip.parse().ok()?)));
            let (until, passed) = read.ok_or_else(|| {
                Invalid::new("cursor", json!(["query", "cursor"]), "Input should be a `next_cursor`", json!(text))
            })?;
            (range.until, skip) = (Some(until), passed);
        }
        // What comes in later does not push entries from one page to the next.
        range.until = range.until.or_else(|| Some(Timestamp::now().as_second()));
        let text = |name| query.one(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Wanted {
            range,
            number: text("number"),
            direction: text("direction"),
            tags: query.all("tag").filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            skip,
            size: usize::try_from(query.number("size", 50, 1..=MOST)?).unwrap_or(usize::MAX),
        })
    }

    /// Entries of a page.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn fits(&self, vcon: &Vcon) -> bool {
        self.direction.as_ref().is_none_or(|wanted| summary::direction(vcon).as_ref() == Some(wanted))
            && self.tags.iter().all(|tag| summary::has_tag(vcon, tag))
    }

    fn cursor(&self, passed: usize) -> String {
        format!("{}.{passed}", self.range.until.unwrap_or_default())
    }

    /// The vCons that fit and of which `entry` makes something.
    pub(super) async fn page<T>(
        &self,
        context: &Context,
        scope: &TenantScope,
        entry: impl Fn(&str, &Vcon) -> Option<T>,
    ) -> Result<Page<T>> {
        let failed = |error| Refusal::of(&error, "Failed to list conversations");
        let of_number = match &self.number {
            Some(number) => Some(having(context, scope, number).await.map_err(failed)?),
            None => None,
        };
        let few = match of_number.as_ref().filter(|found| found.len() <= FEW) {
            Some(found) => Some(self.sorted(context, scope, found).await.map_err(failed)?),
            None => None,
        };
        let (mut entries, mut passed, mut looked_at) = (Vec::new(), self.skip, 0);
        loop {
            let step = match &few {
                Some(all) => all.iter().skip(passed).take(STEP).cloned().collect(),
                None => context.store.by_time(scope, self.range, passed, STEP).await.map_err(failed)?,
            };
            let is_last = step.len() < STEP;
            for uuid in step {
                if entries.len() == self.size || looked_at == LOOKED_AT {
                    return Ok(Page { entries, next: Some(self.cursor(passed)) });
                }
                passed += 1;
                if of_number.as_ref().is_some_and(|found| !found.contains(&uuid)) {
                    continue;
                }
                looked_at += 1;
                let Some(vcon) = read(context, scope, &uuid).await.map_err(failed)? else { continue };
                entries.extend(entry(&uuid, &vcon).filter(|_| self.fits(&vcon)));
            }
            if is_last {
                return Ok(Page { entries, next: None });
            }
        }
    }

    /// Those within the time that is asked for, newest first.
    async fn sorted(
        &self,
        context: &Context,
        scope: &TenantScope,
        uuids: &HashSet<String>,
    ) -> Result<Vec<String>, vconductor_core::error::Error> {
        let mut dated = Vec::new();
        for uuid in uuids {
            let Some(vcon) = read(context, scope, uuid).await? else { continue };
            let created = vcon.entry().get("created_at").and_then(|created| seconds(&created.to_value())).unwrap_or(0);
            let is_within = self.range.since.is_none_or(|since| created >= since)
                && self.range.until.is_none_or(|until| created <= until);
            dated.extend(is_within.then(|| (created, uuid.clone())));
        }
        dated.sort_by(|one, other| other.cmp(one));
        Ok(dated.into_iter().map(|(_, uuid)| uuid).collect())
    }
}

/// The vCons of a number, however it is written.
async fn having(
    context: &Context,
    scope: &TenantScope,
    number: &str,
) -> Result<HashSet<String>, vconductor_core::error::Error> {
    let bare = number.strip_prefix("tel:").unwrap_or(number);
    let mut found = HashSet::new();
    for value in [bare.to_owned(), format!("tel:{bare}")] {
        found.extend(context.store.search(scope, &[Term { kind: TermKind::Tel, value }]).await?);
    }
    Ok(found)
}

/// A vCon of the store, else of a storage, which is not asked for a tenant; `None` when nobody has it, or nobody can read
/// it.
pub(super) async fn read(
    context: &Context,
    scope: &TenantScope,
    uuid: &str,
) -> Result<Option<Vcon>, vconductor_core::error::Error> {
    let document = match context.store.get(scope, uuid).await? {
        Some(stored) => Some(stored.document),
        None if scope.tenant().is_some() => None,
        None => context.storages.load(uuid).await,
    };
    Ok(document.and_then(|document| Vcon::read(document).ok()))
}
