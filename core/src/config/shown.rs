//! A configuration as it may be shown: what is secret is left out, and put back when the configuration comes back.

use serde_json::Value as Json;

use super::node::{Node, Value};
use super::secrets::has_password;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "[secret]";

/// Words in the names of options whose values are secret.
const WORDS: &[&str] = &["key", "token", "secret", "password", "passwd", "auth", "credential", "dsn", "cookie"];
/// Sections and options in which every text is secret.
const ALL_OF: &[&str] = &["ingress_auth", "headers"];

/// A tree as JSON. Placeholders stay as they are written, since they say where a secret is and not what it is.
pub fn shown(node: &Node) -> Json {
    show(node, false)
}

fn show(node: &Node, secret: bool) -> Json {
    match &node.value {
        Value::Mapping(entries) => {
            let show = |name: &str, node| show(node, secret || ALL_OF.contains(&name) || is_secret(name));
            entries.iter().map(|(key, node)| (key.name.clone(), show(&key.name, node))).collect()
        }
        Value::Sequence(items) => items.iter().map(|item| show(item, secret)).collect(),
        Value::String(_) if node.substituted => Json::String(node.text.clone()),
        Value::String(text) if (secret && !text.is_empty()) || has_password(text) => Json::String(HIDDEN.to_owned()),
        // Numbers are keys, too.
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) if secret => Json::String(HIDDEN.to_owned()),
        _ => node.to_json(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// A configuration that was shown, perhaps changed, with the secrets of `written` in it again.
///
/// # Errors
/// The paths of hidden values that `written` does not have.
pub fn restored(shown: Json, written: &Node) -> Result<Json, Vec<String>> {
    let mut missing = Vec::new();
    let restored = restore(shown, Some(written), "", &mut missing);
    if missing.is_empty() { Ok(restored) } else { Err(missing) }
}

fn restore(shown: Json, written: Option<&Node>, path: &str, missing: &mut Vec<String>) -> Json {
    match shown {
        Json::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let value = restore(value, written.and_then(|node| node.get(&name)), &path, missing);
                (name, value)
            })
            .collect(),
        Json::Array(elements) => elements
            .into_iter()
            .enumerate()
            .map(|(index, value)| {
                let of = written.and_then(|node| node.items().get(index));
                restore(value, of, &format!("{path}.{index}"), missing)
            })
            .collect(),
        Json::String(text) if text == HIDDEN => match written.filter(|node| node.entries().is_empty()) {
            Some(node) if node.substituted => Json::String(node.text.clone()),
            Some(node) => node.to_json(),
            None => {
                missing.push(path.to_owned());
                Json::Null
            }
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{ProcessEnvironment, load_text};

    const TEXT: &str = "links:\n  a:\n    module: links.webhook\n    options:\n      webhook-urls: [https://u:p@h/x, https://h/y]\n      \
                        headers: {Authorization: Bearer 1}\n  b: {module: links.x, options: {api_key: s3cret, model: m, \
                        token: 12345, other_token: \"${env:PATH}\"}}\ningress_auth:\n  calls: [one, two]\n";

    fn written() -> Node {
        load_text("c", TEXT, &ProcessEnvironment).config.unwrap().written
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let shown = shown(&written());
        let options = &shown["links"]["b"]["options"];
        assert_eq!(options, &json!({"api_key": HIDDEN, "model": "m", "token": HIDDEN, "other_token": "${env:PATH}"}));
        assert_eq!(shown["ingress_auth"]["calls"], json!([HIDDEN, HIDDEN]));
        assert_eq!(shown["links"]["a"]["options"]["webhook-urls"], json!([HIDDEN, "https://h/y"]));
        assert_eq!(shown["links"]["a"]["options"]["headers"]["Authorization"], HIDDEN);
        for secret in ["s3cret", "12345", "u:p", "Bearer", "one"] {
            assert!(!shown.to_string().contains(secret), "{secret}");
        }
    }

    #[test]
    fn what_was_hidden_comes_back() {
        let (written, mut changed) = (written(), shown(&written()));
        changed["links"]["b"]["options"]["model"] = json!("n");
        let restored = super::restored(changed.clone(), &written).unwrap();
        assert_eq!(restored["links"]["b"]["options"]["api_key"], "s3cret");
        assert_eq!(restored["links"]["b"]["options"]["model"], "n");
        assert_eq!(restored["ingress_auth"]["calls"], json!(["one", "two"]));
        changed["links"]["c"] = json!({"module": "links.x", "options": {"api_key": HIDDEN}});
        assert_eq!(super::restored(changed, &written).unwrap_err(), ["links.c.options.api_key"]);
    }
}
