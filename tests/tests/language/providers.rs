//! Every provider's own form of request, answer and usage.

use vconductor_tests::vendors::anthropic::Anthropic;

use super::*;

const SCHEMA: &str = r#"{"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"], "additionalProperties": false}"#;

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// Analyses with and without a schema; the vendor that is written, and the last request.
async fn asked(vendor: &Vendor, speech: &Speech, options: Value) -> (Value, Value) {
    speech.says("plain words");
    let plain = link("links.analyze", options.clone()).unwrap();
    let after = done(&plain, &call()).await;
    assert_eq!(analyses(&after, "summary")[0]["body"], "plain words");
    speech.says(r#"{"topic": "refund"}"#);
    let mut structured = options;
    structured["schema"] = schema();
    let after = done(&link("links.analyze", structured).unwrap(), &call()).await;
    let [written] = &analyses(&after, "summary")[..] else { panic!("one analysis") };
    assert_eq!(written["body"], json!({"topic": "refund"}));
    let last = vendor.calls().last().unwrap().json().unwrap();
    (written["vendor"].clone(), last)
}

#[tokio::test]
async fn openai_azure_litellm_groq_and_ollama_are_called_in_their_form() {
    type Start = fn(&Speech) -> OpenAiLanguage;
    type Options = fn(&str) -> Value;
    let rows: [(Start, Options, &str, bool); 8] = [
        (
            |speech| OpenAiLanguage::new(&[KEY], speech),
            |url| json!({"provider": "openai", "base_url": format!("{url}/v1/"), "api_key": [KEY], "model": "gpt-4.1"}),
            "openai",
            true,
        ),
        (
            |speech| OpenAiLanguage::new(&[KEY], speech),
            |url| json!({"provider": "openai", "base_url": format!("{url}/v1"), "OPENAI_API_KEY": KEY, "api_key": "", "model": "gpt-4-turbo"}),
            "openai",
            false,
        ),
        (
            |speech| OpenAiLanguage::litellm(&[KEY], speech),
            |url| json!({"LITELLM_PROXY_URL": format!("{url}/"), "LITELLM_MASTER_KEY": KEY, "model": "anthropic/claude-haiku-4-5", "OPENAI_API_KEY": "sk-not-used"}),
            "anthropic",
            true,
        ),
        (
            |speech| OpenAiLanguage::litellm(&[KEY], speech),
            |url| json!({"LITELLM_PROXY_URL": url, "LITELLM_MASTER_KEY": KEY, "model": "house/model"}),
            "litellm",
            false,
        ),
        (
            |speech| OpenAiLanguage::azure(&[KEY], "2024-10-21", speech),
            |url| json!({"AZURE_OPENAI_ENDPOINT": url, "AZURE_OPENAI_API_KEY": KEY, "model": "gpt-4o-in-house"}),
            "azure",
            true,
        ),
        (
            |speech| OpenAiLanguage::azure(&[KEY], "2025-01-01", speech),
            |url| json!({"AZURE_OPENAI_ENDPOINT": url, "AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_API_VERSION": "2025-01-01", "model": "house"}),
            "azure",
            false,
        ),
        (
            |speech| OpenAiLanguage::groq(&[KEY], speech),
            |url| json!({"provider": "groq", "base_url": format!("{url}/openai/v1"), "api_key": KEY, "model": "llama-3.3-70b-versatile"}),
            "groq",
            false,
        ),
        (
            OpenAiLanguage::ollama,
            |url| json!({"provider": "ollama", "base_url": format!("{url}/v1"), "model": "llama3.2", "max_output_tokens": 99}),
            "ollama",
            true,
        ),
    ];
    for (start, options, vendor_name, by_schema) in rows {
        let speech = Speech::new();
        let vendor = Vendor::start(start(&speech)).await;
        let options = options(&vendor.url);
        let (written, request) = asked(&vendor, &speech, options.clone()).await;
        assert_eq!(written, vendor_name, "{options}");
        let format = if by_schema { "json_schema" } else { "json_object" };
        assert_eq!(request["response_format"]["type"], format, "{options}");
        let system = request["messages"][0]["content"].as_str().unwrap();
        assert_eq!(system.contains("JSON Schema"), !by_schema, "{options}");
    }
}

#[tokio::test]
async fn anthropic_answers_by_format_or_by_tool() {
    for (model, member) in [("claude-haiku-4-5", "output_config"), ("claude-3-5-haiku-latest", "tool_choice")] {
        let speech = Speech::new();
        let vendor = Vendor::start(Anthropic::new(&[KEY], &speech)).await;
        let options =
            json!({"provider": "anthropic", "base_url": format!("{}/v1", vendor.url), "api_key": KEY, "model": model});
        let (written, request) = asked(&vendor, &speech, options).await;
        assert_eq!((written, request["max_tokens"].as_u64()), (json!("anthropic"), Some(4096)));
        assert!(!request[member].is_null(), "{request}");
    }
}

/// OpenAI counts what it read from its cache into the input, Anthropic does not.
#[tokio::test]
async fn usage_is_counted_alike() {
    let (openai, _) = openai().await;
    let speech = Speech::new();
    let anthropic = Vendor::start(Anthropic::new(&[KEY], &speech)).await;
    let base_url = format!("{}/v1", anthropic.url);
    for (module, options) in [
        ("links.analyze", at(&openai, json!({"model": "gpt-4o-mini"}))),
        ("links.detect_engagement", at(&openai, json!({"model": "gpt-4o-mini"}))),
        (
            "links.analyze",
            json!({"provider": "anthropic", "base_url": base_url, "api_key": KEY, "model": "claude-haiku-4-5"}),
        ),
    ] {
        let stage = LinkStage::new(UUID);
        let used = run(&stage, &link(module, options).unwrap(), &call()).await.requested.usage.unwrap();
        let unit = |name: &str| used.units.get(name).copied().unwrap_or(0.0);
        assert!(unit("input_tokens") > 0.0 && unit("output_tokens") > 0.0, "{used:?}");
        let cached = unit("cache_read_tokens");
        assert!(cached > 0.0, "{used:?}");
        if unit("cache_write_tokens") > 0.0 {
            assert_eq!((cached, unit("cache_write_tokens")), (11.0, 7.0));
        } else {
            // The server counts half of the input as cached, and both together as the input.
            assert!((cached - unit("input_tokens")).abs() <= 2.0, "{used:?}");
        }
        assert!(used.cost.unwrap() > 0.0, "{used:?}");
    }
}

#[tokio::test]
async fn responses_are_read_and_organisations_named() {
    let (vendor, speech) = openai().await;
    speech.says("true");
    let more = json!({"organization_key": "org-1", "project": "proj-1", "max_output_tokens": 16});
    let registry = Registry::collect().unwrap();
    // Aliases are read, as from a file.
    let built = (registry.links["links.detect_engagement"].build)("the_link", at(&vendor, more)).unwrap();
    done(&built, &call()).await;
    let call = &vendor.calls()[0];
    assert_eq!(
        (call.path.as_str(), call.header("openai-organization"), call.header("openai-project")),
        ("/v1/responses", "org-1", "proj-1")
    );
    let body = call.json().unwrap();
    assert_eq!((body["max_output_tokens"].as_u64(), body["store"].as_bool()), (Some(16), Some(false)));
}

#[test]
fn what_cannot_be_called_is_refused_before_it_runs() {
    for (options, part) in [
        (json!({}), "no key"),
        (json!({"LITELLM_PROXY_URL": "http://proxy"}), "no key"),
        (json!({"provider": "anthropic"}), "`api_key`"),
        (json!({"provider": "azure", "api_key": KEY}), "`base_url`"),
        (json!({"api_key": KEY, "base_url": "localhost:8000/v1"}), "`base_url`"),
        (json!({"api_key": KEY, "model": " "}), "`model`"),
        (json!({"api_key": KEY, "sampling_rate": 2}), "`sampling_rate`"),
        (json!({"api_key": KEY, "limits": {"requests_per_minute": 0}}), "`limits`"),
        (json!({"api_key": KEY, "schema": {"type": "nonsense"}}), "`schema`"),
    ] {
        let error = link("links.analyze", options.clone()).err().unwrap_or_else(|| panic!("{options}"));
        assert_eq!(error.class(), vconductor_core::Class::Configuration, "{options}");
        assert!(error.message().contains(part) && error.help_text().is_some(), "{options}: {error}");
    }
    for missing in ["tag_name", "tag_value", "evaluation_question"] {
        let mut options = json!({"api_key": KEY, "tag_name": "a", "tag_value": "b", "evaluation_question": "c"});
        options.as_object_mut().unwrap().remove(missing);
        assert!(link("links.check_and_tag", options).err().unwrap().message().contains(missing));
    }
}
