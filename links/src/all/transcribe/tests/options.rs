//! What the options may be.

use std::time::Duration;

use serde_json::{Value, json};
use vconductor_core::plugin::LinkPlugin;
use vconductor_core::{Class, Result};

use super::super::{Callback, Transcribe};

fn link(options: Value) -> Result<Transcribe> {
    Transcribe::new("transcribe", serde_json::from_value(options).unwrap())
}

#[test]
fn what_cannot_work_is_refused() {
    for (options, expected) in [
        (json!({"vendor": "deepgram"}), "`api_key`"),
        (json!({"vendor": "deepgram", "api_key": []}), "`api_key`"),
        (json!({"vendor": "openai"}), "`api_key`"),
        (json!({"vendor": "azure", "api_key": "k"}), "`base_url`"),
        (json!({"vendor": "litellm", "api_key": "k"}), "`base_url`"),
        (json!({"vendor": "vfun"}), "`base_url`"),
        (json!({"vendor": "hugging_face"}), "`api_key`"),
        (json!({"vendor": "whisper_builtin"}), "`vendor`"),
        (json!({"vendor": "openai", "base_url": "host:80/v1"}), "`base_url`"),
        (json!({"vendor": "deepgram", "api_key": "k", "api": {"callback": "https://a.test"}}), "`callback`"),
        (json!({"vendor": "deepgram", "api_key": "k", "callback": "a.test"}), "`callback`"),
        (json!({"vendor": "deepgram", "api_key": "k", "minimum_confidence": 50}), "`minimum_confidence`"),
        (json!({"vendor": "deepgram", "api_key": "k", "minimum_duration": -1}), "`minimum_duration`"),
        (json!({"vendor": "deepgram", "api_key": "k", "parallel": 0}), "`parallel`"),
        (json!({"vendor": "deepgram", "api_key": "k", "timeout": 0}), "`timeout`"),
        (json!({"vendor": "deepgram", "api_key": "k", "limits": {"concurrency": 0}}), "`limits`"),
        (json!({"vendor": "deepgram", "api_key": "k", "fallback": [{"api_key": "k"}]}), "`fallback`"),
        (json!({"vendor": "deepgram", "api_key": "k", "fallback": [{"vendor": "openai"}]}), "entry 1"),
        (json!({"vendor": "openai", "api_key": "k", "max_chunk_duration": 1}), "`max_chunk_duration`"),
    ] {
        let error = link(options.clone()).err().unwrap_or_else(|| panic!("{options} is accepted"));
        assert_eq!(error.class(), Class::Configuration, "{options}");
        assert!(error.message().contains(expected), "{options}: {error}");
    }
}

#[test]
fn the_token_gets_into_the_callback() {
    let url = |url: &str| Callback::new(url.to_owned(), Duration::from_secs(1)).unwrap().url("t1");
    assert_eq!(url("https://a.test/back/{token}?k=v"), "https://a.test/back/t1?k=v");
    assert_eq!(url("https://a.test/back/"), "https://a.test/back/t1");
    assert_eq!(url("https://a.test/back?k=v"), "https://a.test/back/t1?k=v");
}
