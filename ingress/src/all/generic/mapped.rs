//! What the jq program answers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use vconductor_core::import::Party;
use vconductor_core::ingress::{
    Call, Channels, Conversation, Direction, Disposition, Event, Media, Message, Recording, Refused, party_called,
    seconds, time,
};

/// The longest id in bytes.
const LONGEST_ID: usize = 500;

/// One conversation, or something about one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapped {
    id: Option<Text>,
    from: Option<Text>,
    to: Option<OneOrMore>,
    direction: Option<String>,
    start: Option<Text>,
    duration: Option<Text>,
    call: Option<Text>,
    recording: Option<String>,
    channels: Option<Channels>,
    mediatype: Option<String>,
    filename: Option<String>,
    text: Option<Text>,
    application: Option<String>,
    disposition: Option<Disposition>,
    tags: Option<BTreeMap<String, Option<Text>>>,
    vcon: Option<Value>,
}

/// A text that may have been written as a number or truth value.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Text {
    Written(String),
    Number(serde_json::Number),
    Truth(bool),
}

impl Text {
    fn into_text(self) -> String {
        match self {
            Text::Written(text) => text,
            Text::Number(number) => number.to_string(),
            Text::Truth(truth) => truth.to_string(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Text),
    More(Vec<Text>),
}

impl Mapped {
    /// The event; `fallback` is its id when the program gives none.
    pub(super) fn event(self, fallback: String) -> Result<Event, Refused> {
        let given = self.id.map(Text::into_text).filter(|id| !id.trim().is_empty());
        let id = given.unwrap_or(fallback);
        if id.len() > LONGEST_ID {
            return Err(Refused::unreadable(format!("`id` has more than {LONGEST_ID} bytes")));
        }
        if let Some(vcon) = self.vcon {
            return Ok(Event::Conversation(Conversation { id, vcon }));
        }
        let call_id = self.call.map(Text::into_text).filter(|call| !call.is_empty() && call.len() <= LONGEST_ID);
        let party = |text: Text| party_called(&text.into_text());
        let mut to: Vec<Party> = match self.to {
            None => Vec::new(),
            Some(OneOrMore::One(one)) => party(one).into_iter().collect(),
            Some(OneOrMore::More(more)) => more.into_iter().take(100).filter_map(party).collect(),
        };
        let from = self.from.and_then(party);
        let start = match self.start.map(Text::into_text).filter(|text| !text.is_empty()) {
            Some(text) => Some(time(&text).ok_or_else(|| Refused::unreadable("`start` is no time"))?),
            None => None,
        };
        let tags = self.tags.into_iter().flatten().filter_map(|(name, value)| Some((name, value?.into_text())));
        let tags: BTreeMap<String, String> = tags.take(100).collect();
        if let Some(text) = self.text.filter(|_| self.recording.is_none()) {
            let message = Message {
                id,
                from: from.unwrap_or_default(),
                to,
                text: text.into_text(),
                sent: start,
                application: self.application,
                media: Vec::new(),
                tags,
            };
            return Ok(Event::Message(message));
        }
        let call = Call {
            from,
            to: if to.is_empty() { None } else { Some(to.swap_remove(0)) },
            direction: self.direction.as_deref().and_then(Direction::said),
            start,
            duration: self.duration.and_then(|text| seconds(&text.into_text())),
            disposition: self.disposition,
            tags,
            ..Call::new(call_id.clone().unwrap_or_else(|| id.clone()))
        };
        if let Some(url) = self.recording {
            let media = Media { url, id: None, mediatype: self.mediatype, filename: self.filename };
            let (start, duration, channels) = (call.start, call.duration, self.channels.unwrap_or_default());
            return Ok(Event::Recording(Recording { id, call, media, start, duration, channels }));
        }
        if call.disposition.is_none() && call_id.is_none() {
            return Err(Refused::unreadable(
                "what `map` answered has none of `recording`, `text`, `disposition`, `vcon` and `call`",
            ));
        }
        Ok(Event::Call(call))
    }
}
