//! Attestations of a real hardening, checked by OpenSSL, by cosign, and by reading the layout.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{can_run, careen, careen_command, careen_json, document, hardened, image, workdir};

const HARDENING: &str = "urn:careen:attestation:hardening:v1";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

fn run(program: &str, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// A new key of OpenSSL's, and its public half.
fn key(dir: &Path) -> (String, String) {
    let (private, public) = (dir.join("shop.key"), dir.join("shop.pub"));
    let made = run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], b"");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::write(&public, run("openssl", &["pkey", "-pubout"], &made.stdout).stdout).unwrap();
    fs::write(&private, made.stdout).unwrap();
    (private.display().to_string(), public.display().to_string())
}

fn base64(text: &Value) -> Vec<u8> {
    run("openssl", &["base64", "-d", "-A"], text.as_str().unwrap().as_bytes()).stdout
}

/// What an envelope holds, if OpenSSL finds the signature of this key good.
fn opened(file: &Path, public: &str, dir: &Path) -> Value {
    let envelope = document(file);
    let kind = envelope["payloadType"].as_str().unwrap();
    let payload = base64(&envelope["payload"]);
    // Source: DSSE 1.0, `protocol.md`.
    let mut signed = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    signed.extend_from_slice(&payload);
    let signature = dir.join("signature");
    fs::write(&signature, base64(&envelope["signatures"][0]["sig"])).unwrap();
    let verify = ["dgst", "-sha256", "-verify", public, "-signature", signature.to_str().unwrap()];
    assert!(run("openssl", &verify, &signed).status.success(), "{}", file.display());
    signed.push(b' ');
    assert!(!run("openssl", &verify, &signed).status.success(), "an altered one is not good");
    serde_json::from_slice(&payload).unwrap()
}

/// Redis, hardened by its profile with these options; the directory of the result and what it printed.
fn harden(work: &Path, name: &str, more: &[&str]) -> Option<(PathBuf, Value)> {
    if !can_run() {
        return None;
    }
    let original = format!("oci:{}", image("redis")?.display());
    let profile = hardened("redis")?.join("redis.careen/original.profile").display().to_string();
    let target = work.join(name);
    let output = format!("oci:{}", target.display());
    let args = ["harden", &original, "--profile", &profile, "--no-verify", "-o", &output];
    let result = careen_json(&[&args[..], more].concat());
    Some((target, result))
}

