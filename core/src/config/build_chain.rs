//! Makes chains and their steps out of the tree.

use std::time::Duration;

use super::build::{Builder, spanned};
use super::code::Code;
use super::finding::{Finding, Level};
use super::mode::NATIVE_CHAIN_KEYS;
use super::model::{ChainConfig, Name, RetryConfig, Step, StepLink, StorageRef};
use super::node::{Key, Node, Value};
use super::units::Period;

const CHAIN_KEYS: &[&str] = &["links", "ingress_lists", "egress_lists", "storages", "enabled", "timeout", "tracers"];
const STEP_KEYS: &[&str] = &["link", "if", "retry", "on_error", "on_signed", "timeout", "enabled", "options"];

/// Reads a chain as it is written; compatibility mode takes effects away afterwards.
pub(crate) fn chain(builder: &mut Builder<'_>, key: &Key, node: &Node) -> Option<ChainConfig> {
    let path = format!("chains.{}", key.name);
    if !builder.map(node, &path) {
        return None;
    }
    let known: Vec<&str> = CHAIN_KEYS.iter().chain(NATIVE_CHAIN_KEYS).copied().collect();
    builder.known_keys(node, &path, &known);
    if node.get("links").is_none() {
        let level = if builder.mode.is_native() { Level::Error } else { Level::Warning };
        builder.findings.push(
            Finding::new(level, Code::MissingKey, &key.span, format!("`{path}` lacks the required key `links`"))
                .help("write `links: []` for a chain without steps; vcon-server fails every vCon of this chain"),
        );
    }
    let links_path = format!("{path}.links");
    let links = builder.list(node, "links", &links_path);
    let links = links
        .iter()
        .enumerate()
        .filter_map(|(index, item)| builder.step(item, &format!("{links_path}[{index}]")))
        .collect();
    let storages_path = format!("{path}.storages");
    let storages = builder.list(node, "storages", &storages_path);
    let storages = storages
        .iter()
        .enumerate()
        .filter_map(|(index, item)| builder.storage_ref(item, &format!("{storages_path}[{index}]")))
        .collect();
    let ingress_lists = builder.names(node, "ingress_lists", &path);
    let enabled = builder.effective(node, "enabled", &path).unwrap_or(true);
    // A value of the wrong type is reported as such.
    let none_given = node.get("ingress_lists").is_none_or(|lists| {
        matches!(&lists.value, Value::Null) || matches!(&lists.value, Value::Sequence(lists) if lists.is_empty())
    });
    if none_given && enabled {
        builder.findings.push(
            Finding::warning(
                Code::ChainNeverRuns,
                &key.span,
                format!("`{path}` has no ingress list: nothing starts it"),
            )
            .help("add `ingress_lists: [name]`"),
        );
    }
    Some(ChainConfig {
        name: spanned(key),
        ingress_lists,
        egress_lists: builder.names(node, "egress_lists", &path),
        links,
        storages,
        enabled,
        timeout: builder.timeout(node, &path),
        tracers: match builder.mode.is_native() && node.get("tracers").is_some_and(|node| !node.is_null()) {
            true => Some(builder.names(node, "tracers", &path)),
            false => None,
        },
        concurrency: builder.at_least_one(node, "concurrency", &path),
        weight: builder.at_least_one(node, "weight", &path).unwrap_or(1),
        retry: builder.retry(node, &path),
        budget: builder.field(node, "budget", &path),
    })
}

