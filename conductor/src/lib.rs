//! The conductor: the engine that runs chains, and its faces.

pub mod engine;
pub mod reference;
