//! `links.jq_link`: lets vCons pass by a jq expression.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::task::spawn_blocking;
use vconductor_core::jq::{Program, advice, python_truthy};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Stops};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

/// Lets a vCon pass when a jq expression says so; the chain ends here for the others.
///
/// The expression sees the vCon with the member names of the current drafts (`mediatype`, `purpose`, `amended`),
/// whatever names it came with. Its first output decides: `false`, `null`, `0`, `""`, `[]` and `{}` are no match, and
/// so is no output at all. An expression that fails on a vCon ends that run as a dead letter; no vCon
/// vanishes by it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// The jq expression; every vCon matches the default.
    filter: String,
    /// True lets the matching vCons pass, false the others.
    forward_matches: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { filter: ".".to_owned(), forward_matches: true }
    }
}

struct JqLink {
    program: Arc<Program>,
    forward_matches: bool,
}

register_link!(JqLink);

impl LinkPlugin for JqLink {
    const MODULE: &'static str = "links.jq_link";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "\
with_dialogs:
  module: links.jq_link
  options:
    filter: '.dialog | length > 0'
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let program = Program::compile(&options.filter).map_err(|error| {
            let place = options.filter.get(..error.offset).map_or(error.offset, |front| front.chars().count()) + 1;
            Error::configuration(format!("option `filter`: {error} (character {place})"))
                .at(error.offset)
                .help(advice(&options.filter))
        })?;
        Ok(JqLink { program: Arc::new(program), forward_matches: options.forward_matches })
    }
}

#[async_trait]
impl Link for JqLink {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let (program, vcon) = (Arc::clone(&self.program), vcon.clone());
        // Nothing ends a program that loops: on a thread of its own it holds up this run alone, and the step's time
        // limit works.
        let matches = match spawn_blocking(move || matches(&program, vcon.normalised())).await {
            Ok(matches) => matches.map_err(explained)?,
            Err(panic) if panic.is_panic() => std::panic::resume_unwind(panic.into_panic()),
            Err(_) => return Err(Error::retryable("stopped before the filter had an answer")),
        };
        if matches == self.forward_matches {
            return Ok(Outcome::Continue);
        }
        context.note(if matches { "the filter matches" } else { "the filter does not match" });
        Ok(Outcome::Stop)
    }

    fn facts(&self) -> Facts {
        // What does not look at the vCon says the same of all of them.
        let constant = match self.program.text().trim() {
            "true" | "." => Some(true),
            "false" | "null" | "empty" => Some(false),
            _ => None,
        };
        Facts::stopping(match constant.map(|matches| matches == self.forward_matches) {
            Some(true) => Stops::Never,
            Some(false) => Stops::Always,
            None => Stops::Sometimes,
        })
    }
}

fn matches(program: &Program, vcon: Value) -> Result<bool> {
    let truthy = |first: Option<Value>| first.as_ref().is_some_and(python_truthy);
    match program.first(&vcon) {
        Err(error) if wants_strings(&error) => {
            let mut vcon = vcon;
            keep_strings_of_bodies(&mut vcon);
            program.first(&vcon).map(truthy)
        }
        first => first.map(truthy),
    }
}

fn explained(error: Error) -> Error {
    error.within("option `filter`").help(
        "the expression must cope with every vCon: write `.subject? // \"\"` or `(.body | strings)`, and try it on \
         this one with `vconductor simulate`",
    )
}

/// Whether a string function met something else, as when tags are not all strings.
fn wants_strings(error: &Error) -> bool {
    let text = error.chain_text();
    text.contains("requires string inputs") || text.contains("as string")
}

/// Takes everything but strings out of lists that are a `body`.
fn keep_strings_of_bodies(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::Array(elements) if name == "body" => elements.retain(Value::is_string),
                    _ => keep_strings_of_bodies(member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(keep_strings_of_bodies),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vconductor_core::Class;

    use super::*;
    use crate::link_stage::LinkStage;

    async fn outcome(options: Value, vcon: Value) -> Result<Outcome> {
        let link = JqLink::new("jq", serde_json::from_value(options).unwrap())?;
        LinkStage::new("u").run(&link, &Vcon::read(vcon.to_string()).unwrap()).await.result
    }

    #[tokio::test]
    async fn the_first_output_decides_by_the_rules_of_python() {
        let vcon = json!({"uuid": "u", "subject": "Refund", "parties": [{"name": "Ann"}], "dialog": []});
        for (filter, matches) in [
            (".", true),
            (".subject == \"Refund\"", true),
            (".subject", true),
            (".nothing", false),
            ("false", false),
            ("0", false),
            ("0.0", false),
            ("\"\"", false),
            ("[]", false),
            ("{}", false),
            ("1", true),
            ("\"0\"", true),
            ("[null]", true),
            ("empty", false),
            ("false, true", false),
            ("true, false", true),
            (".parties[].name", true),
            (".dialog[]", false),
            ("any(.parties[]; .name == \"Bob\")", false),
        ] {
            let expected = |passes| if passes { Outcome::Continue } else { Outcome::Stop };
            let found = outcome(json!({"filter": filter}), vcon.clone()).await;
            assert_eq!(found.unwrap(), expected(matches), "{filter}");
            let found = outcome(json!({"filter": filter, "forward_matches": false}), vcon.clone()).await;
            assert_eq!(found.unwrap(), expected(!matches), "not {filter}");
        }
        assert_eq!(outcome(json!({}), vcon).await.unwrap(), Outcome::Continue);
    }

    #[tokio::test]
    async fn older_member_names_are_seen_as_the_newer_ones() {
        let vcon = json!({"uuid": "u", "attachments": [{"type": "tags", "mimetype": "x"}]});
        let filter = ".attachments[0] | .purpose == \"tags\" and .mediatype == \"x\"";
        assert_eq!(outcome(json!({"filter": filter}), vcon).await.unwrap(), Outcome::Continue);
    }

    #[tokio::test]
    async fn a_body_of_mixed_types_does_not_break_a_string_function() {
        let vcon = json!({"uuid": "u", "attachments": [{"purpose": "tags", "body": [1, "team:sales", null]}]});
        let filter = "any(.attachments[].body[]; startswith(\"team:\"))";
        assert_eq!(outcome(json!({"filter": filter}), vcon).await.unwrap(), Outcome::Continue);
    }

    #[tokio::test]
    async fn a_filter_that_fails_is_an_error_with_help_and_not_a_silent_stop() {
        let error =
            outcome(json!({"filter": ".subject | keys"}), json!({"uuid": "u", "subject": "x"})).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.message().contains("filter") && error.help_text().is_some(), "{error:?}");
        let error = JqLink::new("jq", Options { filter: ".a | (".into(), forward_matches: true }).err().unwrap();
        assert_eq!(error.class(), Class::Configuration);
        assert!(error.message().contains("filter"), "{error}");
    }
}
