//! Debian's `docker-registry` on a port of this machine, ended with the test.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A registry with its data in a directory of its own.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    /// Its name and port.
    pub host: String,
    dir: tempfile::TempDir,
}

/// `secret` as `htpasswd -B` writes it, for the user `me`.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// How a registry lets people in.
#[derive(Debug)]
pub enum Auth {
    /// Everybody.
    None,
    /// `me` with `secret`.
    Htpasswd,
    /// By tokens of this service, which are signed with the key of this certificate.
    Token {
        /// Where the service is.
        realm: String,
        /// The certificate's file.
        certificate: String,
    },
}

impl Registry {
    /// Starts one; none where it or skopeo, which pushes, is not installed. `tls` is a certificate and its key.
    pub fn start(auth: &Auth, tls: Option<(&Path, &Path)>) -> Option<Self> {
        if !Path::new("/usr/bin/docker-registry").exists() || !Path::new("/usr/bin/skopeo").exists() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: \
             127.0.0.1:{port}\n",
            at("data")
        );
        if let Some((certificate, key)) = tls {
            config +=
                &format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
        }
        match auth {
            Auth::None => {}
            Auth::Htpasswd => {
                fs::write(at("htpasswd"), HTPASSWD).unwrap();
                config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", at("htpasswd"));
            }
            Auth::Token { realm, certificate } => {
                config += &format!(
                    "auth:\n  token:\n    realm: {realm}\n    service: test\n    issuer: careen-test\n    \
                     rootcertbundle: {certificate}\n"
                );
            }
        }
        fs::write(at("config.yml"), config).unwrap();
        let log = File::create(at("log")).unwrap();
        let child = Command::new("/usr/bin/docker-registry")
            .args(["serve", &at("config.yml")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let this = Self { child, host: format!("localhost:{port}"), dir };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(this.dir.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "docker-registry does not listen:\n{log}");
            sleep(Duration::from_millis(50));
        }
        Some(this)
    }

    /// Pushes the image `latest` of a layout under a name with a tag.
    pub fn push(&self, layout: &Path, name: &str, login: Option<&str>) {
        self.copy(layout, "latest", name, login);
    }

    /// Pushes what a tag of a layout leads to.
    pub fn push_tag(&self, layout: &Path, tag: &str, repository: &str, to: &str) {
        self.copy(layout, tag, &format!("{repository}:{to}"), None);
    }

    fn copy(&self, layout: &Path, tag: &str, name: &str, login: Option<&str>) {
        let mut command = Command::new("/usr/bin/skopeo");
        command.args(["copy", "--insecure-policy", "--quiet", "--dest-tls-verify=false", "--all"]);
        command.args(login.map(|login| format!("--dest-creds={login}")));
        command.arg(format!("oci:{}:{tag}", layout.display())).arg(format!("docker://{}/{name}", self.host));
        let output = command.output().unwrap();
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(output.status.success(), "{}\n{log}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
