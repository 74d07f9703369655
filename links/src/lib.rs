//! The links that ship with vConductor: one file each, registered by itself; nothing else knows its name.
//!
//! A new file in `src/all` is a new module; see [`vconductor_core::plugin`] for what it holds.

mod all;
mod analysis;
mod new_version;
mod text;

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "a public module of the crate of suites")]
#[path = "../../tests/src/authority.rs"]
mod authority;

// One file for the tests of the links and for the suite that every link must pass.
#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "a public module of the crate of suites")]
#[path = "../../tests/src/link_stage.rs"]
mod link_stage;

// Paid services on the loopback interface, for the links and for the whole system.
#[cfg(test)]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "a public module of the crate of suites")]
#[path = "../../tests/vendors/mod.rs"]
mod vendors;
