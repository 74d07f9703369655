//! The form of an answer, and whether an answer has it.

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use super::Answer;
use crate::error::{Error, Result};

/// Characters of an answer that are looked at; more is no answer to any of our tasks.
const LONGEST: usize = 1024 * 1024;

/// What an answer looks like.
#[derive(Debug, Clone)]
pub enum Form {
    /// Any text that is not empty.
    Text,
    /// One of these words, whatever case and full stop.
    Word(&'static [&'static str]),
    /// A JSON object.
    Object,
    /// JSON that a schema describes.
    Schema(Arc<JsonSchemaForm>),
}

/// A JSON Schema for answers.
pub struct JsonSchemaForm {
    name: String,
    schema: Value,
    is_strict: bool,
    validator: Validator,
}

impl fmt::Debug for JsonSchemaForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonSchemaForm").field(&self.name).finish()
    }
}

impl JsonSchemaForm {
    /// A form of this name (letters, digits, `_`, `-`), described by a JSON Schema.
    ///
    /// # Errors
    /// A configuration error when `schema` is none. References to other documents are not fetched.
    pub fn new(name: &str, schema: Value) -> Result<Self> {
        let validator = jsonschema::validator_for(&schema).map_err(|error| {
            Error::configuration(format!("`schema` is not a JSON Schema: {error}"))
                .help("write a schema such as {type: object, properties: {topic: {type: string}}, required: [topic]}")
        })?;
        let is_strict = schema["type"] == "object" && is_strict(&schema);
        Ok(JsonSchemaForm { name: name.to_owned(), schema, is_strict, validator })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Whether OpenAI's strict mode takes it: no object may have members that the schema does not demand.
    pub(super) fn is_strict(&self) -> bool {
        self.is_strict
    }
}

fn is_strict(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else { return !schema.is_boolean() };
    if let Some(properties) = schema["properties"].as_object() {
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        let demanded = properties.keys().all(|name| required.iter().any(|one| one == name));
        if !demanded || schema["additionalProperties"] != false {
            return false;
        }
    } else if schema["type"] == "object" {
        return false;
    }
    members.iter().all(|(name, inner)| match (name.as_str(), inner) {
        ("properties" | "$defs", Value::Object(inner)) => inner.values().all(is_strict),
        ("items", inner) => is_strict(inner),
        ("anyOf", Value::Array(inner)) => inner.iter().all(is_strict),
        ("oneOf" | "allOf" | "not" | "if" | "patternProperties" | "uniqueItems", _) => false,
        _ => true,
    })
}

impl Form {
    /// A form by JSON Schema.
    ///
    /// # Errors
    /// As [`JsonSchemaForm::new`].
    pub fn schema(name: &str, schema: Value) -> Result<Form> {
        Ok(Form::Schema(Arc::new(JsonSchemaForm::new(name, schema)?)))
    }

    /// What the result depends on.
    pub(super) fn identity(&self) -> String {
        match self {
            Form::Text => "text".to_owned(),
            Form::Word(words) => words.join("|"),
            Form::Object => "object".to_owned(),
            Form::Schema(form) => form.schema.to_string(),
        }
    }

    /// The sentence that asks for the form where the provider has no means to.
    pub(super) fn instruction(&self) -> Option<String> {
        match self {
            Form::Text => None,
            Form::Word(words) => Some(format!("Answer with one word alone: {}.", words.join(" or "))),
            Form::Object => Some("Answer with one JSON object and nothing else.".to_owned()),
            Form::Schema(form) => {
                Some(format!("Answer with JSON alone, valid against this JSON Schema: {}", form.schema))
            }
        }
    }

