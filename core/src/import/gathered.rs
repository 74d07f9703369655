//! What must be seen together before it is a conversation: mails, and messages in files of their own.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::chat::{self, Application, Message};
use super::mail::{self, Mail};
use super::{Made, Options};
use crate::vcon::uuid8::Generator;
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
    /// Takes the bytes of a mail.
    ///
    /// # Errors
    /// Permanent: as [`Mail::read`], or when more is held than 2 GiB.
    pub fn mail(&mut self, bytes: &[u8]) -> Result<()> {
        self.hold(bytes.len())?;
        self.mails.push(Mail::read(bytes)?);
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

    /// The conversations: a vCon per thread of mails, and one per folder of messages.
    pub fn finish<'a>(self, options: &'a Options, generator: &'a Generator) -> impl Iterator<Item = Result<Made>> + 'a {
        let threads = mail::threads(self.mails).into_iter();
        let mails = threads.map(move |thread| mail::vcon(&thread, options, generator));
        let started = self.started;
        let messages = self.messages.into_iter().flat_map(move |(folder, mut messages)| {
            messages.sort_by_key(|(place, _)| *place);
            let modified = started.get(&folder).copied();
            let messages = messages.into_iter().map(|(_, message)| message).collect();
            match chat::vcon(messages, Application::Sms, modified, options, generator) {
                Ok(all) => all.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        });
        mails.chain(messages)
    }
}
