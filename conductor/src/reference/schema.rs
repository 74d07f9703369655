//! The JSON Schema of a configuration, for editors. Sections and chains are described by the structs here, options of plugins by
//! their own; a test holds the keys against those that the loader knows.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use vconductor_core::config::{Budget, OnError, OnSigned, Period, RetryConfig, Size};
use vconductor_core::plugin::Registry;
use vconductor_core::price::Price;
use vconductor_core::store::Durability;

use crate::sections::{Http, Media};

/// A configuration of vConductor. A file with none of its own keys is read as vcon-server reads it.
#[derive(JsonSchema)]
#[schemars(extend("patternProperties" = {"^x-": true}), deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct Configuration {
    /// Where vCons and queues live: `embedded:PATH`, `redis://HOST:PORT/DB`, `rediss://...`. Default: `REDIS_URL`, else
    /// `embedded:./vconductor-data`.
    store: Option<String>,
    /// How safe a vCon must be before whoever gave it is told that it is taken.
    durability: Option<Durability>,
    /// The client that all links share.
    http: Option<Http>,
    /// Where recordings may come from, and where large bodies are kept apart from documents.
    media: Option<Media>,
    /// Prices of paid services, over those that come with the program.
    prices: Option<Vec<Price>>,
    /// Links by name.
    links: Option<BTreeMap<String, Option<Plugin>>>,
    /// Storages by name.
    storages: Option<BTreeMap<String, Option<Plugin>>>,
    /// Tracers by name.
    tracers: Option<BTreeMap<String, Option<Plugin>>>,
    /// Ingress adapters by name: what vendors post to `/ingress/NAME`.
    ingress: Option<BTreeMap<String, Adapter>>,
    /// Chains by name.
    chains: Option<BTreeMap<String, Chain>>,
    /// Python packages that vcon-server would import; they are not loaded.
    imports: Option<BTreeMap<String, Value>>,
    /// Keys of partners by ingress list.
    ingress_auth: Option<BTreeMap<String, Option<OneOrMore>>>,
    /// Other servers that vCons are pulled from, by name.
    followers: Option<BTreeMap<String, Follower>>,
}

/// A named link, storage or tracer.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Plugin {
    /// The plugin.
    module: String,
    /// The Python package that vcon-server would install; nothing is installed.
    pip_name: Option<String>,
    /// Its options.
    options: Option<Value>,
}

/// A named ingress adapter.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct Adapter {
    /// The adapter.
    module: String,
    /// The list that its vCons are put on.
    list: String,
    /// How long what cannot be fetched is tried again. Default 1d.
    give_up_after: Option<Period>,
    /// The largest recording that is fetched. Default 256MB.
    max_size: Option<Size>,
    /// Its options.
    options: Option<Value>,
}

/// A chain: what becomes of the vCons of its ingress lists.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct Chain {
    /// Lists that it takes from.
    ingress_lists: Option<Vec<String>>,
    /// Its steps, one after the other.
    links: Option<Vec<Step>>,
    /// Where finished vCons are saved.
    storages: Option<Vec<StorageReference>>,
    /// Lists that it hands finished vCons to.
    egress_lists: Option<Vec<String>>,
    /// Whether it takes vCons.
    enabled: Option<bool>,
    /// Longest time of one passage through the links.
    timeout: Option<Period>,
    /// The tracers that see its runs. Default: all.
    tracers: Option<Vec<String>>,
    /// Most vCons at work at once. Default 64.
    #[schemars(range(min = 1))]
    concurrency: Option<u32>,
    /// Share of the claims while lists are busy; 1 is the usual share.
    #[schemars(range(min = 1))]
    weight: Option<u32>,
    /// How failed steps are tried again, unless the step says otherwise. Default: 8 attempts, 1s to 5m.
    retry: Option<RetryConfig>,
    /// How much its paid calls may cost.
    budget: Option<Budget>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is read")]
enum Step {
    /// The name of a link.
    Name(String),
    /// A link, and how it runs here.
    Link(Box<StepLink>),
    /// Links that run at the same time on the same document.
    Parallel(Parallel),
    /// A link with options of this step: `NAME: {option: value}`.
    Inline(Inline),
}

/// A link, and how it runs here.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct StepLink {
    /// The link's name.
    link: String,
    /// jq program over the vCon; the step runs if it gives a true value.
    #[schemars(rename = "if")]
    condition: Option<Condition>,
    /// How it is tried again.
    retry: Option<RetryConfig>,
    /// What happens when it fails for good.
    on_error: Option<OnError>,
    /// What happens with a signed vCon if the link edits.
    on_signed: Option<OnSigned>,
    /// Longest time of one attempt.
    timeout: Option<Period>,
    /// Whether it runs at all.
    enabled: Option<bool>,
    /// Options of this step over those of the link.
    options: Option<BTreeMap<String, Value>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is read")]
