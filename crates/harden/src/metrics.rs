//! The figures of an image, before and after: what a user means by size and attack surface.

mod program;

use std::collections::{BTreeMap, BTreeSet};

use image::{Image, ImagePath, NodeKind, ReadFileError, ResolutionEnd};
use packages::PackageDatabase;
use serde::{Deserialize, Serialize};

use program::Content;

/// Figures of one image. Counts are of names in the merged root file system unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Bytes of all regular files of the merged root file system, holes included, hard-linked files once.
    ///
    /// What upper layers hide or delete does not count: this is what a container sees. The sum of the layers can be
    /// larger.
    pub uncompressed_bytes: u64,
    /// Bytes of the layer blobs as stored: what a pull transfers.
    pub compressed_bytes: u64,
    /// Regular files, by name: each name of a hard-linked file counts.
    pub files: u64,
    /// Programs with an execute bit: ELF executables and scripts that begin with `#!`.
    pub executables: u64,
    /// ELF shared objects that are not programs: libraries, plug-ins, modules of interpreters, the dynamic loader.
    pub libraries: u64,
    /// Packages of the distribution (dpkg, apk, rpm) that the databases list as installed.
    pub packages: u64,
    /// Packages of languages (Python, npm) that are installed and that no package of the distribution owns.
    #[serde(default)]
    pub language_packages: u64,
    /// Regular files with the setuid bit.
    pub setuid_files: u64,
    /// Regular files with the setgid bit and the group's execute bit (without that bit it means locking).
    pub setgid_files: u64,
    /// Regular files with file capabilities.
    pub capability_files: u64,
    /// Shells: distinct programs that a name of a shell leads to. `/bin/sh -> dash` beside `/bin/dash` is one.
    pub shells: u64,
    /// Those shells, each by the path of the program, links resolved.
    pub shell_paths: Vec<ImagePath>,
    /// The setuid, setgid and capability files.
    pub privileged_paths: Vec<ImagePath>,
}

/// Why an image could not be measured.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} to see whether it is a program")]
pub struct MetricsError {
    /// The file.
    pub path: ImagePath,
    /// Why.
    pub source: ReadFileError,
}

/// Names of shells. BusyBox and Toybox are shells whatever they are called.
const SHELL_NAMES: [&str; 19] = [
    "ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "ksh93", "lksh", "mksh", "posh",
    "pwsh", "rbash", "sh", "tcsh", "toybox", "yash", "zsh",
];

/// Measures an image. Reads the beginning of every regular file.
///
/// # Errors
/// [`MetricsError`] if a file's bytes cannot be read. A file that only pretends to be ELF is no error: it counts as
/// neither program nor library.
pub fn metrics(image: &Image, packages: &PackageDatabase) -> Result<Metrics, MetricsError> {
    let mut metrics = Metrics {
        compressed_bytes: image.compressed_bytes(),
        packages: packages.installed_system().map(|_| 1).sum(),
        language_packages: packages.installed().filter(|p| !p.ecosystem.is_system()).map(|_| 1).sum(),
        ..Metrics::default()
    };
    let mut contents: BTreeMap<(usize, usize), Content> = BTreeMap::new();
    for (path, node) in image.tree().iter() {
        let NodeKind::File { size_bytes, content } = node.kind else { continue };
        let kind = match contents.get(&content) {
            Some(kind) => *kind,
            None => {
                metrics.uncompressed_bytes = metrics.uncompressed_bytes.saturating_add(size_bytes);
                let kind = look_at(image, path)?;
                contents.insert(content, kind);
                kind
            }
        };
        let mode = node.metadata.mode;
        let executable = mode & 0o111 != 0;
        let privileges = [
            (&mut metrics.setuid_files, mode & 0o4000 != 0),
            (&mut metrics.setgid_files, mode & 0o2010 == 0o2010),
            (&mut metrics.capability_files, node.metadata.xattrs.contains_key(&b"security.capability"[..])),
        ];
        let mut privileged = false;
        for (count, has) in privileges {
            *count += u64::from(has);
            privileged |= has;
        }
        if privileged {
            metrics.privileged_paths.push(path.clone());
        }
        metrics.files += 1;
        metrics.executables += u64::from(executable && matches!(kind, Content::Program | Content::Script));
        metrics.libraries += u64::from(kind == Content::Library);
    }
    metrics.shell_paths = shells(image, &contents);
    metrics.shells = u64::try_from(metrics.shell_paths.len()).unwrap_or(u64::MAX);
    Ok(metrics)
}

