//! What deliveries say. Events are kept in the store as JSON until a vCon is made of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::import::Party;
use crate::vcon::Date;

/// One thing that a delivery tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something is known of a call. It is kept for the recording that comes later, and makes a vCon by itself only when
    /// the call did not come about ([`Call::disposition`]).
    Call(Call),
    /// A recording that is to be fetched.
    Recording(Recording),
    /// A message.
    Message(Message),
    /// A conversation that the sender describes completely.
    Conversation(Conversation),
    /// A file that is a vCon or a recording.
    File(File),
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It rings, or is about to.
    Begun,
    /// Somebody has taken it.
    Answered,
    /// It is over.
    Ended,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Phase; 3] = [Phase::Begun, Phase::Answered, Phase::Ended];

    /// The phase's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Begun => "begun",
            Phase::Answered => "answered",
            Phase::Ended => "ended",
        }
    }
}

/// Which way something goes, seen from the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the account.
    Inbound,
    /// From the account.
    Outbound,
}

impl Direction {
    /// The direction's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }

    /// The direction that a word begins with: `inbound`, `outbound-api`, `incoming`, `outgoing`.
    pub fn said(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        match word.as_str() {
            _ if word.starts_with("in") => Some(Direction::Inbound),
            _ if word.starts_with("out") => Some(Direction::Outbound),
            _ => None,
        }
    }
}

/// Why a call did not come about: the words of the vCon draft for dialogs of type `incomplete` (core-04, section 4.3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// Nobody took it.
    NoAnswer,
    /// The network was full.
    Congestion,
    /// It could not be made.
    Failed,
    /// The called party was busy.
    Busy,
    /// The caller gave up before.
    HungUp,
    /// The voice mail answered and nothing was said.
    VoicemailNoMessage,
}

impl Disposition {
    /// The draft's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Disposition::NoAnswer => "no-answer",
            Disposition::Congestion => "congestion",
            Disposition::Failed => "failed",
            Disposition::Busy => "busy",
            Disposition::HungUp => "hung-up",
            Disposition::VoicemailNoMessage => "voicemail-no-message",
        }
    }
}

/// What is known of a call. What an event does not say is left out and may come with another one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// The vendor's id of the call: events with one id are of one call.
    pub id: String,
    /// Where it is; `None` where that is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Who called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Party>,
    /// Who was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Party>,
    /// Which way it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// How long it took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Why it did not come about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<Disposition>,
    /// What else is to be found by: names and values of tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Call {
    /// A call of which nothing is known yet.
    pub fn new(id: impl Into<String>) -> Self {
        Call { id: id.into(), ..Call::default() }
    }

    /// Fills in what is missing from what another event said. What is known already stays.
    pub fn fill(&mut self, other: Call) {
        fill(&mut self.from, other.from);
        fill(&mut self.to, other.to);
        fill(&mut self.direction, other.direction);
        fill(&mut self.start, other.start);
        fill(&mut self.duration, other.duration);
        fill(&mut self.disposition, other.disposition);
        self.phase = self.phase.max(other.phase);
        for (name, value) in other.tags {
            self.tags.entry(name).or_insert(value);
        }
    }

    /// Whether it is known who spoke with whom.
    pub fn has_parties(&self) -> bool {
        self.from.is_some() && self.to.is_some()
    }
}

fn fill<T>(known: &mut Option<T>, other: Option<T>) {
    if known.is_none() {
        *known = other;
    }
}

/// What the channels of a recording hold. It counts only where the recording has as many as that says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// All parties together.
    #[default]
    Mixed,
    /// The caller is in the first, who was called in the second.
    CallerFirst,
    /// Who was called is in the first, the caller in the second.
    CalledFirst,
    /// The party at the other end of the account's own line is in the first: of an inbound call the caller, of an outbound
    /// one who was called.
    OwnLegFirst,
}

