//! Secrets that stand in a configuration as they are, where everybody who reads the file reads them.

use super::code::Code;
use super::described::{Leaf, Written};
use super::finding::Finding;
use super::model::Config;
use super::node::{Key, Node, Value};
use super::typed::push_once;

/// Shorter texts are no keys that anybody gave out.
const SHORTEST_KEY: usize = 20;

/// How well-known keys begin, and whose they are.
const KNOWN: &[(&str, &str)] = &[
    ("sk-ant-", "Anthropic"),
    ("sk-", "OpenAI"),
    ("gsk_", "Groq"),
    ("hf_", "Hugging Face"),
    ("xoxb-", "Slack"),
    ("xoxp-", "Slack"),
    ("xapp-", "Slack"),
    ("AKIA", "AWS"),
    ("ASIA", "AWS"),
    ("AIza", "Google"),
    ("ghp_", "GitHub"),
    ("github_pat_", "GitHub"),
    ("glpat-", "GitLab"),
    ("whsec_", "a webhook"),
];

/// Headers that carry a secret.
const HEADERS: &[&str] = &["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"];

/// Reports secrets in clear. In compatibility mode only keys of a well-known form are reported, as vcon-server knows no
/// other way to write one down.
pub(crate) fn check(config: &Config, written: &[Written], findings: &mut Vec<Finding>) {
    let native = config.mode.is_native();
    for Written { place, owner, described } in written {
        described.leaves(&mut |leaf| {
            if let Some(what) = secret(leaf, native)
                && let Some(key) = leaf.key()
            {
                push_once(findings, in_clear(&leaf.path(place), owner, key, leaf.node, &what));
            }
        });
    }
    if native {
        sections(config, findings);
    }
}

fn sections(config: &Config, findings: &mut Vec<Finding>) {
    let written = &config.written;
    if let Some((key, node)) = written.entry("store")
        && literal(node).is_some_and(has_password)
    {
        findings.push(in_clear("store", "redis", key, node, "the password of a URL"));
    }
    for (list, keys) in written.get("ingress_auth").map_or(&[][..], Node::entries) {
        let single = std::slice::from_ref(keys);
        let keys = if keys.items().is_empty() { single } else { keys.items() };
        if let Some(node) = keys.iter().find(|node| literal(node).is_some()) {
            findings.push(in_clear(&format!("ingress_auth.{}", list.name), "partner", list, node, "a key"));
        }
    }
    for (name, follower) in written.get("followers").map_or(&[][..], Node::entries) {
        if let Some((key, node)) = follower.entry("auth_token")
            && literal(node).is_some()
        {
            let path = format!("followers.{}.auth_token", name.name);
            findings.push(in_clear(&path, &name.name, key, node, "a secret"));
        }
    }
}

/// What kind of secret a value is, if it is one in clear.
fn secret(leaf: &Leaf<'_>, native: bool) -> Option<String> {
    let text = literal(leaf.node)?;
    if let Some(owner) = known_key(text) {
        return Some(format!("a key of {owner}"));
    }
    if !native {
        return None;
    }
    if has_password(text) {
        return Some("the password of a URL".to_owned());
    }
    // An address may be a secret, and mostly is none.
    if text.contains("://") {
        return None;
    }
    let in_headers = leaf.keys.iter().rev().skip(1).any(|key| key.name == "headers");
    if in_headers {
        let name = leaf.key()?.name.to_lowercase();
        return HEADERS.contains(&name.as_str()).then(|| "a secret".to_owned());
    }
    leaf.is_secret().then(|| "a secret".to_owned())
}

/// A text that was written as it is: not interpolated, not empty, and no stand-in of an example.
fn literal(node: &Node) -> Option<&str> {
    let text = match &node.value {
        Value::String(text) => text.as_str(),
        // Digits without quotes.
        Value::Int(_) | Value::BigInt(_) => node.text.as_str(),
        _ => return None,
    };
    (!node.substituted && !is_stand_in(text)).then_some(text)
}

