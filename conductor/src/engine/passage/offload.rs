//! Media offload: before the storages, large bodies go to a storage that keeps media by hash, and the document says where
//! they are.
//!
//! The content is durable before the document changes, and under a name that is its hash: after a crash in between, the
//! run does it again, finds the content there, and nothing is kept twice. A document that was changed has no such body any
//! more. What the part said of its form stays true: `mediatype` and `filename` are untouched, `body` and `encoding` give
//! way to `url` and `content_hash` (draft-ietf-vcon-vcon-core, "Externally Referenced Files").

use std::time::{Duration, Instant};

use bytes::Bytes;
use vconductor_core::audio::content_hash;
use vconductor_core::document::{Edit, Json, Kind};
use vconductor_core::error::{Error, Result};
use vconductor_core::failpoint;
use vconductor_core::layers::timeout::with_timeout;
use vconductor_core::plugin::{Media, Requested};
use vconductor_core::store::{End, storage_dead_letter_queue};
use vconductor_core::vcon::{Body, Entry, Form, Vcon};

use super::{Ending, Passage};
use crate::engine::chain::Offload;

/// How long one upload may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A body that is large.
struct Large {
    /// The part: `/dialog/0`.
    pointer: String,
    media: Media,
    /// The media type that the part does not say itself.
    implied: Option<&'static str>,
    encoded: bool,
}

impl Passage {
    /// Takes large bodies out of the document; `Err` ends the passage, which waits for the storage as for any other.
    pub(super) async fn offload(&mut self) -> Result<(), Ending> {
        let chain = std::sync::Arc::clone(&self.chain);
        let Some(offload) = &chain.offload else { return Ok(()) };
        let found = large(&self.vcon, offload.over);
        if found.is_empty() {
            return Ok(());
        }
        self.shared.lease.held().await;
        let (followed, began) = (self.followed.clone(), Instant::now());
        let limit = LIMIT.saturating_mul(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let name = format!("media:{}", offload.storage.name);
        let seen = followed.as_ref().map(|seen| seen.begin(name, 1, Some(limit), self.shared.clock.now()));
        let taken_out = self.take_out(offload, &found).await;
        if let Some(seen) = seen {
            seen.storage(&taken_out, began.elapsed());
        }
        match taken_out {
            Ok(()) => {
                failpoint::hit("after-offload");
                Ok(())
            }
            Err(error) => Err(self.offload_failed(offload, &error)),
        }
    }

    async fn take_out(&mut self, offload: &Offload, found: &[Large]) -> Result<()> {
        let store = offload.storage.writer.storage().media().ok_or_else(|| {
            Error::configuration(format!("storage `{}` keeps no media", offload.storage.name))
                .help("name a storage such as storage.s3 in section `media`")
        })?;
        let mut requested = Requested::default();
        for large in found {
            let url = with_timeout(LIMIT, &offload.storage.name, store.keep(&large.media)).await?;
            requested.edits.extend(large.edits(&url));
        }
        self.apply(&requested)
    }

    fn offload_failed(&mut self, offload: &Offload, error: &Error) -> Ending {
        let name = &offload.storage.name;
        tracing::warn!(uuid = %self.uuid, storage = %name, error = %error.chain_text(), "media cannot be taken out");
        let attempt = self.book.open().storage_attempts + 1;
        let ending = self.failed(name, error, attempt, &offload.storage.retry, storage_dead_letter_queue(name));
        let again = matches!(&ending, Ending::Otherwise(End::Retry { .. }, _));
        self.book.open().storage_attempts = if again { attempt } else { 0 };
        self.ledger_unsaved = true;
        ending
    }
}

/// Bodies of dialogs and attachments that have more than `over` bytes. Signed and encrypted vCons are never rewritten.
fn large(vcon: &Vcon, over: u64) -> Vec<Large> {
    if vcon.form() != Form::Unsigned {
        return Vec::new();
    }
    let dialogs = vcon.dialogs().map(|dialog| (format!("/dialog/{}", dialog.index()), dialog.entry().clone()));
    let attachments = vcon.attachments().map(|part| (format!("/attachments/{}", part.index()), part.entry().clone()));
    dialogs.chain(attachments).filter_map(|(pointer, entry)| Large::of(pointer, &entry, over)).collect()
}

impl Large {
    fn of(pointer: String, entry: &Entry<'_>, over: u64) -> Option<Large> {
        let body = entry.get("body")?;
        let is_more = |length: usize| u64::try_from(length).unwrap_or(u64::MAX) > over;
        // A part that has a URL as well says where its content is already.
        if !is_more(body.text().len()) || entry.get("url").is_some_and(|url| !url.is_null()) {
            return None;
        }
        // What should be base64 and is not stays as it is.
        let (content, implied) = match entry.body().ok()? {
            Body::None => return None,
            Body::Bytes(bytes) => (Bytes::from(bytes), None),
            Body::Text(text) => (Bytes::from(text.into_owned()), Some("text/plain")),
            Body::Json(_) if body.kind() == Kind::String => {
                (Bytes::from(body.as_str()?.into_owned()), Some("application/json"))
            }
            Body::Json(_) => (Bytes::from(body.text().into_owned()), Some("application/json")),
        };
        if !is_more(content.len()) {
            return None;
        }
        let said = entry.text("mediatype").map(std::borrow::Cow::into_owned);
        let implied = implied.filter(|_| said.is_none());
        let mediatype = said.or_else(|| implied.map(str::to_owned));
        let media = Media { hash: content_hash(&content), content, mediatype };
        Some(Large { pointer, media, implied, encoded: entry.get("encoding").is_some() })
    }

