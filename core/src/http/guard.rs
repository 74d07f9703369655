//! The address guard: which URLs that came from outside may be fetched at all.
//!
//! A URL inside a vCon is chosen by whoever sent the vCon. Without a guard it reads the cloud's
//! metadata service or an internal console for them. URLs that the operator wrote into the
//! configuration are [trusted](super::Request::trusted) and pass unchecked.
//!
//! Names are checked when they are resolved for the connection itself, so a name
//! that answers with another address the second time gains nothing.

use std::net::IpAddr;

use reqwest::Url;

use super::hosts::Hosts;
use super::network::{Network, not_public};
use crate::{Error, Result};

/// What URLs from outside may reach. The default: https to public addresses only.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed_hosts: Hosts,
    allowed_networks: Vec<Network>,
    allow_private: bool,
    allow_http: bool,
}

impl Guard {
    /// Opens one more destination: a host name (`media.internal`), all names below one (`*.internal`), an
    /// address or a network (`10.1.0.0/16`). An opened host may resolve to any address.
    ///
    /// # Errors
    /// A configuration error when `destination` is none of these.
    pub fn allow(mut self, destination: &str) -> Result<Self> {
        if destination.contains('/') || destination.parse::<IpAddr>().is_ok() {
            self.allowed_networks.push(destination.parse()?);
            return Ok(self);
        }
        self.allowed_hosts.push(destination)?;
        Ok(self)
    }

    /// Opens all addresses that are not public: for a test set-up or a closed network.
    #[must_use]
    pub fn allow_private(mut self, allow: bool) -> Self {
        self.allow_private = allow;
        self
    }

    /// Also lets `http:` URLs through; the vCon drafts want https.
    #[must_use]
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Checks what can be seen without asking a name server: scheme, userinfo and literal addresses.
    ///
    /// # Errors
    /// A permanent error that says what is wrong with the URL and how the operator opens it.
    pub fn check_url(&self, url: &Url) -> Result<()> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            scheme => {
                return Err(refused(url, &format!("scheme `{scheme}` is not allowed, only https is")));
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(url, "it carries a user name or password"));
        }
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(refused(url, "it names no host"));
        };
        // The URL parser has turned every spelling (hexadecimal, one number, shortened) into the usual one.
        match literal_address(host) {
            Some(address) => self.check_address(host, address).map_err(|why| refused(url, &why)),
            None => Ok(()),
        }
    }

    /// Whether `host` may be reached at `address`; the error says why not.
    pub(super) fn check_address(&self, host: &str, address: IpAddr) -> Result<(), String> {
        if self.allow_private || self.allowed_hosts.contains(host) {
            return Ok(());
        }
        match not_public(address) {
            None => Ok(()),
            Some(_) if self.allows_address(address) => Ok(()),
            Some(kind) => Err(format!("{address} is not a public address ({kind})")),
        }
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        let canonical = address.to_canonical();
        self.allowed_networks.iter().any(|network| network.contains(address) || network.contains(canonical))
    }
}

fn literal_address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn refused(url: &Url, why: &str) -> Error {
    Error::permanent(format!("{} is refused by the address guard: {why}", super::display::shown_url(url))).help(
        "the URL came from outside the configuration; the operator can open a host or network under `http: allow:`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, url: &str) -> Result<()> {
        guard.check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_https_to_public_places_passes() {
        let guard = Guard::default();
        for url in
            ["https://example.com/a.wav", "https://1.1.1.1/", "https://[2606:4700::1111]:8443/x", "HTTPS://EXAMPLE.com"]
        {
            check(&guard, url).unwrap();
        }
        for (url, part) in [
            ("http://example.com/", "scheme `http`"),
            ("ftp://example.com/", "scheme `ftp`"),
            ("file:///etc/passwd", "scheme `file`"),
            ("gopher://example.com/", "scheme `gopher`"),
            ("data:text/plain,hello", "scheme `data`"),
            ("https://user@example.com/", "user name or password"),
            ("https://:secret@example.com/", "user name or password"),
            ("https://127.0.0.1/", "loopback"),
            ("https://0x7f.1/", "loopback"),
            ("https://2130706433/", "loopback"),
            ("https://0177.0.0.1/", "loopback"),
            ("https://127.1/", "loopback"),
            ("https://127.0.0.1./", "loopback"),
            ("https://１２７.0.0.1/", "loopback"),
            ("https://0/", "unspecified"),
            ("https://169.254.169.254/latest/meta-data/", "metadata"),
            ("https://[::1]/", "loopback"),
            ("https://[::ffff:7f00:1]/", "loopback"),
            ("https://[64:ff9b::10.0.0.1]/", "NAT64"),
            ("https://[fd00:ec2::254]/", "unique-local"),
        ] {
            let error = check(&guard, url).unwrap_err();
            assert!(error.message().contains(part), "{url}: {error}");
            assert_eq!(error.class(), crate::Class::Permanent);
            assert!(!error.message().contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_operator_can_open_hosts_networks_and_http() {
        let guard = Guard::default().allow("10.1.0.0/16").unwrap().allow("fd12::/48").unwrap().allow_http(true);
        check(&guard, "http://10.1.2.3/").unwrap();
        check(&guard, "https://[::ffff:10.1.2.3]/").unwrap();
        check(&guard, "https://[fd12::5]/").unwrap();
        check(&guard, "https://10.2.0.1/").unwrap_err();
        check(&guard, "https://127.0.0.1/").unwrap_err();

        let guard = Guard::default().allow("Media.Internal").unwrap().allow("*.lab.example").unwrap();
        let loopback = "127.0.0.1".parse().unwrap();
        for host in ["media.internal", "MEDIA.internal.", "a.lab.example", "b.a.lab.example"] {
            guard.check_address(host, loopback).unwrap();
        }
        for host in ["evil-media.internal", "media.internal.evil.com", "lab.example", "evillab.example"] {
            guard.check_address(host, loopback).unwrap_err();
        }
        check(&Guard::default().allow_private(true), "https://127.0.0.1/").unwrap();
    }

    #[test]
    fn wrong_allow_entries_are_configuration_errors() {
        for wrong in ["", "*.", "*", "http://host", "10.0.0.0/40", "a b", "host:80"] {
            let error = Guard::default().allow(wrong).unwrap_err();
            assert_eq!(error.class(), crate::Class::Configuration, "{wrong}");
        }
    }
}
