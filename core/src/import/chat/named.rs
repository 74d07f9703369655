//! One message per file, named `SMS1_Alice_+12345678901.txt`: a counter, the sender's name and number. The shape in which
//! the inputs of vCon interoperability tests come.

use super::Message;

/// Whether a file's name says who sent the message in it.
pub fn is_named_message(filename: &str) -> bool {
    parts(filename).is_some()
}

/// The message in a file, with its place in the conversation. `None` when the name does not say who sent it.
pub fn named_message(filename: &str, text: &str) -> Option<(u64, Message)> {
    let (place, name, number) = parts(filename)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").trim_end().to_owned();
    Some((place, Message { from: Some(name.to_owned()), address: Some(number), text, ..Message::default() }))
}

fn parts(filename: &str) -> Option<(u64, &str, String)> {
    let stem = filename.rsplit_once('.').map_or(filename, |(stem, _)| stem);
    let mut parts = stem.splitn(3, '_');
    let (counter, name, number) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = counter.trim_start_matches(|character: char| character.is_ascii_alphabetic());
    let kind = &counter[..counter.len() - digits.len()];
    let is_kind = ["sms", "mms", "msg", "message", "chat"].iter().any(|known| kind.eq_ignore_ascii_case(known));
    let bare = number.strip_prefix('+').unwrap_or(number);
    let is_number = (5..=15).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_digit());
    let place = digits.parse().ok()?;
    // A plus sign is lost where names of files may not hold one.
    (is_kind && is_number && !name.trim().is_empty()).then(|| (place, name.trim(), format!("+{bare}")))
}
