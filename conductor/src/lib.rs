//! The conductor: the engine that runs chains, and its faces.
//!
//! A binary with plugins of its own is the shipped one with one more line:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! // use acme_links as _;
//!
//! fn main() -> ExitCode {
//!     vconductor::main()
//! }
//! ```

pub mod api;
pub mod catalog;
pub mod cli;
pub mod engine;
pub mod flow;
pub mod follow;
pub mod ingress;
mod matching;
pub mod offline;
pub mod reference;
pub mod reload;
mod sections;
mod telemetry;

pub use cli::main;
