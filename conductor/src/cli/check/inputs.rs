//! What the arguments of `check` stand for: YAML files and folders, and Markdown files.

use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Failure, Result};

/// The files to look at, in the order in which they were named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    /// Files and folders of one configuration.
    pub(super) yaml: Vec<PathBuf>,
    /// Markdown files.
    pub(super) markdown: Vec<PathBuf>,
}

impl Inputs {
    /// Resolves patterns and tells the kinds apart. A file whose name holds a star is that file.
    pub(super) fn of(arguments: &[PathBuf]) -> Result<Self> {
        let mut inputs = Inputs::default();
        for argument in arguments {
            let text = argument.to_string_lossy();
            if argument.symlink_metadata().is_ok() || !text.contains(['*', '?', '[']) {
                inputs.add(argument.clone());
                continue;
            }
            let wrong = |why: String| Failure::new(Exit::Usage, format!("`{text}`: {why}"));
            let paths = glob::glob(&text).map_err(|error| wrong(format!("not a valid pattern: {error}")))?;
            let mut found: Vec<PathBuf> = paths.filter_map(Result::ok).filter(|path| path.is_file()).collect();
            found.retain(|path| is_markdown(path) || !is_chain_test(path));
            if found.is_empty() {
                return Err(wrong("no file matches this pattern".to_owned()));
            }
            found.sort();
            found.into_iter().for_each(|path| inputs.add(path));
        }
        Ok(inputs)
    }

    fn add(&mut self, path: PathBuf) {
        let list = if is_markdown(&path) { &mut self.markdown } else { &mut self.yaml };
        if !list.contains(&path) {
            list.push(path);
        }
    }
}

fn is_markdown(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["md", "markdown"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Tests of chains lie beside them and are no configurations.
fn is_chain_test(path: &Path) -> bool {
    path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.ends_with("_test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_resolved_and_kinds_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yml", "a_test.yml", "b.yml", "page.md", "deep/other.MD"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let at = |name: &str| folder.path().join(name);
        let inputs = Inputs::of(&[at("*.yml"), at("a.yml"), at("**/*.[mM][dD]")]).unwrap();
        assert_eq!(inputs.yaml, [at("a.yml"), at("b.yml")]);
        assert_eq!(inputs.markdown, [at("deep/other.MD"), at("page.md")]);
        assert_eq!(Inputs::of(&[at("gone.yml")]).unwrap().yaml, [at("gone.yml")], "reading it tells why not");
        assert!(Inputs::of(&[at("*.toml")]).is_err());
    }
}
