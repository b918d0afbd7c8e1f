//! A browser without a window, and the checker of accessibility in it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// The checker, as npm names it.
const AXE: &str = "axe-core@4.10.2";

/// The checker's script, installed once into the directory of builds.
fn axe() -> Option<String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(AXE);
    let script = dir.join("node_modules/axe-core/axe.min.js");
    if !script.is_file() {
        let options = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        Command::new("npm").args(options).arg(&dir).arg(AXE).status().ok()?;
    }
    std::fs::read_to_string(script).ok()
}

/// A browser driven by WebDriver over loopback; ended with the test.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    #[expect(clippy::print_stdout, reason = "a skip is told")]
    pub(crate) fn start_or_skip() -> Option<Self> {
        let browser = Self::start();
        if browser.is_none() {
            println!("SKIP chromedriver is not installed: apt-get install chromium chromium-driver");
            assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
        }
        browser
    }

    fn start() -> Option<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok())
            .expect("chromedriver says its port");
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,1600",
            &format!("--user-data-dir={}", profile.path().display()),
        ]
        .map(str::to_owned);
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        // The checker looks at every element: on a busy machine that takes more than the usual half minute.
        let wanted = json!({"goog:chromeOptions": {"args": arguments}, "timeouts": {"script": 170_000}});
        let options = json!({"capabilities": {"alwaysMatch": wanted}});
        let session = browser.post("/session", &options);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    /// Shows a page.
    pub(crate) fn open(&mut self, file: &Path) {
        self.post(
            &format!("/session/{}/url", self.session),
            &json!({"url": format!("file://{}", file.display())}),
        );
    }

    /// Runs a script, and gives what it returns.
    pub(crate) fn run(&mut self, script: &str) -> Value {
        self.post(&format!("/session/{}/execute/sync", self.session), &json!({"script": script, "args": []}))
    }

    fn run_async(&mut self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.post(&format!("/session/{}/execute/async", self.session), &body)
    }

    /// Fails if the checker of accessibility finds anything in either colour.
    #[expect(clippy::print_stdout, reason = "a skip is told")]
    pub(crate) fn is_accessible(&mut self) {
        let Some(axe) = axe() else {
            println!("SKIP npm cannot install {AXE}");
            assert!(std::env::var_os("CAREEN_NO_SKIP").is_none(), "must not skip here");
            return;
        };
        self.run(&axe);
        for theme in ["light", "dark"] {
            self.run(&format!("document.documentElement.dataset.theme = '{theme}'"));
            let found = self.run_async(
                "const done = arguments[arguments.length - 1];
                axe.run().then(found => done(found.violations.map(rule => [rule.impact, rule.id,
                    rule.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])), error => done(String(error)));",
            );
            assert_eq!(found, json!([]), "in {theme}");
        }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.request("POST", path, &body.to_string())
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        // The driver may keep the connection open: what counts is the length that it states.
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the driver closed the connection");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let value: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert!(value["value"]["error"].is_null(), "{value}");
        value["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.request("DELETE", &format!("/session/{}", self.session), "");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
