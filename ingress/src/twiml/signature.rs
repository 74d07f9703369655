//! The signature of callbacks (Twilio's documentation, "Validating signatures from Twilio"): base64 of the HMAC-SHA1, under the auth
//! token, of the URL and the parameters of the form, sorted, without anything between them.

use std::collections::{BTreeMap, BTreeSet};

use vconductor_core::ingress::proof::{hmac_sha1, is_base64, is_hexadecimal, sha256};
use vconductor_core::ingress::{Delivery, Fields, Refused};
use vconductor_core::secret::Secret;

/// The query's parameter that holds the hash of a body that is no form.
const BODY_HASH: &str = "bodySHA256";

/// How a body that is JSON is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Json {
    /// By its hash in the query, as Twilio does.
    Hashed,
    /// As it is, behind the URL, as SignalWire does; or by its hash, where there is one.
    Appended,
}

/// Checks the signature in a header.
pub(crate) fn verify(
    header: &str,
    tokens: &[Secret],
    public_url: &str,
    json: Json,
    delivery: &Delivery,
) -> Result<(), Refused> {
    let given = delivery.proof(header)?;
    let is_form = delivery.mediatype() == "application/x-www-form-urlencoded";
    let mut message: Vec<u8> = Vec::new();
    match delivery.query_fields()?.get(BODY_HASH) {
        Some(hash) => {
            if !is_hexadecimal(&sha256(&delivery.body), hash) {
                return Err(Refused::unproved(format!("the body is not the one that `{BODY_HASH}` is of")));
            }
        }
        None if !is_form && json == Json::Appended => message = delivery.body.to_vec(),
        // What is neither in the form nor hashed is not signed, and must not be there.
        None if !is_form && !delivery.body.is_empty() => {
            return Err(Refused::unproved(format!("the body is no form, and there is no `{BODY_HASH}`")));
        }
        None => message = sorted(&delivery.form()?).into_bytes(),
    }
    let urls = spellings(&with_query(public_url, &delivery.query));
    let is_signed = |token: &Secret| {
        // Every spelling is tried, so that time tells nothing.
        urls.iter().fold(false, |found, url| found | is_base64(&hmac_sha1(token, &[url.as_bytes(), &message]), given))
    };
    if tokens.iter().fold(false, |found, token| found | is_signed(token)) {
        return Ok(());
    }
    Err(Refused::unproved("the signature is not by our token over `public_url`: one of them differs from the sender's"))
}

/// Names and values in the order of names; of values that are there more than once, each once and in order.
fn sorted(form: &Fields) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in form.all() {
        sorted.entry(name).or_default().insert(value);
    }
    let pairs = sorted.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| [name, value]));
    pairs.flatten().collect()
}

fn with_query(public_url: &str, query: &str) -> String {
    match query {
        "" => public_url.to_owned(),
        // The operator wrote the query along, as Twilio was given it.
        _ if public_url.contains('?') && public_url.ends_with(query) => public_url.to_owned(),
        _ => format!("{}?{query}", public_url.split('?').next().unwrap_or(public_url)),
    }
}

/// The URL with and without its port: Twilio signs one or the other.
fn spellings(url: &str) -> Vec<String> {
    let mut all = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return all };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let at = if user.is_empty() { "" } else { "@" };
    let port =
        host.rsplit_once(':').filter(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    all.push(match port {
        Some((name, _)) => format!("{scheme}://{user}{at}{name}{path}"),
        None => {
            let port = if scheme == "https" { 443 } else { 80 };
            format!("{scheme}://{user}{at}{host}:{port}{path}")
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_spelled_with_and_without_its_port() {
        for (url, other) in [
            ("https://a.example/x?y=1", "https://a.example:443/x?y=1"),
            ("http://a.example/x", "http://a.example:80/x"),
            ("https://a.example:8443/x", "https://a.example/x"),
            ("https://ann:pass@a.example/x", "https://ann:pass@a.example:443/x"),
            ("https://a.example?y=1", "https://a.example:443?y=1"),
        ] {
            assert_eq!(spellings(url), [url, other]);
        }
        assert_eq!(with_query("https://a/x", "b=1"), "https://a/x?b=1");
        assert_eq!(with_query("https://a/x?b=1", "b=1"), "https://a/x?b=1");
        assert_eq!(with_query("https://a/x?b=1", "b=1&bodySHA256=0"), "https://a/x?b=1&bodySHA256=0");
        assert_eq!(with_query("https://a/x", ""), "https://a/x");
    }

    #[test]
    fn repeated_parameters_count_once_each_in_order() {
        let form = Fields::parse(b"b=2&a=y&b=1&a=x&a=y&c=").unwrap();
        assert_eq!(sorted(&form), "axayb1b2c");
    }
}
