//! An image as GNU tar extracts it, and everything that the kernel then says of each path.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::document;

/// What is there, by path.
pub(crate) type Seen = BTreeMap<PathBuf, Node>;

/// Everything that must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Type and permissions.
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    /// Size of a file; a directory's is the file system's business.
    size: u64,
    device: u64,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Target of a link, digest of a file's content.
    content: Vec<u8>,
    /// Whether the file takes much less room than its size.
    has_holes: bool,
    /// All names of the same file.
    pub(crate) names: Vec<PathBuf>,
}

impl Node {
    /// All but the names.
    pub(crate) fn but_links(&self) -> Self {
        Self { names: Vec::new(), ..self.clone() }
    }
}

/// Extracts the layers of a layout in turn: deletions first, as the image specification says, then GNU tar.
pub(crate) fn extract(layout: &Path, into: &Path) -> PathBuf {
    fs::create_dir_all(into).unwrap();
    let blob = |digest: &serde_json::Value| {
        layout.join("blobs").join(digest.as_str().unwrap().replacen(':', "/", 1))
    };
    let manifest = document(&blob(&document(&layout.join("index.json"))["manifests"][0]["digest"]));
    for layer in manifest["layers"].as_array().unwrap() {
        let file = into.with_extension("tar");
        fs::write(&file, plain(&fs::read(blob(&layer["digest"])).unwrap())).unwrap();
        let listed = tar(&["--list", "--quoting-style=literal", "--show-transformed-names"], &file, into);
        for name in listed.split(|byte| *byte == b'\n').map(|name| Path::new(OsStr::from_bytes(name))) {
            let Some(hidden) = name.file_name().and_then(|name| name.as_bytes().strip_prefix(b".wh.")) else {
                continue;
            };
            let dir = into.join(name.parent().unwrap());
            if hidden == b".wh..opq" {
                fs::read_dir(&dir).unwrap().for_each(|entry| remove(&entry.unwrap().path()));
            } else {
                remove(&dir.join(OsStr::from_bytes(hidden)));
            }
        }
        let exact =
            ["--extract", "--same-owner", "--same-permissions", "--numeric-owner", "--acls", "--selinux"];
        tar(
            &[
                &exact[..],
                &["--xattrs", "--xattrs-include=*", "--delay-directory-restore", "--exclude=.wh.*"],
            ]
            .concat(),
            &file,
            into,
        );
        fs::remove_file(file).unwrap();
    }
    into.to_owned()
}

fn remove(path: &Path) {
    let meta = fs::symlink_metadata(path).unwrap();
    if meta.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
}

fn tar(args: &[&str], file: &Path, dir: &Path) -> Vec<u8> {
    let mut command = Command::new("tar");
    command.args(args).arg("--file").arg(file).arg("--directory").arg(dir).env("LC_ALL", "C");
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "tar {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn plain(blob: &[u8]) -> Vec<u8> {
    let program = match blob {
        [0x1f, 0x8b, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => return blob.to_vec(),
    };
    let mut child =
        Command::new(program).arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut stdin, blob).unwrap());
        let mut out = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        assert!(child.wait().unwrap().success());
        out
    })
}

/// Everything beneath a directory.
pub(crate) fn seen(root: &Path) -> Seen {
    let mut seen = Seen::new();
    let mut names: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let inside = path.strip_prefix(root).unwrap().to_owned();
            if meta.is_dir() {
                dirs.push(path.clone());
            } else {
                names.entry(meta.ino()).or_default().push(inside.clone());
                inodes.insert(inside.clone(), meta.ino());
            }
            seen.insert(inside, node(&path, &meta));
        }
    }
    for (path, inode) in inodes {
        let mut names = names[&inode].clone();
        names.sort();
        seen.get_mut(&path).unwrap().names = names;
    }
    seen
}

fn node(path: &Path, meta: &fs::Metadata) -> Node {
    let content = if meta.is_symlink() {
        fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec()
    } else if meta.is_file() {
        ends(path, meta.len())
    } else {
        Vec::new()
    };
    Node {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        size: if meta.is_dir() { 0 } else { meta.len() },
        device: meta.rdev(),
        xattrs: xattrs(path),
        content,
        has_holes: meta.is_file() && meta.blocks() * 512 * 2 < meta.len(),
        names: Vec::new(),
    }
}

/// The content; of a huge file its first and last mebibyte.
fn ends(path: &Path, length: u64) -> Vec<u8> {
    const END: u64 = 1 << 20;
    if length <= 16 * END {
        return fs::read(path).unwrap();
    }
    let mut file = File::open(path).unwrap();
    let mut bytes = Vec::new();
    file.by_ref().take(END).read_to_end(&mut bytes).unwrap();
    file.seek(SeekFrom::End(-i64::try_from(END).unwrap())).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let read = |name: &[u8]| {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        (name.to_vec(), value[..length].to_vec())
    };
    names.map(read).collect()
}
