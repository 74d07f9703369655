//! Authenticated encryption of the content (RFC 7518, sections 5.2.5 and 5.3).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, rand};

use super::algorithm::ContentEncryption;
use crate::{Error, Result};

/// Encrypted content.
pub(super) struct Sealed {
    pub(super) iv: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

/// Random bytes, as keys are.
pub(super) fn random(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).map_err(|_| Error::retryable("the system has no random numbers"))?;
    Ok(bytes)
}

impl ContentEncryption {
    /// Encrypts `plaintext` under a key that is used once.
    pub(super) fn seal(self, key: &[u8], aad: &[u8], plaintext: Vec<u8>) -> Result<Sealed> {
        let iv = random(self.iv_length())?;
        let sealed = match self {
            Self::A256CbcHs512 => seal_cbc(key, aad, &iv, plaintext),
            Self::A256Gcm => seal_gcm(key, aad, &iv, plaintext),
        };
        let (ciphertext, tag) = sealed.ok_or_else(|| Error::permanent("the content cannot be encrypted"))?;
        Ok(Sealed { iv, ciphertext, tag })
    }

    /// Decrypts; `None` whatever is wrong. Nothing is decrypted before the tag was found right.
    pub(super) fn open(self, key: &[u8], aad: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        if key.len() != self.key_length()
            || sealed.iv.len() != self.iv_length()
            || sealed.tag.len() != self.tag_length()
        {
            return None;
        }
        match self {
            Self::A256CbcHs512 => open_cbc(key, aad, sealed),
            Self::A256Gcm => open_gcm(key, aad, sealed),
        }
    }
}

fn seal_cbc(key: &[u8], aad: &[u8], iv: &[u8], mut plaintext: Vec<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mac_key, cipher_key) = key.split_at_checked(32)?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, cipher_key).ok()?).ok()?;
    let context = EncryptionContext::Iv128(FixedLength::from(<[u8; 16]>::try_from(iv).ok()?));
    cipher.less_safe_encrypt(&mut plaintext, context).ok()?;
    let tag = mac(mac_key, aad, iv, &plaintext).as_ref().get(..32)?.to_vec();
    Some((plaintext, tag))
}

fn open_cbc(key: &[u8], aad: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
    let (mac_key, cipher_key) = key.split_at_checked(32)?;
    let expected = mac(mac_key, aad, &sealed.iv, &sealed.ciphertext);
    verify_slices_are_equal(expected.as_ref().get(..32)?, &sealed.tag).ok()?;
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, cipher_key).ok()?).ok()?;
    let context = DecryptionContext::Iv128(FixedLength::from(<[u8; 16]>::try_from(&sealed.iv[..]).ok()?));
    let mut text = sealed.ciphertext.clone();
    let length = cipher.decrypt(&mut text, context).ok()?.len();
    text.truncate(length);
    Some(text)
}

/// HMAC-SHA-512 over associated data, initialisation vector, ciphertext and the length of the first in bits.
fn mac(key: &[u8], aad: &[u8], iv: &[u8], ciphertext: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, key));
    context.update(aad);
    context.update(iv);
    context.update(ciphertext);
    context.update(&(aad.len() as u64 * 8).to_be_bytes());
    context.sign()
}

fn seal_gcm(key: &[u8], aad: &[u8], iv: &[u8], mut plaintext: Vec<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(iv).ok()?;
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut plaintext).ok()?;
    Some((plaintext, tag.as_ref().to_vec()))
}

fn open_gcm(key: &[u8], aad: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(&sealed.iv).ok()?;
    let mut text = [&sealed.ciphertext[..], &sealed.tag].concat();
    let length = cipher.open_in_place(nonce, Aad::from(aad), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7518, appendix B.3.
    #[test]
    fn cbc_agrees_with_the_rfc() {
        let key: Vec<u8> = (0..64).collect();
        let plaintext =
            b"A cipher system must not be required to be secret, and it must be able to fall into the hands of \
                          the enemy without inconvenience";
        let aad = b"The second principle of Auguste Kerckhoffs";
        let iv = [0x1a, 0xf3, 0x8c, 0x2d, 0xc2, 0xb9, 0x6f, 0xfd, 0xd8, 0x66, 0x94, 0x09, 0x23, 0x41, 0xbc, 0x04];
        let (ciphertext, tag) = seal_cbc(&key, aad, &iv, plaintext.to_vec()).unwrap();
        assert_eq!(ciphertext[..8], [0x4a, 0xff, 0xaa, 0xad, 0xb7, 0x8c, 0x31, 0xc5]);
        assert_eq!(tag[..8], [0x4d, 0xd3, 0xb4, 0xc0, 0x88, 0xa7, 0xf4, 0x5c]);
        assert_eq!(tag.len(), 32);
        let sealed = Sealed { iv: iv.to_vec(), ciphertext, tag };
        assert_eq!(ContentEncryption::A256CbcHs512.open(&key, aad, &sealed).unwrap(), plaintext);
        assert!(ContentEncryption::A256CbcHs512.open(&key, b"other", &sealed).is_none());
    }
}