fn look_at(image: &Image, path: &ImagePath) -> Result<Content, MetricsError> {
    let failed = |source| MetricsError { path: path.clone(), source };
    let mut file = image.open_file(path).map_err(failed)?;
    let read = |source| failed(ReadFileError::Read { path: path.clone(), source });
    program::content(&mut file).map_err(read)
}

/// The programs that names of shells lead to, each under its first path.
fn shells(image: &Image, contents: &BTreeMap<(usize, usize), Content>) -> Vec<ImagePath> {
    let tree = image.tree();
    let mut shells: BTreeMap<(usize, usize), ImagePath> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let named = std::str::from_utf8(path.name()).is_ok_and(|name| SHELL_NAMES.contains(&name));
        if !named || node.kind == NodeKind::Directory {
            continue;
        }
        let ResolutionEnd::Found(end) = tree.resolve(&ImagePath::root(), path.as_bytes(), true).end else {
            continue;
        };
        let Some(program) = tree.get(&end) else { continue };
        let NodeKind::File { content, .. } = program.kind else { continue };
        let runs = matches!(contents.get(&content), Some(Content::Program | Content::Script));
        if runs && program.metadata.mode & 0o111 != 0 {
            let first = shells.entry(content).or_insert_with(|| end.clone());
            if end < *first {
                *first = end;
            }
        }
    }
    shells.into_values().collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use image::OpenOptions;
    use testkit::{ImageBuilder, TarBuilder, TarEntry};

    use super::program::tests::elf;
    use super::*;

    #[test]
    fn hard_76_an_image_is_measured_as_a_container_sees_it() {
        let program = elf(true, false, 3, true, &[]);
        let library = elf(true, false, 3, true, &[(14, 1)]);
        let lower = TarBuilder::new()
            .entry(TarEntry::file("usr/bin/hidden", &program).mode(0o755))
            .entry(TarEntry::file("usr/bin/dash", &program).mode(0o755));
        let upper = TarBuilder::new()
            .entry(TarEntry::file("usr/bin/.wh.hidden", ""))
            .entry(TarEntry::symlink("usr/bin/sh", "dash"))
            .entry(TarEntry::symlink("usr/bin/zsh", "nowhere"))
            .entry(TarEntry::file("etc/default/bash", "a setting").mode(0o755))
            .entry(TarEntry::file("usr/bin/busybox", &program).mode(0o755))
            .entry(TarEntry::hardlink("usr/bin/ash", "usr/bin/busybox"))
            .entry(TarEntry::file("usr/bin/script", "#!/bin/sh").mode(0o755))
            .entry(TarEntry::file("usr/share/script", "#!/bin/sh").mode(0o644))
            .entry(TarEntry::file("usr/bin/su", &program).mode(0o4755))
            .entry(TarEntry::file("usr/bin/wall", &program).mode(0o2755))
            .entry(TarEntry::file("var/locked", "").mode(0o2644))
            .entry(TarEntry::file("usr/bin/ping", &program).mode(0o755).xattr("security.capability", "x"))
            .entry(TarEntry::file("usr/lib/libc.so.6", &library).mode(0o755))
            .entry(TarEntry::file("usr/lib/plugin.so", &library).mode(0o644))
            .entry(TarEntry::file("var/lib/dpkg/status", "Package: a\nVersion: 1\n"));
        let layout = ImageBuilder::new().layer(lower).layer(upper).oci_layout();
        let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
        let found = metrics(&image, &packages::read(&image).unwrap()).unwrap();
        let small = ["a setting", "#!/bin/sh", "#!/bin/sh", "Package: a\nVersion: 1\n"].map(str::len);
        let bytes = 5 * program.len() + 2 * library.len() + small.iter().sum::<usize>();
        let texts = |paths: &[ImagePath]| paths.iter().map(ImagePath::to_text).collect::<Vec<_>>();
        assert_eq!(texts(&found.shell_paths), ["/usr/bin/ash", "/usr/bin/dash"]);
        assert_eq!(texts(&found.privileged_paths), ["/usr/bin/ping", "/usr/bin/su", "/usr/bin/wall"]);
        let expected = Metrics {
            uncompressed_bytes: u64::try_from(bytes).unwrap(),
            compressed_bytes: image.compressed_bytes(),
            files: 13,
            executables: 7,
            libraries: 2,
            packages: 1,
            setuid_files: 1,
            setgid_files: 1,
            capability_files: 1,
            shells: 2,
            ..found.clone()
        };
        assert_eq!(found, expected);
    }
}
