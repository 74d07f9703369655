//! The lists of the book: in its table of contents, and the pages that list errors and decisions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use vconductor_core::config::Code;
use vconductor_core::plugin::Registry;

use crate::Pages;

/// An entry of a list: title and path under `docs`.
type Entry = (String, String);

/// The folder of the book.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Pages by their path under `docs`: the table of contents with its lists, and the list of decisions. `reference` are the
/// generated pages.
pub(crate) fn pages(registry: &Registry, reference: &Pages) -> Result<Pages> {
    let decisions = decisions()?;
    let lists = [
        ("reference/links/README.md", plugins("links", registry.links.keys())),
        ("reference/storages/README.md", plugins("storages", registry.storages.keys())),
        ("reference/ingress/README.md", plugins("ingress", registry.ingress.keys())),
        ("reference/tracers/README.md", plugins("tracers", registry.tracers.keys())),
        ("reference/cli/vconductor.md", commands(reference)),
        (
            "reference/errors.md",
            errors().into_iter().map(|(code, title)| (title, format!("errors/{code}.md"))).collect(),
        ),
        ("decisions/README.md", decisions.clone()),
    ];
    let path = folder().join("SUMMARY.md");
    let mut summary = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for (parent, entries) in lists.iter().filter(|(_, entries)| !entries.is_empty()) {
        summary = with_list(&summary, parent, entries)?;
    }
    let mut pages = Pages::new();
    pages.insert("SUMMARY.md".into(), summary);
    pages.insert("decisions/README.md".into(), list_of_decisions(&decisions));
    Ok(pages)
}

/// The page of all error codes.
pub(crate) fn list_of_errors() -> String {
    let mut text = "# Error codes\n\n\
        `vconductor check` gives every finding a code; so do `run` and `serve` when they refuse a configuration.\n\n\
        | code | what |\n|---|---|\n"
        .to_owned();
    for (code, title) in errors() {
        let title = title.split_once(": ").map_or(title.as_str(), |(_, title)| title);
        text.push_str(&format!("| [{code}](../errors/{code}.md) | {title} |\n"));
    }
    text
}

/// Codes with the headings of their pages.
fn errors() -> Vec<(String, String)> {
    let title = |code: &Code| heading(code.page());
    Code::ALL.iter().map(|code| (code.as_str().to_owned(), title(code))).collect()
}

fn decisions() -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder().join("decisions"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "README.md" {
            entries.push((heading(&fs::read_to_string(&path)?), format!("decisions/{name}")));
        }
    }
    entries.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(entries)
}

fn list_of_decisions(decisions: &[Entry]) -> String {
    let mut text =
        "# Decisions\n\nWhat was decided, why, and what it costs. A decision is changed by a new one.\n\n".to_owned();
    for (title, path) in decisions {
        text.push_str(&format!("* [{title}]({})\n", path.trim_start_matches("decisions/")));
    }
    text
}

fn plugins<'a>(section: &str, modules: impl Iterator<Item = &'a &'static str>) -> Vec<Entry> {
    let entry = |module: &&'static str| {
        (format!("`{module}`"), format!("reference/{}", crate::pages::plugin_path(section, module).display()))
    };
    modules.map(entry).collect()
}

/// The commands below the binary itself.
fn commands(reference: &Pages) -> Vec<Entry> {
    let names = reference.keys().filter_map(|path| path.strip_prefix("cli").ok()?.file_stem()?.to_str());
    let names = names.filter(|name| *name != "vconductor");
    names.map(|name| (format!("`{}`", name.replace('-', " ")), format!("reference/cli/{name}.md"))).collect()
}

/// The first heading of a page.
fn heading(page: &str) -> String {
    page.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default().to_owned()
}

/// A table of contents in which what is nested under the page `parent` are these entries.
fn with_list(summary: &str, parent: &str, entries: &[Entry]) -> Result<String> {
    let lines: Vec<&str> = summary.lines().collect();
    let at = lines.iter().position(|line| line.ends_with(&format!("]({parent})")));
    let at = at.with_context(|| format!("docs/SUMMARY.md has no line for {parent}; write one, its list follows"))?;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let own = depth(lines[at]);
    let after = lines[at + 1..].iter().position(|line| depth(line) <= own).map_or(lines.len(), |more| at + 1 + more);
    let indent = " ".repeat(own + 2);
    let nested = entries.iter().map(|(title, path)| format!("{indent}- [{title}]({path})"));
    let all: Vec<String> = lines[..=at]
        .iter()
        .map(ToString::to_string)
        .chain(nested)
        .chain(lines[after..].iter().map(ToString::to_string))
        .collect();
    Ok(all.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::with_list;

    #[test]
    fn a_list_takes_the_place_of_the_one_before() {
        let entries = [("b".to_owned(), "b.md".to_owned())];
        let summary = "# S\n\n- [A](a.md)\n  - [old](old.md)\n    - [older](older.md)\n- [C](c.md)\n  - [D](d.md)\n";
        let expected = "# S\n\n- [A](a.md)\n  - [b](b.md)\n- [C](c.md)\n  - [D](d.md)\n";
        assert_eq!(with_list(summary, "a.md", &entries).unwrap(), expected);
        assert_eq!(with_list(expected, "a.md", &entries).unwrap(), expected);
        let nested = "- [C](c.md)\n  - [D](d.md)\n    - [b](b.md)\n";
        assert_eq!(with_list("- [C](c.md)\n  - [D](d.md)\n", "d.md", &entries).unwrap(), nested);
        assert!(with_list(summary, "x.md", &entries).unwrap_err().to_string().contains("no line for x.md"));
    }
}
