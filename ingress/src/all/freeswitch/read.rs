//! What a call detail record says (FreeSWITCH's documentation, "mod_json_cdr").

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use vconductor_core::ingress::{
    Call, Channels, Delivery, Direction, Disposition, Event, Media, Phase, Recording, Refused, party_called, seconds,
    time,
};

/// How records are read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The variables that may hold the recording.
    pub(super) variables: Vec<String>,
    /// Whether values are URL-encoded.
    pub(super) encoded: bool,
}

/// The record in a body: JSON (`encode` = false), a form (true), or a form in base64 (base64).
pub(super) fn record(delivery: &Delivery) -> Result<Value, Refused> {
    let json = |bytes: &[u8]| {
        serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Refused::unreadable(format!("`cdr` is no JSON (line {line} column {column})"))
        })
    };
    match delivery.mediatype().as_str() {
        "application/x-www-form-urlencoded" => {
            let form = delivery.form()?;
            json(form.get("cdr").ok_or_else(|| Refused::unreadable("there is no `cdr` in the form"))?.as_bytes())
        }
        "application/x-www-form-base64-encoded" => {
            let text = delivery.body.strip_prefix(b"cdr=").unwrap_or(&delivery.body);
            let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            json(&STANDARD.decode(text).map_err(|_| Refused::unreadable("`cdr` is no base64"))?)
        }
        _ => delivery.json(),
    }
}

impl Reading {
    /// The events of a record.
    pub(super) fn events(&self, record: &Value) -> Result<Vec<Event>, Refused> {
        let variable = |name: &str| self.text(&record["variables"][name]);
        let profile = |name: &str| self.text(&record["callflow"][0]["caller_profile"][name]);
        let either = |name: &str| variable(name).or_else(|| profile(name));
        let id = either("uuid").ok_or_else(|| Refused::unreadable("there is no `variables.uuid`"))?;
        let mut from = either("caller_id_number").and_then(|number| party_called(&number));
        if let (Some(party), Some(name)) = (&mut from, either("caller_id_name"))
            && party.tel.as_deref() != Some(name.as_str())
        {
            party.name.get_or_insert(name);
        }
        let number = |name: &str| variable(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let answered = number("billsec") > 0.0 || number("answer_epoch") > 0.0 || number("answer_uepoch") > 0.0;
        let cause = variable("hangup_cause");
        let mut tags = BTreeMap::from([("call_uuid".to_owned(), id.clone())]);
        for name in ["hangup_cause", "accountcode", "user_context", "sip_user_agent", "call_uuid"] {
            if let Some(value) = variable(name) {
                tags.insert(name.to_owned(), value);
            }
        }
        let call = Call {
            phase: Some(Phase::Ended),
            from,
            to: either("destination_number").and_then(|number| party_called(&number)),
            direction: variable("direction").and_then(|word| Direction::said(&word)),
            start: ["start_uepoch", "start_epoch"].into_iter().find_map(|name| time(&variable(name)?)),
            duration: variable("duration").and_then(|text| seconds(&text)),
            disposition: cause.filter(|_| !answered).map(|cause| disposition(&cause)),
            tags,
            ..Call::new(id.as_str())
        };
        let Some(place) = self.recording(record).filter(|_| answered) else { return Ok(vec![Event::Call(call)]) };
        let stereo = variable("RECORD_STEREO").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let recording = Recording {
            id,
            media: Media { filename: place.rsplit('/').next().map(str::to_owned), url: place, ..Media::default() },
            start: call.start,
            duration: variable("record_seconds").and_then(|text| seconds(&text)),
            // What the channel itself said is in the first one.
            channels: if stereo { Channels::OwnLegFirst } else { Channels::Mixed },
            call,
        };
        Ok(vec![Event::Recording(recording)])
    }

    /// The file or URL of the recording.
    fn recording(&self, record: &Value) -> Option<String> {
        let variable = |name: &str| self.text(&record["variables"][name]);
        if let Some(place) = self.variables.iter().find_map(|name| variable(name)) {
            return Some(place);
        }
        if let (Some(folder), Some(name)) = (variable("record_path"), variable("record_name")) {
            return Some(format!("{}/{name}", folder.trim_end_matches('/')));
        }
        let applications = record["app_log"]["applications"].as_array()?;
        let recorded = applications.iter().rev().find(|one| one["app_name"] == "record_session")?;
        let data = self.text(&recorded["app_data"])?;
        // Settings may stand before the path.
        let path = data
            .trim_start()
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
            .map_or(data.as_str(), |(_, path)| path);
        Some(path.split_whitespace().next()?.to_owned())
    }

    /// A value as text, decoded where it was encoded.
    fn text(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let text = if self.encoded { decoded(&text) } else { text };
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

/// Percent-encoding alone: a plus sign is one, as numbers have it.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits =
            bytes.get(at + 1..at + 3).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .map(|digits| u8::from_str_radix(digits, 16))
        {
            Some(Ok(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// FreeSWITCH's hangup causes, of calls that were not answered.
fn disposition(cause: &str) -> Disposition {
    match cause {
        "USER_BUSY" => Disposition::Busy,
        "NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" | "PROGRESS_TIMEOUT" | "NORMAL_CLEARING" => {
            Disposition::NoAnswer
        }
        "ORIGINATOR_CANCEL" | "LOSE_RACE" => Disposition::HungUp,
        "NORMAL_CIRCUIT_CONGESTION" | "SWITCH_CONGESTION" => Disposition::Congestion,
        _ => Disposition::Failed,
    }
}
