//! What the paths hold, one document after another.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use vconductor_core::format::{self, Content, Kind, Limits};

use crate::cli::inputs::{Input, Inputs, reason};

/// One thing to check.
pub(super) enum Source {
    /// A file, or a line of one.
    Bytes { name: String, bytes: Bytes },
    /// What could not be read at all.
    Unreadable { name: String, why: String },
}

/// Everything that the paths stand for, in order.
pub(super) fn sources(paths: &[String], limits: &Limits) -> impl Iterator<Item = Source> {
    let limits = *limits;
    Inputs::new(paths, is_read).flat_map(move |input| match input {
        Ok(Input::Stdin) => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().take(limits.bytes + 1).read_to_end(&mut bytes);
            of(Path::new("stdin"), read.map(|_| bytes), &limits)
        }
        Ok(Input::File { path, .. }) => {
            let read = std::fs::File::open(&path).and_then(|file| {
                let mut bytes =
                    Vec::with_capacity(file.metadata().map_or(0, |data| data.len().min(limits.bytes)) as usize);
                // One byte more than is allowed is enough to see that it is too large.
                file.take(limits.bytes + 1).read_to_end(&mut bytes)?;
                Ok(bytes)
            });
            of(&path, read, &limits)
        }
        Ok(Input::Skipped(_)) => Vec::new(),
        Err(refusal) => vec![Source::Unreadable { name: refusal.place, why: refusal.message }],
    })
}

fn is_read(path: &Path) -> bool {
    Kind::of_name(&path.file_name().unwrap_or_default().to_string_lossy()).is_some()
}

fn of(path: &Path, read: std::io::Result<Vec<u8>>, limits: &Limits) -> Vec<Source> {
    let name = path.display().to_string();
    let bytes = match read {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => return vec![Source::Unreadable { name, why: format!("cannot be read: {}", reason(&error)) }],
    };
    let is_stdin = name == "stdin";
    let lines_by_name = Kind::of_name(name.strip_suffix(".gz").unwrap_or(&name)) == Some(Kind::Lines);
    let has_lines = lines_by_name || (is_stdin && are_lines(&bytes));
    if !has_lines {
        return vec![Source::Bytes { name, bytes }];
    }
    match format::open(bytes.clone(), limits) {
        Ok(Content::Text(text)) if text.inflation.is_none_or(|inflation| inflation.fault(limits).is_none()) => {
            lines(&name, &text.bytes)
        }
        _ => vec![Source::Bytes { name, bytes }],
    }
}

/// Whether stdin holds a document per line: the first closes on its line, and another one opens behind it.
fn are_lines(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return false };
    let (first, rest) = (bytes[..end].trim_ascii(), bytes[end..].trim_ascii_start());
    first.starts_with(b"{") && first.ends_with(b"}") && rest.starts_with(b"{")
}

fn lines(name: &str, text: &Bytes) -> Vec<Source> {
    let mut start = 0;
    let mut all = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let range = start..start + line.len();
        start = range.end + 1;
        if !line.trim_ascii().is_empty() {
            all.push(Source::Bytes { name: format!("{name}:{}", number + 1), bytes: text.slice(range) });
        }
    }
    all
}
