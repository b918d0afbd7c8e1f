//! Which libraries the dynamic loader would load for a file, and where it would find them.
//!
//! Source: `ld.so(8)`; glibc 2.36, `elf/dl-load.c`; musl 1.2, `ldso/dynlink.c`. Where the answer depends on the
//! processor (`glibc-hwcaps`), all variants are part of it, since the image may run on another one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use image::{Image, ImagePath, NodeKind, ReadFileError, ResolutionEnd};

use super::cache::{self, Cache};
use super::read::{self, ElfError, ElfFile, Target};

/// Most libraries that one program may load.
const MAX_OBJECTS: usize = 4096;
/// Most bytes of a text file that configures a loader.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Finds libraries in one image.
pub(crate) struct Searcher<'a> {
    image: &'a Image,
    cache: Cache,
    library_path: Vec<Vec<u8>>,
    configured: Vec<Vec<u8>>,
    has_only_musl: bool,
    files: BTreeMap<ImagePath, Option<Rc<ElfFile>>>,
    broken: BTreeMap<ImagePath, ElfError>,
}

/// One library that a file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needed {
    /// The file that asks for it.
    pub(crate) by: ImagePath,
    /// Its name as asked for.
    pub(crate) name: Vec<u8>,
    /// Where the loader finds it, absolute, links not resolved: more than one only for processor variants. Empty if
    /// nowhere.
    pub(crate) at: Vec<Vec<u8>>,
}

/// A loaded file while a closure is computed.
struct Object {
    path: ImagePath,
    /// Directory of the file as it was named: `$ORIGIN`.
    origin: Vec<u8>,
    file: Rc<ElfFile>,
    loaded_by: Option<usize>,
}

impl<'a> Searcher<'a> {
    /// Reads the loader's configuration of this image. `library_path` is `LD_LIBRARY_PATH` of its environment.
    pub(crate) fn new(image: &'a Image, library_path: &str) -> Result<Self, ReadFileError> {
        let mut searcher = Self {
            image,
            cache: Cache::new(),
            library_path: split(library_path.as_bytes(), b":;"),
            configured: Vec::new(),
            has_only_musl: false,
            files: BTreeMap::new(),
            broken: BTreeMap::new(),
        };
        if let Some(path) = searcher.find(b"/etc/ld.so.cache", None)
            && searcher.size(&path) <= cache::MAX_BYTES
        {
            let bytes = image.read_file(&path, cache::MAX_BYTES)?;
            searcher.cache = cache::parse(&bytes).unwrap_or_default();
        }
        searcher.configured = searcher.read_configuration()?;
        searcher.has_only_musl = searcher.cache.is_empty()
            && searcher.names_in(b"/lib").any(|name| name.starts_with(b"ld-musl-"))
            && searcher.find(b"/lib64/ld-linux-x86-64.so.2", None).is_none();
        Ok(searcher)
    }