fn digest_of(result: &Value, which: &str) -> String {
    result[which]["manifest_digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
}

#[test]
fn a_hardening_attests_itself_signed_and_beside_its_image() {
    let work = workdir();
    let (private, public) = key(work.path());
    let more = ["--attest", "--key", &private, "--attach"];
    let Some((target, result)) = harden(work.path(), "signed", &more) else { return };
    let plain = harden(work.path(), "plain", &[]).unwrap().1;
    assert_eq!(digest_of(&result, "hardened"), digest_of(&plain, "hardened"), "the image is the same");
    assert!(plain.get("attestations").is_none());

    let files: Vec<_> =
        result["attestations"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let name = |file: &&str| Path::new(file).file_name().unwrap().to_str().unwrap().to_owned();
    let names: Vec<_> = files.iter().map(name).collect();
    assert_eq!(names, ["hardening.dsse.json", "provenance.dsse.json"]);
    let hardening = opened(Path::new(files[0]), &public, work.path());
    assert_eq!(hardening["predicateType"], HARDENING);
    assert_eq!(hardening["subject"][0]["digest"]["sha256"], digest_of(&result, "hardened"));
    assert_eq!(hardening["subject"][0]["name"], result["hardened"]["reference"]);
    let predicate = &hardening["predicate"];
    assert_eq!(predicate["input"]["image"]["digest"]["sha256"], digest_of(&result, "original"));
    assert_eq!(predicate["profile"]["runs"][0]["coverage"], "redis");
    assert_eq!(predicate["verification"], Value::Null, "it was not verified");
    let provenance = opened(Path::new(files[1]), &public, work.path());
    assert_eq!(provenance["predicateType"], PROVENANCE);
    let inputs = &provenance["predicate"]["buildDefinition"]["resolvedDependencies"];
    assert_eq!(inputs[0]["digest"]["sha256"], digest_of(&result, "original"));

    // Beside the image: the same that `careen attest` lays there, which therefore finds nothing to add.
    let layout = format!("oci:{}", target.display());
    assert!(careen(&["validate", &layout]).status.success());
    let before = fs::read(target.join("index.json")).unwrap();
    let reference = result["hardened"]["reference"].as_str().unwrap();
    let again = careen_json(&["attest", reference, "--key", &private, "--attach"]);
    assert_eq!(again["attestations"].as_array().unwrap().len(), 2);
    let (before, after): (Value, Value) =
        (serde_json::from_slice(&before).unwrap(), document(&target.join("index.json")));
    let digests = |index: &Value| -> BTreeSet<String> {
        index["manifests"].as_array().unwrap().iter().map(|one| one["digest"].to_string()).collect()
    };
    assert_eq!(digests(&before), digests(&after));
    let referrers: Vec<_> = after["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["artifactType"] == "application/vnd.dsse.envelope.v1+json")
        .collect();
    assert_eq!(referrers.len(), 2, "{after:#}");
}

#[test]
fn a_verified_hardening_says_so_without_what_programs_printed() {
    let (true, Some(dir)) = (can_run(), hardened("redis")) else { return };
    let work = workdir();
    let layout = format!("oci:{}", dir.join("redis").display());
    let out = work.path().display().to_string();
    let made = careen_json(&["attest", &layout, "-o", &out]);
    assert_eq!(made["attestations"][0]["signed"], false);
    let text = fs::read_to_string(work.path().join("hardening.intoto.json")).unwrap();
    let statement: Value = serde_json::from_str(&text).unwrap();
    let verification = &statement["predicate"]["verification"];
    assert_eq!(verification["passed"], true);
    assert!(verification["steps"].as_array().unwrap().len() > 5, "{verification:#}");
    assert!(!text.contains("PONG"), "outputs may hold what is nobody's business");

    // Any document about the image, by its type.
    let vex = work.path().join("shop.vex.json");
    fs::write(&vex, r#"{"@context": "https://openvex.dev/ns/v0.2.0", "statements": []}"#).unwrap();
    let kind = "https://openvex.dev/ns/v0.2.0";
    let made =
        careen_json(&["attest", &layout, "--predicate", vex.to_str().unwrap(), "--type", kind, "-o", &out]);
    assert_eq!(made["attestations"][0]["predicate_type"], kind);
    let statement = document(Path::new(made["attestations"][0]["file"].as_str().unwrap()));
    assert_eq!(statement["predicate"], document(&vex));
}

#[test]
fn what_cannot_be_attested_is_refused_before_any_work() {
    let (true, Some(layout)) = (can_run(), image("redis")) else { return };
    let work = workdir();
    let source = format!("oci:{}", layout.display());
    let key = work.path().join("none.key");
    fs::write(&key, "no key").unwrap();
    let archive = format!("oci-archive:{}", work.path().join("out.tar").display());
    let target = format!("oci:{}", work.path().join("out").display());
    for (args, code, part) in [
        (vec!["-o", &target, "--attest", "--key", key.to_str().unwrap()], 5, "it is no PEM file"),
        (vec!["-o", &target, "--attest", "--key", "/nowhere/key"], 5, "/nowhere/key"),
        (vec!["-o", &archive, "--attest", "--attach"], 9, "nothing can be attached"),
        (vec!["-o", &target, "--attach"], 2, "--attest"),
    ] {
        let output = careen(&[&["harden", &source, "--coverage", "redis"], &args[..]].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {text}");
        assert!(!text.contains("record"), "no container ran: {text}");
    }
    let output =
        careen(&["attest", &source, "-o", work.path().join("x").to_str().unwrap(), "--ledger", "/nowhere"]);
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
}

/// cosign where it is installed, or kept beside the images.
fn cosign() -> Option<PathBuf> {
    let cache =
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/careen/peers/cosign/cosign"));
    let found = [Some(PathBuf::from("cosign")), cache].into_iter().flatten().find(|program| {
        Command::new(program).arg("version").output().is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        // OpenSSL verifies the same envelopes, above; Debian has cosign from trixie on.
        println!("cosign is not installed");
    }
    found
}

#[test]
fn cosign_accepts_what_its_own_key_signed() {
    let Some(cosign) = cosign() else { return };
    let work = workdir();
    let made = Command::new(&cosign)
        .args(["generate-key-pair"])
        .env("COSIGN_PASSWORD", "secret")
        .current_dir(work.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let Some((target, result)) = harden(work.path(), "shop", &[]) else { return };
    let layout = format!("oci:{}", target.display());
    let out = work.path().join("attestations");
    let attest = |password: &str| {
        careen_command(&["attest", &layout, "--key", "cosign.key", "-o", out.to_str().unwrap()])
            .env("COSIGN_PASSWORD", password)
            .current_dir(work.path())
            .output()
            .unwrap()
    };
    let refused = attest("wrong");
    assert_eq!(refused.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the password does not open it"));
    assert!(attest("secret").status.success());
    // The manifest is the artifact that is spoken of.
    let blobs = target.join("blobs/sha256");
    let check = |file: &str, kind: &str, digest: &str| {
        let output = Command::new(&cosign)
            .args([
                "verify-blob-attestation",
                "--key",
                "cosign.pub",
                "--insecure-ignore-tlog=true",
                "--type",
                kind,
            ])
            .arg("--signature")
            .arg(out.join(file))
            .arg(blobs.join(digest))
            .current_dir(work.path())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let digest = digest_of(&result, "hardened");
    for (file, kind) in [("hardening.dsse.json", HARDENING), ("provenance.dsse.json", PROVENANCE)] {
        let (accepted, text) = check(file, kind, &digest);
        assert!(accepted, "{file}: {text}");
        assert!(!check(file, "https://example.com/other", &digest).0, "another type");
        let config = result["hardened"]["image_id"].as_str().unwrap().trim_start_matches("sha256:");
        assert!(!check(file, kind, config).0, "another artifact");
    }
}
