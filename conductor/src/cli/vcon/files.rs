//! What the commands read, and where they write the result.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use vconductor_core::error::{Class, Error};
use vconductor_core::vcon::Vcon;

use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, Format};

/// Where the result goes. By default to stdout, and then nothing else is written there.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// Write the result to this file, or into this directory under the input's name
    #[arg(long, value_name = "PATH", conflicts_with = "in_place")]
    out: Option<PathBuf>,
    /// Write the result over the input
    #[arg(long)]
    in_place: bool,
    /// The form of the report when results go to files
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// What was done with one file.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    file: String,
    written: String,
    uuid: Option<String>,
    /// What was done, for people.
    what: String,
}

/// Reads a vCon from a file or, as `-`, from stdin.
///
/// # Errors
/// 65 when it cannot be read or is no vCon.
pub(in crate::cli) fn read(path: &str) -> Result<Vcon> {
    Vcon::read(bytes(path)?).map_err(of_the_file)
}

pub(super) fn bytes(path: &str) -> Result<Bytes> {
    let unreadable = |error| Failure::new(Exit::Data, format!("cannot be read: {error}"));
    if path == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(unreadable)?;
        return Ok(bytes.into());
    }
    Ok(std::fs::read(path).map_err(unreadable)?.into())
}

/// Does the same with every file. One that fails is told and does not keep the others from being done.
///
/// # Errors
/// 2 when several results would go to one place. 65 when a file failed.
pub(super) fn each(files: &[String], target: &Target, work: impl Fn(&Vcon) -> Result<(Vcon, String)>) -> Result<Exit> {
    target.check(files)?;
    let mut all_done = Vec::new();
    let mut failed = false;
    for file in files {
        let result = read(file).and_then(|vcon| work(&vcon)).map_err(|failure| failure.within(file));
        let result = result.and_then(|(result, what)| {
            let written = target.write(file, &result)?;
            Ok(written.map(|written| Done { file: file.clone(), written, uuid: result.id(), what }))
        });
        match result {
            Ok(done) => all_done.extend(done),
            // Wrong keys are wrong for all files.
            Err(failure) if files.len() == 1 || failure.exit() != Exit::Data => return Err(failure),
            Err(failure) => {
                output::complain_of(&failure);
                failed = true;
            }
        }
    }
    report(&all_done, target.output)?;
    Ok(if failed { Exit::Data } else { Exit::Done })
}

fn report(all_done: &[Done], format: Format) -> Result<()> {
    match format {
        _ if all_done.is_empty() => Ok(()),
        Format::Json => output::print_json(&all_done),
        Format::Jsonl => output::print_jsonl(all_done),
        Format::Table => {
            let mut table = output::table(&["file", "written", "what"]);
            for done in all_done {
                table.add_row([&done.file, &done.written, &done.what]);
            }
            output::print(&output::table_text(&table))
        }
    }
}

impl Target {
    fn check(&self, files: &[String]) -> Result<()> {
        let one_place = !self.in_place && !self.out.as_deref().is_some_and(Path::is_dir);
        if files.len() > 1 && one_place {
            return Err(Failure::new(Exit::Usage, "several results do not fit into one place")
                .help("give --out DIRECTORY (an existing one), --in-place, or one file at a time"));
        }
        if self.in_place && files.iter().any(|file| file == "-") {
            return Err(Failure::new(Exit::Usage, "--in-place does not go with stdin"));
        }
        Ok(())
    }

    /// Writes a result and says where; `None` when that is stdout.
    fn write(&self, input: &str, result: &Vcon) -> Result<Option<String>> {
        let path = match &self.out {
            None if self.in_place => PathBuf::from(input),
            None => {
                output::print_bytes(&result.to_bytes())?;
                output::print_bytes(b"\n")?;
                return Ok(None);
            }
            Some(folder) if folder.is_dir() => match Path::new(input).file_name().filter(|_| input != "-") {
                Some(name) => folder.join(name),
                None => folder.join(format!("{}.vcon", result.id().unwrap_or_default())),
            },
            Some(file) => file.clone(),
        };
        if !self.in_place && path.exists() && same(&path, Path::new(input)) {
            return Err(Failure::new(Exit::Usage, format!("{} is the input", path.display()))
                .help("say --in-place when it shall be overwritten"));
        }
        write_whole(&path, &result.to_bytes())
            .map_err(|error| Failure::new(Exit::Findings, format!("{} cannot be written: {error}", path.display())))?;
        Ok(Some(path.display().to_string()))
    }
}

fn same(one: &Path, two: &Path) -> bool {
    matches!((one.canonicalize(), two.canonicalize()), (Ok(one), Ok(two)) if one == two)
}

/// Writes beside the file and renames, so that it is never half of anything.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = std::fs::File::create_new(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&beside, path));
    if renamed.is_err() {
        // What could not be written is no use to anybody; the error tells the rest.
        std::fs::remove_file(&beside).ok();
    }
    renamed
}

/// An error that says something about the file is one of bad data; others, as of keys, are what they are.
pub(super) fn of_the_file(error: Error) -> Failure {
    if error.class() != Class::Permanent {
        return error.into();
    }
    let failure = Failure::new(Exit::Data, error.chain_text());
    match error.help_text() {
        Some(help) => failure.help(help),
        None => failure,
    }
}
