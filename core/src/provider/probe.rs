//! Trying the keys of a provider by a call that costs nothing.

use futures_util::future::join_all;

use super::Provider;
use crate::error::Result;
use crate::http::{HttpClient, Request, Response, StatusCode};
use crate::plugin::Probe;
use crate::secret::Secret;

impl Provider {
    /// Tries every key, all at once. `build` makes a free request of a key, `read` says in a few words what the answer
    /// to it means. Limits are not asked: such a call is none that they count.
    pub async fn probe<B, R>(&self, http: &HttpClient, build: B, read: R) -> Vec<Probe>
    where
        B: Fn(&Secret) -> Result<Request>,
        R: Fn(&Response) -> Result<String>,
    {
        let (build, read) = (&build, &read);
        let tries = self.keys.iter().map(|key| {
            let target = match key.secret.is_empty() {
                true => self.name.clone(),
                false => format!("{}, key {}", self.name, key.fingerprint),
            };
            Probe::of(target, async move {
                let request = build(&key.secret)?.provider().trusted();
                let answer = http.exchange(&request).await?;
                match answer.status {
                    // It knows the key. What the key may do beside its work, is its owner's business.
                    StatusCode::FORBIDDEN => Ok("accepts the key, which may not ask for more".to_owned()),
                    StatusCode::TOO_MANY_REQUESTS => Ok("accepts the key, and is busy (429)".to_owned()),
                    _ => read(&http.require_success(&request, answer)?),
                }
            })
        });
        join_all(tries).await
    }
}
