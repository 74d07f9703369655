//! Slack, `chat.postMessage`.
//!
//! * request, answers, errors: <https://docs.slack.dev/reference/methods/chat.postMessage>
//! * blocks: <https://docs.slack.dev/reference/block-kit/blocks/section-block>
//! * limits: <https://docs.slack.dev/apis/web-api/rate-limits>

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{Answer, Api, Call, Refusal, only_members};

/// The server, under `/api`.
pub struct Slack {
    token: String,
    channels: Vec<String>,
    posted: Posted,
}

/// The messages that were posted, in their order. Clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Posted(Arc<Mutex<Vec<Value>>>);

impl Posted {
    /// All of them, as they were sent.
    pub fn all(&self) -> Vec<Value> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slack {
    /// It lets this token in and has these channels.
    pub fn new(token: &str, channels: &[&str]) -> Self {
        let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
        Slack { token: token.to_owned(), channels, posted: Posted::default() }
    }

    /// What is posted to it.
    pub fn posted(&self) -> Posted {
        self.posted.clone()
    }
}

/// Slack says in a 200 what is wrong.
fn wrong(word: &str) -> Result<Answer, Refusal> {
    Ok(Answer::json(200, &json!({"ok": false, "error": word})))
}

impl Api for Slack {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        call.is_post_to("/api/chat.postMessage")?;
        call.has_only_parameters(&[])?;
        if call.is_authorised("Bearer", std::slice::from_ref(&self.token)).is_err() {
            return wrong("invalid_auth");
        }
        if call.header("content-type") != "application/json; charset=utf-8" {
            return wrong("missing_charset");
        }
        let body = call.json()?;
        only_members(&body, &["channel", "text", "blocks", "thread_ts"])?;
        let channel = body["channel"].as_str().unwrap_or_default().to_owned();
        if !self.channels.contains(&channel) {
            return wrong("channel_not_found");
        }
        if body["text"].as_str().is_none_or(str::is_empty) {
            return wrong("no_text");
        }
        if !are_blocks(&body["blocks"]) {
            return wrong("invalid_blocks");
        }
        let mut posted = self.posted.lock();
        let earlier =
            |thread: &Value| thread.as_str().and_then(|text| text.split('.').next_back()?.parse::<usize>().ok());
        if let Some(thread) = body.get("thread_ts")
            && !earlier(thread).and_then(|number| posted.get(number)).is_some_and(|first| first["channel"] == *channel)
        {
            return wrong("cannot_reply_to_message");
        }
        let timestamp = format!("1767225600.{:06}", posted.len());
        posted.push(body.clone());
        let message = json!({"type": "message", "text": body["text"], "ts": timestamp});
        Ok(Answer::json(200, &json!({"ok": true, "channel": "C123", "ts": timestamp, "message": message})))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let word = match refusal.status {
            429 => "ratelimited",
            500.. => "internal_error",
            _ => "invalid_arguments",
        };
        Answer::json(refusal.status, &json!({"ok": false, "error": word, "detail": refusal.message}))
    }
}

/// At most 50 sections, each with a text of 1 to 3000 characters and perhaps a button.
fn are_blocks(blocks: &Value) -> bool {
    let Some(blocks) = blocks.as_array().filter(|blocks| !blocks.is_empty() && blocks.len() <= 50) else {
        return false;
    };
    blocks.iter().all(|block| {
        let length = block["text"]["text"].as_str().map_or(0, |text| text.chars().count());
        let accessory = block.get("accessory").is_none_or(|button| {
            let url = button["url"].as_str().unwrap_or_default();
            button["type"] == "button" && button["text"]["type"] == "plain_text" && !url.is_empty() && url.len() <= 3000
        });
        only_members(block, &["type", "text", "accessory"]).is_ok()
            && block["type"] == "section"
            && block["text"]["type"] == "mrkdwn"
            && (1..=3000).contains(&length)
            && accessory
    })
}
