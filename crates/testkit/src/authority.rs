//! A certificate authority of one's own, and a web server that it vouches for, by OpenSSL.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The files of an authority that nobody knows, and of a certificate for `localhost` that it signed.
#[derive(Debug)]
pub struct Authority {
    /// The authority's own certificate.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes them in this directory.
    pub fn new(dir: &Path) -> Self {
        let ca =
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own authority"];
        openssl(dir, &[&ca[..], &["-keyout", "ca.key", "-out", "ca.crt"]].concat());
        let request =
            ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "tls.key"];
        openssl(dir, &[&request[..], &["-out", "tls.csr"]].concat());
        std::fs::write(dir.join("extensions"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
            .unwrap();
        let sign = ["x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
        openssl(dir, &[&sign[..], &["-days", "2", "-extfile", "extensions", "-out", "tls.crt"]].concat());
        Self { authority: dir.join("ca.crt"), certificate: dir.join("tls.crt"), key: dir.join("tls.key") }
    }

    /// Serves the files of a directory on a port of this machine.
    pub fn serve(&self, dir: &Path) -> WebServer {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut serve = Command::new("openssl");
        serve.args(["s_server", "-quiet", "-WWW", "-accept", &format!("127.0.0.1:{port}"), "-cert"]);
        serve.arg(&self.certificate).arg("-key").arg(&self.key).current_dir(dir);
        let child = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = WebServer { child, url: format!("https://localhost:{port}") };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the web server does not answer");
            sleep(Duration::from_millis(20));
        }
        server
    }
}

/// A web server that speaks TLS alone, ended with the value.
#[derive(Debug)]
pub struct WebServer {
    child: Child,
    /// `https://localhost:…`.
    pub url: String,
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
