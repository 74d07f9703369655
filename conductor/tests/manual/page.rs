//! A page as it is written: its blocks, its links, its headings.

use std::collections::BTreeMap;
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// Blocks and directions for the session, in order.
    pub(crate) parts: Vec<Part>,
    /// Where links lead, as written, with their lines.
    pub(crate) links: Vec<(usize, String)>,
    /// What `#...` of this page may name.
    pub(crate) anchors: Vec<String>,
    /// The first heading.
    pub(crate) title: String,
}

/// What a session goes by.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Block(Block),
    /// `<!-- session: ... -->`, which readers do not see.
    Direction {
        line: usize,
        text: String,
    },
}

/// A fenced block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) language: String,
    /// Single words behind the language.
    pub(crate) marks: Vec<String>,
    /// `file=NAME`: the reader saves it under that name.
    pub(crate) file: Option<String>,
    /// Whether readers, who do not see the mark, have been told that name.
    pub(crate) is_named: bool,
    /// `from=PATH`: it is a piece of that file of the repository.
    pub(crate) from: Option<String>,
    /// `no-run REASON`
    pub(crate) not_run: Option<String>,
    pub(crate) text: String,
}

impl Block {
    fn new(line: usize, info: &str) -> Self {
        let mut words = info.split_whitespace();
        let mut block = Block { line, language: words.next().unwrap_or_default().to_owned(), ..Block::default() };
        while let Some(word) = words.next() {
            match word.split_once('=') {
                Some(("file", name)) => block.file = Some(name.to_owned()),
                Some(("from", name)) => block.from = Some(name.to_owned()),
                _ if word == "no-run" => block.not_run = Some(words.by_ref().collect::<Vec<_>>().join(" ")),
                _ => block.marks.push(word.to_owned()),
            }
        }
        block
    }

    /// With what stands before it on its page.
    fn after(mut self, text: &str) -> Self {
        self.is_named = self.file.as_ref().is_none_or(|file| text.contains(&format!("`{file}`")));
        self
    }

    /// Whether it has this mark.
    pub(crate) fn is(&self, mark: &str) -> bool {
        self.marks.iter().any(|own| own == mark)
    }

    /// Whether its commands are run.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.language.as_str(), "console" | "sh") && self.not_run.is_none()
    }
}

impl Page {
    /// Reads a file.
    pub(crate) fn read(root: &Path, file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let path = file.strip_prefix(root).expect("a file of the repository");
        let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        Page::parse(&parts.join("/"), &text)
    }

    /// Reads a text.
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut page = Page { path: path.to_owned(), ..Page::default() };
        let (mut block, mut heading): (Option<Block>, Option<String>) = (None, None);
        let mut seen = BTreeMap::new();
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let line = text[..range.start].lines().count() + usize::from(text[..range.start].ends_with('\n'));
            let line = line.max(1);
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    block = Some(Block::new(line, &info).after(&text[..range.start]))
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => block = Some(Block::new(line, "")),
                Event::End(TagEnd::CodeBlock) => page.parts.extend(block.take().map(Part::Block)),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let heading = heading.take().unwrap_or_default();
                    page.anchors.push(anchor(&heading, &mut seen));
                    if page.title.is_empty() {
                        page.title = heading;
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line, dest_url.to_string()));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(block) = &mut block {
                        block.text.push_str(&text);
                    } else if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Html(html) => {
                    let direction =
                        html.trim().strip_prefix("<!-- session: ").and_then(|rest| rest.strip_suffix("-->"));
                    if let Some(text) = direction {
                        page.parts.push(Part::Direction { line, text: text.trim().to_owned() });
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// Its blocks.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.parts.iter().filter_map(|part| match part {
            Part::Block(block) => Some(block),
            Part::Direction { .. } => None,
        })
    }

    /// Whether there is anything to run.
    pub(crate) fn is_session(&self) -> bool {
        self.blocks().any(Block::runs)
    }

    /// A place in it.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// The name that mdBook gives a heading; GitHub gives the same.
fn anchor(heading: &str, seen: &mut BTreeMap<String, usize>) -> String {
    let name: String = heading
        .trim()
        .chars()
        .filter_map(|character| match character {
            _ if character.is_alphanumeric() || matches!(character, '_' | '-') => Some(character.to_ascii_lowercase()),
            _ if character.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect();
    let times = seen.entry(name.clone()).or_insert(0);
    *times += 1;
    if *times == 1 { name } else { format!("{name}-{}", *times - 1) }
}
