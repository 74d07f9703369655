//! Replacing the file of a configuration by another one that is right.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use vconductor_core::config::{Config, ProcessEnvironment, load, restored, shown};

use super::configuration::Configuration;
use super::plugins;
use crate::api::{Configuration as Shown, NotReplaced};

/// A configuration for the API. It can be replaced where it is in one file.
pub(crate) fn for_api(configuration: &Configuration, config: &Config) -> Shown {
    let files: Vec<PathBuf> = configuration.files().into_iter().map(PathBuf::from).collect();
    let file = match files.as_slice() {
        [file] => Some(file.clone()),
        _ => None,
    };
    let replace = file.map(|file| Arc::new(move |value| replace(&file, value)) as _);
    Shown { shown: shown(&config.written), replace }
}

fn replace(file: &Path, value: Value) -> Result<(), NotReplaced> {
    let failed = |error: &dyn std::fmt::Display| NotReplaced::Failed(format!("{}: {error}", file.display()));
    let registry = plugins::registry().map_err(|_| failed(&"the plugins cannot be told"))?;
    // What is hidden is what the file says now.
    let written = load(&[file.to_owned()], &ProcessEnvironment).config;
    let written = written.ok_or_else(|| failed(&"it cannot be read any more"))?.written;
    let value = restored(value, &written).map_err(|paths| {
        let wrong = |path| format!("`{path}` is hidden, and the file has no value there");
        NotReplaced::Wrong(paths.into_iter().map(wrong).collect())
    })?;
    let text = serde_yaml::to_string(&value).map_err(|error| failed(&error))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.new"));
    let written = write(&new, &text, file).map_err(|error| failed(&error)).and_then(|()| {
        let checked = Configuration::load(std::slice::from_ref(&new), &registry);
        if checked.usable().is_none() {
            let errors = checked.findings.iter().filter(|finding| finding.is_error());
            return Err(NotReplaced::Wrong(errors.map(|finding| finding.message.clone()).collect()));
        }
        std::fs::rename(&new, file).map_err(|error| failed(&error))
    });
    if written.is_err() {
        // It may not have come into being.
        drop(std::fs::remove_file(&new));
    }
    written
}

/// Writes a file that nobody may read who may not read `old`.
fn write(file: &Path, text: &str, old: &Path) -> std::io::Result<()> {
    let mut new = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(file)?;
    new.set_permissions(std::fs::metadata(old)?.permissions())?;
    new.write_all(text.as_bytes())?;
    new.sync_all()
}
