//! Makes the typed configuration out of the tree: sections, plugins, followers and keys of partners.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::build_chain;
use super::code::Code;
use super::compat;
use super::finding::{Finding, Level};
use super::mode::{Mode, NATIVE_SECTIONS};
use super::model::{Config, Follower, IngressAuth, IngressConfig, Name, PluginConfig};
use super::nearest::nearest;
use super::node::{Key, Node, Value};
use super::typed::{self, Options};
use super::units::{Period, Size};
use crate::secret::Secret;

/// Sections that vcon-server knows.
const SECTIONS: &[&str] = &["links", "storages", "chains", "tracers", "imports", "ingress_auth", "followers"];

/// All sections of a configuration.
pub(crate) fn sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().chain(NATIVE_SECTIONS).copied()
}

/// How long what an ingress cannot fetch is tried again, unless the configuration says otherwise.
const GIVE_UP_AFTER: Duration = Duration::from_secs(86_400);
/// The largest recording of an ingress, unless the configuration says otherwise.
const LARGEST_RECORDING: u64 = 256 << 20;

/// Builds the configuration. What cannot be read is left out and reported.
pub(crate) fn build(root: &Node, hash: String, findings: &mut Vec<Finding>) -> Config {
    let mode = Mode::of(root);
    let mut builder = Builder { mode, findings };
    if !matches!(root.value, Value::Null | Value::Mapping(_)) {
        let message = format!("a configuration must be a map of sections, not {}", root.describe());
        builder.findings.push(
            Finding::error(Code::WrongType, &root.span, message)
                .help("it starts with sections such as `links:` and `chains:`"),
        );
    }
    builder.known_sections(root);
    let chains = root.get("chains");
    let mut config = Config {
        hash,
        store: root.get("store").and_then(|node| builder.name(node, "store")),
        durability: root.get("durability").and_then(|node| builder.read(node, "durability")),
        media: builder.section(root, "media"),
        http: builder.section(root, "http"),
        prices: root.get("prices").and_then(|node| builder.read(node, "prices")).unwrap_or_default(),
        links: builder.plugins(root, "links"),
        storages: builder.plugins(root, "storages"),
        tracers: builder.plugins(root, "tracers"),
        chains: builder.named(root, "chains", build_chain::chain),
        imports: builder.named(root, "imports", |builder, key, node| builder.import(key, node)),
        ingress_auth: builder.named(root, "ingress_auth", |builder, key, node| builder.ingress_auth(key, node)),
        ingress: builder.named(root, "ingress", |builder, key, node| Some(builder.ingress(key, node))),
        followers: builder.named(root, "followers", |builder, key, node| builder.follower(key, node)),
        written: root.clone(),
        effects: Vec::new(),
        mode: builder.mode,
    };
    match config.mode {
        Mode::Compatible => compat::keep_old_effects(&mut config, chains, findings),
        Mode::Native { .. } => compat::reject_shared_lists(&config.chains, findings),
    }
    config
}

/// Reads nodes in one mode and collects what is wrong.
pub(crate) struct Builder<'a> {
    pub(crate) mode: Mode,
    pub(crate) findings: &'a mut Vec<Finding>,
}

