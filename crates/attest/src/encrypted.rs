//! The encrypted private keys of cosign: PKCS #8 in a NaCl secret box, the key of that by scrypt from a password.
//!
//! Source: github.com/secure-systems-lab/go-securesystemslib, package "encrypted".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use serde::Deserialize;

use crate::key::KeyError;

/// Most memory that a key may ask for, in bytes: cosign's own asks for 32 MiB.
const MAX_MEMORY: u64 = 256 << 20;

#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Opens a sealed key.
pub(crate) fn open(bytes: &[u8], password: &str) -> Result<Vec<u8>, KeyError> {
    let sealed: Sealed = serde_json::from_slice(bytes).map_err(|_| KeyError::Encrypted("no such JSON"))?;
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" {
        return Err(KeyError::Encrypted("an unknown cipher"));
    }
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| KeyError::Encrypted("no base64"));
    let Params { n, r, p } = sealed.kdf.params;
    let memory = n.checked_mul(128).and_then(|bytes| bytes.checked_mul(u64::from(r)));
    let is_bounded = memory.is_some_and(|memory| memory <= MAX_MEMORY) && p <= 16;
    if !n.is_power_of_two() || n < 2 || !is_bounded {
        return Err(KeyError::Encrypted("scrypt asks for too much"));
    }
    let log_n =
        u8::try_from(n.trailing_zeros()).map_err(|_| KeyError::Encrypted("scrypt asks for too much"))?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| KeyError::Encrypted("bad parameters"))?;
    let mut key = [0; 32];
    scrypt::scrypt(password.as_bytes(), &decode(&sealed.kdf.salt)?, &params, &mut key)
        .map_err(|_| KeyError::Encrypted("bad parameters"))?;
    let nonce: [u8; 24] = decode(&sealed.cipher.nonce)?
        .try_into()
        .map_err(|_| KeyError::Encrypted("a nonce of another length"))?;
    XSalsa20Poly1305::new(&Key::from(key))
        .decrypt(&Nonce::from(nonce), &decode(&sealed.ciphertext)?[..])
        .map_err(|_| KeyError::Password)
}
