//! External content against the hash that the vCon says: check 74, and 38 for recordings.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::content::compare;
use super::finding::Findings;
use super::object::Object;
use super::place::Place;
use super::report::{Form, Report};
use super::{Validator, channels};
use crate::document::{Document, View};
use crate::http::{HttpClient, Request};

/// Something that lies elsewhere.
struct External {
    /// The member, and the index in it when it is an array.
    name: &'static str,
    index: Option<usize>,
    url: String,
}

impl Validator<'_> {
    /// Fetches what the vCon in `report` refers to and compares it with its hashes. Only URLs that the guard of
    /// `client` lets through are asked; what cannot be fetched is noted and not judged.
    pub async fn fetch(&self, report: &mut Report, client: &HttpClient) {
        let mut inmost = report;
        while inmost.payload.is_some() {
            let Some(inside) = &mut inmost.payload else { return };
            inmost = inside;
        }
        if inmost.form != Form::Unsigned {
            return;
        }
        let Some(document) = inmost.document.clone() else { return };
        let started = Instant::now();
        let mut fetched: HashMap<String, Result<Bytes, String>> = HashMap::new();
        for external in externals(&document) {
            let Some(left) = self.limits.fetching.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else {
                let seconds = self.limits.fetching.as_secs();
                inmost.notes.push(format!("not all external content was fetched: {seconds} s were over"));
                return;
            };
            let url = external.url.clone();
            if !fetched.contains_key(&url) {
                let content = get(client, &url, self.limits.bytes, left).await;
                fetched.insert(url.clone(), content);
            }
            judge(&document, &external, &fetched[&url], &mut inmost.found, &mut inmost.notes);
        }
    }
}

async fn get(client: &HttpClient, url: &str, most: u64, longest: Duration) -> Result<Bytes, String> {
    let request = Request::get(url).map_err(|error| error.chain_text())?;
    let request = request.max_body(usize::try_from(most).unwrap_or(usize::MAX)).timeout(longest);
    let response = client.send(&request).await.map_err(|error| error.chain_text())?;
    Ok(response.body)
}

/// Everything in the vCon that says both where it lies and which hash it has, or is a recording.
fn externals(document: &Document) -> Vec<External> {
    let mut all = Vec::new();
    let mut add = |name, index, view: View<'_>| {
        if let Some(url) = view.get("url").and_then(|url| url.as_str()) {
            all.push(External { name, index, url: url.into_owned() });
        }
    };
    let root = document.root();
    for name in ["redacted", "amended"] {
        if let Some(view) = root.get(name) {
            add(name, None, view);
        }
    }
    for name in ["dialog", "analysis", "attachments"] {
        let elements = root.get(name).into_iter().flat_map(|list| list.elements());
        for (index, view) in elements.enumerate() {
            add(name, Some(index), view);
        }
    }
    all
}

fn judge(
    document: &Document,
    external: &External,
    content: &Result<Bytes, String>,
    found: &mut Findings,
    notes: &mut Vec<String>,
) {
    let member = Place::ROOT.name(external.name);
    let place = external.index.map_or(member, |index| member.index(index));
    let Some(object) = document.get(&place.to_string()).and_then(Object::of) else { return };
    let bytes = match content {
        Ok(bytes) => bytes,
        Err(why) => {
            notes.push(format!("{place}: the content was not fetched: {why}"));
            return;
        }
    };
    match object.get("content_hash") {
        Some(hash) => compare(bytes, hash, &place.name("content_hash"), found),
        None => notes.push(format!("{place}: the content was fetched, but no `content_hash` says what it should be")),
    }
    if external.name == "dialog"
        && let Some(parties) = object.get("parties")
        && object.text("type").as_deref() == Some("recording")
    {
        channels::compare(bytes, parties, &place, found);
    }
}
