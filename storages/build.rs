//! Writes the list of modules from the folders under `src/all`, so that a new storage touches no other file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=src/all");
    let mut modules = Vec::new();
    for entry in fs::read_dir(folder("CARGO_MANIFEST_DIR").join("src/all"))? {
        let module = entry?.path().join("mod.rs");
        if module.is_file() {
            modules.push(module);
        }
    }
    modules.sort();
    let mut list = String::new();
    for module in &modules {
        let name = module.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        writeln!(list, "#[path = {module:?}]\nmod {name};").map_err(io::Error::other)?;
    }
    fs::write(folder("OUT_DIR").join("all.rs"), list)
}

fn folder(variable: &str) -> PathBuf {
    env::var_os(variable).map(PathBuf::from).unwrap_or_default()
}
