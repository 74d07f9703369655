//! Texts that YAML takes for something else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text. YAML reads `2024` and `yes` as something else; a tag is text all the same.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Text {
    String(String),
    Number(serde_json::Number),
    Bool(bool),
}

impl Text {
    pub(crate) fn into_string(self) -> String {
        match self {
            Text::String(text) => text,
            Text::Number(number) => number.to_string(),
            // As Python writes them: tags of both engines must agree.
            Text::Bool(true) => "True".to_owned(),
            Text::Bool(false) => "False".to_owned(),
        }
    }
}
