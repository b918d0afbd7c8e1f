//! `careen db update` against servers on loopback: what is fetched, resumed, refused, and what happens when one is down.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{careen_command, skip};

/// A file that the server has.
#[derive(Clone, Default)]
struct File {
    body: Vec<u8>,
    /// The first answer ends after so many bytes of the body.
    breaks_at: Option<usize>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Each request: its first line, then `if-none-match` and `range` where it has them.
    requests: Vec<String>,
}

/// A web server that knows entity tags and ranges; as a proxy it serves every host's files itself.
struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who goes away early is no concern of the server.
                let _ = answer(stream, &shared);
            }
        });
        Self { address, state }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn put(&self, path: &str, body: impl Into<Vec<u8>>) {
        let file = File { body: body.into(), breaks_at: None };
        self.state.lock().unwrap().files.insert(path.to_owned(), file);
    }

    fn break_at(&self, path: &str, bytes: usize) {
        self.state.lock().unwrap().files.get_mut(path).unwrap().breaks_at = Some(bytes);
    }

    fn remove(&self, path: &str) {
        self.state.lock().unwrap().files.remove(path);
    }

    /// The requests since the last call.
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = Vec::new();
        for line in reader.by_ref().lines() {
            let line = line?;
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let Some(first) = head.first() else { return Ok(()) };
        let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let header = |name: &str| {
            head[1..].iter().find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let mut state = state.lock().unwrap();
        let noted =
            ["if-none-match", "range"].iter().filter_map(|name| Some(format!(" {name} {}", header(name)?)));
        let noted = noted.collect::<String>();
        state.requests.push(format!("{first}{noted}"));
        if first.starts_with("CONNECT ") {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            continue;
        }
        let path =
            target.strip_prefix("http://").map_or(target.as_str(), |rest| &rest[rest.find('/').unwrap()..]);
        let Some(file) = state.files.get_mut(path) else {
            return stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let tag =
            format!("\"{}-{}\"", file.body.len(), file.body.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        if header("if-none-match").as_ref() == Some(&tag) {
            return stream.write_all(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
        }
        let range = header("range").filter(|_| header("if-range").as_ref() == Some(&tag));
        let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let (status, from) = from.map_or(("200 OK", 0), |from: usize| ("206 Partial Content", from));
        let body = &file.body[from..];
        write!(
            stream,
            "HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )?;
        let end = file.breaks_at.take().map_or(body.len(), |at| at.min(body.len()));
        return stream.write_all(&body[..end]);
    }
}

fn excerpt(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../advisories/tests/data/upstream");
    fs::read(dir.join(name)).unwrap()
}

/// The upstreams' files, with OSV's for PyPI as the zip that its bucket has.
fn feeds() -> Server {
    let server = Server::start();
    server.put("/debian-tracker.json", excerpt("debian/tracker.json"));
    server.put(
        "/known_exploited_vulnerabilities.json",
        excerpt("exploit/known_exploited_vulnerabilities.json"),
    );
    server.put("/epss_scores-current.csv.gz", excerpt("exploit/epss_scores.csv"));
    let text = String::from_utf8(excerpt("osv/PyPI.jsonl")).unwrap();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (number, line) in text.lines().enumerate() {
        archive.start_file(format!("PYSEC-{number}.json"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(line.as_bytes()).unwrap();
    }
    server.put("/osv/PyPI/all.zip", archive.finish().unwrap().into_inner());
    server
}

/// Runs `careen db …` with its own data directory.
fn db(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = careen_command(&[&["db"], arguments].concat());
    command.env("CAREEN_DATA_DIR", dir);
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ] {
        command.env_remove(name);
    }
    command
}

fn update(dir: &Path, feeds: &str) -> Output {
    db(dir, &["update", "--quiet", "--feeds", feeds, "--ecosystem", "PyPI"])
}

fn status(dir: &Path) -> Value {
    let output = db(dir, &["status", "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The records of each source that was used, by the last part of its location.
fn records(status: &Value) -> BTreeMap<String, u64> {
    let sources = status["sources"].as_array().unwrap().iter().filter(|source| source["unused"].is_null());
    let last = |source: &Value| source["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    sources.map(|source| (last(source), source["records"].as_u64().unwrap())).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_update_fetches_every_feed_and_again_only_what_changed() {
    let (dir, server) = (tempfile::tempdir().unwrap(), feeds());
    let first = update(dir.path(), &server.url());
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert_eq!(server.requests().len(), 4);
    let read = records(&status(dir.path()));
    assert_eq!(read["all.zip"], 3, "{read:?}");
    assert!(read.values().all(|records| *records > 0) && read.len() == 4, "{read:?}");

    let again = update(dir.path(), &server.url());
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.contains(" if-none-match ")), "{requests:?}");
    assert_eq!(records(&status(dir.path())), read);

    server.put("/epss_scores-current.csv.gz", "cve,epss,percentile\nCVE-2026-1,0.5,0.5\n");
    assert!(update(dir.path(), &server.url()).status.success());
    let read = records(&status(dir.path()));
    assert_eq!((read["epss_scores-current.csv.gz"], read["all.zip"]), (1, 3));
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_did() {
    let (dir, server) = (tempfile::tempdir().unwrap(), feeds());
    server.break_at("/debian-tracker.json", 1_000);
    let broken = update(dir.path(), &server.url());
    assert_eq!(broken.status.code(), Some(12), "{}", stderr(&broken));
    assert!(stderr(&broken).contains("debian-tracker.json"), "{}", stderr(&broken));
    assert!(!records(&status(dir.path())).contains_key("debian-tracker.json"));
    server.requests();
    let resumed = update(dir.path(), &server.url());
    assert_eq!(resumed.status.code(), Some(0), "{}", stderr(&resumed));
    let requests = server.requests();
    assert!(requests[0].ends_with("range bytes=1000-"), "{requests:?}");
    assert_eq!(records(&status(dir.path()))["debian-tracker.json"], 6);

    // A part of what the file was is no part of what it is now.
    server.put("/debian-tracker.json", [excerpt("debian/tracker.json"), b"\n".to_vec()].concat());
    server.break_at("/debian-tracker.json", 1_000);
    assert_eq!(update(dir.path(), &server.url()).status.code(), Some(12));
    server.put("/debian-tracker.json", excerpt("debian/tracker.json"));
    assert_eq!(update(dir.path(), &server.url()).status.code(), Some(0));
    assert_eq!(records(&status(dir.path()))["debian-tracker.json"], 6);
}

#[test]
fn an_upstream_that_is_down_does_not_keep_the_others_out() {
    let (dir, server) = (tempfile::tempdir().unwrap(), feeds());
    server.remove("/known_exploited_vulnerabilities.json");
    let output = update(dir.path(), &server.url());
    assert_eq!(output.status.code(), Some(12), "{}", stderr(&output));
    let errors = stderr(&output);
    assert!(errors.contains("status 404; nothing of it is in there"), "{errors}");
    let known = status(dir.path());
    assert_eq!(records(&known).len(), 3);
    let missing =
        known["sources"].as_array().unwrap().iter().find(|source| !source["not_fetched"].is_null()).unwrap();
    assert!(missing["location"].as_str().unwrap().ends_with("/known_exploited_vulnerabilities.json"));
    let text = String::from_utf8(db(dir.path(), &["status"]).stdout).unwrap();
    assert!(text.contains("was not fetched (the server answered with status 404)"), "{text}");

    // With an older copy, that one is used.
    server.put(
        "/known_exploited_vulnerabilities.json",
        excerpt("exploit/known_exploited_vulnerabilities.json"),
    );
    assert_eq!(update(dir.path(), &server.url()).status.code(), Some(0));
    server.remove("/known_exploited_vulnerabilities.json");
    let output = update(dir.path(), &server.url());
    assert_eq!(output.status.code(), Some(12));
    assert!(stderr(&output).contains("its older copy was used"), "{}", stderr(&output));
    assert_eq!(records(&status(dir.path())).len(), 4);

    // All of them down is no update at all, and the old database stays.
    let before = fs::read(dir.path().join("db/advisories.db")).unwrap();
    let output = update(dir.path(), "http://127.0.0.1:1");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("hint:"), "{}", stderr(&output));
    assert_eq!(fs::read(dir.path().join("db/advisories.db")).unwrap(), before);
}

#[test]
fn a_proxy_is_taken_from_the_environment() {
    let (dir, proxy) = (tempfile::tempdir().unwrap(), feeds());
    let run = |name: &str, value: &str| {
        let arguments = ["update", "--quiet", "--feeds", "http://feeds.example", "--ecosystem", "PyPI"];
        command(dir.path(), &arguments).env(name, value).output().unwrap()
    };
    let output = run("HTTP_PROXY", &proxy.url());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let requests = proxy.requests();
    assert!(requests.iter().any(|request| request.contains("feeds.example")), "{requests:?}");
}

/// What a mirror says of a database of this date.
fn index_of(database: &[u8], date: &str) -> Value {
    let digest = image::Digest::of(database).to_string();
    json!({
        "version": 1, "file": "advisories.db", "sha256": digest.strip_prefix("sha256:").unwrap(),
        "size_bytes": database.len(), "built": format!("{date}T00:00:00Z"),
    })
}

/// A mirror with a database of this date, its index signed with the key `name` of the directory.
fn mirror(server: &Server, dir: &Path, date: &str, name: &str) {
    let file = dir.join("mirror.db").display().to_string();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../advisories/tests/data/upstream/osv");
    let built = db(dir, &["build", "-q", "--from", &from.display().to_string(), "-o", &file, "--date", date]);
    assert!(built.status.success(), "{}", stderr(&built));
    let bytes = fs::read(&file).unwrap();
    let index = index_of(&bytes, date);
    let path = dir.join("index.json");
    fs::write(&path, index.to_string()).unwrap();
    let mut sign = Command::new("minisign");
    sign.arg("-S").arg("-s").arg(dir.join(format!("{name}.key"))).arg("-m").arg(&path);
    assert!(sign.output().unwrap().status.success());
    server.put("/index.json", index.to_string());
    server.put("/index.json.minisig", fs::read(dir.join("index.json.minisig")).unwrap());
    server.put("/advisories.db", bytes);
}

#[test]
fn a_mirrors_index_must_be_signed_with_the_given_key_and_not_be_older() {
    let dir = tempfile::tempdir().unwrap();
    if Command::new("minisign").arg("-v").output().is_err() {
        skip("minisign is not installed");
        return;
    }
    for name in ["ours", "theirs"] {
        let mut make = Command::new("minisign");
        make.args(["-G", "-W", "-p"]).arg(dir.path().join(format!("{name}.pub")));
        assert!(
            make.arg("-s").arg(dir.path().join(format!("{name}.key"))).output().unwrap().status.success()
        );
    }
    let key: PathBuf = dir.path().join("ours.pub");
    let server = Server::start();
    let take = |more: &[&str]| {
        let (url, key) = (server.url(), key.display().to_string());
        let output =
            db(dir.path(), &[&["update", "-q", "--mirror", &url, "--public-key", &key], more].concat());
        (output.status.code(), stderr(&output))
    };
    mirror(&server, dir.path(), "2026-11-20", "ours");
    assert_eq!(take(&[]).0, Some(0));
    assert_eq!(status(dir.path())["built"], "2026-11-20T00:00:00Z");

    mirror(&server, dir.path(), "2026-11-21", "theirs");
    let (code, text) = take(&[]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("not signed with the given key"), "{text}");
    assert_eq!(status(dir.path())["built"], "2026-11-20T00:00:00Z");

    // Signed, and changed afterwards: the index, then the file.
    mirror(&server, dir.path(), "2026-11-21", "ours");
    let index = String::from_utf8(fs::read(dir.path().join("index.json")).unwrap()).unwrap();
    server.put("/index.json", index.replace("2026-11-21", "2026-11-29"));
    assert_eq!(take(&[]).0, Some(5));
    server.put("/index.json", index);
    server.put("/advisories.db", "something else");
    let (code, text) = take(&[]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("is not the file that the index describes"), "{text}");
    assert_eq!(status(dir.path())["built"], "2026-11-20T00:00:00Z");

    mirror(&server, dir.path(), "2026-11-19", "ours");
    let (code, text) = take(&[]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("older than yours"), "{text}");
    assert_eq!(take(&["--force"]).0, Some(0));
    assert_eq!(status(dir.path())["built"], "2026-11-19T00:00:00Z");
}

#[test]
fn a_server_of_an_own_authority_is_trusted_only_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let (files, data) = (dir.path().join("files"), dir.path().join("data"));
    fs::create_dir_all(&files).unwrap();
    let file = files.join("advisories.db").display().to_string();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../advisories/tests/data/upstream/osv");
    let from = from.display().to_string();
    let built = db(&data, &["build", "-q", "--from", &from, "-o", &file, "--date", "2026-11-20"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let index = index_of(&fs::read(&file).unwrap(), "2026-11-20");
    fs::write(files.join("index.json"), index.to_string()).unwrap();
    let authority = testkit::Authority::new(dir.path());
    let server = authority.serve(&files);
    let take = |more: &[&str]| {
        let output = db(&data, &[&["update", "-q", "--mirror", &server.url], more].concat());
        (output.status.code(), stderr(&output))
    };

    let (code, text) = take(&[]);
    assert_ne!(code, Some(0), "{text}");
    assert!(text.contains("certificate"), "{text}");
    // Another authority than the one that signed, and what is none at all.
    let other = dir.path().join("other");
    fs::create_dir_all(&other).unwrap();
    let other = testkit::Authority::new(&other);
    let (code, text) = take(&["--ca-file", other.authority.to_str().unwrap()]);
    assert_ne!(code, Some(0), "{text}");
    let (code, text) = take(&["--ca-file", authority.key.to_str().unwrap()]);
    assert_ne!(code, Some(0), "{text}");
    assert!(text.contains("it has no certificate"), "{text}");
    assert!(!data.join("db/advisories.db").exists());

    let (code, text) = take(&["--ca-file", authority.authority.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(status(&data)["built"], "2026-11-20T00:00:00Z");
    assert_eq!(fs::read(data.join("db/advisories.db")).unwrap(), fs::read(&file).unwrap());
}
