//! `new link`: a link of one's own, with a chain and its test.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::exit::{Exit, Failure, Result};

/// The example plugin of the project, which is built and tested with it.
const SHOUT: &str = include_str!("../../../../examples/plugin/src/shout.rs");
const MAIN: &str = include_str!("../../../../examples/plugin/src/main.rs");
const CHAINS: &str = include_str!("../../../../examples/plugin/chains.yml");
const TEST: &str = include_str!("../../../../examples/plugin/chains_test.yml");
const SCRIPT: &str = include_str!("script.py");
const SCRIPT_CHAINS: &str = include_str!("script.yml");

const ABOUT: &str = "\
Start a link of your own, with a chain and its test

A folder NAME is made. In Python it is a script that runs beside the conductor (docs/exec-protocol.md) with no package to \
install; `cd NAME && vconductor test` plays its test. In Rust it is a crate with a binary that has all links and yours; \
`cd NAME && cargo run -- test` builds it and plays its test.";

const EXAMPLES: &str = "\
Examples:
  vconductor new link word_count
  vconductor new link word_count --language rust --source ~/src/vconductor

Exit codes:
  0 written   2 the name is none, or a file is there";

/// Start a link of your own, with a chain and its test
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct NewLink {
    /// Its name: small letters, digits and `_`
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t)]
    language: Language,
    /// The source of vconductor that a link in Rust is built with
    #[arg(long, value_name = "FOLDER", required_if_eq("language", "rust"))]
    source: Option<PathBuf>,
    /// Where the folder is made
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Language {
    /// A script that runs beside the conductor.
    #[default]
    Python,
    /// A crate with a binary of its own.
    Rust,
}

impl NewLink {
    pub(crate) fn run(&self) -> Result<Exit> {
        super::check_name(&self.name)?;
        let files = match (self.language, &self.source) {
            (Language::Rust, Some(source)) => self.crate_with(source)?,
            _ => self.script(),
        };
        super::write(&self.folder, &files, self.force)?;
        let enter = format!("cd {}", self.folder.join(&self.name).display());
        let test = match self.language {
            Language::Python => "vconductor test",
            Language::Rust => "cargo run -- test",
        };
        super::tell(&self.folder, &files, &[enter, test.to_owned()]);
        Ok(Exit::Done)
    }

    fn script(&self) -> Vec<(String, String)> {
        let name = &self.name;
        let (chains, test) = SCRIPT_CHAINS.split_once("---\n").unwrap_or((SCRIPT_CHAINS, ""));
        let renamed = |text: &str| text.replace("NAME", name);
        vec![
            (format!("{name}/{name}.py"), renamed(SCRIPT)),
            (format!("{name}/chains.yml"), renamed(chains)),
            (format!("{name}/chains_test.yml"), renamed(test)),
        ]
    }

    fn crate_with(&self, source: &Path) -> Result<Vec<(String, String)>> {
        let source = std::fs::canonicalize(source).ok().filter(|path| path.join("core/Cargo.toml").is_file());
        let Some(source) = source else {
            return Err(Failure::new(Exit::Usage, "--source is no folder with the source of vconductor")
                .help("name the folder that holds `core`, `links` and `conductor`"));
        };
        let name = &self.name;
        let renamed = |text: &str| text.replace("shout", name).replace("Shout", &capitalised(name));
        // The versions that vconductor was tested with.
        let lock = std::fs::read_to_string(source.join("Cargo.lock")).map_err(|error| {
            let lock = source.join("Cargo.lock");
            Failure::new(Exit::Usage, format!("--source: {} cannot be read: {error}", lock.display()))
                .help("name a checkout of vconductor, as it was cloned")
        })?;
        Ok(vec![
            (format!("{name}/Cargo.toml"), manifest(name, &source)),
            (format!("{name}/Cargo.lock"), lock),
            (format!("{name}/src/main.rs"), renamed(MAIN)),
            (format!("{name}/src/{name}.rs"), renamed(SHOUT)),
            (format!("{name}/chains.yml"), renamed(CHAINS)),
            (format!("{name}/chains_test.yml"), renamed(TEST)),
        ])
    }
}

/// `WordCount` for `word_count`.
fn capitalised(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words.map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect()
}

fn manifest(name: &str, source: &Path) -> String {
    let ours = ["", "-core", "-ingress", "-links", "-storages"].map(|part| {
        let folder = if part.is_empty() { "conductor" } else { &part[1..] };
        format!("vconductor{part} = {{ path = {:?} }}\n", source.join(folder).display().to_string())
    });
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n\
         async-trait = \"0.1\"\nschemars = \"1\"\nserde = {{ version = \"1\", features = [\"derive\"] }}\n{}\n\
         # Those of vconductor need not be seen in a debugger, which saves disk and minutes.\n\
         [profile.dev.package.\"*\"]\ndebug = false\n\n[workspace]\n",
        ours.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_the_example_plugin_under_another_name() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let new = |name: &str| NewLink {
            name: name.to_owned(),
            language: Language::Rust,
            source: Some(source.clone()),
            folder: PathBuf::from("."),
            force: false,
        };
        let files = new("shout").crate_with(&source).unwrap();
        assert_eq!((&files[2].1, &files[3].1), (&MAIN.to_owned(), &SHOUT.to_owned()), "what is built and tested");
        let files = new("word_count").crate_with(&source).unwrap();
        assert_eq!(files[3].0, "word_count/src/word_count.rs");
        assert!(files[3].1.contains("register_link!(WordCount);") && files[3].1.contains("\"links.word_count\""));
        assert!(files.iter().all(|(name, text)| name.ends_with(".lock") || !text.to_lowercase().contains("shout")));
        assert!(new("x").crate_with(Path::new("/nowhere")).is_err());
    }
}
