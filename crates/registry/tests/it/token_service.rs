//! A token service as registries have one: knows one user, signs what may be read.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::server::{Reply, Request, Server};

/// Runs openssl in a directory; its output.
pub(crate) fn openssl(dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Starts a service that lets in `me` with `secret`, and everybody else nowhere. Its certificate is `token.crt` in `dir`.
pub(crate) fn start(dir: &Path) -> Server {
    let make =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=token", "-keyout"];
    openssl(dir, &[&make[..], &["token.key", "-out", "token.crt"]].concat(), b"");
    let dir = dir.to_owned();
    Server::start(move |request| answer(&dir, request))
}

fn answer(dir: &Path, request: &Request) -> Reply {
    let login =
        request.header("authorization").strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let is_known = match login.as_deref() {
        Some(b"me:secret") => true,
        Some(_) => {
            return Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}"#);
        }
        None => false,
    };
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let scopes = query.split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let access: Vec<_> = scopes
        .filter(|_| is_known)
        .filter_map(|scope| {
            let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",").replace("%2A", "*");
            let parts: Vec<&str> = scope.splitn(3, ':').collect();
            let [kind, name, actions] = parts.as_slice() else { return None };
            Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
        })
        .collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let certificate: String = fs::read_to_string(dir.join("token.crt"))
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encode(json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]}));
    let claims = encode(json!({
        "iss": "careen-test", "sub": "me", "aud": "test", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1",
        "access": access,
    }));
    let signed = format!("{header}.{claims}");
    let signature = openssl(dir, &["dgst", "-sha256", "-sign", "token.key"], signed.as_bytes());
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    Reply::new(200, json!({"token": token, "expires_in": 300}).to_string())
        .with("Content-Type", "application/json")
}
