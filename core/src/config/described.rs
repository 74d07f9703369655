//! Options side by side with their JSON Schema: what is known about each value that was written.

use serde_json::Value as Json;

use super::check::{Catalog, Kind, Plugin};
use super::model::Config;
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

/// Options as they stand at one place of the configuration.
pub(crate) struct Written {
    /// The place, for messages: `links.transcribe.options`.
    pub(crate) place: String,
    /// The name of the plugin.
    pub(crate) owner: String,
    pub(crate) described: Described,
}

/// The options of all plugins that the catalog knows, and those that steps of chains put over them.
pub(crate) fn written(config: &Config, catalog: &dyn Catalog) -> Vec<Written> {
    let mut all = Vec::new();
    for plugin in config.plugins() {
        let place = format!("{}.{}.options", plugin.section, plugin.name);
        let described = catalog.describe(&plugin);
        all.extend(described.map(|described| Written { place, owner: plugin.name.text.clone(), described }));
    }
    for chain in &config.chains {
        for step in chain.steps() {
            let (Some(over), Some(link)) = (&step.options, config.link(&step.link)) else { continue };
            let place = format!("chains.{}.links.{}.options", chain.name, step.link);
            let options = Options { node: over.clone(), path: place.clone() };
            let (name, module) = (&link.name, &link.module);
            let plugin = Plugin { kind: Kind::Link, section: "links", name, module, options: &options };
            let described = catalog.describe(&plugin);
            all.extend(described.map(|described| Written { place, owner: step.link.text.clone(), described }));
        }
    }
    all
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

    /// Where it stands: `links.tell.options.headers.Authorization`.
    pub(crate) fn path(&self, place: &str) -> String {
        self.keys.iter().fold(place.to_owned(), |path, key| format!("{path}.{}", key.name))
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
            property
                .get("x-alias")
                .and_then(Json::as_array)
                .is_some_and(|names| names.iter().any(|alias| alias == name))
        };
        properties.get(name).or_else(|| properties.values().find(alias))
    });
    named.or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::source::Source;
    use crate::config::yaml::parse;

    #[test]
    fn values_are_known_through_references_choices_lists_maps_and_other_names() {
        let schema = json!({
            "$defs": {"Secret": {"type": "string", "writeOnly": true}},
            "properties": {
                "key": {"anyOf": [{"$ref": "#/$defs/Secret"}, {"type": "null"}], "x-alias": ["KEY"]},
                "keys": {"type": "array", "items": {"$ref": "#/$defs/Secret"}},
                "headers": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Secret"}},
                "count": {"type": ["integer", "null"]},
                "url": {"type": "string", "x-template": true},
            },
        });
        let text = "key: a\nKEY: b\nkeys: [c]\nheaders: {x: d}\ncount: 1\nurl: e\nother: f\n";
        let node = parse(&Source::new("t.yml", text), &mut Vec::new()).unwrap();
        let mut seen = Vec::new();
        Described { schema, options: Options { node, path: "o".to_owned() } }.leaves(&mut |leaf| {
            let marks = [leaf.is_secret(), leaf.is_template(), leaf.takes("integer")];
            seen.push((leaf.key().unwrap().name.clone(), marks.map(u8::from)));
        });
        let expected = [("key", [1, 0, 0]), ("KEY", [1, 0, 0]), ("keys", [1, 0, 0]), ("x", [1, 0, 0])];
        let rest = [("count", [0, 0, 1]), ("url", [0, 1, 0]), ("other", [0, 0, 0])];
        let expected: Vec<_> = expected.into_iter().chain(rest).map(|(name, marks)| (name.to_owned(), marks)).collect();
        assert_eq!(seen, expected);
    }
}
