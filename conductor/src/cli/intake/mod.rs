//! Taking conversations in from files, directories and stdin, whatever they are: vCons as they came, everything else as
//! vCons that are made of it. `ingest` stores them, `vcon import` writes them.

mod companions;
mod contents;
mod documents;
mod options;
mod taken;

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use vconductor_core::document::Document;
use vconductor_core::error::Result as CoreResult;
use vconductor_core::import::chat::{self, Application};
use vconductor_core::import::{self, Companion, Gathered, Kind, Made, Options};
use vconductor_core::media;
use vconductor_core::vcon::uuid8::Generator;

use self::contents::{Contents, Item};
pub(crate) use self::documents::{Documents, Found};
pub(crate) use self::options::ImportOptions;
pub(crate) use self::taken::{Taken, generator};
use super::inputs::{Input, Inputs};
use super::refusal::Refusal;

/// What became of an item.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is a vCon, or one was made of it.
    Taken {
        /// Where it comes from.
        from: String,
        /// Whether the command line names it, not only its directory.
        named: bool,
        /// The vCon.
        taken: Taken,
    },
    /// It is none, and none can be made of it.
    Refused(Refusal),
    /// It is of a kind that is not looked at in directories.
    Skipped(PathBuf),
}

/// A file that is being read.
struct Open {
    name: String,
    path: Option<PathBuf>,
    named: bool,
    modified: Option<Timestamp>,
    contents: Contents,
    /// Messages, one per line, until all of them are read.
    messages: Vec<u8>,
}

impl Open {
    fn stdin() -> Open {
        let contents = Contents::of_stdin();
        Open { name: "stdin".to_owned(), path: None, named: true, modified: None, contents, messages: Vec::new() }
    }

    fn file(path: PathBuf, named: bool) -> Open {
        let modified = path.metadata().and_then(|metadata| metadata.modified()).ok();
        Open {
            name: path.display().to_string(),
            named,
            modified: modified.and_then(|time| Timestamp::try_from(time).ok()),
            contents: Contents::of_file(&path),
            path: Some(path),
            messages: Vec::new(),
        }
    }

    /// Whether the name allows for text of which nothing else is known: a broken file of another kind is text, too.
    fn is_text_by_name(&self) -> bool {
        let filename = self.filename().unwrap_or_default();
        let ending = filename.rsplit_once('.').map(|(_, ending)| ending);
        ending.is_none_or(|ending| ["txt", "text", "md"].iter().any(|known| ending.eq_ignore_ascii_case(known)))
    }

    /// The name of what is in the file: without the end that says that it is compressed.
    fn filename(&self) -> Option<String> {
        let name = self.path.as_deref()?.file_name()?.to_string_lossy();
        Some(name.strip_suffix(".gz").unwrap_or(&name).to_owned())
    }
}

/// A transcript beside a recording, until it is known whether the recording comes.
struct Waiting {
    path: PathBuf,
    named: bool,
    modified: Option<Timestamp>,
    companion: Companion,
}

/// Everything that the arguments stand for, one conversation after another. What must be seen together first (mails,
/// messages in files of their own) comes at the end.
pub(crate) struct Intake {
    inputs: Inputs,
    options: Options,
    generator: Generator,
    open: Option<Open>,
    gathered: Gathered,
    all_named: bool,
    waiting: Vec<Waiting>,
    /// Transcripts that came with their recordings.
    used: HashSet<PathBuf>,
    ready: VecDeque<Event>,
    ended: bool,
}

