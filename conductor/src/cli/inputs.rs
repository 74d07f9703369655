//! What the paths of a command line stand for: files, directories, globs, stdin.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use super::refusal::Refusal;

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File {
        /// Where it is.
        path: PathBuf,
        /// Whether the command line names it, not only its directory.
        named: bool,
    },
    /// A file in a directory that is of no kind we read.
    Skipped(PathBuf),
}

/// Walks through everything that the arguments stand for, in order; directories recursively and by name. Holds the
/// names of the directories on its way and nothing else.
pub(crate) struct Inputs {
    /// Which files of a directory are looked at; a file that is named itself always is.
    wanted: fn(&Path) -> bool,
    arguments: VecDeque<String>,
    /// What is still to be seen of the present argument, next one last.
    pending: Vec<Pending>,
}

enum Pending {
    Named(PathBuf),
    Found(PathBuf),
}

impl Inputs {
    pub(crate) fn new(arguments: &[String], wanted: fn(&Path) -> bool) -> Self {
        Inputs { wanted, arguments: arguments.iter().cloned().collect(), pending: Vec::new() }
    }

    fn argument(&mut self, argument: &str) -> Option<Result<Input, Refusal>> {
        if argument == "-" {
            return Some(Ok(Input::Stdin));
        }
        // A file whose name holds a star is that file.
        if Path::new(argument).symlink_metadata().is_ok() || !argument.contains(['*', '?', '[']) {
            self.pending.push(Pending::Named(argument.into()));
            return None;
        }
        let paths = match glob::glob(argument) {
            Ok(paths) => paths,
            Err(error) => return Some(Err(Refusal::new(argument, format!("not a valid pattern: {error}")))),
        };
        let mut found: Vec<_> = paths.filter_map(Result::ok).map(Pending::Named).collect();
        if found.is_empty() {
            return Some(Err(Refusal::new(argument, "no file matches this pattern")));
        }
        found.reverse();
        self.pending = found;
        None
    }

    fn open(&mut self, path: PathBuf, named: bool) -> Option<Result<Input, Refusal>> {
        let place = path.display().to_string();
        let is_directory = match fs::metadata(&path) {
            Ok(metadata) => metadata.is_dir(),
            Err(error) => return Some(Err(Refusal::new(place, format!("cannot be read: {}", reason(&error))))),
        };
        if !is_directory {
            let file = if named || (self.wanted)(&path) { Input::File { path, named } } else { Input::Skipped(path) };
            return Some(Ok(file));
        }
        // A link to a directory may lead back to where we came from.
        if !named && path.is_symlink() {
            return Some(Ok(Input::Skipped(path)));
        }
        match names(&path) {
            Ok(names) => {
                self.pending.extend(names.into_iter().rev().map(|name| Pending::Found(path.join(name))));
                None
            }
            Err(error) => Some(Err(Refusal::new(place, format!("cannot be read: {}", reason(&error))))),
        }
    }
}

impl Iterator for Inputs {
    type Item = Result<Input, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = match self.pending.pop() {
                Some(Pending::Named(path)) => self.open(path, true),
                Some(Pending::Found(path)) => self.open(path, false),
                None => {
                    let argument = self.arguments.pop_front()?;
                    self.argument(&argument)
                }
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

/// The names in a directory, sorted; hidden ones are none of our business.
fn names(directory: &Path) -> std::io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The operating system's words without its number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(root: &Path, arguments: &[String]) -> Vec<String> {
        let name = |path: PathBuf| path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let line = |input: Result<Input, Refusal>| match input {
            Ok(Input::Stdin) => "stdin".to_owned(),
            Ok(Input::File { path, named }) => format!("{}{}", name(path), if named { " named" } else { "" }),
            Ok(Input::Skipped(path)) => format!("{} skipped", name(path)),
            Err(refusal) => format!("refused: {}", refusal.message),
        };
        Inputs::new(arguments, |path| path.extension().is_some_and(|own| own != "md")).map(line).collect()
    }

    #[test]
    fn directories_are_walked_by_name_and_globs_are_expanded() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/deep")).unwrap();
        for name in ["b/2.JSON", "b/10.json", "b/deep/x.wav", "b/.hidden.json", "b/notes.md", "a.json", "odd[1].json"] {
            fs::write(root.join(name), "{}").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
        let at = |name: &str| root.join(name).display().to_string();
        assert_eq!(
            seen(root, &[at("b")]),
            ["b/10.json", "b/2.JSON", "b/deep/x.wav", "b/loop skipped", "b/notes.md skipped"]
        );
        assert_eq!(
            seen(root, &["-".to_owned(), at("b/*.md"), at("odd[1].json"), at("none*")]),
            ["stdin", "b/notes.md named", "odd[1].json named", "refused: no file matches this pattern"]
        );
        assert_eq!(seen(root, &[at("gone")]), ["refused: cannot be read: no such file or directory"]);
    }
}