/// Where the bytes of a recording, or of a picture in a message, are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Media {
    /// Where: a URL, a path, or what else the adapter knows to fetch it by.
    pub url: String,
    /// The vendor's id of it, where it can be asked for anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The media type that the vendor names; what is found in the bytes counts more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mediatype: Option<String>,
    /// The name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// A recording that is to be fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The vendor's id: recordings with one id are one.
    pub id: String,
    /// The call, with what is known of it.
    pub call: Call,
    /// Where its bytes are.
    pub media: Media,
    /// When it began; else the call's start counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// How long it is in seconds; what is found in the bytes counts more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// What its channels hold.
    #[serde(default)]
    pub channels: Channels,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The vendor's id: messages with one id are one.
    pub id: String,
    /// Who sent it.
    pub from: Party,
    /// Who got it.
    pub to: Vec<Party>,
    /// Its text; may be empty where media come with it.
    pub text: String,
    /// When it was sent; else when it came here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Timestamp>,
    /// What it was sent with: `sms`, `mms`, `whatsapp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// What came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    /// Names and values of tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A conversation that the sender describes as a vCon, except perhaps for its uuid and what must be fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The sender's id: conversations with one id are one.
    pub id: String,
    /// The vCon. Dialogs with a `url` and no `content_hash` get their content.
    pub vcon: Value,
}

/// A file that is a vCon, which is taken as it is, or a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// What makes it this file.
    pub id: String,
    /// Where it is.
    pub media: Media,
    /// What its name tells of a recorded call.
    pub call: Call,
    /// When it was last changed: for want of a better one, the recording's start.
    pub modified: Timestamp,
}

impl Event {
    /// What makes it the same event when it comes again. Ids of different kinds never meet.
    pub fn key(&self) -> String {
        match self {
            Event::Call(call) => {
                let phase = call.phase.map_or("", Phase::as_str);
                format!("call {phase} {}", call.id)
            }
            Event::Recording(recording) => format!("recording {}", recording.id),
            Event::Message(message) => format!("message {}", message.id),
            Event::Conversation(conversation) => format!("conversation {}", conversation.id),
            Event::File(file) => format!("file {}", file.id),
        }
    }
}

/// A party as vendors write it: a number, `sip:` and an address, `client:` and a name, or a word for nobody.
pub fn party_called(text: &str) -> Option<Party> {
    let text = text.trim();
    let (kind, rest) = text.split_once(':').unwrap_or(("", text));
    match kind {
        "" | "tel" if is_nobody(rest) => None,
        // Messaging channels write `whatsapp:+15550100`.
        "whatsapp" | "messenger" | "rcs" => party_called(rest),
        "client" | "agent" | "worker" if !rest.is_empty() => Some(Party::named(rest)),
        "sips" => Some(Party { sip: Some(rest.to_owned()), ..Party::default() }),
        // Short codes and extensions have fewer digits than a party that is called by number anywhere else.
        "" | "tel" if rest.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Party { tel: Some(rest.to_owned()), ..Party::default() })
        }
        // What stands behind the address is about the call, not about who it is.
        "sip" => Some(Party { sip: Some(rest.split([';', '?']).next().unwrap_or(rest).to_owned()), ..Party::default() }),
        _ => Some(Party::called(text)),
    }
}

/// Words that stand in place of a number that is withheld; Twilio also spells some of them as digits.
fn is_nobody(text: &str) -> bool {
    const WORDS: [&str; 6] = ["anonymous", "restricted", "unavailable", "unknown", "private", "withheld"];
    const SPELLED: [&str; 5] = ["+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"];
    text.is_empty() || WORDS.contains(&text.to_ascii_lowercase().as_str()) || SPELLED.contains(&text)
}

