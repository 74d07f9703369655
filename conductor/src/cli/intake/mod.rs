//! Taking conversations in from files, directories and stdin, whatever they are: vCons as they came, everything else as
//! vCons that are made of it. `ingest` stores them, `vcon import` writes them.

mod companions;
mod contents;
mod options;
mod taken;

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use vconductor_core::audio;
use vconductor_core::error::Error;
use vconductor_core::import::chat::{self, Application};
use vconductor_core::import::{self, Companion, Gathered, Kind, Made, Options, mail};
use vconductor_core::vcon::uuid8::Generator;

use super::inputs::{Input, Inputs};
use super::refusal::Refusal;
use contents::{Contents, Item};

pub(crate) use options::ImportOptions;
pub(crate) use taken::{Taken, generator};

/// What became of an item.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is a vCon.
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
    contents: Contents,
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

    fn item(&mut self, open: &Open, item: Result<Item, Refusal>) {
        match item {
            Err(refusal) => self.refuse(refusal),
            Ok(Item::Vcon { text, line, entry }) => {
                let name = match &entry {
                    Some(entry) => format!("{}!{entry}", open.name),
                    None => open.name.clone(),
                };
                match taken::take(text.clone(), &name, line, &self.generator) {
                    Ok(taken) => self.ready.push_back(Event::Taken { from: open.name.clone(), named: open.named, taken }),
                    Err(refusal) => {
                        let filename = open.path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
                        // JSON is what many things are.
                        let kind = if entry.is_some() { None } else { import::recognise(&text, filename.as_deref()) };
                        match kind.filter(|kind| *kind != Kind::PlainText) {
                            Some(kind) => self.other(open, kind, &text, filename.as_deref(), None, line),
                            None => self.refuse(refusal),
                        }
                    }
                }
            }
            Ok(Item::Other { bytes, filename, modified }) => match import::recognise(&bytes, filename.as_deref()) {
                Some(kind) => self.other(open, kind, &bytes, filename.as_deref(), modified, 1),
                // What it is instead is best said by who looks at first bytes.
                None => match audio::probe(&bytes) {
                    Err(error) => self.refuse(Refusal::of(&error, &open.name, 1)),
                    Ok(_) => self.refuse(Refusal::new(&open.name, "nothing that a conversation can be made of")),
                },
            },
        }
    }

    fn other(
        &mut self,
        open: &Open,
        kind: Kind,
        bytes: &Bytes,
        filename: Option<&str>,
        modified: Option<SystemTime>,
        line: usize,
    ) {
        let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
        let refused = |error: &Error| Refusal::of(error, &open.name, line);
        let (options, generator) = (&self.options, &self.generator);
        let text = || String::from_utf8_lossy(bytes);
        let made: Result<Vec<Made>, Error> = match kind {
            Kind::Mail => return self.gather(open, |gathered| gathered.mail(&open.name, bytes)),
            Kind::Mailbox => return self.mailbox(open, bytes),
            Kind::NamedMessage => {
                let folder = open.path.as_deref().and_then(Path::parent).map_or_else(String::new, |path| path.display().to_string());
                let filename = filename.unwrap_or_default();
                return self.gather(open, |gathered| gathered.message(&folder, filename, &text(), modified));
            }
            Kind::WhatsApp => {
                let messages = chat::whatsapp(&text(), options.offset);
                chat::vcon(messages, Application::WhatsApp, modified, options, generator)
            }
            Kind::Messages => chat::table(&text(), options.offset)
                .and_then(|messages| chat::vcon(messages, Application::Chat, modified, options, generator)),
            Kind::Recording => {
                let beside = open.path.as_deref().map(companions::of_recording).unwrap_or_default();
                let (paths, transcripts): (Vec<PathBuf>, Vec<Companion>) = beside.into_iter().unzip();
                let made = import::recording_with_transcripts(bytes, filename, modified, &transcripts, options, generator);
                if made.is_ok() {
                    self.used.extend(paths);
                }
                made.map(|made| vec![made])
            }
            Kind::Transcript => match Companion::read(bytes.clone(), filename) {
                Ok(companion) => {
                    if let Some(path) = open.path.clone().filter(|path| line == 1 && companions::has_recording(path)) {
                        self.waiting.push(Waiting { path, named: open.named, modified, companion });
                        return;
                    }
                    import::transcript(&companion, modified, options, generator).map(|made| vec![made])
                }
                Err(error) => Err(error),
            },
            Kind::PlainText if !open.named => {
                self.ready.extend(open.path.clone().map(Event::Skipped));
                return;
            }
            Kind::PlainText => Companion::read(bytes.clone(), filename)
                .and_then(|companion| import::transcript(&companion, modified, options, generator))
                .map(|made| vec![made]),
        };
        match made {
            Ok(all) => self.ready.extend(all.into_iter().map(|made| event(made, open.name.clone(), open.named))),
            Err(error) => self.refuse(refused(&error)),
        }
    }

    fn gather(&mut self, open: &Open, take: impl FnOnce(&mut Gathered) -> Result<(), Error>) {
        self.all_named &= open.named;
        if let Err(error) = take(&mut self.gathered) {
            self.refuse(Refusal::of(&error, &open.name, 1));
        }
    }

    fn mailbox(&mut self, open: &Open, bytes: &Bytes) {
        for (number, message) in mail::messages(&bytes[..]).enumerate() {
            let place = format!("{}: mail {}", open.name, number + 1);
            self.all_named &= open.named;
            if let Err(error) = message.and_then(|message| self.gathered.mail(&open.name, &message)) {
                self.refuse(Refusal::of(&error, &place, 1));
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.ready.push_back(Event::Refused(refusal));
    }

    /// What was held back.
    fn end(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            if self.used.contains(&waiting.path) {
                continue;
            }
            let name = waiting.path.display().to_string();
            match import::transcript(&waiting.companion, waiting.modified, &self.options, &self.generator) {
                Ok(made) => self.ready.push_back(event(made, name, waiting.named)),
                Err(error) => self.refuse(Refusal::of(&error, &name, 1)),
            }
        }
        let gathered = std::mem::take(&mut self.gathered);
        for (from, made) in gathered.finish(&self.options, &self.generator) {
            match made {
                Ok(made) => self.ready.push_back(event(made, from, self.all_named)),
                Err(error) => self.ready.push_back(Event::Refused(Refusal::of(&error, &from, 1))),
            }
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
            if let Some(mut open) = self.open.take() {
                if let Some(item) = open.contents.next() {
                    self.item(&open, item);
                    self.open = Some(open);
                }
                continue;
            }
            match self.inputs.next() {
                Some(Ok(Input::Stdin)) => {
                    self.open = Some(Open { name: "stdin".to_owned(), path: None, named: true, contents: Contents::of_stdin() });
                }
                Some(Ok(Input::File { path, named })) => {
                    let (name, contents) = (path.display().to_string(), Contents::of_file(&path));
                    self.open = Some(Open { name, path: Some(path), named, contents });
                }
                Some(Ok(Input::Skipped(path))) => return Some(Event::Skipped(path)),
                Some(Err(refusal)) => return Some(Event::Refused(refusal)),
                None if self.ended => return None,
                None => {
                    self.ended = true;
                    self.end();
                }
            }
        }
    }
}
