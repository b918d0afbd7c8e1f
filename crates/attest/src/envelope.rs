//! The signed form of a statement.
//!
//! Source: DSSE 1.0, `protocol.md` and `envelope.md`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::key::{PrivateKey, PublicKey};
use crate::statement::{self, Statement};

/// The media type of an envelope.
pub const MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";

/// Bytes with signatures over them and their type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The type of the bytes.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// The bytes, in base64.
    pub payload: String,
    /// At least one.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// A hint at the key; nothing may rest on it.
    #[serde(default)]
    pub keyid: String,
    /// The signature, in base64.
    pub sig: String,
}

/// Why an envelope does not prove anything.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Its payload or a signature is no base64.
    #[error("its {0} is no base64")]
    Base64(&'static str),
    /// It holds something else than a statement.
    #[error("it holds {0}, not an in-toto statement")]
    Type(String),
    /// No signature is one of this key.
    #[error("none of its {0} signatures is one of this key")]
    Unsigned(usize),
    /// Its statement is none.
    #[error("its payload is no statement")]
    Statement(#[source] serde_json::Error),
}

impl Envelope {
    /// Signs a statement. The same key and statement give the same bytes: signatures are deterministic.
    pub fn sign(statement: &Statement, key: &PrivateKey) -> Self {
        let payload = statement.to_bytes();
        let signature = key.sign(&encoding(statement::MEDIA_TYPE, &payload));
        Self {
            payload_type: statement::MEDIA_TYPE.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![Signature { keyid: String::new(), sig: STANDARD.encode(signature) }],
        }
    }

    /// The statement, if the key signed it.
    ///
    /// # Errors
    /// [`VerifyError`] if it did not, or signed something else.
    pub fn verify(&self, key: &PublicKey) -> Result<Statement, VerifyError> {
        let payload = self.unverified()?;
        let signed = encoding(&self.payload_type, &payload);
        let is_ours = |signature: &Signature| {
            STANDARD.decode(&signature.sig).is_ok_and(|signature| key.verify(&signed, &signature))
        };
        if !self.signatures.iter().any(is_ours) {
            return Err(VerifyError::Unsigned(self.signatures.len()));
        }
        serde_json::from_slice(&payload).map_err(VerifyError::Statement)
    }

    /// The bytes that it holds, whoever says so.
    ///
    /// # Errors
    /// [`VerifyError`] if it holds no statement.
    pub fn unverified(&self) -> Result<Vec<u8>, VerifyError> {
        if self.payload_type != statement::MEDIA_TYPE {
            return Err(VerifyError::Type(self.payload_type.clone()));
        }
        STANDARD.decode(&self.payload).map_err(|_| VerifyError::Base64("payload"))
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("every key is text")
    }
}

/// What is signed: type and payload, each with its length before it, so that neither can pass for the other.
fn encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::tests::{ED25519, P256, pair};
    use crate::statement::Resource;
    use image::Digest;
    use serde_json::json;

    #[test]
    fn what_is_signed_is_encoded_as_the_protocol_shows() {
        // The example of DSSE's protocol.md.
        let encoded = encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn signed_statements_verify_and_altered_ones_do_not() {
        let statement = Statement::new(Resource::new("shop", Digest::of(b"x")), "urn:x", json!({"a": 1}));
        let (p256, ed25519) = (pair(P256), pair(ED25519));
        for ((private, public), (_, other)) in [(&p256, &ed25519), (&ed25519, &p256)] {
            let key = PrivateKey::from_pem(private, "").unwrap();
            let public: PublicKey = public.parse().unwrap();
            let envelope = Envelope::sign(&statement, &key);
            assert_eq!(envelope, Envelope::sign(&statement, &key));
            assert_eq!(envelope.verify(&public).unwrap(), statement);
            assert!(matches!(envelope.verify(&other.parse().unwrap()), Err(VerifyError::Unsigned(1))));
            let mut altered = envelope.clone();
            altered.payload = STANDARD.encode(br#"{"_type":"x"}"#);
            assert!(matches!(altered.verify(&public), Err(VerifyError::Unsigned(1))));
            let mut altered = envelope;
            altered.payload_type = "text/plain".into();
            assert!(matches!(altered.verify(&public), Err(VerifyError::Type(_))));
        }
    }
}
