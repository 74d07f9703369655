//! Name resolution for connections, with the guard's check on what comes out.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::Guard;

/// Turns a host name into addresses.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// All addresses of `host`, best first.
    ///
    /// # Errors
    /// When the name is unknown or no name server answers.
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// A name had only addresses that the guard refuses; found again in the client's error by its type.
#[derive(Debug, thiserror::Error)]
#[error("`{host}`: {why}")]
pub(super) struct Refused {
    host: String,
    why: String,
}

/// The adapter to the HTTP library. Without a guard every address passes.
#[derive(Debug, Clone)]
pub(super) struct CheckedResolver {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) guard: Option<Arc<Guard>>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let mut addresses = this.resolver.resolve(host).await?;
            if let Some(guard) = &this.guard {
                // Only the checked addresses are handed on: the connection cannot use another one.
                let mut refused = None;
                addresses.retain(|address| match guard.check_address(host, *address) {
                    Ok(()) => true,
                    Err(why) => {
                        refused.get_or_insert(why);
                        false
                    }
                });
                if let (true, Some(why)) = (addresses.is_empty(), refused) {
                    return Err(Refused { host: host.to_owned(), why }.into());
                }
            }
            // Port 0 means: the port of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<&'static str>);

    #[async_trait]
    impl Resolver for Fixed {
        async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(self.0.iter().map(|address| address.parse().unwrap()).collect())
        }
    }

    async fn resolved(addresses: Vec<&'static str>, guard: Option<Guard>) -> Result<Vec<String>, String> {
        let resolver = CheckedResolver { resolver: Arc::new(Fixed(addresses)), guard: guard.map(Arc::new) };
        let found = resolver.resolve("call.example".parse().unwrap()).await.map_err(|error| error.to_string())?;
        Ok(found.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn refused_addresses_are_taken_out() {
        let mixed = vec!["127.0.0.1", "8.8.8.8", "::1", "2606:4700::1111", "169.254.169.254"];
        assert_eq!(resolved(mixed.clone(), Some(Guard::default())).await.unwrap(), ["8.8.8.8", "2606:4700::1111"]);
        assert_eq!(resolved(mixed.clone(), None).await.unwrap().len(), 5);
        assert_eq!(resolved(mixed, Some(Guard::default().allow("call.example").unwrap())).await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn a_name_with_only_refused_addresses_says_so() {
        let error = resolved(vec!["10.0.0.1", "::1"], Some(Guard::default())).await.unwrap_err();
        assert_eq!(error, "`call.example`: 10.0.0.1 is not a public address (private)");
    }
}