impl Builder<'_> {
    /// A key of a chain that vcon-server never reads: not looked at in compatibility mode.
    fn effective<T: serde::de::DeserializeOwned>(&mut self, node: &Node, key: &str, path: &str) -> Option<T> {
        if self.mode.is_native() { self.field(node, key, path) } else { None }
    }

    fn timeout(&mut self, node: &Node, path: &str) -> Option<Duration> {
        let Period(time) = self.effective(node, "timeout", path)?;
        if time.is_zero() {
            self.too_small(node, "timeout", path, "longer than 0 seconds; leave it out for no limit");
            return None;
        }
        Some(time)
    }

    fn at_least_one(&mut self, node: &Node, key: &str, path: &str) -> Option<u32> {
        let number = self.field(node, key, path)?;
        if number == 0 {
            self.too_small(node, key, path, "1 or more");
            return None;
        }
        Some(number)
    }

    fn too_small(&mut self, node: &Node, key: &str, path: &str, expected: &str) {
        if let Some(value) = node.get(key) {
            let message = format!("`{path}.{key}` must be {expected}");
            self.findings.push(Finding::error(Code::BadValue, &value.span, message));
        }
    }

    fn retry(&mut self, node: &Node, path: &str) -> Option<RetryConfig> {
        let retry: RetryConfig = self.field(node, "retry", path)?;
        if retry.attempts == Some(0) {
            let path = format!("{path}.retry");
            self.too_small(node.get("retry")?, "attempts", &path, "1 or more (1 means that nothing is tried again)");
        }
        Some(retry)
    }

    fn step(&mut self, node: &Node, path: &str) -> Option<Step> {
        let Some((key, branches)) = node.entry("parallel") else {
            return self.step_link(node, path).map(|link| Step::Link(Box::new(link)));
        };
        self.known_keys(node, path, &["parallel"]);
        let path = format!("{path}.parallel");
        let items = self.list(node, "parallel", &path);
        if items.is_empty() && matches!(branches.value, Value::Null | Value::Sequence(_)) {
            let message = format!("`{path}` has no links");
            self.findings.push(
                Finding::warning(Code::UnreachableStep, &key.span, message)
                    .help("list the links that run at the same time, or remove the step"),
            );
        }
        let mut links = Vec::new();
        for (index, item) in items.iter().enumerate() {
            links.extend(self.step_link(item, &format!("{path}[{index}]")));
        }
        Some(Step::Parallel { links, span: key.span.clone() })
    }

    fn step_link(&mut self, node: &Node, path: &str) -> Option<StepLink> {
        if node.is_null() {
            let message = format!("`{path}` is empty");
            self.findings.push(
                Finding::error(Code::WrongType, &node.span, message)
                    .help("write the name of a link, or remove the `-`"),
            );
            return None;
        }
        if !matches!(node.value, Value::Mapping(_)) {
            return self.name(node, path).map(|link| bare(link, None));
        }
        if node.get("link").is_none() {
            return self.inline(node, path);
        }
        self.known_keys(node, path, STEP_KEYS);
        let link = self.name(node.get("link")?, &format!("{path}.link"))?;
        let options = node.get("options").filter(|options| self.map(options, &format!("{path}.options"))).cloned();
        Some(StepLink {
            condition: node.get("if").filter(|node| !node.is_null()).and_then(|node| self.condition(node, path)),
            retry: self.retry(node, path),
            on_error: self.field(node, "on_error", path).unwrap_or_default(),
            on_signed: self.field(node, "on_signed", path).unwrap_or_default(),
            timeout: self.timeout(node, path),
            enabled: self.field(node, "enabled", path).unwrap_or(true),
            ..bare(link, options)
        })
    }

    /// `- analyze: {model: x}`: a link with options of this step.
    fn inline(&mut self, node: &Node, path: &str) -> Option<StepLink> {
        match node.entries() {
            // `- name: tag` is no link called `name`.
            [(key, link)] if matches!(key.name.as_str(), "name" | "module" | "step") && !link.text.is_empty() => {
                let message = format!("`{path}` does not say which link it is");
                self.findings.push(
                    Finding::error(Code::MissingKey, &key.span, message).help(format!("write `link: {}`", link.text)),
                );
                None
            }
            [(key, options)] if !STEP_KEYS.contains(&key.name.as_str()) => {
                self.map(options, &format!("{path}.{}", key.name));
                Some(bare(spanned(key), Some(options.clone())))
            }
            _ => {
                self.findings.push(
                    Finding::error(Code::MissingKey, &node.span, format!("`{path}` does not say which link it is"))
                        .help("write `link: NAME`, with `options:` for options of this step"),
                );
                None
            }
        }
    }

    fn condition(&mut self, node: &Node, path: &str) -> Option<Name> {
        // `if: false` is a truth value to YAML and a program to jq.
        if let Value::Bool(flag) = node.value {
            return Some(Name { value: flag.to_string(), text: node.text.clone(), span: node.span.clone() });
        }
        self.name(node, &format!("{path}.if"))
    }

    fn storage_ref(&mut self, node: &Node, path: &str) -> Option<StorageRef> {
        if !matches!(node.value, Value::Mapping(_)) {
            return self.name(node, path).map(|name| StorageRef { name, required: true, retry: None });
        }
        self.known_keys(node, path, &["storage", "required", "retry"]);
        let Some(storage) = node.get("storage") else {
            self.findings.push(
                Finding::error(Code::MissingKey, &node.span, format!("`{path}` does not say which storage it is"))
                    .help("write `storage: NAME`"),
            );
            return None;
        };
        Some(StorageRef {
            name: self.name(storage, &format!("{path}.storage"))?,
            required: self.field(node, "required", path).unwrap_or(true),
            retry: self.retry(node, path),
        })
    }
}

fn bare(link: Name, options: Option<Node>) -> StepLink {
    StepLink {
        link,
        condition: None,
        retry: None,
        on_error: Default::default(),
        on_signed: Default::default(),
        timeout: None,
        enabled: true,
        options,
    }
}
