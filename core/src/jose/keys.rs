//! Sets of keys and certificates, as they come from files and environment variables: PEM (PKCS #8, PKCS #1, SEC 1,
//! public keys, certificates, several in one file), DER, JWK and JWK sets (RFC 7517).

use std::sync::Arc;

use rustls_pki_types::pem::{PemObject, SectionKind};

use super::algorithm::SignatureAlgorithm;
use super::certificate::Certificate;
use super::jwk;
use super::key::{PrivateKey, PublicKey};
use crate::{Error, Result};

/// A key with its name and, where one is known, its certificate chain.
#[derive(Debug, Clone)]
pub struct Key {
    pub(super) name: String,
    pub(super) public: PublicKey,
    pub(super) private: Option<Arc<PrivateKey>>,
    /// Its own certificate first.
    pub(super) chain: Vec<Certificate>,
    /// What the key is bound to (`alg` of a JWK).
    pub(super) algorithm: Option<SignatureAlgorithm>,
    /// Whether only a certificate says that this key exists: then its dates and issuer matter.
    pub(super) certified: bool,
}

impl Key {
    /// The name: the `kid` of a JWK, else where it was read from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether the private half is there.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Its certificate chain, its own certificate first; empty where none is known.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }
}

/// Keys and certificates in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    keys: Vec<Key>,
    certificates: Vec<Certificate>,
}

impl Keys {
    /// Reads everything in `source`, whatever form it has. `name` stands for it in messages.
    ///
    /// # Errors
    /// Configuration, without a word of the content: nothing that can be used is in it, or a part is broken.
    pub fn read(name: &str, source: &[u8]) -> Result<Keys> {
        let mut keys = Keys::default();
        let text = source.trim_ascii();
        let read = match text.first() {
            Some(b'{') => jwk::read(name, text, &mut keys),
            Some(0x30) => keys.read_der(name, source),
            _ => keys.read_pem(name, source),
        };
        read.map_err(|what| {
            Error::configuration(format!("key `{name}`: {what}")).help(
                "give PEM (PRIVATE KEY, PUBLIC KEY, CERTIFICATE) or a JWK with an RSA key of 2048 bits or more, a P-256 \
                 key or an Ed25519 key",
            )
        })?;
        // A file with nothing but certificates stands for the owner of the first.
        if keys.keys.is_empty()
            && let Some(first) = keys.certificates.first()
            && let Ok(public) = first.key()
        {
            let public = public.clone();
            let (name, chain) = (name.to_owned(), Vec::new());
            keys.keys.push(Key { name, public, private: None, chain, algorithm: None, certified: true });
        }
        keys.join();
        Ok(keys)
    }