/// A time as vendors write it: RFC 3339, RFC 2822, or seconds, milliseconds or microseconds since the Unix epoch.
pub fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() >= 9 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let (whole, _) = text.split_once('.').unwrap_or((text, ""));
        let number: i64 = whole.parse().ok().filter(|number| *number > 0)?;
        return match whole.len() {
            9..=11 => Timestamp::from_second(number).ok(),
            12..=14 => Timestamp::from_millisecond(number).ok(),
            15..=17 => Timestamp::from_microsecond(number).ok(),
            _ => None,
        };
    }
    Some(Date::parse(text)?.timestamp())
}

/// A number of seconds as vendors write it: `13`, `13.67`, or ISO 8601 (`PT1M13.67S`); never negative.
pub fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let total = match text.strip_prefix("PT") {
        None => text.parse::<f64>().ok()?,
        Some(mut rest) => {
            let mut total = 0.0;
            while !rest.is_empty() {
                let end = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))?;
                let number: f64 = rest[..end].parse().ok()?;
                total += number
                    * match rest.as_bytes()[end] {
                        b'H' => 3600.0,
                        b'M' => 60.0,
                        b'S' => 1.0,
                        _ => return None,
                    };
                rest = rest.get(end + 1..)?;
            }
            total
        }
    };
    (total.is_finite() && total >= 0.0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_called_as_vendors_call_them() {
        let tel = |number: &str| Some(Party { tel: Some(number.to_owned()), ..Party::default() });
        let sip = |address: &str| Some(Party { sip: Some(address.to_owned()), ..Party::default() });
        for (text, party) in [
            ("+14158675309", tel("+14158675309")),
            ("tel:+14158675309", tel("+14158675309")),
            ("whatsapp:+14158675309", tel("+14158675309")),
            ("1001", tel("1001")),
            ("32665", tel("32665")),
            ("sip:ann@example.com;transport=tls", sip("ann@example.com")),
            ("sips:ann@example.com", sip("ann@example.com")),
            ("client:ann", Some(Party::named("ann"))),
            ("Ann Lee", Some(Party::named("Ann Lee"))),
            ("", None),
            ("Anonymous", None),
            ("+266696687", None),
        ] {
            assert_eq!(party_called(text), party, "{text}");
        }
    }

    #[test]
    fn times_and_lengths_are_read_in_every_spelling() {
        let at = |text: &str| time(text).map(|time| time.to_string());
        for text in [
            "2026-07-14T09:00:00Z",
            "Tue, 14 Jul 2026 09:00:00 +0000",
            "Tue, 14 Jul 2026 11:00:00 +0200",
            "1784019600",
            "1784019600.0",
            "1784019600000",
            "1784019600000000",
            "2026-07-14 09:00:00",
        ] {
            assert_eq!(at(text).as_deref(), Some("2026-07-14T09:00:00Z"), "{text}");
        }
        for wrong in ["", "0", "000000000", "yesterday", "12345", "99999999999999999999", "9.9.9.9.9.9"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        for (text, expected) in
            [("13", Some(13.0)), ("PT13.67S", Some(13.67)), ("PT1H2M3S", Some(3723.0)), ("0", Some(0.0)), ("PT", Some(0.0))]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for wrong in ["", "-1", "NaN", "inf", "PT1", "PTS", "PT1X", "P1D", "PT1é"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_known_stays_and_what_is_missing_is_filled_in() {
        let mut call = Call { from: party_called("+1555010001"), phase: Some(Phase::Ended), ..Call::new("c") };
        call.fill(Call {
            from: party_called("+1555010009"),
            to: party_called("+1555010002"),
            phase: Some(Phase::Begun),
            tags: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
            ..Call::new("c")
        });
        assert_eq!(call.from, party_called("+1555010001"));
        assert!(call.has_parties() && call.phase == Some(Phase::Ended) && call.tags["a"] == "1");
        let event = Event::Call(call);
        assert_eq!(serde_json::from_str::<Event>(&serde_json::to_string(&event).unwrap()).unwrap(), event);
        assert_eq!(event.key(), "call ended c");
    }
}
