//! Generators of everything under `docs/reference` and of the lists of the book: `cargo xtask generate` writes,
//! `cargo xtask generate --check` compares.

mod book;
mod pages;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use vconductor_core::plugin::Registry;
use vconductor_ingress as _;
use vconductor_links as _;
use vconductor_storages as _;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["generate"] => write_all(),
        ["generate", "--check"] => check_all(),
        _ => Err(anyhow::anyhow!("usage: cargo xtask generate [--check]")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every generated file, by its path under `docs`.
fn generated() -> Result<Pages> {
    let registry = Registry::collect()?;
    let reference = pages::all(&registry)?;
    let mut generated = book::pages(&registry, &reference)?;
    generated.extend(reference.into_iter().map(|(path, text)| (Path::new("reference").join(path), text)));
    Ok(generated)
}

/// Files under `docs/reference` that nothing generates.
fn stale(generated: &Pages) -> Result<Vec<PathBuf>> {
    let there = existing(&book::folder().join("reference"))?.into_iter().map(|path| Path::new("reference").join(path));
    Ok(there.filter(|path| !generated.contains_key(path)).collect())
}

fn write_all() -> Result<()> {
    let root = book::folder();
    let generated = generated()?;
    for stale in stale(&generated)? {
        fs::remove_file(root.join(&stale)).with_context(|| format!("cannot remove {}", stale.display()))?;
    }
    for (path, text) in &generated {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{} pages written", generated.len());
    Ok(())
}

fn check_all() -> Result<()> {
    let generated = generated()?;
    let is_old = |path: &PathBuf, text: &String| {
        fs::read_to_string(book::folder().join(path)).ok().as_deref() != Some(text.as_str())
    };
    let mut old: Vec<PathBuf> =
        generated.iter().filter(|(path, text)| is_old(path, text)).map(|(path, _)| path.clone()).collect();
    old.extend(stale(&generated)?);
    if !old.is_empty() {
        let names: Vec<String> = old.iter().map(|path| path.display().to_string()).collect();
        bail!("stale under docs: {}; run `cargo xtask generate`", names.join(", "));
    }
    println!("{} pages are up to date", generated.len());
    Ok(())
}

/// Files under a folder, relative to it.
fn existing(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    Ok(files)
}

/// Pages by their path under the folder that they are for.
type Pages = BTreeMap<PathBuf, String>;

#[cfg(test)]
mod tests {
    #[test]
    fn the_generated_pages_are_up_to_date() {
        super::check_all().unwrap_or_else(|error| panic!("{error:#}"));
    }
}
