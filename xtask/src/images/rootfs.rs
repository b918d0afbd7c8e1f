//! Fills a root filesystem out of Debian packages, and takes out what differs from one build to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::declaration::{self, File, User, mode};
use crate::command;

/// Keeps the package that converts old installations, and perl with it, out of new ones.
pub(crate) const USRMERGE_PIN: &str = "Package: usrmerge\nPin: release *\nPin-Priority: -1\n";

/// What the official slim image leaves out: documentation except copyrights, and translations.
const DPKG_FILTER: &str = "\
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
";
/// No package may start a service while it is installed.
const POLICY: &str = "#!/bin/sh\nexit 101\n";
/// Caches that apt makes again whenever it needs them only fill layers.
const APT_CLEAN: &str = "\
DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true\"; };
Dir::Cache::pkgcache \"\";
Dir::Cache::srcpkgcache \"\";
Acquire::Languages \"none\";
APT::AutoRemove::SuggestsImportant \"false\";
";

/// What an installation leaves behind and nothing needs. A final `/*` means the content only.
///
/// The content of `/run` is not among them: commands see an empty one of their own, so that after the base system only
/// a declared file gets there.
const LEFTOVERS: [&str; 18] = [
    "dev/*",
    "proc/*",
    "sys/*",
    "tmp/*",
    "var/tmp/*",
    "var/lib/apt/lists/*",
    "var/cache/apt/*",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/.pwd.lock",
];

/// Installs the base system of a release into an empty folder.
pub(crate) fn bootstrap(rootfs: &Path, codename: &str, sources: &str, log: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let list = scratch.path().join("sources.list");
    let pin = scratch.path().join("pin");
    fs::write(&list, sources)
        .and_then(|()| fs::write(&pin, USRMERGE_PIN))
        .context("cannot write the sources")?;

    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.env("LC_ALL", "C").args(["--mode=root", "--variant=minbase", "--format=directory", "--quiet"]);
    mmdebstrap
        .args(["--aptopt=Acquire::Languages \"none\"", "--aptopt=Acquire::Check-Valid-Until \"false\""]);
    for line in DPKG_FILTER.lines() {
        mmdebstrap.arg(format!("--dpkgopt={}", line.replacen(' ', "=", 1)));
    }
    if codename == "bookworm" {
        mmdebstrap.arg("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr");
        mmdebstrap.arg(format!("--setup-hook=cp {} \"$1\"/etc/apt/preferences.d/usrmerge", pin.display()));
    }
    mmdebstrap.arg(codename).arg(rootfs).arg(&list);
    command::run_logged(&mut mmdebstrap, log)?;
    remove_content(&rootfs.join("run")).context("cannot empty /run")?;

    fs::set_permissions(rootfs, fs::Permissions::from_mode(0o755))
        .context("cannot open the root folder to all")?;
    configure(rootfs, sources, codename).context("cannot write the configuration of apt and dpkg")
}

/// The same few settings that make the official base image fit for containers.
fn configure(rootfs: &Path, sources: &str, codename: &str) -> io::Result<()> {
    let etc = rootfs.join("etc");
    for made_for_the_build in [
        "apt/apt.conf.d/99mmdebstrap",
        "dpkg/dpkg.cfg.d/99mmdebstrap",
        "apt/preferences.d/usrmerge",
        "apt/sources.list",
    ] {
        remove(&etc.join(made_for_the_build))?;
    }
    for entry in fs::read_dir(etc.join("apt/sources.list.d"))? {
        remove(&entry?.path())?;
    }
    // A password in the address of a mirror stays on this machine.
    let public: Vec<String> = sources
        .lines()
        .map(|line| match (line.split_once("://"), line.split_once('@')) {
            (Some((scheme, _)), Some((_, address))) => format!("{scheme}://{address}"),
            _ => line.to_owned(),
        })
        .collect();
    fs::write(etc.join("apt/sources.list.d/debian.list"), public.join("\n") + "\n")?;
    fs::write(etc.join("apt/apt.conf.d/container-clean"), APT_CLEAN)?;
    fs::write(etc.join("dpkg/dpkg.cfg.d/slim"), DPKG_FILTER)?;
    if codename == "bookworm" {
        fs::write(etc.join("apt/preferences.d/usrmerge"), USRMERGE_PIN)?;
    }
    let policy = rootfs.join("usr/sbin/policy-rc.d");
    fs::write(&policy, POLICY)?;
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o755))?;
    for filled_at_start in ["machine-id", "hostname", "resolv.conf"] {
        let file = etc.join(filled_at_start);
        remove(&file)?;
        fs::write(file, "")?;
    }
    Ok(())
}

