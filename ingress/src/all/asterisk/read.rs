//! What records and events say (Asterisk's documentation, "CDR variables" and "ARI: events").

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::Value;
use vconductor_core::import::Party;
use vconductor_core::ingress::{
    Call, Channels, Direction, Disposition, Event, Media, Phase, Recording, Refused, party_called, seconds, time,
};

/// How records are read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The columns that may hold the recording.
    pub(super) columns: Vec<String>,
    /// The offset of times that are written without one.
    pub(super) offset: Offset,
}

/// `+02:00`, `-0330`, or nothing for UTC.
pub(super) fn offset(text: &str) -> Option<Offset> {
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("utc") || text == "Z" {
        return Some(Offset::UTC);
    }
    let sign = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|letter| *letter != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours <= 14 && minutes < 60).then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()).flatten()
}

impl Reading {
    /// The events of a body.
    pub(super) fn events(&self, body: &Value) -> Result<Vec<Event>, Refused> {
        if let Some(kind) = body["type"].as_str() {
            return Ok(event(kind, body)?.into_iter().collect());
        }
        Ok(vec![self.record(body)?])
    }

    fn record(&self, record: &Value) -> Result<Event, Refused> {
        let id =
            column(record, "uniqueid").ok_or_else(|| Refused::unreadable("there is neither `type` nor `uniqueid`"))?;
        let answered = column(record, "disposition").is_some_and(|word| word.eq_ignore_ascii_case("ANSWERED"));
        let disposition = column(record, "disposition").filter(|_| !answered).map(|word| disposition(&word));
        let mut tags = BTreeMap::from([("uniqueid".to_owned(), id.clone())]);
        for name in ["linkedid", "accountcode", "dcontext", "lastapp"] {
            if let Some(value) = column(record, name) {
                tags.insert(name.to_owned(), value);
            }
        }
        let call = Call {
            phase: Some(Phase::Ended),
            from: caller(column(record, "src"), column(record, "clid")),
            to: column(record, "dst").and_then(|number| party_called(&number)),
            direction: column(record, "direction").and_then(|word| Direction::said(&word)),
            start: column(record, "start").and_then(|text| self.time(&text)),
            duration: column(record, "duration").and_then(|text| seconds(&text)),
            disposition,
            tags,
            ..Call::new(id.as_str())
        };
        let place = self.columns.iter().find_map(|name| column(record, name)).filter(|_| answered);
        let Some(place) = place else { return Ok(Event::Call(call)) };
        Ok(Event::Recording(Recording {
            id,
            media: Media { filename: place.rsplit('/').next().map(str::to_owned), url: place, ..Media::default() },
            start: column(record, "answer").and_then(|text| self.time(&text)),
            duration: column(record, "billsec").and_then(|text| seconds(&text)),
            channels: Channels::Mixed,
            call,
        }))
    }

    /// A time in Asterisk's spelling has no offset; any other one is understood, too.
    fn time(&self, text: &str) -> Option<Timestamp> {
        let plain = DateTime::strptime("%Y-%m-%d %H:%M:%S", text.trim()).ok();
        match plain {
            Some(plain) => self.offset.to_timestamp(plain).ok(),
            None => time(text),
        }
    }
}

fn column(record: &Value, name: &str) -> Option<String> {
    let text = match &record[name] {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// `"Ann Lee" <1001>` is a name and a number.
fn caller(number: Option<String>, identity: Option<String>) -> Option<Party> {
    let identity = identity.unwrap_or_default();
    let (name, inside) = match identity.rsplit_once('<') {
        Some((name, rest)) => (name.trim().trim_matches('"').trim(), rest.trim_end_matches('>').trim()),
        None => ("", ""),
    };
    let number = number.filter(|number| !number.is_empty()).unwrap_or_else(|| inside.to_owned());
    let mut party = party_called(&number);
    if !name.is_empty() && name != number {
        party.get_or_insert_with(Party::default).name.get_or_insert_with(|| name.to_owned());
    }
    party
}

fn disposition(word: &str) -> Disposition {
    match word.to_ascii_uppercase().as_str() {
        "NO ANSWER" => Disposition::NoAnswer,
        "BUSY" => Disposition::Busy,
        "CONGESTION" => Disposition::Congestion,
        _ => Disposition::Failed,
    }
}

fn event(kind: &str, body: &Value) -> Result<Option<Event>, Refused> {
    let text = |value: &Value, name: &str| value[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    match kind {
        "RecordingFinished" => {
            let about = &body["recording"];
            let name = text(about, "name").ok_or_else(|| Refused::unreadable("there is no `recording.name`"))?;
            let target = text(about, "target_uri").unwrap_or_default();
            // A bridge has no parties of its own; its recording is told by its name alone.
            let id = target.strip_prefix("channel:").unwrap_or(&name).to_owned();
            let ending = text(about, "format").unwrap_or_else(|| "wav".to_owned());
            let last = name.rsplit('/').next().unwrap_or(&name).to_owned();
            let call = Call { tags: BTreeMap::from([("recording".to_owned(), name.clone())]), ..Call::new(id) };
            let ended = text(body, "timestamp").as_deref().and_then(time);
            let duration = about["duration"].as_f64().filter(|length| *length >= 0.0);
            let length = duration.and_then(|length| jiff::SignedDuration::try_from_secs_f64(length).ok());
            Ok(Some(Event::Recording(Recording {
                id: name.clone(),
                media: Media { id: Some(name), filename: Some(format!("{last}.{ending}")), ..Media::default() },
                start: ended.zip(length).and_then(|(ended, length)| ended.checked_sub(length).ok()),
                duration,
                channels: Channels::Mixed,
                call,
            })))
        }
        "ChannelCreated" | "StasisStart" | "ChannelStateChange" => {
            let mut call = channel(&body["channel"]);
            if call.id.is_empty() {
                return Err(Refused::unreadable("there is no `channel.id`"));
            }
            call.phase = Some(if kind == "ChannelStateChange" { Phase::Answered } else { Phase::Begun });
            Ok(Some(Event::Call(call)))
        }
        _ => Ok(None),
    }
}

/// A channel of ARI.
pub(super) fn channel(channel: &Value) -> Call {
    let text = |value: &Value, name: &str| value[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut from = text(&channel["caller"], "number").and_then(|number| party_called(&number));
    if let (Some(party), Some(name)) = (&mut from, text(&channel["caller"], "name")) {
        party.name.get_or_insert(name);
    }
    let called = text(&channel["dialplan"], "exten").filter(|extension| extension != "s" && extension != "h");
    let called = called.or_else(|| text(&channel["connected"], "number"));
    Call {
        from,
        to: called.and_then(|number| party_called(&number)),
        start: text(channel, "creationtime").as_deref().and_then(time),
        ..Call::new(text(channel, "id").unwrap_or_default())
    }
}
