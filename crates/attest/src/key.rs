//! Keys as PEM: ECDSA on P-256 and Ed25519, as cosign and OpenSSL write them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use p256::ecdsa::signature::{Signer as _, Verifier as _};

use crate::encrypted;

/// Most bytes of a key file.
const MAX_BYTES: usize = 64 << 10;

/// Why something is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is no PEM, or too long.
    #[error("it is no PEM file with one key")]
    Pem,
    /// It is PEM of another sort.
    #[error("it holds {0}")]
    Label(String),
    /// The bytes are no such key, or one of another curve.
    #[error("it is neither a P-256 nor an Ed25519 key")]
    Kind,
    /// The encrypted form is broken.
    #[error("its encrypted form is broken: {0}")]
    Encrypted(&'static str),
    /// The password is wrong.
    #[error("the password does not open it")]
    Password,
}

impl KeyError {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Password => Some("set COSIGN_PASSWORD to the key's password".to_owned()),
            Self::Encrypted(_) => None,
            _ => Some(
                "a PEM file is wanted: of cosign generate-key-pair, or of openssl genpkey -algorithm EC -pkeyopt \
                 ec_paramgen_curve:P-256"
                    .to_owned(),
            ),
        }
    }
}

/// A key that signs.
pub struct PrivateKey(Private);

enum Private {
    P256(p256::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

/// Never the key itself.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(****)")
    }
}

impl PrivateKey {
    /// Reads PKCS #8, SEC 1, or cosign's encrypted form of PKCS #8; only that needs the password.
    ///
    /// # Errors
    /// [`KeyError`] if it is none of these, or the password is wrong.
    pub fn from_pem(pem: &str, password: &str) -> Result<Self, KeyError> {
        let (label, der) = decode(pem)?;
        match label {
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            "EC PRIVATE KEY" => {
                let key = p256::SecretKey::from_sec1_der(&der).map_err(|_| KeyError::Kind)?;
                Ok(Self(Private::P256(key.into())))
            }
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                Self::from_pkcs8(&encrypted::open(&der, password)?)
            }
            other => Err(KeyError::Label(other.to_owned())),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = p256::ecdsa::SigningKey::from_pkcs8_der(der) {
            return Ok(Self(Private::P256(key)));
        }
        let key = ed25519_dalek::SigningKey::from_pkcs8_der(der).map_err(|_| KeyError::Kind)?;
        Ok(Self(Private::Ed25519(Box::new(key))))
    }

    /// Signs bytes: ECDSA over their SHA-256 in ASN.1 with the nonce of RFC 6979, or Ed25519.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.0 {
            Private::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(bytes);
                signature.to_der().as_bytes().to_vec()
            }
            Private::Ed25519(key) => key.sign(bytes).to_bytes().to_vec(),
        }
    }
}

/// A key that verifies.
#[derive(Debug, Clone)]
pub struct PublicKey(Public);

#[derive(Debug, Clone)]
enum Public {
    P256(p256::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    /// Whether the key's owner signed these bytes.
    pub fn verify(&self, bytes: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Public::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(bytes, &signature).is_ok()),
            Public::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(bytes, &signature).is_ok()),
        }
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(pem: &str) -> Result<Self, KeyError> {
        let (label, der) = decode(pem)?;
        if label != "PUBLIC KEY" {
            return Err(KeyError::Label(label.to_owned()));
        }
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(&der) {
            return Ok(Self(Public::P256(key)));
        }
        let key = ed25519_dalek::VerifyingKey::from_public_key_der(&der).map_err(|_| KeyError::Kind)?;
        Ok(Self(Public::Ed25519(key)))
    }
}

/// The label and the bytes of the first block. Headers within a block are not read: no key of ours has any.
fn decode(pem: &str) -> Result<(&str, Vec<u8>), KeyError> {
    if pem.len() > MAX_BYTES {
        return Err(KeyError::Pem);
    }
    let (_, rest) = pem.split_once("-----BEGIN ").ok_or(KeyError::Pem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyError::Pem)?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or(KeyError::Pem)?;
    let body: String = body.split_whitespace().collect();
    Ok((label, STANDARD.decode(body).map_err(|_| KeyError::Pem)?))
}

#[cfg(test)]
pub(crate) mod tests;
