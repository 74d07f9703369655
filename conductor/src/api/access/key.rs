//! The keys of the store: `vck_<id>_<secret>`. The id finds the key, the secret's hash opens it.

use std::str::FromStr as _;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vconductor_core::clock::Millis;
use vconductor_core::error::{Error, Result};
use vconductor_core::secret::Secret;
use vconductor_core::store::{StoredKey, Tenant};

use super::scope::Scope;
use super::tokens::Digest;

/// What every key starts with, so that scanners for leaked secrets know it.
const PREFIX: &str = "vck_";
/// Random bytes of an id.
const ID: usize = 6;
/// Random bytes of a secret.
const SECRET: usize = 32;

/// A key that was just made: the only time that it can be seen.
pub(crate) struct NewKey {
    /// What its owner is given.
    pub(crate) key: Secret,
    /// What is kept.
    pub(crate) stored: StoredKey,
}

impl NewKey {
    /// Makes a key.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn make(
        name: &str,
        scopes: &[Scope],
        tenant: Option<Tenant>,
        now: Millis,
        expires_at: Option<Millis>,
    ) -> Result<Self> {
        let (mut id, mut secret) = ([0; ID], [0; SECRET]);
        let failed = |_| Error::retryable("the system has no random numbers");
        rand::fill(&mut id).map_err(failed)?;
        rand::fill(&mut secret).map_err(failed)?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = URL_SAFE_NO_PAD.encode(secret);
        let stored = StoredKey {
            name: name.to_owned(),
            hash: Digest::of(secret.as_bytes()).text(),
            scopes: scopes.iter().map(Scope::to_string).collect(),
            tenant,
            created_at: now,
            expires_at,
            used_at: None,
            id: id.clone(),
        };
        Ok(NewKey { key: Secret::new(format!("{PREFIX}{id}_{secret}")), stored })
    }
}

/// A key that somebody showed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown<'k> {
    pub(super) id: &'k str,
    secret: &'k str,
}

impl<'k> Shown<'k> {
    /// What may be one of the store's keys.
    pub(super) fn read(given: &'k [u8]) -> Option<Self> {
        let rest = std::str::from_utf8(given).ok()?.strip_prefix(PREFIX)?;
        let (id, secret) = rest.split_at_checked(2 * ID)?;
        Some(Shown { id, secret: secret.strip_prefix('_')? })
    }
}

/// A key of the store as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(StoredKey);

impl Key {
    pub(super) fn new(stored: StoredKey) -> Self {
        Key(stored)
    }

    pub(super) fn id(&self) -> &str {
        &self.0.id
    }

    /// How it is named in logs.
    pub(super) fn label(&self) -> String {
        format!("{} ({})", self.0.name, self.0.id)
    }

    pub(super) fn scopes(&self) -> Vec<Scope> {
        self.0.scopes.iter().filter_map(|scope| Scope::from_str(scope).ok()).collect()
    }

    pub(super) fn tenant(&self) -> Option<Tenant> {
        self.0.tenant.clone()
    }

    pub(super) fn opens_with(&self, shown: &Shown<'_>, now: Millis) -> bool {
        use subtle::ConstantTimeEq as _;
        let shown = Digest::of(shown.secret.as_bytes()).text();
        let fits: bool = shown.as_bytes().ct_eq(self.0.hash.as_bytes()).into();
        fits && self.0.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_until_its_end_and_no_other_does() {
        let new = NewKey::make("ann", &[Scope::Read], None, 5, Some(100)).unwrap();
        let shown = new.key.expose().to_owned();
        let key = Key::new(new.stored.clone());
        let opens = |text: &str, now| Shown::read(text.as_bytes()).is_some_and(|shown| key.opens_with(&shown, now));
        assert!(opens(&shown, 99) && !opens(&shown, 100));
        assert_eq!(Shown::read(shown.as_bytes()).unwrap().id, key.id());
        let other = NewKey::make("ann", &[Scope::Read], None, 5, None).unwrap();
        assert!(!opens(other.key.expose(), 6));
        for broken in ["", "vck_", "vck_0123456789ab", "vck_0123456789ab_", &shown[..shown.len() - 1]] {
            assert!(!opens(broken, 6), "{broken}");
        }
        let kept = serde_json::to_string(&new.stored).unwrap();
        assert!(!kept.contains(&shown[17..]), "the secret is not kept");
        assert_eq!(shown.len(), 4 + 12 + 1 + 43);
    }
}