/// What examples write where a secret belongs.
fn is_stand_in(text: &str) -> bool {
    const WORDS: &[&str] = &["your", "example", "changeme", "change-me", "change_me", "placeholder", "xxx", "..."];
    let text = text.trim();
    let lower = text.to_lowercase();
    text.is_empty()
        || text.contains("${")
        || (text.starts_with('<') && text.ends_with('>'))
        || lower == "not-a-secret"
        || WORDS.iter().any(|word| lower.contains(word))
}

fn known_key(text: &str) -> Option<&'static str> {
    let key = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if key.contains("-----BEGIN") && key.contains("PRIVATE KEY-----") {
        return Some("a certificate");
    }
    let is_key = key.len() >= SHORTEST_KEY
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=+/".contains(&byte))
        && key.bytes().any(|byte| byte.is_ascii_digit());
    let owner = KNOWN.iter().find(|(beginning, _)| key.starts_with(beginning)).map(|(_, owner)| *owner);
    owner.filter(|_| is_key)
}

/// `scheme://user:password@host`.
pub(crate) fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    user.is_some_and(|(_, password)| !password.is_empty())
}

fn in_clear(path: &str, owner: &str, key: &Key, node: &Node, what: &str) -> Finding {
    let option = &key.name;
    let text = node.as_str().unwrap_or_default();
    let help = if has_password(text) {
        let variable = variable(owner, "url");
        format!("write `{option}: ${{env:{variable}}}` and put the whole URL into that variable")
    } else if text.starts_with("Bearer ") {
        let variable = variable(owner, "token");
        format!("write `{option}: Bearer ${{env:{variable}}}` and set that variable to what stands behind `Bearer`")
    } else {
        let variable = variable(owner, option);
        format!(
            "write `{option}: ${{env:{variable}}}` and set that variable, or `${{file:/run/secrets/NAME}}` for a file that \
             holds nothing else"
        )
    };
    Finding::warning(Code::SecretInClear, &key.span, format!("`{path}` holds {what} in clear"))
        .help(format!("{help}; replace the secret if others may have seen it"))
        .hiding(&node.span)
}

/// A name for the variable that takes the secret.
fn variable(owner: &str, option: &str) -> String {
    let option_is_name = option.len() > 6 && option.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let name = if option_is_name { option.to_owned() } else { format!("{owner}_{option}") };
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_their_form_and_stand_ins_are_none() {
        for (text, owner) in [
            ("sk-proj-4f9a8b7c6d5e4f3a2b1c", Some("OpenAI")),
            ("Bearer sk-ant-api03-4f9a8b7c6d5e", Some("Anthropic")),
            ("AKIAIOSFODNN7QJ2K3LM", Some("AWS")),
            ("xoxb-1234567890-abcdefghij", Some("Slack")),
            ("-----BEGIN EC PRIVATE KEY-----\nMHc", Some("a certificate")),
            ("sk-short", None),
            ("sk-this-is-no-key-but-a-name", None),
            ("a sentence about sk-keys 1", None),
        ] {
            assert_eq!(known_key(text), owner, "{text}");
        }
        for text in
            ["", "YOUR_API_KEY", "<key>", "${KEY}", "sk-xxxxxxxxxxxxxxxxxxxx", "https://example.com", "not-a-secret"]
        {
            assert!(is_stand_in(text), "{text}");
        }
        assert!(!is_stand_in("dg-4f9a8b7c"));
    }

    #[test]
    fn passwords_of_urls_are_seen() {
        for (url, expected) in [
            ("postgres://u:p@h/d", true),
            ("redis://:p@h", true),
            ("postgres://u@h/d", false),
            ("postgres://u:@h/d", false),
            ("https://h/a:b@c", false),
            ("u:p@h", false),
        ] {
            assert_eq!(has_password(url), expected, "{url}");
        }
    }

    #[test]
    fn variables_are_named_after_link_and_option() {
        assert_eq!(variable("transcribe", "api_key"), "TRANSCRIBE_API_KEY");
        assert_eq!(variable("transcribe", "DEEPGRAM_KEY"), "DEEPGRAM_KEY");
        assert_eq!(variable("my-hook", "Authorization"), "MY_HOOK_AUTHORIZATION");
    }
}
