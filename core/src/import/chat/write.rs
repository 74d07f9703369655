//! The vCons of messages.

use jiff::{SignedDuration, Timestamp};

use super::super::made::{Content, NewDialog, NewVcon, local_date};
use super::super::party::People;
use super::super::{Made, Options, Party};
use super::{Application, Message};
use crate::Result;

/// Makes a vCon of each conversation in `messages`: of each that is named, else of each set of people, where senders and
/// recipients are given, else one of all. Messages without a time follow the one before them by a second, the first one
/// the given start, or `modified`.
///
/// # Errors
/// Permanent, when a time cannot be written.
pub fn vcon(
    messages: Vec<Message>,
    application: Application,
    modified: Option<Timestamp>,
    options: &Options,
) -> Result<Vec<Made>> {
    let mut conversations: Vec<(String, Vec<Message>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for message in messages {
        let key = key(&message);
        let place = *places.entry(key.clone()).or_insert(conversations.len());
        if place == conversations.len() {
            conversations.push((key, Vec::new()));
        }
        conversations[place].1.push(message);
    }
    conversations.into_iter().map(|(_, messages)| conversation(messages, application, modified, options)).collect()
}

fn key(message: &Message) -> String {
    if let Some(conversation) = &message.conversation {
        return format!("named {conversation}");
    }
    if message.to.is_empty() {
        return String::new();
    }
    let mut people: Vec<String> = message.from.iter().chain(&message.to).map(|name| name.to_lowercase()).collect();
    people.sort_unstable();
    people.dedup();
    people.join("\n")
}

fn conversation(
    mut messages: Vec<Message>,
    application: Application,
    modified: Option<Timestamp>,
    options: &Options,
) -> Result<Made> {
    if messages.iter().all(|message| message.time.is_some()) {
        messages.sort_by_key(|message| message.time);
    }
    let mut vcon = NewVcon::default();
    let mut people = People::of(options.parties.clone());
    let mut next = options.start.or(modified).unwrap_or_else(Timestamp::now);
    for message in messages {
        let time = message.time.unwrap_or(next);
        next = time.checked_add(SignedDuration::from_secs(1)).unwrap_or(time);
        let mut parties: Vec<usize> = Vec::new();
        for party in sender(&message).into_iter().chain(message.to.iter().map(|name| Party::called(name))) {
            let index = people.index(party)?;
            if !parties.contains(&index) {
                parties.push(index);
            }
        }
        vcon.dialog.push(NewDialog {
            r#type: "text",
            start: local_date(time, options.offset)?,
            parties: (!parties.is_empty()).then_some(parties),
            mediatype: Some("text/plain".to_owned()),
            message_id: message.id,
            application: Some(application.as_str()),
            content: Some(Content::text(message.text)),
            ..NewDialog::default()
        });
    }
    vcon.parties = people.into_parties();
    with_all_listeners(&mut vcon);
    vcon.make()
}

fn sender(message: &Message) -> Option<Party> {
    let mut party = Party::called(message.from.as_deref()?);
    if let Some(address) = &message.address {
        let own = Party::called(address);
        party = Party { name: party.name, ..own };
    }
    Some(party)
}

/// In a chat everybody reads along: a message that names no recipients is for all others.
fn with_all_listeners(vcon: &mut NewVcon) {
    /// Beyond that, the lists of listeners would be larger than the chat.
    const MOST: usize = 2_000_000;
    let count = vcon.parties.len();
    if count.saturating_mul(vcon.dialog.len()) > MOST {
        return;
    }
    for dialog in &mut vcon.dialog {
        if let Some(parties) = dialog.parties.as_mut().filter(|parties| parties.len() == 1) {
            let sender = parties[0];
            parties.extend((0..count).filter(|index| *index != sender));
        }
    }
}
