//! Configurations inside of Markdown: fenced blocks of YAML that hold one.

use super::build::sections;
use super::code::Code;
use super::finding::Finding;
use super::model::Config;
use super::nearest::nearest;
use super::source::{Source, Span};

/// How much of a configuration a block shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it: what it names must be in it.
    Whole,
    /// A part: what it names may be elsewhere.
    Part,
}

/// A block of YAML that holds a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of the file (from 1) at which its YAML begins.
    pub line: usize,
    /// How much it shows.
    pub extent: Extent,
    /// The file up to the block's end with everything before the block blanked out, so that places in it are places in
    /// the file.
    pub text: String,
}

/// Words that may stand behind `yaml`.
const FRAGMENT: &str = "fragment";
const NO_CHECK: &str = "no-check";

/// An open fence.
struct Fence<'a> {
    mark: &'a str,
    /// The words of its info string; empty for a block that is no YAML.
    words: Vec<&'a str>,
    /// Byte offset at which its content begins, and the line.
    start: usize,
    line: usize,
}

/// The blocks ```` ```yaml ```` and ```` ```yml ```` whose YAML has a section of a configuration at its top.
///
/// One with `chains` is whole, any other a part; ```` ```yaml fragment ```` says that one with `chains` is a part, too.
/// Blocks with ```` ```yaml no-check ```` are left out. Words that look like one of the two are findings.
pub fn blocks(source: &std::sync::Arc<Source>, findings: &mut Vec<Finding>) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Fence<'_>> = None;
    let mut at = 0;
    for (index, line) in source.text().split_inclusive('\n').enumerate() {
        let content = line.trim_start_matches([' ', '\t', '>']).trim_end();
        match &open {
            None => {
                if let Some(mark) = fence(content) {
                    let words: Vec<&str> =
                        content[mark.len()..].split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect();
                    misspelled(source, at, line, &words, findings);
                    open = Some(Fence { mark, words, start: at + line.len(), line: index + 2 });
                }
            }
            Some(fence)
                if content.starts_with(fence.mark) && content.bytes().all(|byte| byte == fence.mark.as_bytes()[0]) =>
            {
                blocks.extend(block(source.text(), fence, at));
                open = None;
            }
            Some(_) => {}
        }
        at += line.len();
    }
    blocks
}

/// The mark of a fence that a line opens: three or more backticks or tildes.
fn fence(line: &str) -> Option<&str> {
    let mark = line.chars().next().filter(|letter| matches!(letter, '`' | '~'))?;
    let length = line.len() - line.trim_start_matches(mark).len();
    // Backticks behind backticks are code in a line.
    let is_inline = mark == '`' && line[length..].contains('`');
    (length >= 3 && !is_inline).then(|| &line[..length])
}

fn is_yaml(words: &[&str]) -> bool {
    words.first().is_some_and(|word| word.eq_ignore_ascii_case("yaml") || word.eq_ignore_ascii_case("yml"))
}

/// A word that is nearly one of ours does nothing, and that should be known.
fn misspelled(source: &std::sync::Arc<Source>, at: usize, line: &str, words: &[&str], findings: &mut Vec<Finding>) {
    if !is_yaml(words) {
        return;
    }
    for word in &words[1..] {
        let known = [FRAGMENT, NO_CHECK];
        if known.contains(word) {
            continue;
        }
        if let (Some(near), Some(offset)) = (nearest(word, &known), line.find(word)) {
            let span = Span::new(source, at + offset..at + offset + word.len());
            findings.push(
                Finding::warning(Code::UnknownWord, &span, format!("`{word}` behind ```yaml means nothing"))
                    .nearest(Some(near)),
            );
        }
    }
}

