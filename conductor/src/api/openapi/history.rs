//! The schemas of calls and transcripts.

use serde_json::{Value, json};

/// A page of a list.
pub(super) fn page(name: &str, entry: &Value) -> Value {
    json!({
        "type": "object",
        "required": [name, "next_cursor"],
        "properties": {name: {"type": "array", "items": entry}, "next_cursor": {"type": ["string", "null"]}},
    })
}

/// A conversation in a few members.
pub(super) fn call() -> Value {
    let party = json!({
        "type": "object",
        "required": ["party"],
        "properties": {
            "party": {"type": "integer", "description": "Its place among the parties of the vCon"},
            "name": {"type": "string"}, "tel": {"type": "string"}, "mailto": {"type": "string"}, "role": {"type": "string"},
        },
    });
    json!({
        "type": "object",
        "required": ["uuid", "start", "duration", "direction", "from", "to", "tags", "recordings", "transcripts"],
        "properties": {
            "uuid": {"type": "string"},
            "start": {"type": ["string", "null"], "format": "date-time"},
            "duration": {"type": ["number", "null"], "description": "Seconds"},
            "direction": {"type": ["string", "null"], "description": "The tag `direction`"},
            "from": {"anyOf": [party, {"type": "null"}]},
            "to": {"type": "array", "items": party},
            "subject": {"type": ["string", "null"]},
            "disposition": {"type": ["string", "null"], "description": "Why a call did not come about"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "recordings": {"type": "array", "items": {"type": "integer"}, "description": "Dialogs that can be heard"},
            "transcripts": {"type": "integer"},
        },
    })
}

/// A transcript; in a list the turns are counted only.
pub(super) fn transcript() -> Value {
    let turn = json!({
        "type": "object",
        "required": ["text"],
        "properties": {
            "start": {"type": "number", "description": "Seconds from the beginning of the dialog"},
            "end": {"type": "number"}, "speaker": {"type": "string"}, "channel": {"type": "integer"},
            "party": {"type": "integer"}, "name": {"type": "string"}, "role": {"type": "string"},
            "confidence": {"type": "number"}, "text": {"type": "string"}, "words": {"type": "array"},
        },
    });
    json!({
        "type": "object",
        "required": ["dialogs", "language", "duration", "confidence", "turns"],
        "properties": {
            "analysis": {"type": "integer", "description": "Where in the vCon it is"},
            "attachment": {"type": "integer"},
            "dialogs": {"type": "array", "items": {"type": "integer"}},
            "language": {"type": ["string", "null"]},
            "duration": {"type": ["number", "null"]},
            "confidence": {"type": ["number", "null"], "description": "From 0 to 1"},
            "speakers": {"type": "array", "items": {"type": "string"}},
            "turns": {"anyOf": [{"type": "integer"}, {"type": "array", "items": turn}]},
            "text": {"type": "string"},
            "statistics": {"type": "object", "description": "As links.summary_stats writes them"},
        },
    })
}

/// A call with what was said.
pub(super) fn conversation(call: &Value, transcript: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["call", "transcripts"],
        "properties": {"call": call, "transcripts": {"type": "array", "items": transcript}},
    })
}