    fn edits(&self, url: &str) -> Vec<Edit> {
        let at = |name: &str| format!("{}/{name}", self.pointer);
        let mut edits = vec![Edit::remove(at("body"))];
        if self.encoded {
            edits.push(Edit::remove(at("encoding")));
        }
        if let Some(mediatype) = self.implied {
            edits.push(Edit::set(at("mediatype"), Json::string(mediatype)));
        }
        edits.push(Edit::set(at("url"), Json::string(url)));
        edits.push(Edit::set(at("content_hash"), Json::string(&self.media.hash)));
        edits
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn taken_out(vcon: &Value, over: u64) -> (Vec<Media>, Value) {
        let mut vcon = Vcon::read(vcon.to_string()).unwrap();
        let found = large(&vcon, over);
        for edit in found.iter().flat_map(|large| large.edits("https://m/x")) {
            assert!(vcon.apply(&edit).unwrap());
        }
        (found.into_iter().map(|large| large.media).collect(), serde_json::from_slice(&vcon.to_bytes()).unwrap())
    }

    #[test]
    fn each_encoding_gives_the_content_itself() {
        let text = "x".repeat(20);
        let (media, vcon) = taken_out(
            &json!({"uuid": "u", "dialog": [
                {"type": "recording", "mediatype": "audio/x-wav", "encoding": "base64url", "body": "AAECAwQFBgcICQoLDA0ODw"},
                {"type": "text", "encoding": "none", "body": text},
                {"type": "text", "encoding": "none", "body": "short"},
                {"type": "text", "url": "https://there", "body": text}],
                "attachments": [{"purpose": "note", "encoding": "json", "body": "{\"a\": [1, 2, 3, 4]}"},
                    {"purpose": "raw", "body": {"a": [1, 2, 3, 4, 5]}}]}),
            15,
        );
        let contents: Vec<&[u8]> = media.iter().map(|media| media.content.as_ref()).collect();
        let expected: [&[u8]; 4] =
            [&(0..16).collect::<Vec<u8>>(), text.as_bytes(), b"{\"a\": [1, 2, 3, 4]}", b"{\"a\":[1,2,3,4,5]}"];
        assert_eq!(contents, expected);
        assert_eq!(
            vcon["dialog"][0],
            json!({"type": "recording", "mediatype": "audio/x-wav", "url": "https://m/x",
                "content_hash": content_hash(expected[0])})
        );
        assert_eq!(vcon["dialog"][1]["mediatype"], "text/plain");
        assert_eq!(vcon["dialog"][3]["body"], text.as_str());
        assert_eq!(
            (&vcon["dialog"][2]["body"], &vcon["attachments"][1]["mediatype"]),
            (&json!("short"), &json!("application/json"))
        );
        // Nothing is left to do.
        assert!(taken_out(&vcon, 15).0.is_empty());
    }

    #[test]
    fn what_is_signed_or_unreadable_is_left_alone() {
        let text = "x".repeat(20);
        for vcon in [
            json!({"payload": text, "signatures": [{}]}),
            json!({"uuid": "u", "dialog": [{"encoding": "base64url", "body": "no base64 at all!!!"}]}),
            json!({"uuid": "u", "analysis": [{"encoding": "none", "body": text}]}),
        ] {
            assert!(taken_out(&vcon, 5).0.is_empty(), "{vcon}");
        }
    }
}