fn block(text: &str, fence: &Fence<'_>, end: usize) -> Option<Block> {
    if !is_yaml(&fence.words) || fence.words.contains(&NO_CHECK) {
        return None;
    }
    let content = text.get(fence.start..end)?;
    let keys: Vec<&str> = top_keys(content);
    if !keys.iter().any(|key| sections().any(|section| section == *key)) {
        return None;
    }
    let is_whole = keys.contains(&"chains") && !fence.words.contains(&FRAGMENT);
    let before = text[..fence.start].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' });
    let mut blanked: String = before.collect();
    // In a quotation `>` stands before every line.
    for line in content.split_inclusive('\n') {
        let quoted = line.len() - line.trim_start_matches([' ', '>']).len();
        match line[..quoted].contains('>') {
            true => blanked.push_str(&(" ".repeat(quoted) + &line[quoted..])),
            false => blanked.push_str(line),
        }
    }
    Some(Block { line: fence.line, extent: if is_whole { Extent::Whole } else { Extent::Part }, text: blanked })
}

/// The keys that stand as far left as the first one.
fn top_keys(content: &str) -> Vec<&str> {
    let lines = content.lines().map(|line| line.trim_start_matches('>'));
    let lines = lines.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = lines.peekable();
    let left = lines.peek().map_or(0, |line| indent(line));
    lines
        .filter(|line| indent(line) == left)
        .filter_map(|line| line.trim_start().split_once(':'))
        .map(|(key, _)| key)
        .collect()
}

/// Leaves out what can be said of a whole configuration only: what is missing in a part may be elsewhere.
pub fn of_a_part(mut findings: Vec<Finding>, config: &Config) -> Vec<Finding> {
    findings.retain(|finding| match finding.code {
        Code::Unused
        | Code::UnknownLink
        | Code::UnknownStorage
        | Code::UnknownTracer
        | Code::ChainNeverRuns
        | Code::UntakenList
        | Code::Compatibility => false,
        // A chain whose links are left out.
        Code::MissingKey => !config.chains.iter().any(|chain| chain.name.span == finding.span),
        _ => true,
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Block>, Vec<Finding>) {
        let mut findings = Vec::new();
        let blocks = blocks(&Source::new("a.md", text), &mut findings);
        (blocks, findings)
    }

    #[test]
    fn only_configurations_are_looked_at() {
        for (text, expected) in [
            ("```yaml\nlinks:\n  a: 1\n```\n", Some((2, Extent::Part))),
            ("é\n\n```yml\n# chains\nchains: {}\nlinks: {}\n```\n", Some((4, Extent::Whole))),
            ("~~~~yaml\nchains: {}\n~~~\n~~~~\n", Some((2, Extent::Whole))),
            ("```yaml fragment\nchains: {}\n```\n", Some((2, Extent::Part))),
            ("```yaml,fragment\nchains: {}\n```\n", Some((2, Extent::Part))),
            ("- item\n\n  ```yaml\n  media:\n    a: 1\n  ```\n", Some((4, Extent::Part))),
            ("> ```yaml\n> chains: {}\n> ```\n", Some((2, Extent::Whole))),
            ("```yaml no-check\nchains: {}\n```\n", None),
            ("```yaml\nservices: {}\n```\n", None),
            ("```yaml\nmy:\n  chains: {}\n```\n", None),
            ("```json\n{\"chains\": 1}\n```\n", None),
            ("```\n```yaml\nchains: {}\n", None),
            ("text ```yaml``` text\n", None),
        ] {
            let (blocks, findings) = read(text);
            let found = blocks.first().map(|block| (block.line, block.extent));
            assert_eq!((found, findings.len()), (expected, 0), "{text}");
        }
    }

    #[test]
    fn places_in_a_block_are_places_in_the_file() {
        let text = "é tab\there\n\n> ```yaml\n> links:\n>   a: 1\n> ```\nmore\n";
        let (blocks, _) = read(text);
        let block = &blocks[0].text;
        assert_eq!(block.find("a: 1"), text.find("a: 1"));
        assert!(block.trim_start().starts_with("links:\n") && block.ends_with("a: 1\n"), "{block}");
    }

    #[test]
    fn a_word_that_is_nearly_ours_is_told() {
        let (_, findings) = read("```yaml fragmnet\nlinks: {}\n```\n```yaml title=x\nlinks: {}\n```\n");
        assert_eq!(findings.len(), 1);
        assert_eq!(
            (findings[0].span.to_string(), findings[0].nearest.as_deref()),
            ("a.md:1:9".to_owned(), Some("fragment"))
        );
    }
}
