//! The media of a bundle inside its vCons: outside of the bundle nobody would find them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::bundle::BundledFile;
use crate::Result;
use crate::vcon::{Entry, Form, Vcon};

/// The vCon with each file of which it gives the hash and a URL as inline content (core-04, section 2.4): `body` for `url`,
/// which stays in `meta.original`. A signed or encrypted one, and one that refers to none of the files, stays byte for byte
/// as it is; so does what is no vCon, for its reader to refuse.
pub(super) fn with_media(text: Bytes, files: &[BundledFile]) -> Result<Bytes> {
    let Some(mut vcon) = Vcon::read(text.clone()).ok().filter(|vcon| vcon.form() == Form::Unsigned) else {
        return Ok(text);
    };
    let mut wanted: Vec<(String, &BundledFile, Option<Value>)> = Vec::new();
    let mut look = |pointer: String, entry: &Entry<'_>| {
        let has_content = entry.get("body").is_some_and(|body| body.as_str().as_deref() != Some(""));
        if has_content || entry.get("url").is_none() {
            return;
        }
        let hashes = entry.content_hashes();
        if let Some(file) = files.iter().find(|file| hashes.iter().any(|hash| hash == file.content_hash())) {
            wanted.push((pointer, file, entry.get("meta").map(|meta| meta.to_value())));
        }
    };
    for dialog in vcon.dialogs() {
        look(format!("/dialog/{}", dialog.index()), dialog.entry());
    }
    for analysis in vcon.analyses() {
        look(format!("/analysis/{}", analysis.index()), analysis.entry());
    }
    for attachment in vcon.attachments() {
        look(format!("/attachments/{}", attachment.index()), attachment.entry());
    }
    if wanted.is_empty() {
        return Ok(text);
    }
    for (pointer, file, meta) in wanted {
        put(&mut vcon, &pointer, file, meta)?;
    }
    Ok(vcon.to_bytes())
}

fn put(vcon: &mut Vcon, pointer: &str, file: &BundledFile, meta: Option<Value>) -> Result<()> {
    use crate::document::Edit;
    let at = |member: &str| format!("{pointer}/{member}");
    let url = vcon.document().get(&at("url")).map(|url| url.to_value());
    match meta {
        None => vcon.apply(&Edit::set(at("meta"), json!({"original": {"url": url}})))?,
        Some(meta) if meta.is_object() && meta.get("original").is_none() => {
            vcon.apply(&Edit::set(at("meta/original"), json!({"url": url})))?
        }
        Some(meta)
            if meta.get("original").is_some_and(|original| original.is_object() && original.get("url").is_none()) =>
        {
            vcon.apply(&Edit::set(at("meta/original/url"), json!(url)))?
        }
        // Somebody else's `meta`: left alone.
        Some(_) => false,
    };
    if vcon.document().get(&at("mediatype")).is_none() {
        let mediatype = crate::media::probe(&file.bytes).map_or("application/octet-stream", |media| media.mediatype);
        vcon.apply(&Edit::set(at("mediatype"), json!(mediatype)))?;
    }
    vcon.apply(&Edit::remove(at("url")))?;
    vcon.apply(&Edit::set(at("body"), json!(URL_SAFE_NO_PAD.encode(&file.bytes))))?;
    vcon.apply(&Edit::set(at("encoding"), json!("base64url")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::content_hash;
    use crate::format::{Limits, read};
    use crate::validate::{Mode, Validator};

    fn inlined(dialog: &Value) -> Value {
        let file =
            BundledFile { name: format!("files/{}.bin", content_hash(b"sound")), bytes: Bytes::from_static(b"sound") };
        let vcon = json!({"uuid": "x", "dialog": [dialog]}).to_string();
        let text = with_media(vcon.clone().into(), &[file]).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(text == vcon, value["dialog"][0] == *dialog, "what stays is byte-equal");
        value["dialog"][0].clone()
    }

    #[test]
    fn the_media_of_a_bundle_come_into_its_vcon() {
        let bundle = "../tests/fixtures/vcon/valid/synthetic-container/bundle.vconz";
        let vcon = read(std::fs::read(bundle).unwrap(), &Limits::default()).unwrap();
        let dialog = vcon.document().get("/dialog/0").unwrap().to_value();
        assert_eq!(dialog.get("url"), None);
        assert_eq!(dialog["encoding"], "base64url");
        assert!(dialog["meta"]["original"]["url"].as_str().unwrap().ends_with("/ab_call.mp3"));
        let bytes = URL_SAFE_NO_PAD.decode(dialog["body"].as_str().unwrap()).unwrap();
        assert_eq!(content_hash(&bytes), dialog["content_hash"].as_str().unwrap());
        let strict = Validator { mode: Mode::Strict, ..Validator::default() };
        let (_, report) = strict.check(vcon.to_bytes()).remove(0);
        assert!(!report.fails(), "{report:?}");
    }

    #[test]
    fn only_what_refers_to_a_file_is_changed_and_no_meta_is_lost() {
        let hash = content_hash(b"sound");
        let plain =
            json!({"type": "recording", "url": "https://a.test/x", "content_hash": [hash], "mediatype": "audio/x-wav"});
        let with = |meta: Value| {
            let mut dialog = plain.clone();
            dialog["meta"] = meta;
            inlined(&dialog)["meta"].clone()
        };
        assert_eq!(inlined(&plain)["body"], URL_SAFE_NO_PAD.encode(b"sound"));
        assert_eq!(inlined(&plain)["mediatype"], "audio/x-wav");
        let url = "https://a.test/x";
        assert_eq!(with(json!({"a": 1})), json!({"a": 1, "original": {"url": url}}));
        assert_eq!(with(json!({"original": {"type": "video"}})), json!({"original": {"type": "video", "url": url}}));
        assert_eq!(with(json!({"original": {"url": "older"}})), json!({"original": {"url": "older"}}));
        assert_eq!(with(json!("text")), "text");
        for other in [
            json!({"url": url, "content_hash": "sha512-AAAA"}),
            json!({"url": url}),
            json!({"url": url, "content_hash": hash, "body": "own", "encoding": "none"}),
        ] {
            assert_eq!(inlined(&other), other);
        }
    }

    #[test]
    fn what_is_signed_is_not_rewritten() {
        let text =
            r#"{"payload": "e30", "signatures": [{}], "dialog": [{"url": "https://a.test/x", "content_hash": "x"}]}"#;
        assert_eq!(with_media(text.into(), &[]).unwrap(), text);
    }
}