    /// Reads the elements of an option; they are called `option[0]`, `option[1]` ... where they have no names of their own.
    ///
    /// # Errors
    /// Configuration, as [`read`](Self::read).
    pub fn read_all<'a>(option: &str, sources: impl IntoIterator<Item = &'a str>) -> Result<Keys> {
        let mut keys = Keys::default();
        for (number, source) in sources.into_iter().enumerate() {
            keys.add(Keys::read(&format!("{option}[{number}]"), source.as_bytes())?);
        }
        Ok(keys)
    }

    fn read_pem(&mut self, name: &str, source: &[u8]) -> Result<(), String> {
        if memchr::memmem::find(source, b"ENCRYPTED").is_some() {
            return Err(
                "the private key is protected by a passphrase; decrypt it first (`openssl pkcs8 -in FILE`)".into()
            );
        }
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(source) {
            let (kind, der) = section.map_err(|_| "the PEM text is broken".to_owned())?;
            match kind {
                SectionKind::Certificate => self.certificates.push(Certificate::from_der(der)?),
                SectionKind::PublicKey => self.add_public(name, PublicKey::from_spki(&der)?, None),
                SectionKind::PrivateKey => self.add_private(name, PrivateKey::from_pkcs8(&der)?, None),
                SectionKind::RsaPrivateKey => self.add_private(name, PrivateKey::from_pkcs1(&der)?, None),
                SectionKind::EcPrivateKey => self.add_private(name, PrivateKey::from_sec1(&der)?, None),
                _ => {}
            }
        }
        if self.keys.is_empty() && self.certificates.is_empty() {
            return Err("no key and no certificate is in it".to_owned());
        }
        Ok(())
    }

    fn read_der(&mut self, name: &str, der: &[u8]) -> Result<(), String> {
        if let Ok(certificate) = Certificate::from_der(der.to_vec()) {
            self.certificates.push(certificate);
        } else if let Ok(key) = PrivateKey::from_pkcs8(der) {
            self.add_private(name, key, None);
        } else {
            self.add_public(name, PublicKey::from_spki(der)?, None);
        }
        Ok(())
    }

    pub(super) fn add_public(&mut self, name: &str, public: PublicKey, algorithm: Option<SignatureAlgorithm>) {
        let (name, chain) = (name.to_owned(), Vec::new());
        self.keys.push(Key { name, public, private: None, chain, algorithm, certified: false });
    }

    pub(super) fn add_private(&mut self, name: &str, private: PrivateKey, algorithm: Option<SignatureAlgorithm>) {
        let (name, public, chain) = (name.to_owned(), private.public().clone(), Vec::new());
        self.keys.push(Key { name, public, private: Some(Arc::new(private)), chain, algorithm, certified: false });
    }

    pub(super) fn add_certificates(&mut self, certificates: Vec<Certificate>) {
        self.certificates.extend(certificates);
    }

    /// Adds those of another set; certificates find their keys.
    pub fn add(&mut self, other: Keys) {
        self.keys.extend(other.keys);
        self.certificates.extend(other.certificates);
        self.join();
    }

    /// Gives every key the certificates that belong to it.
    fn join(&mut self) {
        for key in &mut self.keys {
            // The newest, when a certificate was renewed.
            let own = self.certificates.iter().filter(|certificate| certificate.key() == Ok(&key.public));
            if let Some(own) = own.max_by_key(|certificate| certificate.not_before()) {
                key.chain = chain(own, &self.certificates);
            }
        }
    }

    /// All keys.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// All certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The keys with which can be signed and decrypted.
    pub fn private(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| key.is_private())
    }

    /// The key to sign with after a rotation: the one called `name`; without a name the one with the newest certificate,
    /// and where none has one, the last.
    ///
    /// # Errors
    /// Configuration, with the names that there are.
    pub fn signer(&self, name: Option<&str>) -> Result<&Key> {
        let newest = self.private().max_by_key(|key| key.chain.first().map(Certificate::not_before));
        let found = match name {
            None => newest,
            Some(name) => self.private().filter(|key| key.name == name).last(),
        };
        found.ok_or_else(|| {
            let names: Vec<_> = self.private().map(Key::name).collect();
            match name {
                Some(name) => Error::configuration(format!("no private key is called `{name}`"))
                    .help(format!("there are: {}", names.join(", "))),
                None => Error::configuration("no private key was given to sign with")
                    .help("give one as PEM or JWK, from a file or the environment"),
            }
        })
    }
}

impl From<Key> for Keys {
    fn from(key: Key) -> Keys {
        Keys { certificates: key.chain.clone(), keys: vec![key] }
    }
}

/// `own` and those that issued it, as far as they are there.
fn chain(own: &Certificate, all: &[Certificate]) -> Vec<Certificate> {
    let mut chain = vec![own.clone()];
    while let Some(last) = chain.last().filter(|last| !last.is_self_issued()) {
        match all.iter().find(|one| last.is_issued_by(one) && !chain.contains(one)) {
            Some(issuer) => chain.push(issuer.clone()),
            None => break,
        }
    }
    chain
}
