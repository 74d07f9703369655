//! Options as data: schema and the hash that identifies a step.

use schemars::Schema;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A schema as JSON.
pub fn schema_value(schema: &Schema) -> Value {
    schema.as_value().clone()
}

/// Hash of the options that change a step's result: members whose schema says `writeOnly` (secrets) or
/// `x-result: false` (time-outs, retry, limits) are left out, member order does not matter.
pub fn options_hash(schema: &Schema, options: &Value) -> String {
    let mut hash = Sha256::new();
    absorb(&mut hash, schema.as_value().get("properties"), options);
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn absorb(hash: &mut Sha256, properties: Option<&Value>, options: &Value) {
    let Value::Object(members) = options else {
        hash.update(options.to_string());
        return;
    };
    let mut names: Vec<_> = members.keys().collect();
    names.sort();
    for name in names {
        if properties.and_then(|all| all.get(name)).is_some_and(|property| !changes_result(property)) {
            continue;
        }
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        absorb(hash, None, &members[name]);
        hash.update([0]);
    }
}

fn changes_result(property: &Value) -> bool {
    let is_secret = property.get("writeOnly") == Some(&Value::Bool(true))
        || property.get("$ref").and_then(Value::as_str) == Some("#/$defs/Secret")
        || property
            .get("anyOf")
            .and_then(Value::as_array)
            .is_some_and(|any| any.iter().any(|one| !changes_result(one)));
    !is_secret && property.get("x-result") != Some(&Value::Bool(false))
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
