//! What is in a file: one document, one per line, a bundle, a mailbox, or other bytes; found from the bytes, the name only
//! breaks ties.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use bytes::Bytes;
use vconductor_core::error::Error;
use vconductor_core::format::{Bundle, BundledVcon, GzipReader, Kind, Limits, is_gzip, is_zip};
use vconductor_core::import::mail::{is_mailbox, messages};

use crate::cli::inputs::reason;
use crate::cli::refusal::Refusal;

/// The largest document, recording or chat that is taken in; it also bounds what a compressed file can become.
const LARGEST: u64 = 512 << 20;

/// The most bytes of a mailbox: more than what is gathered of mails, so that this says where it ends.
const LARGEST_MAILBOX: u64 = 3 << 30;

/// Recordings by the ends of their names.
pub(super) const RECORDINGS: [&str; 16] = [
    "mp3", "wav", "wave", "ogg", "oga", "opus", "flac", "m4a", "mp4", "aac", "m4v", "mov", "mkv", "mka", "webm", "ogv",
];

/// Mail, messages and transcripts by the ends of their names, as far as they are no JSON.
const WRITINGS: [&str; 9] = ["eml", "mbox", "mbx", "csv", "tsv", "txt", "srt", "vtt", "ass"];

/// Bytes that some Windows programs put in front of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One item of an input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The text of a JSON document.
    Document {
        /// The text.
        text: Bytes,
        /// The line of the file in which it begins.
        line: usize,
        /// The entry of the bundle that it comes from.
        entry: Option<String>,
    },
    /// A mail of a mailbox.
    Mail(Vec<u8>),
    /// A file of another kind.
    Other(Bytes),
}

/// Whether a file that is found in a directory is looked at, by its name.
pub(super) fn is_read(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default();
    let is_recording = || RECORDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known));
    Kind::of_name(&name).is_some() || is_recording() || is_writing(&name) || is_in_maildir(path)
}

/// Whether the file's name says that somebody wrote what is in it.
pub(super) fn is_writing(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    WRITINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Whether the file is a mail of a Maildir: those have no ending, their folders are called so.
fn is_in_maildir(path: &Path) -> bool {
    let folder = path.parent();
    let is_maildir = || folder.and_then(Path::parent).is_some_and(|above| above.join("tmp").is_dir());
    folder.and_then(Path::file_name).is_some_and(|name| name == "cur" || name == "new") && is_maildir()
}

/// The items of one input, one after another; never more than one in memory.
pub(super) struct Contents {
    name: String,
    rest: Rest,
}

type Mails = Box<dyn Iterator<Item = Result<Vec<u8>, Error>> + Send>;

enum Rest {
    Nothing,
    One(Item),
    Bundle(Box<dyn Iterator<Item = Result<BundledVcon, Error>> + Send>),
    Mailbox(Mails),
    Failed(Refusal),
    Lines { reader: Box<dyn BufRead + Send>, line: usize, first: Option<Vec<u8>> },
}

impl Contents {
    /// Opens a file.
    pub(super) fn of_file(path: &Path) -> Self {
        let name = path.display().to_string();
        let rest = match File::open(path) {
            Ok(file) => look(&name, Box::new(BufReader::with_capacity(1 << 16, file))),
            Err(error) => Err(unreadable(&name, &error)),
        };
        Contents { name, rest: rest.unwrap_or_else(Rest::Failed) }
    }

    /// Whether more lines may come, each a document of its own.
    pub(super) fn has_lines(&self) -> bool {
        matches!(self.rest, Rest::Lines { .. })
    }

    /// Reads stdin.
    pub(super) fn of_stdin() -> Self {
        let name = "stdin".to_owned();
        let rest = look(&name, Box::new(BufReader::new(io::stdin())));
        Contents { name, rest: rest.unwrap_or_else(Rest::Failed) }
    }
}

impl Iterator for Contents {
    type Item = Result<Item, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Nothing => None,
            Rest::One(item) => Some(Ok(item)),
            Rest::Bundle(mut vcons) => {
                let vcon = vcons.next()?;
                self.rest = Rest::Bundle(vcons);
                let item = |vcon: BundledVcon| Item::Document { text: vcon.bytes, line: 1, entry: Some(vcon.name) };
                Some(vcon.map(item).map_err(|error| Refusal::of(&error, &self.name, 1)))
            }
            Rest::Mailbox(mut mails) => {
                let mail = mails.next()?;
                self.rest = Rest::Mailbox(mails);
                Some(mail.map(Item::Mail).map_err(|error| Refusal::of(&error, &self.name, 1)))
            }
            Rest::Failed(refusal) => Some(Err(refusal)),
            Rest::Lines { mut reader, mut line, mut first } => loop {
                line += 1;
                let text = match first.take().map_or_else(|| read_line(&mut reader), Ok) {
                    Ok(text) if text.is_empty() => return None,
                    Ok(text) => text,
                    Err(error) => return Some(Err(unreadable(&format!("{}:{line}", self.name), &error))),
                };
                if !text.trim_ascii().is_empty() {
                    let text = without_end(text);
                    self.rest = Rest::Lines { reader, line, first: None };
                    return Some(Ok(Item::Document { text: text.into(), line, entry: None }));
                }
            },
        }
    }
}

