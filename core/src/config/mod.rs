//! The configuration: YAML read with positions, checked, and made into typed values.
mod code;
mod finding;
mod interpolate;
mod merge;
mod mode;
mod nearest;
mod node;
mod problem;
mod render;
mod scalar;
mod source;
mod typed;
mod units;
mod yaml;

pub use code::Code;
pub use finding::{Finding, Level, has_errors};
pub use interpolate::{Environment, ProcessEnvironment};
pub use mode::Mode;
pub use nearest::nearest;
pub use node::{Key, Node, Style, Value};
pub use render::{render, render_github};
pub use source::{Source, Span};
pub use typed::{Options, read};
pub use units::{Period, Size, parse_duration, parse_size};
