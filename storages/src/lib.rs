//! The storages that ship with vConductor: one folder each, registered by itself; nothing else knows its name.
//!
//! A new folder in `src/all` with a `mod.rs` is a new storage; see [`vconductor_core::plugin`] for what it holds, and
//! `tests/behaviour/storages.rs` for the suite that it must pass.

mod days;
mod stem;

mod all {
    include!(concat!(env!("OUT_DIR"), "/all.rs"));
}
