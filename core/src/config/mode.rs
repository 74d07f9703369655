//! Whether a file is read as vcon-server reads it.

use super::finding::Level;
use super::node::{Key, Node, Value};
use super::source::Span;

/// Top-level keys that vcon-server does not know.
pub(crate) const NATIVE_SECTIONS: &[&str] = &["store", "durability", "media", "http", "prices", "ingress"];
/// Keys of a chain that vcon-server does not know.
pub(crate) const NATIVE_CHAIN_KEYS: &[&str] = &["concurrency", "weight", "retry", "budget"];

/// How the configuration is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// None of our keys is used: what vcon-server ignored is ignored, unknown keys are warnings.
    Compatible,
    /// One of our keys is used: every setting has its effect, unknown keys are errors.
    Native {
        /// The key that decided it, for example `store` or `chains.calls.weight`.
        key: String,
        /// Where it stands.
        span: Span,
    },
}

impl Mode {
    /// Finds the first of our keys.
    pub(crate) fn of(root: &Node) -> Mode {
        let mut native = root.entries().iter().filter(|(key, _)| NATIVE_SECTIONS.contains(&key.name.as_str()));
        if let Some((key, _)) = native.next() {
            return Mode::native(key.name.clone(), &key.span);
        }
        let chains = root.get("chains").map_or(&[][..], Node::entries);
        chains.iter().find_map(|(name, chain)| of_chain(name, chain)).unwrap_or(Mode::Compatible)
    }

    fn native(key: String, span: &Span) -> Mode {
        Mode::Native { key, span: span.clone() }
    }

    /// Whether one of our keys is used.
    pub fn is_native(&self) -> bool {
        matches!(self, Mode::Native { .. })
    }

    /// The level of findings about keys and options that nothing reads.
    pub fn unknown_level(&self) -> Level {
        if self.is_native() { Level::Error } else { Level::Warning }
    }
}

fn of_chain(name: &Key, chain: &Node) -> Option<Mode> {
    chain.entries().iter().find_map(|(key, value)| {
        let path = format!("chains.{}.{}", name.name, key.name);
        if NATIVE_CHAIN_KEYS.contains(&key.name.as_str()) {
            return Some(Mode::native(path, &key.span));
        }
        if !matches!(key.name.as_str(), "links" | "storages") {
            return None;
        }
        // vcon-server knows names only.
        let map = value.items().iter().find(|item| matches!(item.value, Value::Mapping(_)))?;
        let form = map.entries().first().map_or("", |(key, _)| key.name.as_str());
        Some(Mode::native(format!("{path}.{form}"), &map.span))
    })
}
