//! Named points at which a test can kill the process.
//!
//! Compiled in only with debug assertions; a release build has none. `VCONDUCTOR_KILL_AT=name:n`
//! kills the process with SIGKILL when the point `name` is passed for the nth time, so that a crash
//! campaign can place a crash exactly between two steps of the protocol.

/// Passes a named point; kills the process if the environment asks for it.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static TARGET: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static HITS: AtomicU32 = AtomicU32::new(0);
    let target = TARGET.get_or_init(|| {
        let text = std::env::var("VCONDUCTOR_KILL_AT").ok()?;
        let (name, count) = text.rsplit_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    let Some((wanted, count)) = target else { return };
    if wanted == name && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *count {
        // At once: what other threads do until a program has been started to send the signal would blur the point.
        let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        unreachable!("killed: {killed:?}");
    }
}

/// Passes a named point; without debug assertions this is nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hit(_name: &str) {}
