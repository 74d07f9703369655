//! The configuration: YAML read with positions, checked, and made into typed values.
mod code;
mod finding;
mod merge;
mod nearest;
mod node;
mod render;
mod scalar;
mod source;
mod yaml;

pub use code::Code;
pub use finding::{Finding, Level, has_errors};
pub use nearest::nearest;
pub use node::{Key, Node, Style, Value};
pub use render::{render, render_github};
pub use source::{Source, Span};
