//! What is known of models by their names. A model that is not known is treated as the oldest that the provider has.

use super::Vendor;

/// Prefixes before the `/` in names of a proxy's models (contract 2.0, "vendor label").
const PREFIXES: [(&str, &str); 10] = [
    ("openai", "openai"),
    ("azure", "azure"),
    ("anthropic", "anthropic"),
    ("google", "google"),
    ("vertex_ai", "google"),
    ("mistral", "mistral"),
    ("meta", "meta"),
    ("cohere", "cohere"),
    ("groq", "groq"),
    ("bedrock", "bedrock"),
];

/// How names of models begin, and whose they are (contract 2.0).
const BEGINNINGS: [(&str, &str); 11] = [
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("chatgpt", "openai"),
    ("gemini", "google"),
    ("mistral", "mistral"),
    ("mixtral", "mistral"),
    ("llama", "meta"),
    ("meta-llama", "meta"),
    ("command", "cohere"),
];

/// Whose model this is, by its name.
pub(super) fn vendor_of(model: &str) -> Option<&'static str> {
    let model = model.to_ascii_lowercase();
    let prefix = model.split_once('/').map(|(prefix, _)| prefix);
    let by_prefix = prefix.and_then(|prefix| PREFIXES.iter().find(|(known, _)| *known == prefix));
    by_prefix.or_else(|| BEGINNINGS.iter().find(|(start, _)| model.starts_with(start))).map(|(_, vendor)| *vendor)
}

/// The name of a proxy's model without the provider in front.
pub(super) fn bare(model: &str) -> &str {
    match model.split_once('/') {
        Some((prefix, rest)) if PREFIXES.iter().any(|(known, _)| prefix.eq_ignore_ascii_case(known)) => rest,
        _ => model,
    }
}

fn begins(model: &str, beginnings: &[&str]) -> bool {
    let model = bare(model).to_ascii_lowercase();
    beginnings.iter().any(|beginning| model.starts_with(beginning))
}

/// Models of OpenAI that think before they answer.
fn reasons(model: &str) -> bool {
    begins(model, &["o1", "o3", "o4", "gpt-5"])
}

/// Whether the model lets one choose the temperature; those that reason answer 400.
pub(super) fn takes_temperature(model: &str) -> bool {
    !reasons(model)
}

/// Whether the model takes a JSON Schema for its answer; older ones answer 400.
pub(super) fn takes_schema(vendor: Vendor, model: &str) -> bool {
    match vendor {
        Vendor::OpenAi | Vendor::Azure | Vendor::LiteLlm => {
            reasons(model) || begins(model, &["gpt-4o", "gpt-4.1", "chatgpt", "claude", "gemini"])
        }
        Vendor::Groq => begins(model, &["gpt-oss", "moonshotai/kimi-k2", "meta-llama/llama-4"]),
        // The servers turn the schema into a grammar, whatever the model.
        Vendor::Ollama | Vendor::Compatible => true,
        Vendor::Anthropic => true,
    }
}

/// Whether a model of Anthropic is older than `output_config`: it answers in a given form by calling a tool.
pub(super) fn answers_by_tool(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    model.starts_with("claude-2")
        || model.starts_with("claude-3")
        || ["-4-0", "-4-1", "-4-2025"].iter().any(|part| model.contains(part))
}

/// How the greatest number of tokens of an answer is called.
pub(super) fn max_tokens_name(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenAi | Vendor::Azure | Vendor::Groq => "max_completion_tokens",
        _ => "max_tokens",
    }
}

/// Tokens that go into one call unless the options say otherwise: what the model's window holds, less room for the answer.
pub fn default_max_input_tokens(model: &str) -> u32 {
    if begins(model, &["gpt-3.5-turbo"]) {
        12_000
    } else if begins(model, &["gpt-4-0", "gpt-4-32k"]) || bare(model) == "gpt-4" {
        6_000
    } else {
        100_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whose_a_model_is() {
        for (model, vendor) in [
            ("openai/gpt-4o", Some("openai")),
            ("azure/my-deployment", Some("azure")),
            ("vertex_ai/gemini-2.0-flash", Some("google")),
            ("bedrock/anthropic.claude-3", Some("bedrock")),
            ("claude-sonnet-4-5", Some("anthropic")),
            ("GPT-4o", Some("openai")),
            ("o3-mini", Some("openai")),
            ("chatgpt-4o-latest", Some("openai")),
            ("mixtral-8x7b", Some("mistral")),
            ("meta-llama/Llama-3", Some("meta")),
            ("command-r", Some("cohere")),
            ("house/model", None),
        ] {
            assert_eq!(vendor_of(model), vendor, "{model}");
        }
        assert_eq!((bare("openai/gpt-4o"), bare("meta-llama/llama-4-x")), ("gpt-4o", "meta-llama/llama-4-x"));
    }

    #[test]
    fn old_models_are_not_asked_for_what_they_refuse() {
        for (vendor, model, schema) in [
            (Vendor::OpenAi, "gpt-3.5-turbo-16k", false),
            (Vendor::OpenAi, "gpt-4-turbo", false),
            (Vendor::OpenAi, "gpt-4o-mini", true),
            (Vendor::LiteLlm, "openai/gpt-5", true),
            (Vendor::Azure, "house-deployment", false),
            (Vendor::Groq, "llama-3.3-70b-versatile", false),
            (Vendor::Groq, "openai/gpt-oss-20b", true),
            (Vendor::Ollama, "llama3.2", true),
        ] {
            assert_eq!(takes_schema(vendor, model), schema, "{model}");
        }
        assert!(takes_temperature("gpt-4.1") && !takes_temperature("openai/gpt-5-mini"));
        assert!(answers_by_tool("claude-sonnet-4-20250514") && answers_by_tool("claude-3-5-haiku-latest"));
        assert!(!answers_by_tool("claude-sonnet-4-5") && !answers_by_tool("claude-opus-4-5-20251101"));
    }
}
