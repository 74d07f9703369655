//! Signed and encrypted vCons: JWS and JWE in general JSON serialisation (RFC 7515 and RFC 7516, sections 7.2.1), as
//! draft-ietf-vcon-vcon-core-04 has them in its sections 5 and 6.
//!
//! * [`Keys`] reads keys and certificates in whatever form they come.
//! * [`sign()`] and [`verify()`], with [`Trust`] for whom to believe and [`Verdict`] for what was found.
//! * [`encrypt()`] and [`decrypt()`].
//! * [`TokenKeys`] opens tokens of callers, which have nothing to do with vCons.
//!
//! The mathematics are those of aws-lc, paths of certificates those of webpki. Here is what they do not know: the shape of
//! the documents, which header counts, and what makes a vCon acceptable.

mod algorithm;
mod certificate;
mod content;
mod decrypt;
mod encoding;
mod encrypt;
mod fault;
mod header;
mod jwk;
mod key;
mod keys;
mod payload;
mod seals;
mod sign;
#[cfg(test)]
mod tests;
mod token;
mod trust;
mod verdict;
mod verify;
mod x5u;

pub use algorithm::{ContentEncryption, KeyEncryption, SignatureAlgorithm};
pub use certificate::Certificate;
pub use decrypt::{Decrypted, Envelope, check_encrypted, decrypt};
pub use encrypt::{EncryptOptions, encrypt};
pub use fault::{Fault, Reason};
pub use key::{KeyKind, PrivateKey, PublicKey};
pub use keys::{Key, Keys};
pub use payload::Payload;
pub use seals::KeySeals;
pub use sign::{SignOptions, sign};
pub use token::TokenKeys;
pub use trust::{Standing, Trust};
pub use verdict::{SignatureVerdict, Signers, Verdict};
pub use verify::verify;
pub use x5u::Chains;
