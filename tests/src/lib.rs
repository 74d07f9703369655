//! What the whole-system tests, suites, campaigns and benchmarks share.

pub mod asking;
pub mod authority;
pub mod campaign;
pub mod collector;
pub mod conductors;
pub mod faulty;
pub mod link_stage;
pub mod probes;
pub mod recorder;
pub mod servers;
pub mod stage;
pub mod trace;
#[path = "../vendors/mod.rs"]
pub mod vendors;

use vconductor_ingress as _;
use vconductor_links as _;
use vconductor_storages as _;
