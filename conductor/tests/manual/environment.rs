//! The table of variables for those who move from vcon-server: what it calls the same is read somewhere, and what it calls
//! "not read" nowhere.

use std::path::Path;

use crate::Findings;

const PAGE: &str = "docs/moving-from-vcon-server.md";
const SOURCES: [&str; 5] = ["core/src", "conductor/src", "links/src", "storages/src", "ingress/src"];

/// What is wrong with the table.
pub(crate) fn check(root: &Path) -> Findings {
    let page = std::fs::read_to_string(root.join(PAGE)).expect("the page");
    let mut sources = String::new();
    SOURCES.iter().for_each(|folder| gather(&root.join(folder), &mut sources));
    wrong(&page, &sources)
}

fn wrong(page: &str, sources: &str) -> Findings {
    let section = page.lines().skip_while(|line| *line != "## Environment variables").skip(1);
    let mut findings = Findings::new();
    for row in section.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, names, meaning, ..] = cells[..] else { continue };
        // An option may have the name of a variable.
        if meaning.starts_with("not read, as there") {
            continue;
        }
        for name in names.split('`').skip(1).step_by(2) {
            let is_read = sources.contains(&format!("\"{name}\""));
            if is_read == meaning.starts_with("not read") {
                findings.push(format!("{PAGE}: `{name}` is {}read", if is_read { "" } else { "not " }));
            }
        }
    }
    findings
}

/// All Rust below a folder.
fn gather(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

pub(crate) fn a_wrong_row_is_noticed() {
    let page = "## Environment variables\n\n| variable | here |\n|---|---|\n| `A_B`, `C_D` | the same |\n| `E_F` | not read: no |\n";
    assert_eq!(wrong(page, r#"var("A_B") "C_D""#), Findings::new());
    assert_eq!(wrong(page, r#"var("A_B") "E_F""#).len(), 2);
}
