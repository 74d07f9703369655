//! Reference pages and the JSON Schema for editors, made from the plugins' own options structs.

mod schema;

use serde_json::{Value, json};
use vconductor_core::plugin::{Effect, IngressEntry, LinkEntry, StorageEntry, TracerEntry};

pub use self::schema::configuration_schema;

/// One option of a plugin as its schema tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionRow {
    /// Its name in YAML.
    pub name: String,
    /// Its type in words: `string`, `list of string`, `"a" or "b"`.
    pub kind: String,
    /// Its default as JSON text; empty where there is none.
    pub default: String,
    /// What it means.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
}

/// The description of an options struct: the plugin's manual.
pub fn manual(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

/// The first sentence of the manual.
pub fn summary(schema: &Value) -> String {
    let text = manual(schema).replace('\n', " ");
    text.split_once(". ").map_or(text.trim_end_matches('.'), |(first, _)| first).to_owned()
}

/// The options of a schema in the order of the struct.
pub fn option_rows(schema: &Value) -> Vec<OptionRow> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    properties
        .iter()
        .map(|(name, property)| OptionRow {
            name: name.clone(),
            kind: kind_of(property, schema),
            default: property.get("default").map(Value::to_string).unwrap_or_default(),
            description: property.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " "),
            required: required.contains(&name.as_str()),
        })
        .collect()
}

fn kind_of(property: &Value, root: &Value) -> String {
    if let Some(target) = property.get("$ref").and_then(Value::as_str) {
        let name = target.rsplit('/').next().unwrap_or_default();
        return match root.get("$defs").and_then(|all| all.get(name)) {
            Some(definition) if definition.get("writeOnly").is_some() => "secret string".to_owned(),
            Some(definition) if definition.get("enum").is_some() || definition.get("oneOf").is_some() => {
                kind_of(definition, root)
            }
            _ => "map".to_owned(),
        };
    }
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
    }
    if let Some(choices) = property.get("oneOf").or_else(|| property.get("anyOf")).and_then(Value::as_array) {
        let kinds = choices
            .iter()
            .filter(|choice| choice.get("type") != Some(&json!("null")))
            .map(|choice| choice.get("const").map_or_else(|| kind_of(choice, root), Value::to_string));
        let mut distinct: Vec<String> = Vec::new();
        for kind in kinds {
            if !distinct.contains(&kind) {
                distinct.push(kind);
            }
        }
        return distinct.join(" or ");
    }
    match property.get("type") {
        Some(Value::String(kind)) if kind == "array" => {
            let items = property.get("items").map_or_else(|| "anything".to_owned(), |items| kind_of(items, root));
            format!("list of {items}")
        }
        Some(Value::String(kind)) if kind == "object" => "map".to_owned(),
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

/// The page of a link.
pub fn link_page(entry: &LinkEntry) -> String {
    let effect = match entry.effect {
        Effect::Pure => "Pure: no ledger entry; a resumed run simply runs it again.",
        Effect::External => {
            "External: what it finished is in the run's ledger and is never done again in the same run."
        }
    };
    let edits = if entry.any_form {
        "It works on signed and encrypted vCons themselves, so that it is executed whatever the form."
    } else if entry.edits {
        "It edits the document, so it is not executed on a signed or encrypted vCon (`on_signed`)."
    } else {
        "It never changes the document."
    };
    let facts = format!("{effect} {edits}");
    page(entry.module, &facts, (entry.schema)().as_value(), "links", entry.example)
}

/// The page of a storage.
pub fn storage_page(entry: &StorageEntry) -> String {
    page(entry.module, "", (entry.schema)().as_value(), "storages", entry.example)
}

/// The page of a tracer.
pub fn tracer_page(entry: &TracerEntry) -> String {
    page(entry.module, "", (entry.schema)().as_value(), "tracers", "")
}

/// The page of an ingress adapter.
pub fn ingress_page(entry: &IngressEntry) -> String {
    page(entry.module, "", (entry.schema)().as_value(), "ingress", entry.example)
}

fn page(module: &str, facts: &str, schema: &Value, section: &str, example: &str) -> String {
    let mut text = format!("# `{module}`\n\n{}\n", manual(schema));
    if !facts.is_empty() {
        text.push_str(&format!("\n{facts}\n"));
    }
    let rows = option_rows(schema);
    if !rows.is_empty() {
        text.push_str("\n## Options\n\n| option | type | default | meaning |\n|---|---|---|---|\n");
        for row in rows {
            let default = if row.required { "required".to_owned() } else { code(&row.default) };
            text.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                row.name,
                cell(&row.kind),
                default,
                cell(&row.description)
            ));
        }
    }
    if !example.is_empty() {
        text.push_str(&format!("\n## Example\n\n```yaml\n{section}:\n{}\n```\n", indent(example)));
    }
    text
}

fn code(text: &str) -> String {
    if text.is_empty() || text == "null" { String::new() } else { format!("`{}`", cell(text)) }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn indent(example: &str) -> String {
    example.trim_matches('\n').lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};

    use super::*;

    /// Waits a while. Then goes on.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Options {
        /// How long, in seconds.
        #[schemars(default)]
        seconds: f64,
        /// Which | where.
        lists: Vec<String>,
        key: Option<vconductor_core::secret::Secret>,
    }

    #[test]
    fn options_are_told_from_the_struct_alone() {
        let schema = schema_for!(Options).as_value().clone();
        assert_eq!(summary(&schema), "Waits a while");
        let rows = option_rows(&schema);
        let kinds: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.kind.as_str(), row.required)).collect();
        assert_eq!(
            kinds,
            [("seconds", "number", false), ("lists", "list of string", true), ("key", "secret string", false)]
        );
        assert!(page("links.x", "", &schema, "links", "").contains("Which \\| where."));
    }
}
