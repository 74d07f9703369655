mod chats;
mod files;
mod mails;

use serde_json::Value;

use super::{Made, Options};

/// The made vCon as a value, after what every one of them must keep.
fn vcon(made: &Made) -> Value {
    let vcon: Value = serde_json::from_slice(&made.text).unwrap();
    assert_eq!(vcon["uuid"], made.uuid.as_str());
    assert_eq!(&made.uuid[14..15], "8");
    let parties = vcon["parties"].as_array().unwrap().len();
    let dialogs = vcon["dialog"].as_array().unwrap();
    for dialog in dialogs {
        assert!(crate::vcon::Date::parse(dialog["start"].as_str().unwrap()).is_some(), "{dialog}");
        for index in dialog["parties"].as_array().into_iter().flatten() {
            assert!(index.as_u64().unwrap() < parties as u64, "{dialog}");
        }
        if dialog.get("body").is_some() {
            assert!(dialog["encoding"].is_string() && dialog["mediatype"].is_string(), "{dialog}");
        }
    }
    for attachment in vcon["attachments"].as_array().unwrap() {
        assert!(attachment["party"].as_u64().unwrap() < parties as u64);
        assert!(attachment["dialog"].as_u64().unwrap() < dialogs.len() as u64);
        assert!(attachment["start"].is_string() && attachment["mediatype"].is_string());
    }
    vcon
}

/// Each dialog as its parties and text.
fn said(vcon: &Value) -> Vec<String> {
    let dialogs = vcon["dialog"].as_array().unwrap();
    dialogs.iter().map(|dialog| format!("{} {}", dialog["parties"], dialog["body"].as_str().unwrap())).collect()
}

fn options() -> Options {
    Options { start: Some("2026-03-01T10:00:00Z".parse().unwrap()), ..Options::default() }
}
