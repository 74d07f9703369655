//! Which plugin a word on the command line means.

use serde_json::Value;
use vconductor_core::config::nearest;
use vconductor_core::plugin::{LinkEntry, Registry, StorageEntry};

use crate::cli::exit::{Exit, Failure, Result};

/// A plugin, and what the word says of its options.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// A link; option and value where the word is one of the vendors that it knows.
    Link(&'static LinkEntry, Option<(String, String)>),
    /// A storage.
    Storage(&'static StorageEntry),
}

/// The plugin that is called so, or the one link that has a vendor of this name. `behind`: the word stands behind the slash,
/// where storages are meant first.
pub(super) fn find(registry: &Registry, word: &str, behind: bool) -> Result<Found> {
    let is = |module: &str| module == word || module.rsplit('.').next() == Some(word);
    let link = registry.links.values().find(|entry| is(entry.module)).map(|entry| Found::Link(entry, None));
    let storage = registry.storages.values().find(|entry| is(entry.module)).map(|entry| Found::Storage(entry));
    // What announces a conversation is a link, also behind the slash.
    let both = if behind && link.is_none() { storage.or(link) } else { link.or(storage) };
    if let Some(found) = both {
        return Ok(found);
    }
    let vendors: Vec<Found> = registry
        .links
        .values()
        .filter_map(|entry| {
            let option = option_with((entry.schema)().as_value(), word)?;
            Some(Found::Link(entry, Some((option, word.to_owned()))))
        })
        .collect();
    match vendors.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(unknown(registry, word)),
        several => {
            let names: Vec<String> = several.iter().map(|found| format!("`{}`", short(found))).collect();
            Err(Failure::new(Exit::Usage, format!("`{word}` may be one of several links: {}", names.join(", ")))
                .help("name the link; the vendor is one of its options"))
        }
    }
}

fn short(found: &Found) -> &'static str {
    let module = match found {
        Found::Link(entry, _) => entry.module,
        Found::Storage(entry) => entry.module,
    };
    module.rsplit('.').next().unwrap_or(module)
}

fn unknown(registry: &Registry, word: &str) -> Failure {
    let modules = registry.links.keys().chain(registry.storages.keys());
    let names: Vec<&str> = modules.filter_map(|module| module.rsplit('.').next()).collect();
    let failure = Failure::new(Exit::Usage, format!("there is neither a link nor a storage `{word}`"));
    match nearest(word, &names) {
        Some(near) => failure.help(format!("did you mean `{near}`? `vconductor list` shows all")),
        None => failure.help("`vconductor list` shows all"),
    }
}

/// The option of a plugin that has this word as one of its values.
fn option_with(schema: &Value, word: &str) -> Option<String> {
    let options = schema.get("properties")?.as_object()?;
    options.iter().find(|(_, option)| has_value(schema, option, word)).map(|(name, _)| name.clone())
}

fn has_value(schema: &Value, option: &Value, word: &str) -> bool {
    let listed = |key: &str| option.get(key).and_then(Value::as_array).into_iter().flatten();
    if let Some(name) = option.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/")) {
        return schema.get("$defs").and_then(|all| all.get(name)).is_some_and(|option| has_value(schema, option, word));
    }
    option.get("const").and_then(Value::as_str) == Some(word)
        || listed("enum").any(|value| value.as_str() == Some(word))
        || listed("oneOf").chain(listed("anyOf")).any(|choice| has_value(schema, choice, word))
}
