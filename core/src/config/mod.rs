//! The configuration: YAML read with positions, checked, and made into typed values.
mod build;
mod build_chain;
mod check;
mod code;
mod compat;
mod finding;
mod interpolate;
mod load;
mod merge;
mod mode;
mod model;
mod nearest;
mod node;
mod problem;
mod render;
mod scalar;
mod source;
mod typed;
mod units;
mod yaml;

pub use check::{Catalog, Known, check};
pub use code::Code;
pub use finding::{Finding, Level, has_errors};
pub use interpolate::{Environment, ProcessEnvironment};
pub use load::{Loaded, load, load_text};
pub use mode::Mode;
pub use model::{
    ChainConfig, Config, Follower, IngressAuth, Name, OnError, OnSigned, PluginConfig, RetryConfig, Spanned, Step,
    StepLink, StorageRef, compat_effects,
};
pub use nearest::nearest;
pub use node::{Key, Node, Style, Value};
pub use render::{render, render_github};
pub use source::{Source, Span};
pub use typed::{Options, read};
pub use units::{Period, Size, parse_duration, parse_size};
