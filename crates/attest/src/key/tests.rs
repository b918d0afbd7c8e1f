//! Keys as OpenSSL makes them, and as cosign seals them: made for each run, so that none lies in the repository.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use serde_json::json;

use super::*;

pub(crate) const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
pub(crate) const ED25519: &[&str] = &["-algorithm", "ED25519"];

/// A new private key, and its public half.
pub(crate) fn pair(algorithm: &[&str]) -> (String, String) {
    let private = openssl(&[&["genpkey"], algorithm].concat(), "");
    let public = openssl(&["pkey", "-pubout"], &private);
    (private, public)
}

fn openssl(args: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The key as cosign keeps it, with the memory for scrypt that cosign asks for.
fn sealed(private: &str, password: &str) -> String {
    let (_, der) = decode(private).unwrap();
    let (salt, nonce) = ([7; 32], [9; 24]);
    let mut key = [0; 32];
    let params = scrypt::Params::new(16, 8, 1).unwrap();
    scrypt::scrypt(password.as_bytes(), &salt, &params, &mut key).unwrap();
    let ciphertext = XSalsa20Poly1305::new(&Key::from(key)).encrypt(&Nonce::from(nonce), &der[..]).unwrap();
    let document = json!({
        "kdf": {"name": "scrypt", "params": {"N": 65536, "r": 8, "p": 1}, "salt": STANDARD.encode(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": STANDARD.encode(nonce)},
        "ciphertext": STANDARD.encode(ciphertext),
    });
    pem("ENCRYPTED SIGSTORE PRIVATE KEY", document.to_string().as_bytes())
}

fn pem(label: &str, bytes: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(bytes))
}

#[test]
fn keys_of_openssl_and_cosign_sign_what_their_public_halves_verify() {
    let (p256, p256_public) = pair(P256);
    let (ed25519, ed25519_public) = pair(ED25519);
    let sec1 = openssl(&["pkey", "-traditional"], &p256);
    assert!(sec1.contains("EC PRIVATE KEY"), "{}", sec1.lines().next().unwrap_or_default());
    for (private, password, public) in [
        (&p256, "", &p256_public),
        (&sec1, "", &p256_public),
        (&ed25519, "", &ed25519_public),
        (&sealed(&p256, "secret"), "secret", &p256_public),
        (&sealed(&ed25519, ""), "", &ed25519_public),
    ] {
        let key = PrivateKey::from_pem(private, password).unwrap();
        let public: PublicKey = public.parse().unwrap();
        let signature = key.sign(b"text");
        assert!(public.verify(b"text", &signature));
        assert!(!public.verify(b"other", &signature));
        assert!(!public.verify(b"text", &signature[1..]));
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let (private, public) = pair(P256);
    let error = PrivateKey::from_pem(&sealed(&private, "secret"), "wrong");
    assert!(matches!(error, Err(KeyError::Password)));
    assert!(matches!(PrivateKey::from_pem(&public, ""), Err(KeyError::Label(_))));
    let other = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "");
    assert!(matches!(PrivateKey::from_pem(&other, ""), Err(KeyError::Kind)));
    let broken = pem("PRIVATE KEY", b"").replace("\n\n", "\n!\n");
    for text in ["", "-----BEGIN ", &broken, "\u{fc}"] {
        assert!(matches!(PrivateKey::from_pem(text, ""), Err(KeyError::Pem)), "{text}");
    }
    assert!(matches!(PrivateKey::from_pem(&pem("PRIVATE KEY", &[0; 3]), ""), Err(KeyError::Kind)));
}

#[test]
fn a_key_that_asks_for_all_memory_is_refused() {
    let sealed = r#"{"kdf":{"name":"scrypt","params":{"N":1099511627776,"r":8,"p":1},"salt":""},
        "cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":""}"#;
    let pem = pem("ENCRYPTED SIGSTORE PRIVATE KEY", sealed.as_bytes());
    assert!(matches!(PrivateKey::from_pem(&pem, ""), Err(KeyError::Encrypted(_))));
}

#[test]
fn a_key_is_never_printed() {
    let key = PrivateKey::from_pem(&pair(P256).0, "").unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(****)");
}
