//! Which build answers.

use serde_json::{Value, json};

/// The version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, where the build was told it (`VCON_SERVER_GIT_COMMIT` at compile time, as for vcon-server's images).
pub(super) const COMMIT: &str = match option_env!("VCON_SERVER_GIT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
/// When it was built, where the build was told that.
const BUILT: &str = match option_env!("VCON_SERVER_BUILD_TIME") {
    Some(time) => time,
    None => "unknown",
};

/// As vcon-server tells it, and that this is none.
pub(super) fn version() -> Value {
    json!({"version": VERSION, "git_commit": COMMIT, "build_time": BUILT, "server": "vconductor"})
}
