//! What deliveries say. Events are kept in the store as JSON until a vCon is made of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::import::Party;

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

#[cfg(test)]
mod tests {
    use super::super::party_called;
    use super::*;

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
