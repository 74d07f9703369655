//! Options as data: schema and the hash that identifies a step.

use schemars::Schema;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A schema as JSON.
pub fn schema_value(schema: &Schema) -> Value {
    schema.as_value().clone()
}

/// Hash of the options that change a step's result: members whose schema says `writeOnly` (secrets) or
/// `x-result: false` (time-outs, retry, limits) are left out, also in maps and lists of options; member order does not
/// matter.
pub fn options_hash(schema: &Schema, options: &Value) -> String {
    let mut hash = Sha256::new();
    let schema = schema.as_value();
    Absorbing { root: schema, hash: &mut hash }.absorb(Some(schema), options);
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

struct Absorbing<'a> {
    /// Where `$ref` points into.
    root: &'a Value,
    hash: &'a mut Sha256,
}

impl<'a> Absorbing<'a> {
    fn absorb(&mut self, schema: Option<&'a Value>, options: &Value) {
        let schema = schema.map(|schema| self.resolved(schema));
        match options {
            Value::Object(members) => {
                let described =
                    schema.and_then(|schema| self.alternatives(schema).find_map(|one| one.get("properties")));
                let mut names: Vec<_> = members.keys().collect();
                names.sort();
                for name in names {
                    let property = described.and_then(|all| all.get(name));
                    if property.is_some_and(|property| !self.changes_result(property)) {
                        continue;
                    }
                    self.hash.update((name.len() as u64).to_be_bytes());
                    self.hash.update(name);
                    self.absorb(property, &members[name]);
                    self.hash.update([0]);
                }
            }
            Value::Array(elements) if elements.iter().any(Value::is_object) => {
                let each = schema.and_then(|schema| self.alternatives(schema).find_map(|one| one.get("items")));
                for element in elements {
                    self.absorb(each, element);
                    self.hash.update([1]);
                }
            }
            other => self.hash.update(other.to_string()),
        }
    }

    fn changes_result(&self, property: &'a Value) -> bool {
        if property.get("x-result") == Some(&Value::Bool(false)) {
            return false;
        }
        !self.alternatives(self.resolved(property)).any(|one| one.get("writeOnly") == Some(&Value::Bool(true)))
    }

    /// The schema itself, and those that it offers to choose from.
    fn alternatives(&self, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
        let root = self.root;
        let any = schema.get("anyOf").and_then(Value::as_array);
        std::iter::once(schema).chain(any.into_iter().flatten().map(move |one| resolved(root, one)))
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        resolved(self.root, schema)
    }
}

/// What `$ref` points to, once: schemas of options do not chain them.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Options {
        model: String,
        key: Secret,
        backup_key: Option<Secret>,
        #[schemars(extend("x-result" = false))]
        timeout: u32,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Nested {
        keys: Keys,
        one: Option<Options>,
        more: Vec<Options>,
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema is read")]
    enum Keys {
        One(Secret),
        More(Vec<Secret>),
    }

    #[test]
    fn secrets_in_maps_and_lists_of_options_do_not_change_it() {
        let schema = schema_for!(Nested);
        let hash = |key: &str, model: &str| {
            let one = json!({"model": model, "key": key, "timeout": key.len()});
            options_hash(&schema, &json!({"keys": key, "one": one, "more": [one, one]}))
        };
        assert_eq!(hash("a", "m"), hash("bb", "m"));
        assert_ne!(hash("a", "m"), hash("a", "n"));
        let models = |models: Value| options_hash(&schema, &json!({"more": models}));
        assert_ne!(models(json!([{"model": "m"}, {}])), models(json!([{}, {"model": "m"}])));
    }

    #[test]
    fn only_options_that_change_the_result_change_the_hash() {
        let schema = schema_for!(Options);
        let hash = |options: Value| options_hash(&schema, &options);
        let base = hash(json!({"model": "a", "key": "1", "timeout": 1}));
        assert_eq!(base, hash(json!({"timeout": 2, "key": "2", "backup_key": "3", "model": "a"})));
        assert_ne!(base, hash(json!({"model": "b"})));
        assert_ne!(hash(json!({"model": "a", "other": 1})), base);
    }
}
