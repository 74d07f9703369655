//! Who may call.
//!
//! Four kinds of keys open the API: those of vcon-server's variables ([`Keys`]), which open everything; those of the
//! store ([`ring`]), each with scopes, an end and perhaps a tenant; tokens of an identity provider ([`jwt`]); and those that `ingress_auth`
//! names for one ingress list. They come in vcon-server's header or as `Authorization: Bearer`. Nobody gets in without one, and no answer says why a key did not
//! fit.

mod jwt;
mod key;
mod rate;
mod ring;
mod scope;
mod tokens;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use vconductor_core::clock::{Clock as _, SystemClock};
use vconductor_core::config::IngressAuth;
use vconductor_core::store::{Store, Tenant, TenantScope};

use self::jwt::Tokens;
use self::rate::Rate;
use self::ring::Ring;
use super::answer::{Refusal, Result};
use super::limits::Limits;

pub use jwt::{Jwt, JwtSource};
pub(crate) use key::NewKey;
pub use scope::Scope;
use tokens::Digest;
pub use tokens::Keys;
pub(crate) use tokens::header_name;

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The name of the key for the audit log and the rate limit: never the key itself.
    pub(super) name: String,
    /// The vCons that it may see and change.
    pub(super) tenants: TenantScope,
    scopes: Vec<Scope>,
}

impl Caller {
    /// A caller whose key may be bound to a tenant; such a key never has the scope `admin`.
    fn new(name: String, mut scopes: Vec<Scope>, tenant: Option<Tenant>) -> Self {
        if tenant.is_some() {
            scopes.retain(|scope| *scope != Scope::Admin);
        }
        Caller { name, tenants: tenant.into(), scopes }
    }

    /// Whether a key of this caller opens what needs `scope`.
    pub(super) fn may(&self, scope: &Scope) -> bool {
        self.scopes.iter().any(|own| own.includes(scope))
    }
}

/// The keys of partners by ingress list.
type Partners = BTreeMap<String, Vec<Digest>>;

/// The keys and what was tried with wrong ones.
pub(super) struct Access {
    tokens: Keys,
    header: Option<HeaderName>,
    ring: Ring,
    jwt: Option<Tokens>,
    partners: RwLock<Arc<Partners>>,
    wrong: Rate<IpAddr>,
    calls: Option<Rate<String>>,
}

impl Access {
    /// # Errors
    /// Configuration: the keys of tokens cannot be used.
    pub(super) async fn new(
        tokens: Keys,
        jwt: Option<Jwt>,
        partners: &[IngressAuth],
        store: Arc<dyn Store>,
        limits: &Limits,
    ) -> vconductor_core::error::Result<Self> {
        let jwt = match jwt {
            Some(settings) => Some(Tokens::new(settings).await?),
            None => None,
        };
        Ok(Access {
            jwt,
            header: HeaderName::from_bytes(tokens.header().as_bytes()).ok(),
            tokens,
            ring: Ring::new(store),
            partners: RwLock::new(Arc::new(digests(partners))),
            wrong: Rate::new(limits.wrong_keys, 1),
            calls: limits.calls_per_second.map(|per_second| Rate::new(per_second, per_second)),
        })
    }

    /// From now on these are the keys of partners.
    pub(super) fn adopt(&self, partners: &[IngressAuth]) {
        *self.partners.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(digests(partners));
    }

    fn partners(&self) -> Arc<Partners> {
        Arc::clone(&self.partners.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether any key opens anything.
    pub(super) async fn has_any(&self) -> vconductor_core::error::Result<bool> {
        Ok(!self.tokens.is_empty() || self.jwt.is_some() || !self.partners().is_empty() || self.ring.has_any().await?)
    }

    /// The key of a call: in the API's own header, else as bearer.
    fn given<'h>(&self, headers: &'h HeaderMap) -> Option<&'h [u8]> {
        let own = self.header.as_ref().and_then(|header| headers.get(header));
        own.map(|value| value.as_bytes()).or_else(|| bearer(headers))
    }

    /// Who calls, with vcon-server's answer to those who have no key.
    pub(super) async fn caller(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Caller> {
        let found = match self.given(headers) {
            Some(given) => self.owner(given).await?,
            None => None,
        };
        let Some(caller) = found else {
            return Err(self.refusal(peer, "Invalid API Key".to_owned()));
        };
        if let Some(calls) = &self.calls {
            calls.check(&caller.name).map_err(too_many)?;
            calls.spend(&caller.name);
        }
        Ok(caller)
    }

    /// Whose key this is.
    async fn owner(&self, given: &[u8]) -> Result<Option<Caller>> {
        if self.tokens.open_with(given) {
            return Ok(Some(Caller::new("token".to_owned(), vec![Scope::Admin], None)));
        }
        match &self.jwt {
            Some(jwt) if Tokens::is_like(given) => Ok(jwt.caller(given).await),
            _ => self.of_the_store(given).await,
        }
    }

    async fn of_the_store(&self, given: &[u8]) -> Result<Option<Caller>> {
        let key = self.ring.find(given).await?;
        Ok(key.map(|key| Caller::new(key.label(), key.scopes(), key.tenant())))
    }

    /// Who puts something on an ingress list from outside: a key that `ingress_auth` names for the list, or one of the
    /// store with that scope. The refusals are vcon-server's, in its order.
    pub(super) async fn partner(&self, headers: &HeaderMap, peer: SocketAddr, list: &str) -> Result<Caller> {
        let refused = |detail: String| self.refusal(peer, detail);
        let Some(given) = self.given(headers) else { return Err(refused("API Key required".to_owned())) };
        if let Some(caller) = self.of_the_store(given).await? {
            return match caller.may(&Scope::Ingress(list.to_owned())) {
                true => Ok(caller),
                false => Err(refused(format!("Invalid API Key for ingress list '{list}'"))),
            };
        }
        let partners = self.partners();
        if partners.is_empty() {
            return Err(refused("No ingress authentication configured".to_owned()));
        }
        let Some(keys) = partners.get(list) else {
            return Err(refused(format!("Ingress list '{list}' not configured")));
        };
        if !Digest::of(given).is_among(keys) {
            return Err(refused(format!("Invalid API Key for ingress list '{list}'")));
        }
        Ok(Caller::new(format!("ingress_auth.{list}"), vec![Scope::Ingress(list.to_owned())], None))
    }

    /// The answer to a wrong key. Whoever has a right one is never slowed down by others at his address.
    fn refusal(&self, peer: SocketAddr, detail: String) -> Refusal {
        if let Err(seconds) = self.wrong.check(&peer.ip()) {
            return too_many(seconds);
        }
        self.wrong.spend(&peer.ip());
        Refusal::forbidden(detail)
    }

    /// Writes down when the keys of the store were last used.
    pub(super) async fn note_uses(&self) {
        self.ring.note_uses(SystemClock.now()).await;
    }
}

fn digests(partners: &[IngressAuth]) -> Partners {
    let digests = |auth: &IngressAuth| {
        let keys = auth.keys.iter().filter(|key| !key.is_empty());
        (auth.list.value.clone(), keys.map(|key| Digest::of(key.expose().as_bytes())).collect())
    };
    partners.iter().map(digests).collect()
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest.trim_ascii())
}

fn too_many(seconds: u64) -> Refusal {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too many calls").after(seconds)
}