enum Condition {
    Program(String),
    Fixed(bool),
}

/// Links that run at the same time on the same document.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct Parallel {
    /// The branches.
    parallel: Vec<Branch>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is read")]
enum Branch {
    Name(String),
    Link(Box<StepLink>),
    Inline(Inline),
}

/// `NAME: {option: value}`.
struct Inline;

impl JsonSchema for Inline {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Inline".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object", "minProperties": 1, "maxProperties": 1,
            "propertyNames": {"not": {"enum": ["link", "parallel"]}},
            "additionalProperties": {"type": ["object", "null"]},
        })
    }
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is read")]
enum StorageReference {
    /// The name of a storage that is required.
    Name(String),
    Storage(StorageStep),
}

/// A storage, and what it is to this chain.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct StorageStep {
    /// The storage's name.
    storage: String,
    /// Whether egress waits until it has the vCon. Default true.
    required: Option<bool>,
    /// How a failed save is tried again.
    retry: Option<RetryConfig>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is read")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Another server that vCons are pulled from.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct Follower {
    /// Base address of the other server's API.
    url: String,
    /// The list there.
    egress_list: String,
    /// The list here.
    follower_ingress_list: String,
    /// The other server's API key.
    auth_token: String,
    /// Time between two pulls.
    pulling_interval: Period,
    /// Most vCons of one pull.
    fetch_vcon_limit: u32,
}

/// The JSON Schema of a configuration with these plugins.
pub fn configuration_schema(registry: &Registry) -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Configuration>().to_value();
    schema["title"] = json!("vConductor configuration");
    let links = registry.links.values().map(|entry| (entry.module, entry.aliases, (entry.schema)()));
    let storages = registry.storages.values().map(|entry| (entry.module, entry.aliases, (entry.schema)()));
    let tracers = registry.tracers.values().map(|entry| (entry.module, entry.aliases, (entry.schema)()));
    let ingress = registry.ingress.values().map(|entry| (entry.module, &[][..], (entry.schema)()));
    for (section, rules) in [
        ("links", rules(links, &mut schema)),
        ("storages", rules(storages, &mut schema)),
        ("tracers", rules(tracers, &mut schema)),
        ("ingress", rules(ingress, &mut schema)),
    ] {
        let written = schema["properties"][section]["additionalProperties"].take();
        schema["properties"][section]["additionalProperties"] = json!({ "allOf": [written, rules] });
    }
    schema
}

/// Which modules there are, and for each of them its options. An alias takes options of another form.
fn rules<'a>(plugins: impl Iterator<Item = (&'a str, &'a [&'a str], Schema)>, root: &mut Value) -> Value {
    let (mut modules, mut rules) = (Vec::new(), Vec::new());
    for (module, aliases, options) in plugins {
        modules.push(module);
        modules.extend(aliases);
        let options = hoisted(module, options.to_value(), root);
        rules.push(json!({
            "if": { "properties": { "module": { "const": module } }, "required": ["module"] },
            "then": { "properties": { "options": { "anyOf": [options, { "type": "null" }] } } },
        }));
    }
    let known =
        json!({ "anyOf": [{ "enum": modules }, { "type": "string", "pattern": "^server\\.", "deprecated": true }] });
    let mut all = json!({ "properties": { "module": known } });
    if !rules.is_empty() {
        all["allOf"] = rules.into();
    }
    all
}

/// The options of a plugin, whose definitions go to the root under the plugin's name.
fn hoisted(module: &str, mut options: Value, root: &mut Value) -> Value {
    const DEFINITIONS: &str = "#/$defs/";
    fn refer(value: &mut Value, module: &str) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(path) if name == "$ref" && path.starts_with(DEFINITIONS) => {
                            path.insert_str(DEFINITIONS.len(), &format!("{module}."));
                        }
                        _ => refer(member, module),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| refer(item, module)),
            _ => {}
        }
    }
    refer(&mut options, module);
    if let Some(members) = options.as_object_mut() {
        members.remove("$schema");
        members.remove("title");
        if let Some(Value::Object(definitions)) = members.remove("$defs") {
            for (name, definition) in definitions {
                root["$defs"][format!("{module}.{name}")] = definition;
            }
        }
    }
    options
}
