//! What may be set for single runs: their settings are kept in the store, which others may read and write.

use schemars::Schema;
use serde_json::Value as Json;

use crate::config::{Node, Setting, Value};
use crate::error::{Error, Result};

/// What the name of a secret has in it, where the schema does not know the option (older names of it).
const TELLING: [&str; 6] = ["key", "secret", "token", "password", "passphrase", "credential"];

/// Whether a setting may be kept with a run: a secret only as a placeholder, a placeholder only for a secret (everything else
/// of the conductor's environment is none of a run's business), and never what names a program to execute.
///
/// # Errors
/// Permanent, and says which.
pub fn settable(schema: &Schema, setting: &Setting) -> Result<()> {
    let schema = schema.as_value();
    let root = Places { root: schema, at: vec![schema], secret: false, fixed: false };
    let place = setting.path.iter().fold(root, |place, name| place.member(name));
    check(&setting.value, &place, &setting.path.join("."))
}

fn check(node: &Node, place: &Places<'_>, name: &str) -> Result<()> {
    if place.fixed {
        return Err(Error::permanent(format!("`{name}` cannot be set for single runs"))
            .help("it decides what is executed on the conductor's machine: change the configuration"));
    }
    match &node.value {
        Value::Mapping(entries) => {
            let member = |key: &str| (place.member(key), format!("{name}.{key}"));
            entries.iter().try_for_each(|(key, value)| {
                let (place, name) = member(&key.name);
                check(value, &place, &name)
            })
        }
        Value::Sequence(items) => items.iter().try_for_each(|item| check(item, &place.item(), name)),
        Value::Null => Ok(()),
        _ => {
            let is_placeholder = is_placeholder(&node.text);
            if place.secret && !is_placeholder {
                return Err(Error::permanent(format!("`{name}` is a secret, which must not be kept with the runs"))
                    .help(format!("name a variable that the conductor knows: {name}='${{env:NAME}}'")));
            }
            if !place.secret && node.text.contains("${") {
                return Err(Error::permanent(format!(
                    "`{name}` is no secret, so it is not taken from the environment"
                ))
                .help("write the value itself"));
            }
            Ok(())
        }
    }
}

/// Whether the text is one placeholder and nothing else; a default would be kept in clear.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '\'']);
    let inner = text.strip_prefix("${env:").or_else(|| text.strip_prefix("${file:")).and_then(|t| t.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(":-") && !inner.contains(['{', '}', '$']))
}

/// What the schema says of one place: the alternatives that it offers there.
struct Places<'a> {
    root: &'a Json,
    at: Vec<&'a Json>,
    secret: bool,
    fixed: bool,
}

impl<'a> Places<'a> {
    fn member(&self, name: &str) -> Places<'a> {
        let known = self.step(|schema| {
            let own = schema.get("properties").and_then(|all| all.get(name));
            own.or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()))
        });
        let lower = name.to_lowercase();
        let tells = known.at.is_empty() && TELLING.iter().any(|word| lower.contains(word));
        Places { secret: known.secret || tells, ..known }
    }

    fn item(&self) -> Places<'a> {
        self.step(|schema| schema.get("items"))
    }

    fn step(&self, next: impl Fn(&'a Json) -> Option<&'a Json>) -> Places<'a> {
        let found: Vec<&Json> = self.alternatives().into_iter().filter_map(next).collect();
        let mut place = Places { root: self.root, at: found, secret: self.secret, fixed: self.fixed };
        let all = place.alternatives();
        place.secret |= all.iter().any(|schema| schema.get("writeOnly") == Some(&Json::Bool(true)));
        place.fixed |= all.iter().any(|schema| schema.get("x-set") == Some(&Json::Bool(false)));
        place
    }

    /// The schemas of the place, what they refer to, and what they offer to choose from.
    fn alternatives(&self) -> Vec<&'a Json> {
        let mut all = Vec::new();
        let mut open = self.at.clone();
        while let Some(schema) = open.pop() {
            if all.len() > 64 {
                break;
            }
            all.push(schema);
            let pointer = schema.get("$ref").and_then(Json::as_str).and_then(|target| target.strip_prefix('#'));
            open.extend(pointer.and_then(|pointer| self.root.pointer(pointer)));
            for word in ["anyOf", "oneOf", "allOf"] {
                open.extend(schema.get(word).and_then(Json::as_array).into_iter().flatten());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::{JsonSchema, schema_for};

    use super::*;
    use crate::secret::Secret;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Options {
        model: String,
        api_key: Option<Secret>,
        headers: BTreeMap<String, Secret>,
        backups: Vec<Backup>,
        #[schemars(extend("x-set" = false))]
        command: Vec<String>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Backup {
        url: String,
        code: Secret,
    }

    fn refusal(text: &str) -> Option<String> {
        let setting = Setting::parse(text).unwrap();
        settable(&schema_for!(Options), &setting).err().map(|error| error.message().to_owned())
    }

    #[test]
    fn secrets_are_placeholders_and_nothing_else_is() {
        for right in [
            "l.options.model=nova",
            "l.options.api_key=${env:KEY}",
            "l.options.api_key='${file:/run/secrets/key}'",
            "l.options.headers.authorization=${env:KEY}",
            "l.options.backups=[{url: http://a, code: '${env:KEY}'}]",
            "l.options.unknown=x",
        ] {
            assert_eq!(refusal(right), None, "{right}");
        }
        for (wrong, why) in [
            ("l.options.api_key=sk-1", "is a secret"),
            ("l.options.api_key=1234", "is a secret"),
            ("l.options.api_key=${env:KEY:-sk-1}", "is a secret"),
            ("l.options.api_key=Bearer ${env:KEY}", "is a secret"),
            ("l.options.headers={authorization: sk-1}", "is a secret"),
            ("l.options.backups=[{code: sk-1}]", "is a secret"),
            ("l.options.OLD_API_KEY=sk-1", "is a secret"),
            ("l.options.model=${env:AWS_SECRET}", "not taken from the environment"),
            ("l.options.command=[rm]", "cannot be set for single runs"),
        ] {
            assert!(refusal(wrong).is_some_and(|message| message.contains(why)), "{wrong}: {:?}", refusal(wrong));
        }
    }
}
