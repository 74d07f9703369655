//! Mail: RFC 5322 messages and mailboxes of them, threads as conversations.
//!
//! A thread is one vCon; each message is a text dialog with its `message_id`, its parties in the order From, To, Cc, Bcc
//! (core-04, section 4.3), and its attachments are the vCon's.

mod mailbox;
mod message;
mod thread;
mod write;

pub use mailbox::{is_mail, is_mailbox, messages};
pub use message::{Enclosure, Mail};
pub use thread::threads;
pub use write::vcon;

/// The words of a document in HTML. Nothing in it is executed or fetched, and no markup is left.
pub fn words_of_html(html: &str) -> String {
    mail_parser::decoders::html::html_to_text(html)
}
