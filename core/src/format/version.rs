//! Which revision of the drafts a vCon was written by, told by its members.
//!
//! The member `vcon` does not tell: producers kept old values for years, core-01 to core-04 share one, and core-04
//! leaves it out.

use std::fmt;

use crate::document::{Kind, View};

/// A revision of the syntax, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Before the drafts: analysis in `transcript`, dates of mail.
    PreDraft,
    /// draft-petrie-vcon and container-00, -01: `mimetype`, `alg` with `signature`.
    V0_0_1,
    /// container-02, -03: `mediatype`, `content_hash`, still `group` and `transfer-target`.
    V0_0_2,
    /// core-00: `must_support`, `appended` beside the newer names.
    V0_3_0,
    /// core-01 to core-04.
    V0_4_0,
}

/// Member names that a later revision dropped, with the last revision that had them.
const TOP_LEVEL: &[(&str, Version)] =
    &[("group", Version::V0_0_2), ("appended", Version::V0_3_0), ("must_support", Version::V0_3_0)];
const CONTENT: &[(&str, Version)] = &[
    ("transcript", Version::PreDraft),
    ("mimetype", Version::V0_0_1),
    ("alg", Version::V0_0_1),
    ("signature", Version::V0_0_1),
    ("transfer-target", Version::V0_0_2),
    ("target-dialog", Version::V0_0_2),
];

impl Version {
    /// The oldest revision that one of the members of an unsigned vCon belongs to: a reader has to know that one. What
    /// holds no old member is the newest.
    pub fn of(vcon: View<'_>) -> Version {
        let mut oldest = Version::V0_4_0;
        for (name, value) in vcon.members() {
            match &*name {
                "dialog" | "analysis" | "attachments" => {
                    for (name, _) in value.elements().flat_map(|element| element.members()) {
                        oldest = oldest.min(last_with(&name, CONTENT));
                    }
                }
                // Libraries of 0.0.1 wrote them empty.
                _ if value.is_null() || (value.kind() == Kind::Array && value.is_empty()) => {}
                name => oldest = oldest.min(last_with(name, TOP_LEVEL)),
            }
        }
        oldest
    }

    /// As the member `vcon` of that revision says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::PreDraft => "before 0.0.1",
            Version::V0_0_1 => "0.0.1",
            Version::V0_0_2 => "0.0.2",
            Version::V0_3_0 => "0.3.0",
            Version::V0_4_0 => "0.4.0",
        }
    }
}

fn last_with(name: &str, dropped: &[(&str, Version)]) -> Version {
    dropped.iter().find(|(old, _)| *old == name).map_or(Version::V0_4_0, |(_, version)| *version)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
