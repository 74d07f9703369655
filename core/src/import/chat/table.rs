//! Messages as a table: CSV with a heading, JSON Lines, or a JSON list of objects. Columns are known by the names that
//! exports give them (Twilio, Slack, contact centres); what they hold tells nothing.

use std::collections::HashMap;

use jiff::tz::Offset;
use serde_json::Value;

use super::{Message, time};
use crate::document::Document;
use crate::{Error, Result};

const TIME: &[&str] =
    &["time", "timestamp", "date", "datetime", "sent_at", "date_sent", "created_at", "date_created", "sent", "ts"];
const FROM: &[&str] =
    &["from", "sender", "author", "from_number", "from_name", "user", "username", "sender_name", "from_address"];
const TO: &[&str] = &["to", "recipient", "recipients", "receiver", "to_number", "to_address"];
const TEXT: &[&str] = &["text", "body", "message", "content", "message_text"];
const ID: &[&str] = &["message_id", "id", "sid", "client_msg_id"];
const CONVERSATION: &[&str] =
    &["conversation_id", "conversation", "conversation_sid", "thread_id", "chat_id", "channel", "room"];

/// The most messages of one file.
const MOST: usize = 2_000_000;

/// Reads a table. An empty list: it is none, since sender or text or time is missing throughout.
///
/// # Errors
/// Permanent: a line of a table that is one breaks off (with the line), or there are more than two million messages.
pub fn table(text: &str, offset: Option<Offset>) -> Result<Vec<Message>> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with('[') {
        return within_limit(json_list(start, offset));
    }
    if start.starts_with('{') {
        return within_limit(json_lines(text, offset)?);
    }
    within_limit(csv_table(start, offset)?)
}

/// Leaving some out would lose them silently.
fn within_limit(messages: Vec<Message>) -> Result<Vec<Message>> {
    if messages.len() > MOST {
        return Err(Error::permanent(format!("more than {MOST} messages in one file")).help("import it in parts"));
    }
    Ok(messages)
}

fn json_list(text: &str, offset: Option<Offset>) -> Vec<Message> {
    let Ok(document) = Document::parse(text.to_owned()) else { return Vec::new() };
    let rows: Vec<Option<Message>> =
        document.root().elements().take(MOST + 1).map(|row| object(&row.to_value(), offset)).collect();
    // Join and leave notices have no text; but most are messages.
    let messages: Vec<Message> = rows.iter().flatten().cloned().collect();
    if messages.len() * 2 < rows.len() { Vec::new() } else { messages }
}

fn json_lines(text: &str, offset: Option<Offset>) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).take(MOST + 1) {
        let row = Document::parse(line.to_owned()).map(|document| object(&document.root().to_value(), offset));
        match row {
            Ok(Some(message)) => messages.push(message),
            // The first line decides whether this is such a file.
            _ if messages.is_empty() => return Ok(Vec::new()),
            Ok(None) => {}
            Err(error) => return Err(error.within(format_args!("line {}", number + 1))),
        }
    }
    Ok(messages)
}

fn csv_table(text: &str, offset: Option<Offset>) -> Result<Vec<Message>> {
    let heading = text.lines().next().unwrap_or_default();
    let separators = [b',', b';', b'\t'];
    let count = |separator: &u8| heading.bytes().filter(|byte| byte == separator).count();
    let separator = separators.into_iter().max_by_key(count).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(text.as_bytes());
    let Ok(names) = reader.headers().cloned() else { return Ok(Vec::new()) };
    let names: Vec<String> = names.iter().map(column).collect();
    let has = |known: &[&str]| names.iter().any(|name| known.contains(&name.as_str()));
    if !(has(TIME) && has(FROM) && has(TEXT)) {
        return Ok(Vec::new());
    }
    let mut messages = Vec::new();
    for record in reader.records().take(MOST + 1) {
        let record = record.map_err(|error| Error::permanent("the table cannot be read").caused_by(error))?;
        let mut row: HashMap<&str, &str> = HashMap::new();
        for (name, field) in names.iter().zip(record.iter()) {
            row.insert(name, field);
        }
        let field = |known: &[&str]| {
            let found =
                known.iter().find_map(|name| row.get(name).map(|text| text.trim()).filter(|text| !text.is_empty()));
            found.map(str::to_owned)
        };
        if let Some(text) = field(TEXT) {
            messages.push(Message {
                time: field(TIME).and_then(|text| time::read(&text, offset)),
                from: field(FROM),
                to: field(TO).into_iter().collect(),
                text,
                id: field(ID),
                conversation: field(CONVERSATION),
                ..Message::default()
            });
        }
    }
    Ok(messages)
}

/// `Sent At` as `sent_at`.
fn column(name: &str) -> String {
    name.trim().trim_start_matches('\u{feff}').to_lowercase().replace([' ', '-'], "_")
}

/// A row of JSON. It must have text, a time and a sender, and nothing that a vCon or a transcript has.
fn object(row: &Value, offset: Option<Offset>) -> Option<Message> {
    let members = row.as_object()?;
    if ["parties", "dialog", "analysis", "attachments", "payload", "segments", "words"]
        .iter()
        .any(|name| members.contains_key(*name))
    {
        return None;
    }
    let members: HashMap<String, &Value> = members.iter().map(|(name, value)| (snake(name), value)).collect();
    let field = |known: &[&str]| known.iter().find_map(|name| members.get(*name).and_then(|value| shown(value)));
    let list = |known: &[&str]| {
        let found = known.iter().find_map(|name| members.get(*name));
        match found {
            Some(Value::Array(all)) => all.iter().filter_map(shown).collect(),
            Some(one) => shown(one).into_iter().collect(),
            None => Vec::new(),
        }
    };
    Some(Message {
        time: Some(time::read(&field(TIME)?, offset)?),
        from: Some(field(FROM)?),
        address: None,
        to: list(TO),
        text: field(TEXT)?,
        id: field(ID),
        conversation: field(CONVERSATION),
    })
}

/// `dateSent` as `date_sent`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for character in name.chars() {
        if character.is_uppercase() && after_small {
            snake.push('_');
        }
        after_small = character.is_lowercase() || character.is_ascii_digit();
        snake.extend(character.to_lowercase());
    }
    column(&snake)
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(_) => {
            ["name", "display_name", "address", "number", "id"].iter().find_map(|name| shown(value.get(name)?))
        }
        _ => None,
    }
}
