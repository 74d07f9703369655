//! Generators of everything under `docs/reference`: `cargo xtask generate` writes, `cargo xtask generate --check` compares.

mod pages;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
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

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference")
}

fn write_all() -> Result<()> {
    let root = reference();
    let pages = pages::all()?;
    for stale in existing(&root)?.into_iter().filter(|path| !pages.contains_key(path)) {
        fs::remove_file(root.join(&stale)).with_context(|| format!("cannot remove {}", stale.display()))?;
    }
    for (path, text) in &pages {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{} pages written", pages.len());
    Ok(())
}

fn check_all() -> Result<()> {
    let root = reference();
    let pages = pages::all()?;
    let mut stale: Vec<String> = Vec::new();
    for (path, text) in &pages {
        if fs::read_to_string(root.join(path)).ok().as_deref() != Some(text) {
            stale.push(path.display().to_string());
        }
    }
    stale.extend(
        existing(&root)?.into_iter().filter(|path| !pages.contains_key(path)).map(|path| path.display().to_string()),
    );
    if !stale.is_empty() {
        bail!("stale under docs/reference: {}; run `cargo xtask generate`", stale.join(", "));
    }
    println!("{} pages are up to date", pages.len());
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

/// Pages by their path under `docs/reference`.
type Pages = BTreeMap<PathBuf, String>;

#[cfg(test)]
mod tests {
    #[test]
    fn the_generated_pages_are_up_to_date() {
        super::check_all().unwrap_or_else(|error| panic!("{error:#}"));
    }
}
