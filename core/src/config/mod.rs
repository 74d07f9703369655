//! The configuration: YAML read with positions, checked, and made into typed values.
//!
//! [`load`] reads files into a [`Config`]: text becomes a [`Node`] tree with the meaning that PyYAML gives it,
//! placeholders in values are replaced, and the tree becomes typed. [`check`] then asks a [`Catalog`] of plugins about
//! modules and options. Both report [`Finding`]s, which [`render`] shows as a compiler does; every [`Code`] has a page
//! in `docs/errors`. Plugins read their [`Options`] into plain serde structs.

mod allow;
mod assumed;
mod build;
mod build_chain;
mod check;
mod code;
mod compat;
mod described;
mod finding;
mod flow;
mod interpolate;
mod layout;
mod lists;
mod load;
pub mod markdown;
mod merge;
mod mode;
mod model;
mod nearest;
mod node;
mod problem;
mod render;
mod scalar;
mod secrets;
mod setting;
mod shown;
mod source;
mod surprise;
mod template;
mod typed;
mod units;
mod within;
mod yaml;

pub use allow::without_allowed;
pub use assumed::{AssumedEnvironment, without_unknown};
pub use check::{Catalog, Kind, Known, Plugin, check};
pub use code::Code;
pub use described::Described;
pub use finding::{Finding, Level, has_errors};
pub use interpolate::{Environment, ProcessEnvironment};
pub use load::{Loaded, load, load_text, load_tree};
pub use mode::Mode;
pub use model::{
    Budget, ChainConfig, Config, Follower, IngressAuth, IngressConfig, Name, OnError, OnExceed, OnSigned, PluginConfig,
    RetryConfig, Step, StepLink, StorageRef, compat_effects,
};
pub use nearest::nearest;
pub use node::{Key, Node, Style, Value};
pub use render::{render, render_github};
pub use setting::Setting;
pub use shown::{HIDDEN, restored, shown};
pub use source::{Source, Span};
pub use typed::{Options, read};
pub use units::{Period, Size, parse_duration, parse_size};

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
