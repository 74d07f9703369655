//! The names of all keys that the store uses.
//!
//! What other programs know keeps its name: `vcon:<uuid>`, the lists themselves, `DLQ:<list>`, `context:...`
//! and the index. Everything derived from a list `L` starts with `{L}:`, so that it shares the slot of `L` in
//! a cluster; a list whose name has a `{tag}` of its own gets suffixes after it instead.

use crate::store::{Tenant, Term};

/// Processes by the end of their lease.
pub(super) const PROCESSES: &str = "vconductor:processes";
/// Lists that were ever claimed from, pushed to or paused.
pub(super) const LISTS: &str = "vconductor:lists";
/// Paused lists.
pub(super) const PAUSED: &str = "vconductor:paused";
/// Dead runs and their lists.
pub(super) const DEAD: &str = "vconductor:dead";
/// The channel on which is said that runs came back, by what the keys of their list start with.
pub(super) const BELL: &str = "vconductor:bell";
/// Stored documents by their arrival.
pub(super) const DOCUMENTS: &str = "vconductor:documents";

/// The keys of the API by their id.
pub(super) const API_KEYS: &str = "vconductor:api_keys";
/// When keys of the API were last used.
pub(super) const API_KEYS_USED: &str = "vconductor:api_keys:used";

/// What conductors tell of themselves, by process.
pub(super) const CONDUCTORS: &str = "vconductor:conductors";
/// Records of passages that ended, the latest first.
pub(super) const PAST: &str = "vconductor:past";

/// What is held until somebody mends it. It has the tag of everything that conductors share besides the queue, as
/// limits and their permits do (`lua/take.lua`).
pub(super) const HOLDS: &str = "{vconductor:shared}:holds";

/// What is written behind what a replica is to have.
pub(super) const SETTLED: &str = "{vconductor:shared}:settled";

/// A counter.
pub(super) fn counter(name: &str) -> String {
    ["{vconductor:shared}:counter:", name].concat()
}

/// A result that was paid for.
pub(super) fn result(key: &str) -> String {
    ["vconductor:result:", key].concat()
}

/// The keys of the results that were kept for a vCon.
pub(super) fn results(uuid: &str) -> String {
    ["{vcon:", uuid, "}:results"].concat()
}

/// A delivery that was taken in.
pub(super) fn once(key: &str) -> String {
    ["{vconductor:shared}:once:", key].concat()
}

/// The vCons that have a party for a term, as vcon-server names the set.
pub(super) fn term(term: &Term) -> String {
    format!("{}:{}", term.kind.as_str(), term.value)
}

/// What the keys derived from a list start with.
pub(super) fn base(list: &str) -> String {
    if has_tag(list) { format!("{list}:") } else { format!("{{{list}}}") }
}

/// Whether a cluster would place the key by a part of its name.
fn has_tag(name: &str) -> bool {
    name.find('{').is_some_and(|open| name[open + 1..].find('}').is_some_and(|length| length > 0))
}

/// The document of a vCon.
pub(super) fn document(uuid: &str) -> String {
    ["vcon:", uuid].concat()
}

/// The revision of a document.
pub(super) fn revision(uuid: &str) -> String {
    ["{vcon:", uuid, "}:rev"].concat()
}

/// How long a document is kept after its last run, in milliseconds.
pub(super) fn keep(uuid: &str) -> String {
    ["{vcon:", uuid, "}:keep"].concat()
}

/// Whose a vCon is. There as long as the vCon is in [`DOCUMENTS`], and only where it is somebody's.
pub(super) fn tenant(uuid: &str) -> String {
    ["{vcon:", uuid, "}:tenant"].concat()
}

/// The vCons of a tenant by their arrival, as [`DOCUMENTS`] has all.
pub(super) fn arrivals(tenant: &Tenant) -> String {
    format!("vconductor:tenant:{tenant}:arrivals")
}

/// The vCons of a tenant by their `created_at`.
pub(super) fn times(tenant: &str) -> String {
    format!("vconductor:tenant:{tenant}:times")
}

/// The run that may write a vCon.
pub(super) fn writer(uuid: &str) -> String {
    ["{vcon:", uuid, "}:writer"].concat()
}

/// A large document that its commit has yet to give its name.
pub(super) fn draft(uuid: &str, run: &str) -> String {
    format!("{{vcon:{uuid}}}:draft:{run}")
}

/// The ledger of a run; in the slot of its vCon, since both are saved in one step.
pub(super) fn ledger(uuid: &str, run: &str) -> String {
    format!("{{vcon:{uuid}}}:ledger:{run}")
}

/// What is known of a run that is not simply waiting.
pub(super) fn run(base: &str, run: &str) -> String {
    format!("{base}:run:{run}")
}

/// The runs that a process took in one claim.
pub(super) fn wip(base: &str, batch: &str) -> String {
    format!("{base}:wip:{batch}")
}

/// The wip lists of a list.
pub(super) fn wips(base: &str) -> String {
    format!("{base}:wips")
}

/// The last transaction of each lane of a process.
pub(super) fn commits(process: &str) -> String {
    format!("vconductor:commits:{process}")
}

/// The dead letters of a queue in the order of their runs.
pub(super) fn letters(queue: &str) -> String {
    format!("vconductor:letters:{queue}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_keys_share_the_slot_of_their_list_and_never_collide() {
        assert_eq!(base("calls"), "{calls}");
        assert_eq!(base("a{calls}b"), "a{calls}b:");
        assert_ne!(base("calls"), base("{calls}"));
        assert_eq!(base("%s{}"), "{%s{}}");
        assert_eq!(wip(&base("calls"), "p:1"), "{calls}:wip:p:1");
    }
}
