//! What mdBook would find wrong, and what it would not: the table of contents and the pages agree, every link and anchor leads
//! somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Findings;
use crate::blocks::exists;
use crate::page::Page;

const SUMMARY: &str = "docs/SUMMARY.md";

/// What is wrong with the book as a whole.
pub(crate) fn check(root: &Path, pages: &[Page]) -> Findings {
    let by_path: BTreeMap<&str, &Page> = pages.iter().map(|page| (page.path.as_str(), page)).collect();
    let Some(summary) = by_path.get(SUMMARY) else { return vec![format!("there is no {SUMMARY}")] };
    let mut findings = Findings::new();
    let mut listed = BTreeSet::new();
    for (line, link) in &summary.links {
        let target = resolved(SUMMARY, link);
        if !by_path.contains_key(target.as_str()) {
            findings.push(format!("{}: there is no page {target}", summary.at(*line)));
        }
        if !listed.insert(target) {
            findings.push(format!("{}: `{link}` is listed twice", summary.at(*line)));
        }
    }
    for page in pages.iter().filter(|page| page.path != SUMMARY && page.path != "README.md") {
        if !listed.contains(&page.path) {
            findings.push(format!("{} is not in {SUMMARY}", page.path));
        }
        if page.title.is_empty() {
            findings.push(format!("{} has no heading", page.path));
        }
    }
    for page in pages {
        for (line, link) in &page.links {
            if let Err(what) = leads_somewhere(root, &by_path, page, link) {
                findings.push(format!("{}: `{link}`: {what}", page.at(*line)));
            }
        }
    }
    findings
}

fn leads_somewhere(root: &Path, pages: &BTreeMap<&str, &Page>, page: &Page, link: &str) -> Result<(), String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(());
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { page.path.clone() } else { resolved(&page.path, file) };
    if page.path.starts_with("docs/") && !target.starts_with("docs/") {
        return Err("a page links to pages of the book; write the path of another file as `code`".to_owned());
    }
    let path = root.join(&target);
    if !exists(&path) {
        return Err("nothing is there".to_owned());
    }
    if page.path.starts_with("docs/") && path.is_dir() {
        return Err("a page links to pages, not to folders".to_owned());
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let known = pages.get(target.as_str()).is_some_and(|page| page.anchors.iter().any(|own| own == anchor));
    if known { Ok(()) } else { Err(format!("{target} has no heading `{anchor}`")) }
}

/// The path that a link of a page means, from the root.
fn resolved(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}
