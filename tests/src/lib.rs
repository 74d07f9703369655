//! Whole-system tests and the behaviour suites that every store, link and storage must pass.
