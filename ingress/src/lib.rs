//! The ingress adapters that ship with vConductor: one file each, registered by itself; nothing else knows its name.
//!
//! A new file in `src/all` is a new module; see [`vconductor_core::plugin::IngressPlugin`] for what it holds.

mod all;
mod twiml;
