//! Tokens of an identity provider (JWT): who it says somebody is, and what he may do.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use vconductor_core::error::{Error, Result};
use vconductor_core::http::{HttpClient, Request};
use vconductor_core::jose::{Keys as JoseKeys, TokenKeys};
use vconductor_core::secret::Secret;
use vconductor_core::store::Tenant;

use super::Caller;
use super::scope::Scope;

/// How long keys of a provider are believed.
const FRESH: Duration = Duration::from_secs(600);
/// How soon they are asked for again because a token names one that is not known.
const AGAIN: Duration = Duration::from_secs(30);
/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest set of keys, in bytes.
const LARGEST: usize = 256 << 10;

/// Where the keys of tokens come from.
#[derive(Clone)]
pub enum JwtSource {
    /// A secret that the provider and this server share (HS256).
    Secret(Secret),
    /// A file with a set of public keys (JWKS).
    File(PathBuf),
    /// The address of a set of public keys.
    Url(String, HttpClient),
}

/// Which tokens are taken.
#[derive(Clone)]
pub struct Jwt {
    /// Where the keys come from.
    pub source: JwtSource,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must name.
    pub audience: Option<String>,
}

/// The tokens of a provider.
pub(super) struct Tokens {
    settings: Jwt,
    known: Mutex<Known>,
}

struct Known {
    keys: Option<TokenKeys>,
    asked: Option<Instant>,
}

impl Tokens {
    /// # Errors
    /// Configuration: the secret or the file cannot be used. A provider that does not answer is asked again later.
    pub(super) async fn new(settings: Jwt) -> Result<Self> {
        let keys = match (settings.read().await, &settings.source) {
            (Ok(keys), _) => Some(keys),
            (Err(error), JwtSource::Url(..)) => {
                tracing::warn!(error = %error.chain_text(), "the keys of tokens cannot be had yet");
                None
            }
            (Err(error), _) => return Err(error),
        };
        let asked = Some(Instant::now());
        Ok(Tokens { settings, known: Mutex::new(Known { keys, asked }) })
    }

    /// Whether something may be a token at all.
    pub(super) fn is_like(given: &[u8]) -> bool {
        given.iter().filter(|byte| **byte == b'.').count() == 2
    }

    /// Who a token says that calls; `None`: it does not hold.
    pub(super) async fn caller(&self, given: &[u8]) -> Option<Caller> {
        let token = std::str::from_utf8(given).ok()?;
        let keys = self.keys(token).await?;
        let claims = keys
            .open(token, Timestamp::now().as_second())
            .inspect_err(|why| tracing::debug!(why, "a token does not hold"))
            .ok()?;
        self.settings.caller(&claims)
    }

    async fn keys(&self, token: &str) -> Option<TokenKeys> {
        let mut known = self.known.lock().await;
        let age = known.asked.map_or(Duration::MAX, |asked| asked.elapsed());
        let unknown = known.keys.as_ref().is_none_or(|keys| !keys.knows(token));
        if age > FRESH || (unknown && age > AGAIN) {
            known.asked = Some(Instant::now());
            match self.settings.read().await {
                Ok(keys) => known.keys = Some(keys),
                Err(error) => tracing::warn!(error = %error.chain_text(), "the keys of tokens cannot be had now"),
            }
        }
        known.keys.clone()
    }
}

impl Jwt {
    async fn read(&self) -> Result<TokenKeys> {
        let set = match &self.source {
            JwtSource::Secret(secret) => return TokenKeys::secret(secret),
            JwtSource::File(file) => std::fs::read(file).map_err(|error| {
                Error::configuration(format!("the keys of tokens, {}, cannot be read", file.display())).caused_by(error)
            })?,
            JwtSource::Url(url, client) => {
                let request = Request::get(url)?.trusted().timeout(PATIENCE).max_body(LARGEST);
                let response = client.exchange(&request).await?;
                client.require_success(&request, response)?.body.to_vec()
            }
        };
        Ok(TokenKeys::public(JoseKeys::read("keys of tokens", &set)?))
    }

    fn caller(&self, claims: &Map<String, Value>) -> Option<Caller> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if self.issuer.as_deref().is_some_and(|issuer| text("iss") != Some(issuer)) {
            tracing::debug!("a token comes from somebody else");
            return None;
        }
        let names = |audience: &str| match claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        };
        if self.audience.as_deref().is_some_and(|audience| !names(audience)) {
            tracing::debug!("a token is for somebody else");
            return None;
        }
        // A token of somebody who cannot be named is not one of everybody.
        let tenant = match claims.get("tenant") {
            None => None,
            Some(claim) => Some(claim.as_str()?.parse::<Tenant>().ok()?),
        };
        let subject: String = text("sub")?.chars().filter(|c| !c.is_control()).take(100).collect();
        Some(Caller::new(format!("token of {subject}"), scopes(claims), tenant))
    }
}

/// `scope` as words, or `scopes` or `scp` as words or a list. What is no scope of ours is passed over.
fn scopes(claims: &Map<String, Value>) -> Vec<Scope> {
    let given = ["scope", "scopes", "scp"].iter().filter_map(|name| claims.get(*name));
    let words = given.flat_map(|value| match value {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    });
    words.filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod provider;
#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn caller(claims: impl Into<Value>, issuer: Option<&str>, audience: Option<&str>) -> Option<Caller> {
        let source = JwtSource::Secret(Secret::new("x"));
        let jwt = Jwt { source, issuer: issuer.map(str::to_owned), audience: audience.map(str::to_owned) };
        jwt.caller(claims.into().as_object().unwrap())
    }

    #[test]
    fn scopes_come_in_every_form() {
        for claims in [
            json!({"sub": "ann", "scope": "openid read write"}),
            json!({"sub": "ann", "scopes": ["read", "write"]}),
            json!({"sub": "ann", "scp": ["read"], "scope": "write"}),
        ] {
            let caller = caller(claims, None, None).unwrap();
            assert!(caller.may(&Scope::Read) && caller.may(&Scope::Write) && !caller.may(&Scope::Admin));
        }
        let none = caller(json!({"sub": "ann"}), None, None).unwrap();
        assert!(!none.may(&Scope::Read));
        assert_eq!(caller(json!({"scope": "admin"}), None, None), None, "nobody is named");
    }

    #[test]
    fn a_token_may_be_bound_to_a_tenant() {
        let caller = |tenant: Value| caller(json!({"sub": "ann", "scope": "read admin", "tenant": tenant}), None, None);
        let bound = caller(json!("acme")).unwrap();
        assert_eq!(bound.tenants.tenant().map(Tenant::as_str), Some("acme"));
        assert!(bound.may(&Scope::Read) && !bound.may(&Scope::Admin));
        for broken in [json!("Ac me"), json!(""), json!(7), json!(null)] {
            assert_eq!(caller(broken), None);
        }
    }

    #[test]
    fn tokens_of_and_for_others_are_not_taken() {
        let claims = json!({"sub": "ann", "iss": "https://id.example.com", "aud": ["a", "b"]});
        assert!(caller(claims.clone(), Some("https://id.example.com"), Some("b")).is_some());
        assert!(caller(claims.clone(), Some("https://id.example.org"), None).is_none());
        assert!(caller(claims, None, Some("c")).is_none());
        assert!(caller(json!({"sub": "ann"}), None, Some("c")).is_none());
    }
}
