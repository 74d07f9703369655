//! The vCon of a thread.

use jiff::Timestamp;

use super::super::made::{Content, NewAttachment, NewDialog, NewVcon, date};
use super::super::party::People;
use super::super::{Made, Options, Party};
use super::Mail;
use crate::Result;

/// Makes the vCon of a thread, whose mails are in the order of their dates. A mail without a date gets the given start,
/// or now.
///
/// # Errors
/// Permanent, when a time cannot be written.
pub fn vcon(thread: &[Mail], options: &Options) -> Result<Made> {
    let mut vcon = NewVcon { subject: thread.iter().find_map(|mail| mail.subject.clone()), ..NewVcon::default() };
    let mut people = People::of(options.parties.clone());
    let fallback = date(options.start.unwrap_or_else(Timestamp::now))?;
    for (index, mail) in thread.iter().enumerate() {
        let start = mail.date.clone().unwrap_or_else(|| fallback.clone());
        let mut parties: Vec<usize> = Vec::new();
        for party in mail.from.iter().chain(&mail.to) {
            let place = people.index(party.clone())?;
            if !parties.contains(&place) {
                parties.push(place);
            }
        }
        // An attachment must name who brought it.
        if parties.is_empty() && people.all().is_empty() {
            people.index(Party::default())?;
        }
        let sender = parties.first().copied().unwrap_or(0);
        vcon.dialog.push(NewDialog {
            r#type: "text",
            start: start.clone(),
            parties: Some(if parties.is_empty() { vec![sender] } else { parties }),
            mediatype: Some("text/plain".to_owned()),
            message_id: mail.id.as_ref().map(|id| format!("<{id}>")),
            application: Some("email"),
            content: Some(Content::text(mail.text.clone())),
            ..NewDialog::default()
        });
        for enclosure in &mail.enclosures {
            vcon.attachments.push(NewAttachment {
                purpose: None,
                start: start.clone(),
                party: sender,
                dialog: index,
                mediatype: enclosure.mediatype.clone(),
                filename: enclosure.filename.clone(),
                content: Content::bytes(&enclosure.content),
            });
        }
    }
    vcon.parties = people.into_parties();
    vcon.make()
}