    /// The ELF file at exactly this path; `None` for any other file. A broken one is `None` too, and warned about.
    pub(crate) fn file(&mut self, path: &ImagePath) -> Result<Option<Rc<ElfFile>>, ReadFileError> {
        if let Some(known) = self.files.get(path) {
            return Ok(known.clone());
        }
        let is_file =
            self.image.tree().get(path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. }));
        let file = match is_file {
            false => None,
            true => match read::read(&mut self.image.open_file(path)?) {
                Ok(file) => file.map(Rc::new),
                Err(ElfError::Io(source)) => return Err(ReadFileError::Read { path: path.clone(), source }),
                Err(error) => {
                    self.broken.insert(path.clone(), error);
                    None
                }
            },
        };
        self.files.insert(path.clone(), file.clone());
        Ok(file)
    }

    /// Files that begin like ELF and cannot be read as such, with the reason.
    pub(crate) fn broken(&self) -> impl Iterator<Item = (&ImagePath, &ElfError)> {
        self.broken.iter()
    }

    /// Everything that loading this file loads, directly and through its libraries, in the loader's order.
    pub(crate) fn closure(&mut self, path: &ImagePath) -> Result<Vec<Needed>, ReadFileError> {
        let Some(file) = self.file(path)? else { return Ok(Vec::new()) };
        let is_musl = match &file.interpreter {
            Some(name) => contains(name, b"ld-musl-"),
            None => self.has_only_musl,
        };
        let origin = path.parent().unwrap_or_default().to_absolute();
        let mut names: BTreeSet<Vec<u8>> = file.soname.iter().cloned().collect();
        let mut objects = vec![Object { path: path.clone(), origin, file, loaded_by: None }];
        let mut out = Vec::new();
        let mut next = 0;
        while next < objects.len() && objects.len() < MAX_OBJECTS {
            let file = Rc::clone(&objects[next].file);
            for name in &file.needed {
                if !names.insert(name.clone()) || (is_musl && is_part_of_musl(name)) {
                    continue;
                }
                let at = self.search(&objects, next, name, is_musl)?;
                for named in &at {
                    let Some(path) = self.find(named, None) else { continue };
                    let Some(file) = self.file(&path)? else { continue };
                    names.extend(file.soname.clone());
                    let origin = named[..named.iter().rposition(|&b| b == b'/').unwrap_or(0)].to_vec();
                    objects.push(Object { path, origin, file, loaded_by: Some(next) });
                }
                out.push(Needed { by: objects[next].path.clone(), name: name.clone(), at });
            }
            next += 1;
        }
        Ok(out)
    }

    /// Directories that a file's own run paths name.
    pub(crate) fn run_path(&self, path: &ImagePath, file: &ElfFile) -> Vec<Vec<u8>> {
        let origin = path.parent().unwrap_or_default().to_absolute();
        [&file.rpath, &file.runpath]
            .into_iter()
            .flatten()
            .flat_map(|text| expand(text, &origin, file.target))
            .collect()
    }

    /// The library of this name in one of these directories.
    pub(crate) fn find_in(
        &mut self,
        directories: &[Vec<u8>],
        name: &[u8],
        target: Target,
    ) -> Result<Vec<Vec<u8>>, ReadFileError> {
        let mut at = Vec::new();
        self.search_directories(directories, name, target, &mut at)?;
        Ok(at)
    }

    /// The library of this name where a program without a run path finds it.
    pub(crate) fn find_by_default(
        &mut self,
        name: &[u8],
        target: Target,
    ) -> Result<Vec<Vec<u8>>, ReadFileError> {
        let (interpreter, needed, rpath, runpath, soname, functions) = Default::default();
        let file = Rc::new(ElfFile {
            target,
            interpreter,
            needed,
            rpath,
            runpath,
            soname,
            no_default_directories: false,
            functions,
            is_go: false,
        });
        let object = Object { path: ImagePath::root(), origin: Vec::new(), file, loaded_by: None };
        self.search(&[object], 0, name, self.has_only_musl)
    }

    /// One name, as the object at `by` asks for it.
    fn search(
        &mut self,
        objects: &[Object],
        by: usize,
        name: &[u8],
        is_musl: bool,
    ) -> Result<Vec<Vec<u8>>, ReadFileError> {
        let object = &objects[by];
        let target = object.file.target;
        if name.contains(&b'/') {
            let expanded = expand(name, &object.origin, target);
            return Ok(expanded.into_iter().filter(|path| self.find(path, None).is_some()).take(1).collect());
        }
        let mut at = Vec::new();
        let rpath = inherited_rpath(objects, by, is_musl);
        let library_path = self.library_path.clone();
        if is_musl {
            let directories = [library_path, rpath, self.musl_directories()?].concat();
            self.search_directories(&directories, name, target, &mut at)?;
            return Ok(at);
        }
        let runpath =
            object.file.runpath.as_ref().map(|text| expand(text, &object.origin, target)).unwrap_or_default();
        let directories = [rpath, library_path, runpath].concat();
        if self.search_directories(&directories, name, target, &mut at)? || object.file.no_default_directories
        {
            return Ok(at);
        }
        for library in self.cache.get(name).cloned().unwrap_or_default() {
            if self.fits(&library.file, target)? && !at.contains(&library.file) {
                at.push(library.file);
                if !library.is_variant {
                    return Ok(at);
                }
            }
        }
        // What ldconfig would find stands behind what it found: an image whose cache is missing may run it at start.
        let directories = [default_directories(target), self.configured.clone()].concat();
        self.search_directories(&directories, name, target, &mut at)?;
        Ok(at)
    }

    /// Adds the processor variants on the way and the first plain file; says whether there was one.
    fn search_directories(
        &mut self,
        directories: &[Vec<u8>],
        name: &[u8],
        target: Target,
        at: &mut Vec<Vec<u8>>,
    ) -> Result<bool, ReadFileError> {
        for directory in directories {
            let variants = [directory, &b"/glibc-hwcaps"[..]].concat();
            let levels: Vec<Vec<u8>> = self.names_in(&variants).map(<[u8]>::to_vec).collect();
            for level in levels {
                let file = [&variants[..], b"/", &level, b"/", name].concat();
                if self.fits(&file, target)? {
                    at.push(file);
                }
            }
            let file = [&directory[..], b"/", name].concat();
            if self.fits(&file, target)? {
                at.push(file);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fits(&mut self, file: &[u8], target: Target) -> Result<bool, ReadFileError> {
        let Some(path) = self.find(file, None) else { return Ok(false) };
        Ok(self.file(&path)?.is_some_and(|file| file.target == target))
    }

    /// Where an absolute path leads; with a base, a relative one too.
    fn find(&self, path: &[u8], base: Option<&ImagePath>) -> Option<ImagePath> {
        if path.first() != Some(&b'/') && base.is_none() {
            return None;
        }
        match self.image.tree().resolve(base.unwrap_or(&ImagePath::root()), path, true).end {
            ResolutionEnd::Found(end) => Some(end),
            _ => None,
        }
    }

    fn names_in(&self, directory: &[u8]) -> impl Iterator<Item = &[u8]> {
        let directory = self.find(directory, None);
        directory.into_iter().flat_map(|directory| {
            self.image.tree().children(&directory).map(|(path, _)| path.name()).collect::<Vec<_>>()
        })
    }

    fn size(&self, path: &ImagePath) -> u64 {
        match self.image.tree().get(path).map(|node| &node.kind) {
            Some(NodeKind::File { size_bytes, .. }) => *size_bytes,
            _ => 0,
        }
    }

    fn read_text(&self, path: &ImagePath) -> Result<Vec<u8>, ReadFileError> {
        if self.size(path) > MAX_TEXT_BYTES {
            return Ok(Vec::new());
        }
        self.image.read_file(path, MAX_TEXT_BYTES)
    }

    /// The directories of `ld.so.conf` and of the files directly in `ld.so.conf.d`.
    fn read_configuration(&self) -> Result<Vec<Vec<u8>>, ReadFileError> {
        let mut files: Vec<Vec<u8>> = self
            .names_in(b"/etc/ld.so.conf.d")
            .filter(|name| name.ends_with(b".conf"))
            .map(|name| [b"/etc/ld.so.conf.d/", name].concat())
            .collect();
        files.push(b"/etc/ld.so.conf".to_vec());
        let mut directories = Vec::new();
        for file in files {
            let Some(path) = self.find(&file, None) else { continue };
            if !self.image.tree().get(&path).is_some_and(|node| matches!(node.kind, NodeKind::File { .. })) {
                continue;
            }
            for line in split(&self.read_text(&path)?, b"\n") {
                let line = line.split(|&b| b == b'#').next().unwrap_or_default();
                directories.extend(split(line, b" \t,:=").into_iter().filter(|word| word.starts_with(b"/")));
            }
        }
        Ok(directories)
    }

    fn musl_directories(&self) -> Result<Vec<Vec<u8>>, ReadFileError> {
        let names: Vec<&[u8]> = self.names_in(b"/etc").collect();
        let name = names.iter().find(|name| name.starts_with(b"ld-musl-") && name.ends_with(b".path"));
        let path = name.and_then(|name| self.find(&[b"/etc/", *name].concat(), None));
        match path {
            Some(path) => Ok(split(&self.read_text(&path)?, b":\n")),
            None => Ok([&b"/lib"[..], b"/usr/local/lib", b"/usr/lib"].map(<[u8]>::to_vec).to_vec()),
        }
    }
}

/// `DT_RPATH` of the object and of all that loaded it. glibc ignores it in a file with `DT_RUNPATH`, and altogether
/// when the object that asks has one; musl treats both alike.
fn inherited_rpath(objects: &[Object], by: usize, is_musl: bool) -> Vec<Vec<u8>> {
    if !is_musl && objects[by].file.runpath.is_some() {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut object = Some(&objects[by]);
    while let Some(Object { file, origin, loaded_by, .. }) = object {
        let path = match (&file.rpath, &file.runpath) {
            (_, Some(runpath)) => is_musl.then_some(runpath),
            (rpath, None) => rpath.as_ref(),
        };
        out.extend(path.into_iter().flat_map(|path| expand(path, origin, file.target)));
        object = loaded_by.map(|index| &objects[index]);
    }
    out
}

/// Splits a run path and replaces `$ORIGIN`, `$LIB` and `$PLATFORM`, the latter two by all that they may mean.
/// Relative results, which depend on the working directory, are left out.
fn expand(text: &[u8], origin: &[u8], target: Target) -> Vec<Vec<u8>> {
    let (triplet, plain) = layout(target);
    let lib = [&b"lib/"[..], triplet].concat();
    let mut out = Vec::new();
    for part in split(text, b":") {
        let mut parts = vec![part];
        for (token, values) in [
            (&b"ORIGIN"[..], vec![origin]),
            (b"LIB", vec![&lib, plain, b"lib"]),
            (b"PLATFORM", vec![platform(target)]),
        ] {
            parts = parts.iter().flat_map(|part| replace(part, token, &values)).collect();
        }
        out.extend(parts.into_iter().filter(|part| part.starts_with(b"/")));
    }
    out.dedup();
    out
}

/// `$NAME` and `${NAME}` replaced by each of the values; the text itself where it has neither.
fn replace(text: &[u8], token: &[u8], values: &[&[u8]]) -> Vec<Vec<u8>> {
    let forms = [[b"${", token, b"}"].concat(), [b"$", token].concat()];
    let Some((at, length)) = forms.iter().find_map(|form| {
        text.windows(form.len()).position(|window| window == form).map(|position| (position, form.len()))
    }) else {
        return vec![text.to_vec()];
    };
    let rest = replace(&text[at + length..], token, &values[..1]).concat();
    values.iter().map(|value| [&text[..at], value, &rest].concat()).collect()
}

/// The multiarch name and the plain library directory of a machine.
fn layout(target: Target) -> (&'static [u8], &'static [u8]) {
    match (target.machine, target.is_64_bit, target.is_little_endian) {
        (62, true, _) => (b"x86_64-linux-gnu", b"lib64"),
        (62, false, _) => (b"x86_64-linux-gnux32", b"libx32"),
        (3, ..) => (b"i386-linux-gnu", b"lib32"),
        (183, ..) => (b"aarch64-linux-gnu", b"lib64"),
        (40, ..) => (b"arm-linux-gnueabihf", b"lib"),
        (243, true, _) => (b"riscv64-linux-gnu", b"lib64"),
        (258, true, _) => (b"loongarch64-linux-gnu", b"lib64"),
        (21, _, true) => (b"powerpc64le-linux-gnu", b"lib64"),
        (21, _, false) => (b"powerpc64-linux-gnu", b"lib64"),
        (22, true, _) => (b"s390x-linux-gnu", b"lib64"),
        (8, true, true) => (b"mips64el-linux-gnuabi64", b"lib64"),
        (8, false, true) => (b"mipsel-linux-gnu", b"lib"),
        (_, true, _) => (b"", b"lib64"),
        _ => (b"", b"lib"),
    }
}

fn platform(target: Target) -> &'static [u8] {
    match target.machine {
        62 => b"x86_64",
        3 => b"i686",
        183 => b"aarch64",
        _ => b"",
    }
}

/// The directories searched last, in all the layouts of the distributions.
fn default_directories(target: Target) -> Vec<Vec<u8>> {
    let (triplet, plain) = layout(target);
    let multiarch = [&b"lib/"[..], triplet].concat();
    let mut out = Vec::new();
    for directory in [&multiarch[..], plain, b"lib"] {
        for prefix in [&b"/"[..], b"/usr/"] {
            out.push([prefix, directory].concat());
        }
    }
    out
}

/// Names that musl answers itself.
fn is_part_of_musl(name: &[u8]) -> bool {
    [&b"libc."[..], b"libpthread.", b"librt.", b"libm.", b"libdl.", b"libutil.", b"libxnet."]
        .iter()
        .any(|own| name.starts_with(own))
}

fn split(text: &[u8], separators: &[u8]) -> Vec<Vec<u8>> {
    text.split(|byte| separators.contains(byte)).filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: Target = Target { is_64_bit: true, is_little_endian: true, machine: 62 };

    #[test]
    fn run_paths_are_split_and_their_tokens_replaced() {
        for (text, expected) in [
            ("/a:/b", &["/a", "/b"][..]),
            ("$ORIGIN/../lib:relative:", &["/opt/bin/../lib"]),
            ("${ORIGIN}/$PLATFORM", &["/opt/bin/x86_64"]),
            ("/usr/$LIB/app", &["/usr/lib/x86_64-linux-gnu/app", "/usr/lib64/app", "/usr/lib/app"]),
        ] {
            let got = expand(text.as_bytes(), b"/opt/bin", X86_64);
            let got: Vec<_> = got.iter().map(|path| String::from_utf8_lossy(path)).collect();
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn default_directories_follow_the_machine() {
        let i386 = Target { is_64_bit: false, is_little_endian: true, machine: 3 };
        assert_eq!(default_directories(X86_64)[0], b"/lib/x86_64-linux-gnu");
        assert_eq!(
            default_directories(i386)[..4].concat(),
            b"/lib/i386-linux-gnu/usr/lib/i386-linux-gnu/lib32/usr/lib32"
        );
    }
}