/// Adds the users and the Debian packages of a declaration to a base system.
pub(crate) fn install(rootfs: &Path, users: &[User], packages: &[String], log: &Path) -> Result<()> {
    let mut script = String::new();
    for user in users {
        let (name, uid, home) = (&user.name, user.uid, &user.home);
        script += &format!("groupadd --system --gid {uid} {name}\n");
        script += &format!(
            "useradd --system --uid {uid} --gid {name} --no-create-home --home-dir {home} --shell /usr/sbin/nologin {name}\n"
        );
    }
    if !packages.is_empty() {
        if packages.iter().any(|package| package.starts_with("openjdk-")) {
            // Its alternatives are set up with their manuals, which the slim base has no folder for.
            script += "mkdir -p /usr/share/man/man1\n";
        }
        script += "apt-get -q update\n";
        script += &format!("apt-get -q install -y --no-install-recommends {}\n", packages.join(" "));
    }
    if script.is_empty() {
        return Ok(());
    }
    run_inside(rootfs, None, &script, log).context("cannot install the packages")
}

/// Adds files and runs commands.
pub(crate) fn finish(
    rootfs: &Path,
    files: &[File],
    commands: &[String],
    files_dir: &Path,
    log: &Path,
) -> Result<()> {
    for file in files {
        place(rootfs, file, files_dir).with_context(|| format!("cannot make {}", file.path))?;
    }
    if !commands.is_empty() {
        run_inside(rootfs, None, &commands.join("\n"), log).context("cannot run the commands at the end")?;
    }
    Ok(())
}

/// Runs a script as root inside; what is mounted for it goes with its mount namespace.
///
/// The script sees the folder `input` as `/run/input`.
pub(crate) fn run_inside(rootfs: &Path, input: Option<&Path>, script: &str, log: &Path) -> Result<()> {
    const OUTSIDE: &str = r#"
set -eu
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/run"
mount --bind "$(readlink -f /etc/resolv.conf)" "$1/etc/resolv.conf"
if [ -n "$3" ]; then
    mkdir "$1/run/input"
    mount --bind -o ro "$3" "$1/run/input"
fi
exec chroot "$1" /bin/sh -euc "$2"
"#;
    let mut inside = Command::new("unshare");
    inside.env_clear();
    inside.envs([
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NOWARNINGS", "yes"),
        // Sets of constants stand in bytecode in the order of their hashes.
        ("PYTHONHASHSEED", "0"),
    ]);
    inside.args(["--mount", "--propagation", "private", "--uts", "--ipc", "/bin/sh", "-c", OUTSIDE, "sh"]);
    inside.arg(rootfs).arg(script).arg(input.unwrap_or(Path::new("")));
    command::run_logged(&mut inside, log)
}

fn place(rootfs: &Path, file: &File, files_dir: &Path) -> Result<()> {
    let path = rootfs.join(file.path.trim_start_matches('/'));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match &file.content {
        declaration::Content::Directory { mode: text } => {
            fs::create_dir_all(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode(text)?))?;
        }
        declaration::Content::Copy { source, mode: text } => {
            fs::write(
                &path,
                fs::read(files_dir.join(source)).with_context(|| format!("cannot read {source}"))?,
            )?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode(text)?))?;
        }
        declaration::Content::Tree { source } => copy_tree(&files_dir.join(source), &path)?,
        declaration::Content::Symlink { target } => {
            remove(&path)?;
            symlink(target, &path)?;
        }
    }
    if let Some(owner) = &file.owner {
        let (uid, gid) = owner.split_once(':').context("an owner is UID:GID")?;
        std::os::unix::fs::lchown(&path, Some(uid.parse()?), Some(gid.parse()?))?;
    }
    Ok(())
}

/// Copies files and folders so that all may read them, whatever the umask of whoever checked them out.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    visit(from, &mut |path, metadata| {
        let target = path.strip_prefix(from).map_or_else(|_| to.to_owned(), |rest| to.join(rest));
        let mode = if metadata.is_dir() || metadata.mode() & 0o100 != 0 { 0o755 } else { 0o644 };
        if metadata.is_dir() {
            fs::create_dir_all(&target)?;
        } else {
            fs::write(&target, fs::read(path)?)?;
        }
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))
    })
    .with_context(|| format!("cannot copy {}", from.display()))
}

/// Takes out leftovers and every trace of when this build ran. Returns the time that stands for it: that of the
/// newest file that a package brought.
///
/// All times are in seconds since 1970; `at_least` stands where no package brought a newer file.
pub(crate) fn settle(rootfs: &Path, started_seconds: i64, at_least: i64) -> Result<i64> {
    for leftover in LEFTOVERS {
        match leftover.strip_suffix("/*") {
            Some(dir) => remove_content(&rootfs.join(dir)),
            None => remove(&rootfs.join(leftover)),
        }
        .with_context(|| format!("cannot remove /{leftover}"))?;
    }
    // The folders that services log into stay, and links that lead their logs to the terminal.
    let logs = rootfs.join("var/log");
    if logs.is_dir() {
        visit(&logs, &mut |path, metadata| if metadata.is_file() { remove(path) } else { Ok(()) })
            .context("cannot remove the logs")?;
    }
    let newest = newest_file(rootfs, started_seconds)?.max(at_least);
    date_passwords(rootfs, newest).context("cannot set the dates of passwords")?;
    let at = Timespec { tv_sec: newest, tv_nsec: 0 };
    let times = Timestamps { last_access: at, last_modification: at };
    visit(rootfs, &mut |path, metadata| {
        if metadata.mtime() < newest || (metadata.mtime() == newest && metadata.mtime_nsec() == 0) {
            return Ok(());
        }
        Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    })
    .context("cannot set the times of files")?;
    Ok(newest)
}

