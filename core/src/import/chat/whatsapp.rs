//! Chats that WhatsApp exports ("Export chat", <https://faq.whatsapp.com/1180414079177245>): a line per message that
//! begins with date and time, in brackets on iPhones (`[15/01/2024, 10:32:45] Ann: Hi`), with a hyphen behind them on
//! Android (`1/15/24, 10:32 AM - Ann: Hi`). Lines without a date go on with the message before.
//!
//! The order of day and month is that of the telephone. The whole file decides: a number above 12 tells, else AM and PM
//! mean that the month comes first.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use super::{Message, time};

/// Marks that say in which direction text runs, which the program writes in front of lines.
const MARKS: [char; 5] = ['\u{200e}', '\u{200f}', '\u{202a}', '\u{202c}', '\u{feff}'];

/// The date of a line, as three numbers, and the time; behind them, the rest.
struct Stamped<'a> {
    numbers: [i16; 3],
    separator: char,
    time: Time,
    twelve_hours: bool,
    rest: &'a str,
}

/// Whether the text is such a chat: its first line has a date, and there is a sender in one of the first ten.
pub fn is_whatsapp(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().and_then(stamped);
    let Some(first) = first else { return false };
    sender(first.rest).is_some() || lines.take(9).filter_map(stamped).any(|line| sender(line.rest).is_some())
}

/// The messages. Those of the program itself have no sender and are left out: they say that others cannot read along.
pub fn whatsapp(text: &str, offset: Option<Offset>) -> Vec<Message> {
    let month_first = month_first(text);
    let mut messages: Vec<Message> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match stamped(line) {
            Some(line) => {
                open = false;
                if let Some((from, said)) = sender(line.rest) {
                    let time = line.at(month_first).and_then(|civil| time::at(civil, offset));
                    let text = said.trim_matches(MARKS).to_owned();
                    messages.push(Message { time, from: Some(from.to_owned()), text, ..Message::default() });
                    open = true;
                }
            }
            None => {
                if let Some(last) = messages.last_mut().filter(|_| open) {
                    last.text.push('\n');
                    last.text.push_str(line.trim_end());
                }
            }
        }
    }
    messages.iter_mut().for_each(|message| message.text = message.text.trim_end().to_owned());
    messages
}

fn month_first(text: &str) -> bool {
    let lines = || text.lines().filter_map(stamped);
    if lines().any(|line| line.numbers[0] > 12) {
        return false;
    }
    let is_slashed = lines().next().is_some_and(|line| line.separator == '/');
    lines().any(|line| line.numbers[1] > 12) || is_slashed && lines().any(|line| line.twelve_hours)
}

impl Stamped<'_> {
    fn at(&self, month_first: bool) -> Option<DateTime> {
        let [one, two, three] = self.numbers;
        let (year, month, day) = match () {
            () if one > 31 => (one, two, three),
            () if month_first => (three, one, two),
            () => (three, two, one),
        };
        let year = if year < 100 { 2000 + year } else { year };
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        Some(date.to_datetime(self.time))
    }
}

fn stamped(line: &str) -> Option<Stamped<'_>> {
    let line = line.trim_start_matches(MARKS);
    let (stamp, rest) = match line.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => line.split_once(" - ")?,
    };
    if stamp.len() > 40 {
        return None;
    }
    let (day, clock) = stamp.split_once(", ").or_else(|| stamp.split_once(' '))?;
    let separator = day.chars().find(|character| !character.is_ascii_digit())?;
    if !['/', '.', '-'].contains(&separator) {
        return None;
    }
    let numbers: Vec<i16> = day.split(separator).map(str::parse).collect::<Result<_, _>>().ok()?;
    let (time, twelve_hours) = clock_time(clock)?;
    Some(Stamped { numbers: numbers.try_into().ok()?, separator, time, twelve_hours, rest: rest.trim_start() })
}

/// `10:32`, `10:32:45`, `10:32 PM`, with any kind of space.
fn clock_time(text: &str) -> Option<(Time, bool)> {
    let text = text.trim().to_lowercase().replace(['\u{202f}', '\u{a0}', '.'], " ");
    let digits = text.split_whitespace().next()?;
    let half: String = text[digits.len()..].split_whitespace().collect();
    let parts: Vec<i8> = digits.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (*hour, *minute, 0),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return None,
    };
    let hour = match half.as_str() {
        "" => hour,
        "am" if (1..=12).contains(&hour) => hour % 12,
        "pm" if (1..=12).contains(&hour) => hour % 12 + 12,
        _ => return None,
    };
    Some((Time::new(hour, minute, second, 0).ok()?, !half.is_empty()))
}

fn sender(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.trim_start_matches(MARKS);
    let (from, said) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    let from = from.trim_matches(MARKS).trim();
    (!from.is_empty() && from.chars().count() <= 80).then_some((from, said))
}