    /// The answer, or what is wrong with it. The reason quotes nothing that a stranger may have said.
    pub(super) fn check(&self, text: &str) -> Result<Answer, Fault> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(Fault::other(format!("it has more than {LONGEST} bytes")));
        }
        match self {
            Form::Text => Ok(Answer { text: text.to_owned(), value: None, fault: None }),
            Form::Word(words) => {
                let said = text.trim_matches(|character: char| !character.is_alphanumeric()).to_lowercase();
                match words.iter().find(|word| **word == said) {
                    Some(word) => Ok(Answer { text: (*word).to_owned(), value: None, fault: None }),
                    None => Err(Fault::other(format!("it is not one of the words {}", words.join(", ")))),
                }
            }
            Form::Object | Form::Schema(_) => {
                let json = without_fence(text);
                let value: Value = serde_json::from_str(json).map_err(|error| Fault {
                    reason: format!("it is not JSON (line {}, column {})", error.line(), error.column()),
                    is_unreadable: true,
                })?;
                match self {
                    Form::Schema(form) => form.validate(&value)?,
                    _ if !value.is_object() => return Err(Fault::other("it is JSON, but not an object".to_owned())),
                    _ => {}
                }
                Ok(Answer { text: json.to_owned(), value: Some(value), fault: None })
            }
        }
    }
}

impl JsonSchemaForm {
    fn validate(&self, value: &Value) -> Result<(), Fault> {
        let Some(error) = self.validator.iter_errors(value).next() else { return Ok(()) };
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the whole".to_owned() } else { format!("`{place}`") };
        let what: String = error.masked().to_string().chars().take(300).collect();
        Err(Fault::other(format!("it does not fit the schema at {place}: {what}")))
    }
}

/// What is wrong with an answer.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: String,
    /// It is no JSON at all.
    pub(super) is_unreadable: bool,
}

impl Fault {
    fn other(reason: String) -> Self {
        Fault { reason, is_unreadable: false }
    }
}

/// The JSON of an answer that models like to put into a Markdown fence.
fn without_fence(text: &str) -> &str {
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else { return text };
    inner.split_once('\n').map_or(inner, |(_, json)| json).trim()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_checked_against_the_schema() {
        let schema = json!({"type": "object", "properties": {"applies": {"type": "boolean"}}, "required": ["applies"],
            "additionalProperties": false});
        let form = Form::schema("verdict", schema).unwrap();
        for (answer, fits) in [
            (r#"{"applies": true}"#, true),
            ("```json\n{\"applies\": false}\n```", true),
            ("  {\"applies\":true}\n", true),
            (r#"{"applies": "true"}"#, false),
            (r#"{"applies": true, "more": 1}"#, false),
            ("{}", false),
            ("[]", false),
            ("yes", false),
            ("{\"applies\": tr", false),
        ] {
            assert_eq!(form.check(answer).is_ok(), fits, "{answer}");
        }
        let fault = form.check(r#"{"applies": "my card number is 4111"}"#).unwrap_err();
        assert!(fault.reason.contains("/applies") && !fault.reason.contains("4111"), "{}", fault.reason);
        assert!(!fault.is_unreadable && form.check("yes").unwrap_err().is_unreadable);
    }

    #[test]
    fn a_word_is_a_word() {
        let form = Form::Word(&["true", "false"]);
        for (answer, word) in [("True.", Some("true")), (" false\n", Some("false")), ("\"TRUE\"", Some("true"))] {
            assert_eq!(form.check(answer).ok().map(|answer| answer.text).as_deref(), word, "{answer}");
        }
        assert!(form.check("true, because both spoke").is_err() && form.check("").is_err());
    }

    #[test]
    fn strict_schemas_are_told_from_others() {
        let object = |schema: Value| JsonSchemaForm::new("x", schema).unwrap().is_strict();
        let property = json!({"a": {"type": "string"}});
        assert!(object(
            json!({"type": "object", "properties": property, "required": ["a"], "additionalProperties": false})
        ));
        assert!(!object(json!({"type": "object", "properties": property, "additionalProperties": false})));
        assert!(!object(json!({"type": "object", "properties": property, "required": ["a"]})));
        assert!(!object(json!({"type": "object"})));
        assert!(!object(json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}}},
            "required": ["a"], "additionalProperties": false})));
        assert!(JsonSchemaForm::new("x", json!({"type": 5})).is_err());
    }
}