/// Finds out what a stream holds.
fn look(name: &str, reader: Box<dyn BufRead + Send>) -> Result<Rest, Refusal> {
    let unreadable = |error: io::Error| unreadable(name, &error);
    let mut reader = reader;
    let start = head(&mut *reader).map_err(unreadable)?;
    if is_zip(start) {
        let bytes = read_whole(&mut reader, Vec::new()).map_err(unreadable)?;
        return bundle(name, bytes.into());
    }
    let mut kind = Kind::of_name(name);
    if is_gzip(start) {
        reader = Box::new(BufReader::with_capacity(1 << 16, GzipReader::new(reader)));
        kind = Kind::of_name(name.get(..name.len().saturating_sub(".gz".len())).unwrap_or(name));
    }
    let start = head(&mut *reader).map_err(unreadable)?;
    let text = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start).trim_ascii_start();
    if start.is_empty() {
        return Err(Refusal::new(name, "the file is empty"));
    }
    if kind == Some(Kind::Lines) {
        return Ok(Rest::Lines { reader, line: 0, first: None });
    }
    if matches!(text.first(), Some(b'{' | b'[')) || kind == Some(Kind::Vcon) {
        return look_at_text(name, reader);
    }
    if is_mailbox(start) {
        return Ok(Rest::Mailbox(Box::new(messages(reader.take(LARGEST_MAILBOX)))));
    }
    let bytes = read_whole(&mut reader, Vec::new()).map_err(unreadable)?.into();
    Ok(Rest::One(Item::Other(bytes)))
}

/// The vCons of a bundle, with the media that they refer to inside.
fn bundle(name: &str, bytes: Bytes) -> Result<Rest, Refusal> {
    let limits = Limits { bytes: LARGEST, inflated: LARGEST, ..Limits::default() };
    let vcons = Bundle::open(bytes, &limits).and_then(Bundle::into_sound_vcons);
    Ok(Rest::Bundle(Box::new(vcons.map_err(|error| Refusal::of(&error, name, 1))?)))
}

/// One document, or one per line? Both may be in a `.json`. Documents per line close on their line, and the next thing
/// is the end or another one.
fn look_at_text(name: &str, mut reader: Box<dyn BufRead + Send>) -> Result<Rest, Refusal> {
    let unreadable = |error: io::Error| unreadable(name, &error);
    let first = read_line(&mut reader).map_err(unreadable)?;
    if first.trim_ascii_start().starts_with(b"{") && first.trim_ascii_end().ends_with(b"}") {
        let blanks = skip_blanks(&mut *reader).map_err(unreadable)?;
        let next = head(&mut *reader).map_err(unreadable)?.first();
        let (is_alone, is_lines) = (next.is_none(), next == Some(&b'{'));
        if is_alone {
            // As it came, to the last byte.
            let text = [first, blanks].concat().into();
            return Ok(Rest::One(Item::Document { text, line: 1, entry: None }));
        }
        let reader = Box::new(Cursor::new(blanks).chain(reader));
        if is_lines {
            return Ok(Rest::Lines { reader, line: 0, first: Some(first) });
        }
        return whole(reader, first).map_err(unreadable);
    }
    whole(reader, first).map_err(unreadable)
}