/// The time of the newest file that is older than this.
pub(crate) fn newest_file(rootfs: &Path, before_seconds: i64) -> Result<i64> {
    let mut newest = 0;
    visit(rootfs, &mut |_, metadata| {
        if metadata.is_file() && metadata.mtime() < before_seconds {
            newest = newest.max(metadata.mtime());
        }
        Ok(())
    })
    .context("cannot read the times of files")?;
    Ok(newest)
}

/// Passwords are dated with the day they were set: with the day of the newest file instead.
fn date_passwords(rootfs: &Path, newest_seconds: i64) -> io::Result<()> {
    let file = rootfs.join("etc/shadow");
    let newest_day = newest_seconds / (24 * 60 * 60);
    let lines = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        lines => lines?,
    };
    let dated: Vec<String> = lines
        .lines()
        .map(|line| {
            let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
            if let Some(day) =
                fields.get_mut(2).filter(|day| day.parse().is_ok_and(|day: i64| day > newest_day))
            {
                *day = newest_day.to_string();
            }
            fields.join(":")
        })
        .collect();
    fs::write(file, dated.join("\n") + "\n")
}

/// How much is in a root filesystem.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) packages: BTreeMap<String, String>,
}

/// Counts regular files, their bytes (hard links once) and installed packages.
pub(crate) fn measure(rootfs: &Path) -> Result<Content> {
    let mut content = Content::default();
    let mut seen = BTreeSet::new();
    visit(rootfs, &mut |_, metadata| {
        if metadata.is_file() {
            content.files += 1;
            if seen.insert(metadata.ino()) {
                content.bytes += metadata.len();
            }
        }
        Ok(())
    })
    .context("cannot count files")?;
    let status = rootfs.join("var/lib/dpkg/status");
    let text = match fs::read_to_string(&status) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("cannot read {}", status.display()))?,
    };
    for stanza in text.split("\n\n") {
        let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let (Some(package), Some(version)) = (field("Package:"), field("Version:")) {
            content.packages.insert(package.to_owned(), version.to_owned());
        }
    }
    Ok(content)
}

/// Calls `each` for everything at and below a path, folders before their content, without following links.
fn visit(path: &Path, each: &mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    each(path, &metadata)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            visit(&entry?.path(), each)?;
        }
    }
    Ok(())
}

fn remove_content(dir: &Path) -> io::Result<()> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.into_iter().try_for_each(|entry| remove(&entry?.path())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a file, link or folder that may be absent.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_set_during_the_build_get_the_day_of_the_newest_file() {
        let rootfs = tempfile::tempdir().unwrap();
        fs::create_dir(rootfs.path().join("etc")).unwrap();
        fs::write(rootfs.path().join("etc/shadow"), "root:*:20000:0:99999:7:::\nredis:!:20400::::::\nodd\n")
            .unwrap();
        date_passwords(rootfs.path(), 20_100 * 24 * 60 * 60 + 5).unwrap();
        let text = fs::read_to_string(rootfs.path().join("etc/shadow")).unwrap();
        assert_eq!(text, "root:*:20000:0:99999:7:::\nredis:!:20100::::::\nodd\n");
    }

    #[test]
    fn what_the_build_wrote_gets_the_time_of_the_newest_package_file() {
        let rootfs = tempfile::tempdir().unwrap();
        let root = rootfs.path();
        for dir in ["etc", "var/log/service", "dev"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for file in ["etc/shadow", "etc/old", "etc/packaged", "var/log/dpkg.log", "dev/null", "etc/passwd-"] {
            fs::write(root.join(file), "").unwrap();
        }
        for (file, seconds) in [("etc/old", 1000), ("etc/packaged", 2000)] {
            let at = Timespec { tv_sec: seconds, tv_nsec: 0 };
            let times = Timestamps { last_access: at, last_modification: at };
            rustix::fs::utimensat(CWD, root.join(file), &times, AtFlags::empty()).unwrap();
        }
        let started = fs::metadata(root.join("etc/shadow")).unwrap().mtime();
        assert_eq!(settle(root, started, 0).unwrap(), 2000);
        let mut found = BTreeMap::new();
        visit(root, &mut |path, metadata| {
            let _ =
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), metadata.mtime());
            Ok(())
        })
        .unwrap();
        let expected = [
            ("", 2000),
            ("dev", 2000),
            ("etc", 2000),
            ("etc/old", 1000),
            ("etc/packaged", 2000),
            ("etc/shadow", 2000),
            ("var", 2000),
            ("var/log", 2000),
            ("var/log/service", 2000),
        ];
        assert_eq!(found, expected.map(|(path, at)| (path.to_owned(), at)).into());
    }
}
