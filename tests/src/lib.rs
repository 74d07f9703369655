//! What the behaviour suites share.

pub mod link_stage;
