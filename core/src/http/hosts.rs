//! Names of hosts as people write them in lists: `media.example.com`, or `*.example.com` for all names below one.

use crate::{Error, Result};

/// A list of hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Reads a list. Addresses are hosts too; a list may be empty, which is no host at all.
    ///
    /// # Errors
    /// A configuration error for what is neither a host name, `*.` and a name, nor an address.
    pub fn parse<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut hosts = Hosts::default();
        for name in names {
            hosts.push(name.as_ref())?;
        }
        Ok(hosts)
    }

    /// Adds a host.
    ///
    /// # Errors
    /// As [`Hosts::parse`].
    pub(super) fn push(&mut self, written: &str) -> Result<()> {
        let host = normal(written);
        let name = host.strip_prefix("*.").unwrap_or(&host);
        let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        if !is_name && !is_address {
            return Err(Error::configuration(format!("`{written}` is neither a host name nor a network"))
                .help("write a host (media.example.com), *.example.com, or a network (10.1.0.0/16)"));
        }
        self.0.push(host);
        Ok(())
    }

    /// Whether the host is one of them, in any case and with or without a dot at the end.
    pub fn contains(&self, host: &str) -> bool {
        let host = normal(host);
        self.0.iter().any(|listed| match listed.strip_prefix("*.") {
            Some(parent) => host.strip_suffix(parent).is_some_and(|front| front.ends_with('.')),
            None => *listed == host,
        })
    }
}

fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_whole_or_lies_below_a_star() {
        let hosts = Hosts::parse(["api.example.com", "*.Media.example.com", "127.0.0.1", "[::1]"]).unwrap();
        for host in ["api.example.com", "API.example.com.", "a.media.example.com", "b.a.media.example.com", "127.0.0.1"]
        {
            assert!(hosts.contains(host), "{host}");
        }
        for host in [
            "media.example.com",
            "evilapi.example.com",
            "api.example.com.evil.net",
            "emedia.example.com",
            "",
            "127.0.0.2",
        ] {
            assert!(!hosts.contains(host), "{host}");
        }
        assert!(hosts.contains("[::1]"));
        assert!(!Hosts::default().contains("api.example.com"));
        for wrong in ["", "*", "*.", "https://host", "host:80", "a b"] {
            assert_eq!(Hosts::parse([wrong]).unwrap_err().class(), crate::Class::Configuration, "{wrong}");
        }
    }
}
