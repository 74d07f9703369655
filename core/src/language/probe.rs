//! Trying a provider's keys and whether it has the model, by its list of models.

use serde_json::Value;

use super::{LanguageModel, Vendor};
use crate::config::nearest;
use crate::error::{Error, Result};
use crate::http::{HttpClient, Response};
use crate::plugin::Probe;

impl LanguageModel {
    /// Asks with every key for the list of models, which costs nothing, and looks whether the model is in it.
    pub async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        let probes = self.endpoint.provider.probe(
            http,
            |key| self.endpoint.models(key),
            |answer| self.look_for_the_model(answer),
        );
        let mut probes = probes.await;
        for probe in &mut probes {
            // Servers of one's own need not have that list.
            let has_none = self.endpoint.vendor == Vendor::Compatible
                && probe.outcome.as_ref().is_err_and(|error| error.message().contains("answered 404"));
            if has_none {
                probe.outcome = Ok("answers, and has no list of models".to_owned());
            }
        }
        probes
    }

    fn look_for_the_model(&self, answer: &Response) -> Result<String> {
        let body: Value = answer.json().unwrap_or_default();
        let listed = body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let models: Vec<&str> = listed.iter().filter_map(|model| model["id"].as_str()).collect();
        // Azure calls deployments, which have names of their own.
        if models.is_empty() || self.endpoint.vendor == Vendor::Azure {
            return Ok("accepts the key".to_owned());
        }
        if models.iter().any(|id| is_listed(id, &self.model)) {
            return Ok(format!("accepts the key, has {}", self.model));
        }
        let error =
            Error::configuration(format!("`model`: {} has no model `{}`", self.endpoint.provider.name(), self.model));
        Err(match nearest(&self.model, models.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`? the key may use {} models", models.len())),
            None => error.help(format!("the key may use {} models, for example `{}`", models.len(), models[0])),
        })
    }
}

/// Whether an entry of the list stands for the model: it may have a date or a tag behind it (`gpt-5-2025-08-07`,
/// `llama3:latest`), or be a pattern of a proxy (`openai/*`).
fn is_listed(id: &str, model: &str) -> bool {
    match id.strip_suffix('*') {
        Some(beginning) => model.starts_with(beginning),
        None => id.strip_prefix(model).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with(':') || rest.starts_with("-20") || rest == "-latest"
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_with_its_date_and_not_by_its_beginning() {
        for (id, model, expected) in [
            ("gpt-4.1-mini", "gpt-4.1-mini", true),
            ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini", true),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5", true),
            ("claude-3-5-haiku-latest", "claude-3-5-haiku", true),
            ("llama3:latest", "llama3", true),
            ("openai/*", "openai/gpt-5", true),
            ("*", "anything", true),
            ("gpt-4.1-mini", "gpt-4.1", false),
            ("gpt-4.1", "gpt-4.1-mini", false),
        ] {
            assert_eq!(is_listed(id, model), expected, "{id} {model}");
        }
    }
}
