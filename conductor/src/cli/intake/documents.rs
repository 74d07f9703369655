//! The vCons in files, and nothing that would have to be made into one: each with its place, so that reading can go on
//! behind it.

use std::path::PathBuf;

use vconductor_core::format::Kind;
use vconductor_core::vcon::uuid8::Generator;

use super::contents::{Contents, Item};
use super::taken::{self, Taken, generator};
use crate::cli::inputs::{Input, Inputs};
use crate::cli::refusal::Refusal;

/// What was found in a file.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its place, `<number in its file> <file>`.
    pub(crate) place: String,
    /// The vCon, or why it is none.
    pub(crate) document: Result<Taken, Refusal>,
}

/// The vCons of files and folders, in the order of their names.
pub(crate) struct Documents {
    inputs: Inputs,
    open: Option<Open>,
    generator: Generator,
}

struct Open {
    path: PathBuf,
    contents: Contents,
    seen: u64,
}

impl Documents {
    /// All behind a place; from the beginning where there is none. What lies before it is not read.
    ///
    /// # Errors
    /// The file of the place, if it is not there.
    pub(crate) fn after(paths: &[String], place: Option<&str>) -> Result<Documents, String> {
        let inputs =
            Inputs::new(paths, |path| Kind::of_name(&path.file_name().unwrap_or_default().to_string_lossy()).is_some());
        let mut documents = Documents { inputs, open: None, generator: generator() };
        let Some((number, file)) = place.and_then(|place| place.split_once(' ')) else { return Ok(documents) };
        let seen: u64 = number.parse().unwrap_or(0);
        while let Some(input) = documents.inputs.next() {
            if let Ok(Input::File { path, .. }) = input
                && path.display().to_string() == file
            {
                let mut contents = Contents::of_file(&path);
                let skipped = usize::try_from(seen).unwrap_or(usize::MAX);
                contents.by_ref().take(skipped).for_each(drop);
                documents.open = Some(Open { path, contents, seen });
                return Ok(documents);
            }
        }
        Err(file.to_owned())
    }

    fn found(&self, place: String, name: &str, item: Result<Item, Refusal>) -> Found {
        let document = match item {
            Ok(Item::Document { text, line, .. }) => taken::take(text, name, line, &self.generator),
            Ok(Item::Mail(_) | Item::Other(_)) => {
                Err(Refusal::new(name, "it is no vCon").help("`vconductor vcon import` makes one of it"))
            }
            Err(refusal) => Err(refusal),
        };
        Found { place, document }
    }
}

impl Iterator for Documents {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(mut open) = self.open.take() {
                let Some(item) = open.contents.next() else { continue };
                open.seen += 1;
                let name = open.path.display().to_string();
                let place = format!("{} {name}", open.seen);
                self.open = Some(open);
                return Some(self.found(place, &name, item));
            }
            match self.inputs.next()? {
                Ok(Input::File { path, .. }) => {
                    self.open = Some(Open { contents: Contents::of_file(&path), path, seen: 0 });
                }
                // Nobody could go on reading it.
                Ok(Input::Stdin) => {
                    let refusal = Refusal::new("-", "standard input cannot be read a second time")
                        .help("write it to a file first, or use `vconductor ingest`");
                    return Some(Found { place: "1 -".to_owned(), document: Err(refusal) });
                }
                Ok(Input::Skipped(_)) => {}
                Err(refusal) => return Some(Found { place: format!("1 {}", refusal.place), document: Err(refusal) }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_goes_on_behind_any_place() {
        let folder = tempfile::tempdir().unwrap();
        let vcon = |number: u8| {
            format!(r#"{{"vcon":"0.0.1","uuid":"018f2b7c-5e1a-8c33-9d2b-0000000000{number:02}","parties":[]}}"#)
        };
        std::fs::write(folder.path().join("a.json"), vcon(1)).unwrap();
        std::fs::write(folder.path().join("b.jsonl"), [2, 3, 4].map(vcon).join("\n")).unwrap();
        std::fs::write(folder.path().join("c.txt"), "notes").unwrap();
        std::fs::write(folder.path().join("d.json"), "{broken").unwrap();
        let paths = [folder.path().display().to_string()];
        let all: Vec<Found> = Documents::after(&paths, None).unwrap().collect();
        let good: Vec<bool> = all.iter().map(|found| found.document.is_ok()).collect();
        assert_eq!(good, [true, true, true, true, false]);
        let places: Vec<String> = all.iter().map(|found| found.place.clone()).collect();
        for (number, place) in places.iter().enumerate() {
            let rest: Vec<String> = Documents::after(&paths, Some(place)).unwrap().map(|found| found.place).collect();
            assert_eq!(rest, places[number + 1..], "behind {place}");
        }
        assert!(Documents::after(&paths, Some("1 gone.json")).is_err());
    }
}