fn whole(mut reader: Box<dyn BufRead + Send>, first: Vec<u8>) -> io::Result<Rest> {
    let text = read_whole(&mut reader, first)?.into();
    Ok(Rest::One(Item::Document { text, line: 1, entry: None }))
}

fn skip_blanks(reader: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut blanks = Vec::new();
    loop {
        let buffer = reader.fill_buf()?;
        let length = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if length == 0 {
            return Ok(blanks);
        }
        blanks.extend_from_slice(&buffer[..length]);
        reader.consume(length);
    }
}

fn head(reader: &mut dyn BufRead) -> io::Result<&[u8]> {
    reader.fill_buf()
}

/// A line with its end; empty at the end of the file.
fn read_line(reader: &mut Box<dyn BufRead + Send>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(LARGEST + 1).read_until(b'\n', &mut line)?;
    within_limit(line)
}

/// The end of a line parts two documents and belongs to neither.
fn without_end(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    line
}

fn read_whole(reader: &mut Box<dyn BufRead + Send>, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    reader.take(LARGEST + 1).read_to_end(&mut bytes)?;
    within_limit(bytes)
}

fn within_limit(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("larger than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

fn unreadable(place: &str, error: &io::Error) -> Refusal {
    Refusal::new(place, format!("cannot be read: {}", reason(error)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn items(name: &str, bytes: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Contents::of_file(&path)
            .map(|item| match item {
                Ok(Item::Document { text, line, .. }) => {
                    format!("{line} {}", String::from_utf8_lossy(&text).trim_end())
                }
                Ok(Item::Mail(mail)) => format!("mail {}", String::from_utf8_lossy(&mail)),
                Ok(Item::Other(bytes)) => format!("other {}", bytes.len()),
                Err(refusal) => refusal.message,
            })
            .collect()
    }

    #[test]
    fn one_document_and_one_per_line_are_told_apart() {
        assert_eq!(items("a.json", b"{\n\"a\": 1\n}\n"), ["1 {\n\"a\": 1\n}"]);
        assert_eq!(items("a.json", b"{\"a\":1}"), ["1 {\"a\":1}"]);
        assert_eq!(items("a.json", b"{\"a\":1}\n\n{\"a\":2}\n"), ["1 {\"a\":1}", "3 {\"a\":2}"]);
        assert_eq!(items("a.json", b"{\"a\" 1}\n{\"a\":2}\n"), ["1 {\"a\" 1}", "2 {\"a\":2}"]);
        assert_eq!(items("a.json", b"{\"a\": {}\n, \"b\": 2}\n"), ["1 {\"a\": {}\n, \"b\": 2}"]);
        assert_eq!(items("a.jsonl", b"[\n{}"), ["1 [", "2 {}"]);
        assert_eq!(items("a.json", b""), ["the file is empty"]);
    }

    #[test]
    fn compressed_files_are_read_and_other_bytes_are_left_to_others() {
        let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
        zip.write_all(b"{\"a\":1}\n{\"a\":2}\n").unwrap();
        let zip = zip.finish().unwrap();
        assert_eq!(items("a.jsonl.gz", &zip), ["1 {\"a\":1}", "2 {\"a\":2}"]);
        assert_eq!(items("odd-name", &zip), ["1 {\"a\":1}", "2 {\"a\":2}"]);
        assert_eq!(items("a.json.gz", &zip[..20]), ["1 {\"a\":1}", "cannot be read: incomplete deflate stream"]);
        assert_eq!(items("call.wav", b"RIFF...."), ["other 8"]);
    }

    #[test]
    fn a_mailbox_comes_mail_by_mail() {
        let mail = |name: &str| {
            format!(
                "From x@example.com Mon Mar  2 10:00:00 2026\nFrom: {name}@example.com\nTo: b@example.com\nSubject: s\n\n>From here\n\n"
            )
        };
        let found = items("box", format!("{}{}", mail("a"), mail("b")).as_bytes());
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("mail From: a@") && found[0].contains("\n\nFrom here"), "{}", found[0]);
    }
}
