//! The book and the README are true: commands are run, configurations are checked, links and anchors lead somewhere.
//!
//! What a page may hold, and how its blocks are marked, is in `CONTRIBUTING.md` ("Write a page").

mod blocks;
mod environment;
mod expected;
mod page;
mod proofs;
mod session;
mod shell;
mod structure;

#[allow(dead_code, unreachable_pub, reason = "a public module of the crate of suites")]
#[path = "../../../tests/src/authority.rs"]
mod authority;
/// The private servers of the suites.
#[allow(dead_code, unreachable_pub, reason = "a public module of the crate of suites")]
#[path = "../../../tests/src/servers"]
mod servers {
    pub mod certificates;
    pub mod redis;
}

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use page::Page;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").to_owned()
}

/// What is wrong with a page, each with its place.
type Findings = Vec<String>;

fn verdict(findings: &Findings) -> Result<(), Failed> {
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n\n").into()) }
}

/// The README and every page of the book.
fn pages() -> Vec<Page> {
    let mut files = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder of the book") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|file| Page::read(&root(), file)).collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Sessions wait more than they work.
    arguments.test_threads = arguments.test_threads.or(Some(8));
    let pages = pages();
    let mut trials = proofs::trials();
    for page in &pages {
        let (name, page) = (page.path.clone(), page.clone());
        if page.is_session() {
            let page = page.clone();
            trials.push(Trial::test(format!("session::{name}"), move || verdict(&session::run(&page))));
        }
        trials.push(Trial::test(format!("blocks::{name}"), move || verdict(&blocks::check(&page))));
    }
    let book = pages.clone();
    trials.push(Trial::test("structure", move || verdict(&structure::check(&root(), &book))));
    trials.push(Trial::test("environment", || verdict(&environment::check(&root()))));
    trials.push(Trial::test("what_is_not_run", move || verdict(&blocks::not_run(&pages))));
    libtest_mimic::run(&arguments, trials).exit_code()
}
