//! Tenants: whose a vCon is, and which vCons a query sees.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::NewVcon;
use crate::error::{Error, Result};

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// The name of a tenant: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

impl Tenant {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tenant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (1..=LONGEST).contains(&name.len()) && name.bytes().all(fits) {
            return Ok(Tenant(name.to_owned()));
        }
        Err(format!("{name:?} is no name of a tenant; write 1 to {LONGEST} of a-z, 0-9, _ and -"))
    }
}

impl TryFrom<String> for Tenant {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which vCons a query sees. What it does not see is to it as if it were not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TenantScope {
    /// All, whosesoever they are: the operator and the engine.
    #[default]
    Everything,
    /// Those of one tenant, and not those that belong to nobody.
    One(Tenant),
}

impl TenantScope {
    /// The one tenant, if it is one.
    pub fn tenant(&self) -> Option<&Tenant> {
        match self {
            TenantScope::Everything => None,
            TenantScope::One(tenant) => Some(tenant),
        }
    }

    /// A name that is chosen within the scope, so that it meets no name of another.
    pub(super) fn key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        match self {
            TenantScope::Everything => Cow::Borrowed(key),
            TenantScope::One(tenant) => Cow::Owned(format!("tenant:{tenant}:{key}")),
        }
    }
}

impl From<Option<Tenant>> for TenantScope {
    fn from(tenant: Option<Tenant>) -> Self {
        tenant.map_or(TenantScope::Everything, TenantScope::One)
    }
}

/// The cause of an error that says that a vCon is not the tenant's who hands it in.
#[derive(Debug)]
pub struct NotTheirs;

impl NotTheirs {
    /// Whether this is why.
    pub fn caused(error: &Error) -> bool {
        std::error::Error::source(error).is_some_and(|cause| cause.is::<NotTheirs>())
    }
}

impl fmt::Display for NotTheirs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was stored")
    }
}

impl std::error::Error for NotTheirs {}

/// The refusal of a vCon that a tenant hands in and that is not his. It says nothing of whose it is.
pub(super) fn refused(uuid: &str, tenant: &Tenant) -> Error {
    Error::permanent(format!("vCon {uuid} is not one of tenant {tenant}"))
        .help("its uuid is taken, or it is not stored; a new vCon needs a uuid of its own")
        .caused_by(NotTheirs)
}

/// The vCons of a batch that are handed in for a tenant. In one batch a uuid cannot be two parties'.
pub(super) fn owned(vcons: &[NewVcon]) -> Result<Vec<(&NewVcon, &Tenant)>> {
    let owned: Vec<_> = vcons.iter().filter_map(|vcon| Some((vcon, vcon.tenant.as_ref()?))).collect();
    if !owned.is_empty() {
        let mut seen = HashMap::new();
        for vcon in vcons {
            let first = *seen.entry(&vcon.uuid).or_insert(&vcon.tenant);
            if let (true, Some(tenant)) = (*first != vcon.tenant, vcon.tenant.as_ref().or(first.as_ref())) {
                return Err(refused(&vcon.uuid, tenant));
            }
        }
    }
    Ok(owned)
}

/// Whether a tenant may hand a vCon in. `owner` is whose the stored one is; the outer `None`: there is none, and then a
/// document must come along.
pub(super) fn may_take(vcon: &NewVcon, tenant: &Tenant, owner: Option<Option<&str>>) -> bool {
    owner.map_or(vcon.document.is_some(), |owner| owner == Some(tenant.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vcon(uuid: &str, tenant: Option<&str>) -> NewVcon {
        NewVcon {
            uuid: uuid.to_owned(),
            document: None,
            lists: Vec::new(),
            keep: None,
            context: None,
            tenant: tenant.map(|name| name.parse().unwrap()),
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        let longest = "x".repeat(64);
        for name in ["a", "acme-2_b", "0", &longest] {
            assert_eq!(name.parse::<Tenant>().unwrap().to_string(), name);
        }
        let too_long = "x".repeat(65);
        for name in ["", "Acme", "a b", "a:b", "a/b", "{a}", "é", "a\n", "*", &too_long] {
            assert!(name.parse::<Tenant>().is_err(), "{name:?}");
        }
        assert!(serde_json::from_str::<Tenant>("\"a:b\"").is_err());
    }

    #[test]
    fn keys_of_two_scopes_never_meet() {
        let scope = |name: &str| TenantScope::One(name.parse().unwrap());
        let keys =
            [scope("a").key("x:y"), scope("a").key("x"), scope("a-x").key("y"), TenantScope::Everything.key("x")];
        for (index, key) in keys.iter().enumerate() {
            assert!(keys[index + 1..].iter().all(|other| other != key), "{key}");
        }
    }

    #[test]
    fn a_uuid_of_two_parties_in_one_batch_is_refused() {
        let mixed = [vcon("a", None), vcon("b", Some("acme"))];
        assert_eq!(owned(&mixed).unwrap().len(), 1);
        assert!(owned(&[vcon("a", None), vcon("a", None)]).unwrap().is_empty());
        for other in [None, Some("other")] {
            for batch in [[vcon("a", other), vcon("a", Some("acme"))], [vcon("a", Some("acme")), vcon("a", other)]] {
                assert!(NotTheirs::caused(&owned(&batch).unwrap_err()));
            }
        }
    }
}
