//! Certificates of a test's own authority, made when they are needed.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A folder with `ca.pem`, `server.pem` (for 127.0.0.1 and localhost), `client.pem` and their `.key` files, and
/// `other.pem`, an authority that signed none of them.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Certificates { folder };
        let authority = authority("tests");
        made.write("ca.pem", &authority.pem());
        made.write("other.pem", &self::authority("others").pem());
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
            let params = CertificateParams::new(names).expect("names");
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            made.write(&format!("{name}.pem"), &certificate.pem());
            made.write(&format!("{name}.key"), &key.serialize_pem());
        }
        made
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The parameters of a URL that trusts this authority and shows the client's certificate.
    pub fn parameters(&self) -> String {
        let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| self.path(name));
        format!("ssl_ca_certs={ca}&ssl_certfile={cert}&ssl_keyfile={key}")
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}
