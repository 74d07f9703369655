//! Which failures are the same: what differs from vCon to vCon in their messages is taken out.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use vconductor_core::clock::Millis;
use vconductor_core::error::Class;
use vconductor_core::run::RunId;
use vconductor_core::store::{DeadLetter, Failure};

/// Letters with one cause.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Group {
    /// The cause as it is named on a command line.
    pub(super) id: String,
    pub(super) letters: u64,
    pub(super) class: Class,
    pub(super) step: String,
    /// The message with `#` for what differs.
    pub(super) message: String,
    pub(super) oldest: Millis,
    pub(super) newest: Millis,
    /// One of them, to look at.
    pub(super) example: RunId,
}

/// Groups by cause.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<(&'static str, String, String), Group>);

impl Groups {
    pub(super) fn add(&mut self, letter: &DeadLetter) {
        let failure = &letter.failure;
        let message = fingerprint(&failure.message);
        let group =
            self.0.entry((failure.class.as_str(), failure.step.clone(), message.clone())).or_insert_with(|| Group {
                id: id(failure, &message),
                letters: 0,
                class: failure.class,
                step: failure.step.clone(),
                message,
                oldest: failure.at,
                newest: failure.at,
                example: letter.run,
            });
        group.letters += 1;
        group.oldest = group.oldest.min(failure.at);
        group.newest = group.newest.max(failure.at);
    }

    /// The largest first.
    pub(super) fn sorted(self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.0.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.letters));
        groups
    }
}

/// The cause of a failure as it is named on a command line.
pub(super) fn cause(failure: &Failure) -> String {
    id(failure, &fingerprint(&failure.message))
}

fn id(failure: &Failure, message: &str) -> String {
    let mut hash = Sha256::new();
    for part in [failure.class.as_str(), &failure.step, message] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The message with `#` in place of what people would see as an id, a number, a time, or a value of the vCon.
pub(crate) fn fingerprint(message: &str) -> String {
    let message = without_documents(&without_values(message));
    let mut text = String::with_capacity(message.len());
    let mut word = String::new();
    for character in message.chars() {
        if is_part(character) {
            word.push(character);
        } else {
            close(&mut text, &mut word);
            text.push(character);
        }
    }
    close(&mut text, &mut word);
    text
}

/// What is quoted inside a quotation (`\"...\"`) is a value that the message complains about.
fn without_values(message: &str) -> String {
    let mut parts = message.split("\\\"");
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let Some(value) = parts.next() {
        match parts.next() {
            Some(after) => text.push_str(&format!("#{after}")),
            None => text.push_str(value),
        }
    }
    text
}

/// What a jq program could not do it could not do with a piece of the vCon, which the message quotes.
fn without_documents(message: &str) -> String {
    const FAILED: &str = "` failed: ";
    let Some((before, why)) = message.split_once(FAILED).filter(|(before, _)| before.contains("jq program `")) else {
        return message.to_owned();
    };
    let (mut text, mut depth) = (format!("{before}{FAILED}"), 0_usize);
    for character in why.chars() {
        match character {
            '[' | '{' => {
                if depth == 0 {
                    text.push('#');
                }
                depth += 1;
            }
            ']' | '}' => depth = depth.saturating_sub(1),
            other if depth == 0 => text.push(other),
            _ => {}
        }
    }
    text
}

/// Characters that hold an id together.
fn is_part(character: char) -> bool {
    character.is_alphanumeric() || character == '-' || character == '_'
}

/// A status such as 503 tells the cause, so short numbers stay; so do names with a digit such as `s3`.
fn close(text: &mut String, word: &mut String) {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let letters = word.chars().filter(|character| character.is_alphabetic()).count();
    let is_id = digits > 3 || (digits > 0 && digits + letters >= 12);
    text.push_str(if is_id { "#" } else { word.as_str() });
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_vcon_to_vcon_is_taken_out() {
        assert_eq!(
            fingerprint(
                "POST https://crm.example/calls/018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10: status 503 at 1700000000"
            ),
            "POST https://crm.example/calls/#: status 503 at #"
        );
        assert_eq!(
            fingerprint(r#"failed: "cannot parse \"case 7\" as JSON: byte 0""#),
            r#"failed: "cannot parse # as JSON: byte 0""#
        );
        assert_eq!(
            fingerprint(r#"the jq program `.a + 1` failed: cannot calculate [{"tel":"+15550100"},{"name":"Ann"}] + 1"#),
            "the jq program `.a + 1` failed: cannot calculate # + 1"
        );
        assert_eq!(
            fingerprint(r#"answered 400: {"error":"no such language"}"#),
            r#"answered 400: {"error":"no such language"}"#
        );
        assert_eq!(fingerprint("bucket s3-eu is gone (404)"), "bucket s3-eu is gone (404)");
        assert_eq!(fingerprint("vcon_missing: no document"), "vcon_missing: no document");
    }
}
