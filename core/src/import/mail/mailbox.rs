//! Files of mail: one message, or an mbox of them (RFC 4155).

use std::io::BufRead;

use mail_parser::mailbox::mbox::MessageIterator;

use crate::{Error, Result};

/// How many bytes are looked at to recognise mail.
const HEAD: usize = 64 * 1024;
/// Header fields that every mail has some of (RFC 5322, section 3.6, and what relays put in front).
const FIELDS: [&str; 14] = [
    "from",
    "to",
    "cc",
    "date",
    "subject",
    "message-id",
    "received",
    "return-path",
    "delivered-to",
    "mime-version",
    "content-type",
    "reply-to",
    "in-reply-to",
    "references",
];

/// Whether the bytes begin with the header of a mail: only fields, among them `From` and two others that mail has.
pub fn is_mail(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEAD)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut known: Vec<&str> = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            // The line at the end of what is looked at may be cut off.
            if head.ends_with(line) && bytes.len() > head.len() {
                break;
            } else {
                return false;
            };
        };
        let name = &line[..colon];
        // Printable ASCII but the colon; no spaces in a name (RFC 5322, section 2.2).
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return false;
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if let Some(field) = FIELDS.into_iter().find(|field| *field == name)
            && !known.contains(&field)
        {
            known.push(field);
        }
    }
    known.contains(&"from") && known.len() >= 3
}

/// Whether the bytes begin as an mbox does: a line with the sender, then a mail's header.
pub fn is_mailbox(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"From ") else { return false };
    let end = rest.iter().position(|byte| *byte == b'\n');
    end.is_some_and(|end| is_mail(&rest[end + 1..]))
}

/// The messages of an mbox, one after another, without its quoting.
pub fn messages(mailbox: impl BufRead) -> impl Iterator<Item = Result<Vec<u8>>> {
    MessageIterator::new(mailbox).map(|message| match message {
        Ok(message) => Ok(message.unwrap_contents()),
        Err(error) => Err(Error::permanent("the mailbox cannot be read").caused_by(error)),
    })
}
