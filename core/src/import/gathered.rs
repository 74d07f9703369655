//! What must be seen together before it is a conversation: mails, and messages in files of their own.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::chat::{self, Application, Message};
use super::made::date;
use super::mail::{self, Mail};
use super::{Made, Options};
use crate::{Error, Result};

/// The most bytes that are held at a time.
const MOST_BYTES: usize = 2 << 30;

/// Mails and messages on their way to conversations.
#[derive(Debug, Default)]
pub struct Gathered {
    mails: Vec<Mail>,
    /// By folder, then by their place.
    messages: BTreeMap<String, Vec<(u64, Message)>>,
    started: BTreeMap<String, Timestamp>,
    bytes: usize,
}

impl Gathered {
    /// Takes the bytes of a mail that lies in the file `from`. Without a date it gets the time of the file.
    ///
    /// # Errors
    /// Permanent: as [`Mail::read`], or when more is held than 2 GiB.
    pub fn mail(&mut self, from: &str, bytes: &[u8], modified: Option<Timestamp>) -> Result<()> {
        self.hold(bytes.len())?;
        let mut mail = Mail::read(bytes)?;
        from.clone_into(&mut mail.source);
        if let (None, Some(modified)) = (&mail.date, modified) {
            mail.date = Some(date(modified)?);
        }
        self.mails.push(mail);
        Ok(())
    }

    /// Takes a message that lies in a file of its own in `folder`.
    ///
    /// # Errors
    /// Permanent: the file's name does not say who sent it, or more is held than 2 GiB.
    pub fn message(&mut self, folder: &str, filename: &str, text: &str, modified: Option<Timestamp>) -> Result<()> {
        self.hold(text.len())?;
        let named = chat::named_message(filename, text).ok_or_else(|| {
            Error::permanent("the file's name does not say who sent the message")
                .help("name it as SMS1_Alice_+12345678901.txt")
        })?;
        self.messages.entry(folder.to_owned()).or_default().push(named);
        if let Some(modified) = modified {
            let earliest = self.started.entry(folder.to_owned()).or_insert(modified);
            *earliest = (*earliest).min(modified);
        }
        Ok(())
    }

    fn hold(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.bytes > MOST_BYTES {
            return Err(Error::permanent(format!("more than {} GiB of mail in one go", MOST_BYTES >> 30))
                .help("import it in parts; a thread must be in one part"));
        }
        Ok(())
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.mails.is_empty() && self.messages.is_empty()
    }

    /// The conversations, each with the file or the folder that it comes from: a vCon per thread of mails, and one per
    /// folder of messages.
    pub fn finish(self, options: &Options) -> impl Iterator<Item = (String, Result<Made>)> {
        let threads = mail::threads(self.mails).into_iter();
        let mails = threads.map(move |thread| (source(&thread), mail::vcon(&thread, options)));
        let started = self.started;
        let messages = self.messages.into_iter().flat_map(move |(folder, mut messages)| {
            messages.sort_by_key(|(place, _)| *place);
            let modified = started.get(&folder).copied();
            let messages = messages.into_iter().map(|(_, message)| message).collect();
            let made = match chat::vcon(messages, Application::Sms, modified, options) {
                Ok(all) => all.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            made.into_iter().map(move |made| (folder.clone(), made)).collect::<Vec<_>>()
        });
        mails.chain(messages)
    }
}

/// The file of a thread, and how many others there are.
fn source(thread: &[Mail]) -> String {
    let mut files: Vec<&str> = thread.iter().map(|mail| mail.source.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    match files.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
