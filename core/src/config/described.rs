//! Options side by side with their JSON Schema: what is known about each value that was written.

use serde_json::Value as Json;

use super::node::{Key, Node, Value};
use super::typed::Options;

/// Deepest nesting of schemas that refer to each other.
const MAX_DEPTH: usize = 32;

/// The options of a plugin with what its schema says about them.
#[derive(Debug)]
pub struct Described {
    /// The JSON Schema of the options.
    pub schema: Json,
    /// The options in today's form.
    pub options: Options,
}

/// One value that is no list and no map.
pub(crate) struct Leaf<'a> {
    /// The option, and the names of what it lies in, outermost first: `options`, `headers`, `Authorization`.
    pub(crate) keys: &'a [&'a Key],
    /// The value.
    pub(crate) node: &'a Node,
    schemas: &'a [&'a Json],
}

impl Described {
    /// Visits every value. Those that the schema does not know are visited without a description.
    pub(crate) fn leaves(&self, visit: &mut dyn FnMut(&Leaf<'_>)) {
        let root = vec![&self.schema];
        Walk { root: &self.schema, visit }.node(&self.options.node, &mut Vec::new(), &root, 0);
    }
}

impl Leaf<'_> {
    /// The key under which the value stands.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.keys.last().copied()
    }

    /// Whether the value is a secret.
    pub(crate) fn is_secret(&self) -> bool {
        self.has("writeOnly")
    }

    /// Whether the value is a text with places for what a vCon says.
    pub(crate) fn is_template(&self) -> bool {
        self.has("x-template")
    }

    fn has(&self, mark: &str) -> bool {
        self.schemas.iter().any(|schema| schema.get(mark) == Some(&Json::Bool(true)))
    }

    /// Whether a value of this type (`string`, `number`, `integer`, `boolean`) fits. False where the schema does not say.
    pub(crate) fn takes(&self, wanted: &str) -> bool {
        self.types().any(|kind| kind == wanted)
    }

    fn types(&self) -> impl Iterator<Item = &str> {
        self.schemas.iter().flat_map(|schema| match schema.get("type") {
            Some(Json::String(kind)) => vec![kind.as_str()],
            Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        })
    }
}

struct Walk<'a, 'v> {
    root: &'a Json,
    visit: &'v mut dyn FnMut(&Leaf<'_>),
}

impl<'a> Walk<'a, '_> {
    fn node(&mut self, node: &'a Node, keys: &mut Vec<&'a Key>, schemas: &[&'a Json], depth: usize) {
        let schemas = self.alternatives(schemas);
        if depth > MAX_DEPTH {
            return;
        }
        match &node.value {
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    let inner: Vec<&Json> = schemas.iter().filter_map(|schema| property(schema, &key.name)).collect();
                    keys.push(key);
                    self.node(value, keys, &inner, depth + 1);
                    keys.pop();
                }
            }
            Value::Sequence(items) => {
                let inner: Vec<&Json> = schemas.iter().filter_map(|schema| schema.get("items")).collect();
                for item in items {
                    self.node(item, keys, &inner, depth + 1);
                }
            }
            _ => (self.visit)(&Leaf { keys, node, schemas: &schemas }),
        }
    }

    /// The schemas themselves and all that they refer to or offer to choose from.
    fn alternatives(&self, schemas: &[&'a Json]) -> Vec<&'a Json> {
        let mut all: Vec<&Json> = Vec::new();
        let mut left: Vec<&Json> = schemas.iter().rev().copied().collect();
        while let Some(schema) = left.pop() {
            if all.iter().any(|known| std::ptr::eq(*known, schema)) {
                continue;
            }
            all.push(schema);
            let target = schema.get("$ref").and_then(Json::as_str).and_then(|target| target.strip_prefix('#'));
            left.extend(target.and_then(|pointer| self.root.pointer(pointer)));
            for choice in ["anyOf", "oneOf", "allOf"] {
                left.extend(schema.get(choice).and_then(Json::as_array).into_iter().flatten());
            }
        }
        all
    }
}

/// The schema of a member, also under one of its other names.
fn property<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    let properties = schema.get("properties").and_then(Json::as_object);
    let named = properties.and_then(|properties| {
        let alias = |property: &&Json| {
            property.get("x-alias").and_then(Json::as_array).is_some_and(|names| names.iter().any(|alias| alias == name))
        };
        properties.get(name).or_else(|| properties.values().find(alias))
    });
    named.or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()))
}
