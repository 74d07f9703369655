//! `check` from outside: what it says of broken configurations, of YAML in Markdown, and of what does not answer.

mod broken;
mod markdown;
mod online;
#[allow(dead_code, reason = "only a part of it is used here")]
#[path = "../place/mod.rs"]
mod place;
mod ways;