impl Builder<'_> {
    /// Reads a value of a type that serde knows.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, node: &Node, path: &str) -> Option<T> {
        typed::read(node, path, &self.mode, self.findings)
    }

    /// Reads an entry of a map; null counts as left out.
    pub(crate) fn field<T: DeserializeOwned>(&mut self, map: &Node, key: &str, path: &str) -> Option<T> {
        let node = map.get(key).filter(|node| !node.is_null())?;
        self.read(node, &format!("{path}.{key}"))
    }

    pub(crate) fn name(&mut self, node: &Node, path: &str) -> Option<Name> {
        let value = self.read::<String>(node, path)?;
        Some(Name { value, text: node.text.clone(), span: node.span.clone() })
    }

    /// A list of names; null and a missing key are an empty list.
    pub(crate) fn names(&mut self, map: &Node, key: &str, path: &str) -> Vec<Name> {
        let path = format!("{path}.{key}");
        let list = self.list(map, key, &path);
        list.iter().enumerate().filter_map(|(index, item)| self.name(item, &format!("{path}[{index}]"))).collect()
    }

    /// The items of a list; null and a missing key are an empty list.
    pub(crate) fn list<'n>(&mut self, map: &'n Node, key: &str, path: &str) -> &'n [Node] {
        let Some(node) = map.get(key) else { return &[] };
        if !matches!(node.value, Value::Null | Value::Sequence(_)) {
            let finding = Finding::error(
                Code::WrongType,
                &node.span,
                format!("`{path}` must be a list, not {}", node.describe()),
            );
            self.findings.push(match node.style {
                super::node::Style::Plain => finding.help(format!("write `{key}: [{}]`", node.text)),
                _ => finding,
            });
        }
        node.items()
    }

    /// Reports anything but a map or null.
    pub(crate) fn map(&mut self, node: &Node, path: &str) -> bool {
        let good = matches!(node.value, Value::Null | Value::Mapping(_));
        if !good {
            let message = format!("`{path}` must be a map, not {}", node.describe());
            self.findings.push(
                Finding::error(Code::WrongType, &node.span, message)
                    .help("the entries of a map are written `key: value`"),
            );
        }
        good
    }

    /// Reports keys of a map that nothing reads.
    pub(crate) fn known_keys(&mut self, node: &Node, path: &str, known: &[&str]) {
        for (key, _) in node.entries() {
            if !known.contains(&key.name.as_str()) {
                let message = format!("`{path}` has no key `{}`", key.name);
                self.unknown_key(key, message, known);
            }
        }
    }

    fn unknown_key(&mut self, key: &Key, message: String, known: &[&str]) {
        let level = self.mode.unknown_level();
        let finding = Finding::new(level, Code::UnknownKey, &key.span, message).nearest(nearest(&key.name, known));
        self.findings.push(match level {
            Level::Warning => finding.help("this key has no effect, as in vcon-server"),
            Level::Error if finding.nearest.is_some() => finding,
            Level::Error => finding.help(format!("possible: {}", known.join(", "))),
        });
    }

    fn known_sections(&mut self, root: &Node) {
        let known: Vec<&str> = sections().collect();
        for (key, _) in root.entries() {
            // `x-` is the usual place for anchors, as in Compose files.
            if !known.contains(&key.name.as_str()) && !key.name.starts_with("x-") {
                self.unknown_key(key, format!("there is no section `{}`", key.name), &known);
            }
        }
    }

    fn section(&mut self, root: &Node, name: &str) -> Option<Options> {
        let node = root.get(name)?;
        self.map(node, name).then(|| Options { node: node.clone(), path: name.to_owned() })
    }

    /// Reads every entry of a section; null is an empty section.
    fn named<T>(
        &mut self,
        root: &Node,
        section: &str,
        mut read: impl FnMut(&mut Self, &Key, &Node) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = root.get(section) else { return Vec::new() };
        self.map(node, section);
        node.entries().iter().filter_map(|(key, node)| read(self, key, node)).collect()
    }

    fn plugins(&mut self, root: &Node, section: &str) -> Vec<PluginConfig> {
        self.named(root, section, |builder, key, node| Some(builder.plugin(section, key, node)))
    }

    fn plugin(&mut self, section: &str, key: &Key, node: &Node) -> PluginConfig {
        let path = format!("{section}.{}", key.name);
        if self.map(node, &path) {
            self.known_keys(node, &path, &["module", "pip_name", "options"]);
        }
        let module = match node.get("module").filter(|module| !module.is_null()) {
            Some(module) => self.name(module, &format!("{path}.module")),
            None if matches!(node.value, Value::Null | Value::Mapping(_)) => {
                let example = if section == "storages" { "storage.s3" } else { "links.tag" };
                self.findings.push(
                    Finding::error(Code::MissingKey, &key.span, format!("`{path}` lacks the required key `module`"))
                        .help(format!("name the plugin, for example `module: {example}`")),
                );
                None
            }
            None => None,
        };
        let module = module.unwrap_or_else(|| Name { value: String::new(), ..spanned(key) });
        let options = Options {
            node: node.get("options").cloned().unwrap_or_else(|| Node::null(&key.span)),
            path: format!("{path}.options"),
        };
        self.map(&options.node, &options.path);
        PluginConfig {
            name: spanned(key),
            module: self.current_module(module),
            pip_name: node.get("pip_name").filter(|name| !name.is_null()).and_then(|name| self.name(name, &path)),
            options,
        }
    }

    /// Today's name of a module that is written as early versions of vcon-server had it.
    fn current_module(&mut self, module: Name) -> Name {
        let Some(current) = module.text.strip_prefix("server.").map(str::to_owned) else {
            return module;
        };
        if !(current.starts_with("links.") || current.starts_with("storage.")) {
            return module;
        }
        self.findings.push(
            Finding::warning(Code::OldModuleName, &module.span, format!("`{module}` is an old name of `{current}`"))
                .help(format!("write `module: {current}`")),
        );
        Name { value: current.clone(), text: current, span: module.span }
    }

    fn import(&mut self, key: &Key, node: &Node) -> Option<Name> {
        let path = format!("imports.{}", key.name);
        let module = if matches!(node.value, Value::Mapping(_)) { node.get("module")? } else { node };
        let module = if module.is_null() { spanned(key) } else { self.name(module, &path)? };
        self.findings.push(
            Finding::warning(Code::ImportIgnored, &key.span, format!("the Python package `{module}` is not loaded"))
                .help("Python links run through `links.exec`"),
        );
        Some(module)
    }

    fn ingress_auth(&mut self, key: &Key, node: &Node) -> Option<IngressAuth> {
        let path = format!("ingress_auth.{}", key.name);
        let nodes = match &node.value {
            Value::Sequence(items) => items.as_slice(),
            // vcon-server: not configured, so the list stays closed to partners.
            Value::Null => return None,
            _ => std::slice::from_ref(node),
        };
        let mut keys = Vec::new();
        for node in nodes {
            match node.as_str() {
                Some(text) if !text.is_empty() => keys.push(Secret::new(text)),
                Some(_) => {
                    let message = format!("`{path}` has an empty key");
                    self.findings.push(
                        Finding::error(Code::BadValue, &node.span, message)
                            .help("an empty key would let anybody in: remove it or set it"),
                    );
                }
                None => {
                    let message = format!("`{path}` must be a text or a list of texts, not {}", node.describe());
                    let finding = Finding::error(Code::WrongType, &node.span, message);
                    self.findings.push(match node.value {
                        Value::Mapping(_) | Value::Sequence(_) => finding,
                        _ => finding.help("put the key in quotes"),
                    });
                }
            }
        }
        Some(IngressAuth { list: spanned(key), keys })
    }

    fn ingress(&mut self, key: &Key, node: &Node) -> IngressConfig {
        let path = format!("ingress.{}", key.name);
        if self.map(node, &path) {
            self.known_keys(node, &path, &["module", "list", "give_up_after", "max_size", "options"]);
        }
        let is_map = matches!(node.value, Value::Null | Value::Mapping(_));
        let mut required = |name: &str, help: &str| match node.get(name).filter(|node| !node.is_null()) {
            Some(written) => self.name(written, &format!("{path}.{name}")),
            None if is_map => {
                let message = format!("`{path}` lacks the required key `{name}`");
                self.findings.push(Finding::error(Code::MissingKey, &key.span, message).help(help));
                None
            }
            None => None,
        };
        let missing = || Name { value: String::new(), ..spanned(key) };
        let module =
            required("module", "name the adapter, for example `module: ingress.twilio`").unwrap_or_else(missing);
        let list = required("list", "name the list that a chain takes from").unwrap_or_else(missing);
        let options = Options {
            node: node.get("options").cloned().unwrap_or_else(|| Node::null(&key.span)),
            path: format!("{path}.options"),
        };
        self.map(&options.node, &options.path);
        let give_up_after = self.field::<Period>(node, "give_up_after", &path).map_or(GIVE_UP_AFTER, |period| period.0);
        let max_size = self.field::<Size>(node, "max_size", &path).map_or(LARGEST_RECORDING, |size| size.0);
        IngressConfig { name: spanned(key), module, list, give_up_after, max_size, options }
    }

    fn follower(&mut self, key: &Key, node: &Node) -> Option<Follower> {
        #[derive(serde::Deserialize)]
        struct Written {
            url: String,
            egress_list: String,
            follower_ingress_list: String,
            auth_token: Secret,
            pulling_interval: Period,
            fetch_vcon_limit: u32,
        }
        // Null reads as an empty map, so that its missing keys are reported at the name.
        let empty = Node::null(&key.span);
        let node = if node.is_null() { &empty } else { node };
        let path = format!("followers.{}", key.name);
        let written: Written = self.read(node, &path)?;
        Some(Follower {
            name: spanned(key),
            url: written.url,
            egress_list: written.egress_list,
            follower_ingress_list: written.follower_ingress_list,
            auth_token: written.auth_token,
            pulling_interval: written.pulling_interval.0,
            fetch_vcon_limit: written.fetch_vcon_limit,
            written: Options { node: node.clone(), path },
        })
    }
}

pub(crate) fn spanned(key: &Key) -> Name {
    Name { value: key.name.clone(), text: key.name.clone(), span: key.span.clone() }
}
