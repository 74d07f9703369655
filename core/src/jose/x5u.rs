//! Certificate chains that lie behind a URL (`x5u`, RFC 7515 section 4.1.5).

use std::collections::BTreeMap;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::certificate::Certificate;
use super::fault::{Fault, Reason};
use super::trust::MOST_CERTIFICATES;
use super::verify::chain_urls;
use crate::document::Document;
use crate::http::{HttpClient, Request};

/// The most bytes that a chain may have.
const MOST_BYTES: usize = 256 << 10;
/// How long a fetch may take.
const LONGEST: Duration = Duration::from_secs(10);
/// The most chains that are fetched for one vCon.
const MOST_CHAINS: usize = 8;

/// Chains by their URLs: fetched ones, or why they are not there.
#[derive(Debug, Clone, Default)]
pub struct Chains(BTreeMap<String, Result<Vec<Certificate>, String>>);

impl Chains {
    /// None: what needs `x5u` is reported as not available.
    pub fn none() -> Chains {
        Chains::default()
    }

    /// Fetches all chains that a signed vCon names: https only, from public addresses only, bounded. What fails stands in
    /// the verdict.
    pub async fn fetch(signed: &Document, http: &HttpClient) -> Chains {
        let mut chains = Chains::default();
        for url in chain_urls(signed).into_iter().take(MOST_CHAINS).filter(|url| is_https(url)) {
            let fetched = fetch(&url, http).await;
            chains.0.insert(url, fetched);
        }
        chains
    }

    /// Whether a signed vCon names chains that lie elsewhere.
    pub fn are_named_in(signed: &Document) -> bool {
        !chain_urls(signed).is_empty()
    }

    /// Puts a chain that was had in another way under its URL.
    ///
    /// # Errors
    /// What is wrong with the PEM text.
    pub fn insert(&mut self, url: impl Into<String>, pem: &[u8]) -> crate::Result<()> {
        let chain = parse(pem).map_err(crate::Error::permanent)?;
        self.0.insert(url.into(), Ok(chain));
        Ok(())
    }

    pub(super) fn get(&self, url: &str, pointer: &str) -> Result<Vec<Certificate>, Fault> {
        if !is_https(url) {
            return Err(Fault::new(Reason::ChainUrl, pointer, "`x5u` is not an https URL"));
        }
        let unavailable = |what: &str| Fault::new(Reason::ChainUnavailable, pointer, what);
        match self.0.get(url) {
            Some(Ok(chain)) => Ok(chain.clone()),
            Some(Err(what)) => Err(unavailable(&format!("the chain behind `x5u` is not to be had: {what}"))),
            None => Err(unavailable("the chain behind `x5u` was not fetched")),
        }
    }
}

fn is_https(url: &str) -> bool {
    url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
}

async fn fetch(url: &str, http: &HttpClient) -> Result<Vec<Certificate>, String> {
    let request = Request::get(url).map_err(|error| error.chain_text())?;
    let answer = http.send(&request.timeout(LONGEST).max_body(MOST_BYTES)).await;
    parse(&answer.map_err(|error| error.chain_text())?.body)
}

fn parse(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).take(MOST_CERTIFICATES + 1).map(|section| {
        let der = section.map_err(|_| "the PEM text is broken".to_owned())?;
        Certificate::from_der(der.to_vec())
    });
    let certificates: Vec<_> = certificates.collect::<Result<_, String>>()?;
    match certificates.len() {
        0 => Err("no certificate in PEM is there".to_owned()),
        count if count > MOST_CERTIFICATES => Err(format!("more than {MOST_CERTIFICATES} certificates are there")),
        _ => Ok(certificates),
    }
}
