//! The examples of `docs/vcon-files.md`, executed.
//!
//! In a block `console`, `$ ` begins a command, `# exit N` behind it says how it ends (0 without), and the lines below
//! it are what it says; where there are none that is not looked at. `…` stands for anything within a line, and alone in a
//! line for any lines.

#[allow(dead_code, unreachable_pub, reason = "a public module of the crate of suites")]
#[path = "../../tests/src/authority.rs"]
mod authority;
#[allow(dead_code, reason = "only a part of it is used here")]
mod place;

use std::path::Path;
use std::process::{Command, Stdio};

use authority::{Authority, Kind};
use place::Place;

/// What the page holds.
#[derive(Debug, Default)]
struct Page {
    files: Vec<(String, String)>,
    examples: Vec<Example>,
}

#[derive(Debug)]
struct Example {
    command: String,
    exit: i32,
    says: Vec<String>,
}

fn read(text: &str) -> Page {
    let mut page = Page::default();
    let (mut name, mut fence) = (None, None);
    for line in text.lines() {
        match (&fence, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                fence = Some(kind.to_owned());
                if let Some(name) = name.take() {
                    page.files.push((name, String::new()));
                }
            }
            (Some(_), Some(_)) => fence = None,
            (None, None) => {
                name = line.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")).map(str::to_owned);
            }
            (Some(kind), None) if matches!(kind.as_str(), "json" | "yaml") => {
                let (_, file) = page.files.last_mut().expect("a file has a name");
                file.push_str(line);
                file.push('\n');
            }
            (Some(kind), None) if kind == "console" => match line.strip_prefix("$ ") {
                Some(command) => {
                    let (command, exit) = command.split_once("# exit ").unwrap_or((command, "0"));
                    let exit = exit.trim().parse().expect("an exit code");
                    page.examples.push(Example { command: command.trim().to_owned(), exit, says: Vec::new() });
                }
                None => page.examples.last_mut().expect("a command comes first").says.push(line.to_owned()),
            },
            (Some(_), None) => {}
        }
    }
    page
}

/// Whether a line is what the page says; cells of tables may be wider.
fn is_like(line: &str, expected: &str) -> bool {
    let compact = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, expected) = (compact(line), compact(expected));
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn are_like(lines: &[&str], expected: &[String]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => (0..=lines.len()).any(|skipped| are_like(&lines[skipped..], rest)),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, others)| is_like(line, first) && are_like(others, rest))
        }
    }
}

#[test]
fn the_examples_of_the_manual_do_what_it_says() {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vcon-files.md");
    let page = read(&std::fs::read_to_string(text).unwrap());
    assert!(page.files.len() == 3 && page.examples.len() >= 20, "too little was read: {}", page.examples.len());
    let place = Place::new();
    for (name, content) in &page.files {
        place.write(name, content);
    }
    let authority = Authority::new();
    place.write("root.pem", &authority.root);
    for (name, authority) in [("signer", &authority), ("partner", &Authority::new())] {
        let signer = authority.signer(Kind::Rsa, &format!("{name}.example.com"));
        place.write(&format!("{name}.key"), &signer.key).write(&format!("{name}.crt"), &signer.chain);
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_vconductor")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    for example in &page.examples {
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-c", &format!("exec 2>&1; {}", example.command)]).current_dir(place.0.path());
        let done = shell.env_clear().env("PATH", &path).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(example.exit), "$ {}\n{said}", example.command);
        let lines: Vec<&str> = said.lines().collect();
        let as_said = example.says.is_empty() || are_like(&lines, &example.says);
        assert!(as_said, "$ {}\nsays\n{said}\nand not\n{}", example.command, example.says.join("\n"));
    }
}

#[test]
fn lines_are_compared_with_room_for_what_differs() {
    assert!(is_like("a   b", "a b") && is_like("abcd", "a…d") && is_like("a x b y c", "a…b…c") && is_like("ab", "a…"));
    assert!(!is_like("abcd", "a…c") && !is_like("ab", "a") && !is_like("a c b", "a…b…c"));
    let expected: Vec<String> = ["a", "…", "c"].map(str::to_owned).to_vec();
    assert!(are_like(&["a", "b", "b", "c"], &expected) && are_like(&["a", "c"], &expected));
    assert!(!are_like(&["a", "b"], &expected));
}