impl Intake {
    pub(crate) fn new(paths: &[String], options: Options) -> Intake {
        Intake {
            inputs: Inputs::new(paths, contents::is_read),
            options,
            generator: generator(),
            open: None,
            gathered: Gathered::default(),
            all_named: true,
            waiting: Vec::new(),
            used: HashSet::new(),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    fn item(&mut self, open: &mut Open, item: Result<Item, Refusal>) {
        match item {
            Err(refusal) => self.refuse(refusal),
            Ok(Item::Document { text, line, entry }) => self.document(open, text, line, entry.as_deref()),
            Ok(Item::Mail(mail)) => self.mail(open, &mail),
            Ok(Item::Other(bytes)) => match import::recognise(&bytes, open.filename().as_deref()) {
                Some(kind) if kind != Kind::PlainText || open.is_text_by_name() => self.other(open, kind, &bytes, 1),
                // Text of any kind lies about in directories.
                _ if !open.named && open.is_text_by_name() => self.skip(open),
                _ if contents::is_writing(&open.filename().unwrap_or_default()) => self.refuse(
                    Refusal::new(&open.name, "there is no conversation in it that is known")
                        .help("known are mail, messages with a sender, a time and a text each, and transcripts"),
                ),
                // What it is instead is best said by who looks at first bytes.
                _ => match media::probe(&bytes) {
                    Err(error) => self.refuse(Refusal::of(&error, &open.name, 1)),
                    Ok(_) => self.refuse(Refusal::new(&open.name, "there is no conversation in it")),
                },
            },
        }
    }

    /// A JSON document: a vCon, or one of the many other things that are JSON.
    fn document(&mut self, open: &mut Open, text: Bytes, line: usize, entry: Option<&str>) {
        let name = match entry {
            Some(entry) => format!("{}!{entry}", open.name),
            None => open.name.clone(),
        };
        let refusal = match taken::take(text.clone(), &name, line, &self.generator) {
            Ok(taken) => {
                let (from, named) = (open.name.clone(), open.named);
                return self.ready.push_back(Event::Taken { from, named, taken });
            }
            Err(refusal) => refusal,
        };
        let kind = if entry.is_some() { None } else { import::recognise(&text, open.filename().as_deref()) };
        match kind {
            Some(Kind::Messages) if open.contents.has_lines() || !open.messages.is_empty() => {
                open.messages.extend_from_slice(&text);
                open.messages.push(b'\n');
            }
            Some(kind) if kind != Kind::PlainText => self.other(open, kind, &text, line),
            // Among messages: notices of who joins and leaves.
            None if !open.messages.is_empty() && Document::parse(text).is_ok() => {}
            _ => self.refuse(refusal),
        }
    }

    /// What is not a vCon.
    fn other(&mut self, open: &Open, kind: Kind, bytes: &Bytes, line: usize) {
        let (options, modified, filename) = (&self.options, open.modified, open.filename());
        let filename = filename.as_deref();
        let text = || String::from_utf8_lossy(bytes);
        let one = |made: CoreResult<Made>| made.map(|made| vec![made]);
        let made: CoreResult<Vec<Made>> = match kind {
            Kind::Mail | Kind::Mailbox => return self.mail(open, bytes),
            Kind::NamedMessage => return self.message(open, filename.unwrap_or_default(), &text()),
            Kind::WhatsApp => {
                let messages = chat::whatsapp(&text(), options.offset);
                chat::vcon(messages, Application::WhatsApp, modified, options)
            }
            Kind::Messages => chat::table(&text(), options.offset)
                .and_then(|messages| chat::vcon(messages, Application::Chat, modified, options)),
            Kind::Recording => {
                let beside = open.path.as_deref().map(companions::of_recording).unwrap_or_default();
                let (paths, transcripts): (Vec<PathBuf>, Vec<Companion>) = beside.into_iter().unzip();
                let made = import::recording_with_transcripts(bytes, filename, modified, &transcripts, options);
                if made.is_ok() {
                    self.used.extend(paths);
                }
                one(made)
            }
            Kind::PlainText if !open.named => return self.skip(open),
            Kind::PlainText | Kind::Transcript => match Companion::read(bytes.clone(), filename) {
                Ok(companion) => {
                    let beside = open.path.clone().filter(|path| line == 1 && companions::has_recording(path));
                    if let Some(path) = beside {
                        return self.waiting.push(Waiting { path, named: open.named, modified, companion });
                    }
                    one(import::transcript(&companion, modified, options))
                }
                Err(error) => Err(error),
            },
        };
        match made {
            Ok(all) => self.ready.extend(all.into_iter().map(|made| event(made, open.name.clone(), open.named))),
            Err(error) => self.refuse(Refusal::of(&error, &open.name, line)),
        }
    }

    fn mail(&mut self, open: &Open, mail: &[u8]) {
        self.all_named &= open.named;
        if let Err(error) = self.gathered.mail(&open.name, mail, open.modified) {
            self.refuse(Refusal::of(&error, &open.name, 1));
        }
    }

    fn message(&mut self, open: &Open, filename: &str, text: &str) {
        self.all_named &= open.named;
        let folder = open.path.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).display().to_string();
        if let Err(error) = self.gathered.message(&folder, filename, text, open.modified) {
            self.refuse(Refusal::of(&error, &open.name, 1));
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.ready.push_back(Event::Refused(refusal));
    }

    fn skip(&mut self, open: &Open) {
        self.ready.extend(open.path.clone().map(Event::Skipped));
    }

    /// Goes on to the next file, and after the last one to what was held back.
    fn advance(&mut self) {
        match self.inputs.next() {
            Some(Ok(Input::Stdin)) => self.open = Some(Open::stdin()),
            Some(Ok(Input::File { path, named })) => self.open = Some(Open::file(path, named)),
            Some(Ok(Input::Skipped(path))) => self.ready.push_back(Event::Skipped(path)),
            Some(Err(refusal)) => self.refuse(refusal),
            None => {
                self.ended = true;
                self.end();
            }
        }
    }

    /// What was held back until everything was seen.
    fn end(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            if self.used.contains(&waiting.path) {
                continue;
            }
            let name = waiting.path.display().to_string();
            match import::transcript(&waiting.companion, waiting.modified, &self.options) {
                Ok(made) => self.ready.push_back(event(made, name, waiting.named)),
                Err(error) => self.refuse(Refusal::of(&error, &name, 1)),
            }
        }
        let gathered = std::mem::take(&mut self.gathered);
        for (from, made) in gathered.finish(&self.options) {
            self.ready.push_back(match made {
                Ok(made) => event(made, from, self.all_named),
                Err(error) => Event::Refused(Refusal::of(&error, &from, 1)),
            });
        }
    }
}

fn event(made: Made, from: String, named: bool) -> Event {
    Event::Taken { from, named, taken: Taken { uuid: made.uuid, text: made.text, given: true } }
}

impl Iterator for Intake {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let Some(mut open) = self.open.take() else {
                if self.ended {
                    return None;
                }
                self.advance();
                continue;
            };
            match open.contents.next() {
                Some(item) => {
                    self.item(&mut open, item);
                    self.open = Some(open);
                }
                None if !open.messages.is_empty() => {
                    let messages = std::mem::take(&mut open.messages).into();
                    self.other(&open, Kind::Messages, &messages, 1);
                }
                None => {}
            }
        }
    }
}
