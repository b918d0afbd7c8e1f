//! The dynamic loader, and the libraries that it loads for kept programs and libraries.

use std::collections::BTreeSet;
use std::rc::Rc;

use image::ImagePath;

use crate::draft::Draft;
use crate::elf::read::ElfFile;
use crate::elf::search::{Needed, Searcher};
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// The ELF files kept so far, and what they still lack.
pub(crate) struct Programs<'a> {
    searcher: Searcher<'a>,
    files: Vec<(ImagePath, Rc<ElfFile>)>,
    /// File and library name of what the usual search did not find.
    lacking: BTreeSet<(ImagePath, Vec<u8>)>,
    /// Directories that kept files name as run paths.
    run_paths: BTreeSet<Vec<u8>>,
    /// Names by which kept files satisfy a need.
    names: BTreeSet<Vec<u8>>,
}

/// What loading an ELF file would take beside the file itself.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Whether it names a loader, and so can be run.
    pub(crate) is_program: bool,
    /// Libraries, or a loader, that are not kept so far.
    pub(crate) more: BTreeSet<ImagePath>,
    /// Whether the image lacks one that it needs.
    pub(crate) lacks_something: bool,
}

impl<'a> Programs<'a> {
    pub(crate) fn new(scene: &Scene<'a>) -> Result<Self, PlanError> {
        let library_path = scene.environment.get("LD_LIBRARY_PATH").copied().unwrap_or_default();
        let searcher = Searcher::new(scene.image, library_path)?;
        let (files, lacking, run_paths, names) = Default::default();
        Ok(Self { searcher, files, lacking, run_paths, names })
    }

    /// Keeps the loader of each newly kept ELF file, its libraries, and theirs, with the links on the way.
    pub(crate) fn apply(
        &mut self,
        draft: &mut Draft<'_>,
        fresh: &BTreeSet<ImagePath>,
    ) -> Result<(), PlanError> {
        for path in fresh {
            let Some(file) = self.searcher.file(path)? else { continue };
            self.names.insert(path.name().to_vec());
            self.names.extend(file.soname.clone());
            self.run_paths.extend(self.searcher.run_path(path, &file));
            if let Some(loader) = &file.interpreter
                && draft.keep_way(&ImagePath::root(), loader, Rule::ElfInterpreter, Some(path)).is_none()
            {
                let loader = image::path::escape(loader);
                draft.warn(format!("{path} cannot start: the image lacks its dynamic loader {loader}"));
            }
            for needed in self.searcher.closure(path)? {
                if needed.at.is_empty() {
                    self.lacking.insert((needed.by.clone(), needed.name.clone()));
                }
                for library in &needed.at {
                    draft.keep_way(&ImagePath::root(), library, Rule::ElfNeeded, Some(&needed.by));
                }
            }
            self.files.push((path.clone(), file));
        }
        self.look_further(draft)
    }

    /// A plug-in may rely on libraries that its program has loaded before, or on the program's run path.
    fn look_further(&mut self, draft: &mut Draft<'_>) -> Result<(), PlanError> {
        let directories: Vec<Vec<u8>> = self.run_paths.iter().cloned().collect();
        for (by, name) in std::mem::take(&mut self.lacking) {
            if self.names.contains(&name) {
                continue;
            }
            let at = match self.searcher.file(&by)? {
                Some(file) if !name.contains(&b'/') => {
                    self.searcher.find_in(&directories, &name, file.target)?
                }
                _ => Vec::new(),
            };
            if at.is_empty() {
                self.lacking.insert((by, name));
                continue;
            }
            for library in at {
                draft.keep_way(&ImagePath::root(), &library, Rule::ElfNeeded, Some(&by));
            }
        }
        Ok(())
    }

    /// Keeps a library that a setting names, as the loader would find it for any of the kept programs.
    pub(crate) fn keep_library(
        &mut self,
        draft: &mut Draft<'_>,
        name: &[u8],
        rule: Rule,
        because: Option<&ImagePath>,
    ) -> Result<(), PlanError> {
        if name.contains(&b'/') {
            draft.keep_way(&ImagePath::root(), name, rule, because);
            return Ok(());
        }
        let targets: BTreeSet<_> = self.files.iter().map(|(_, file)| file.target).collect();
        for target in targets {
            for library in self.searcher.find_by_default(name, target)? {
                draft.keep_way(&ImagePath::root(), &library, rule, because);
            }
        }
        Ok(())
    }

    /// What it would take to load this ELF file, kept or not; `None` for any other file.
    pub(crate) fn load(&mut self, draft: &Draft<'_>, path: &ImagePath) -> Result<Option<Load>, PlanError> {
        let Some(file) = self.searcher.file(path)? else { return Ok(None) };
        let root = ImagePath::root();
        let mut load = Load { is_program: file.interpreter.is_some(), ..Load::default() };
        let closure = self.searcher.closure(path)?;
        let lacks = |needed: &Needed| needed.at.is_empty() && !self.names.contains(&needed.name);
        load.lacks_something = closure.iter().any(lacks);
        for named in file.interpreter.iter().chain(closure.iter().flat_map(|needed| &needed.at)) {
            match draft.find_file(&root, named) {
                Some(end) if draft.is_kept(&end) => {}
                Some(end) => drop(load.more.insert(end)),
                None => load.lacks_something = true,
            }
        }
        Ok(Some(load))
    }

    /// How many bytes a file would add with all that it loads, as far as that is not kept.
    pub(crate) fn cost_bytes(
        &mut self,
        scene: &Scene<'_>,
        draft: &Draft<'_>,
        path: &ImagePath,
    ) -> Result<u64, PlanError> {
        let mut files = self.load(draft, path)?.map(|load| load.more).unwrap_or_default();
        if !draft.is_kept(path) {
            files.insert(path.clone());
        }
        Ok(files.iter().filter_map(|path| scene.file_size(path)).sum())
    }

    /// All kept ELF files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&ImagePath, &ElfFile)> {
        self.files.iter().map(|(path, file)| (path, &**file))
    }

    /// The kept ELF files whose content is in use.
    pub(crate) fn in_use(
        &self,
        scene: &Scene<'_>,
        draft: &Draft<'_>,
    ) -> impl Iterator<Item = (&ImagePath, &ElfFile)> {
        self.files().filter(|(path, _)| scene.is_in_use(draft, path))
    }

    /// The first file in use that is linked against a library whose name begins so.
    pub(crate) fn user_of(&self, scene: &Scene<'_>, draft: &Draft<'_>, library: &str) -> Option<ImagePath> {
        let is_it = |name: &Vec<u8>| name.starts_with(library.as_bytes());
        let user = self.in_use(scene, draft).find(|(_, file)| file.needed.iter().any(is_it));
        user.map(|(path, _)| path.clone())
    }

    /// The first file in use, other than the C library itself, that names one of these functions.
    pub(crate) fn caller_of(
        &self,
        scene: &Scene<'_>,
        draft: &Draft<'_>,
        functions: &[&str],
    ) -> Option<ImagePath> {
        let is_libc = |file: &ElfFile| file.soname.as_ref().is_some_and(|name| name.starts_with(b"libc."));
        let calls = |file: &ElfFile| functions.iter().any(|function| file.functions.contains(function));
        let user = self.in_use(scene, draft).find(|(_, file)| calls(file) && !is_libc(file));
        user.map(|(path, _)| path.clone())
    }

    /// Tells what was not found. Not an error: the file may be one that never worked in this image.
    pub(crate) fn warn(&self, draft: &mut Draft<'_>) {
        for (by, name) in &self.lacking {
            draft.warn(format!("{by} needs {}, which the image lacks", image::path::escape(name)));
        }
        for (path, error) in self.searcher.broken() {
            draft.warn(format!("{path} cannot be read as an ELF file: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::Rule;
    use crate::fixture::{Elf, LOADER, MERGED, image, layer, libc};

    fn program<'a>(needed: &'a [&'a str]) -> Elf<'a> {
        Elf { interpreter: LOADER, needed, ..Elf::default() }
    }

    fn library<'a>(needed: &'a [&'a str]) -> Elf<'a> {
        Elf { needed, ..Elf::default() }
    }

    #[test]
    fn hard_15_the_loader_and_all_libraries_are_kept_with_the_links_to_them() {
        let [ld, libc] = libc();
        let files = [
            ld,
            libc,
            ("usr/bin/app", program(&["liba.so.1", "libc.so.6"])),
            ("usr/lib/liba.so.1.2", library(&["libb.so"])),
            ("usr/lib/libb.so", library(&[])),
            ("usr/lib/libunused.so", library(&[])),
        ];
        let words = MERGED.to_owned() + "usr/lib/liba.so.1->liba.so.1.2";
        let fixture = image(layer(&words, &files)).uses("exec:/usr/bin/app");
        let expected = [
            "directory-symlink /bin < /usr/bin",
            "symlink /lib < /usr/bin/app",
            "symlink /lib64 < /usr/bin/app",
            "observed /usr/bin/app",
            "symlink /usr/lib/liba.so.1 < /usr/bin/app",
            "elf-needed /usr/lib/liba.so.1.2 < /usr/bin/app",
            "elf-needed /usr/lib/libb.so < /usr/lib/liba.so.1.2",
            "elf-interpreter /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 < /usr/bin/app",
            "elf-needed /usr/lib/x86_64-linux-gnu/libc.so.6 < /usr/bin/app",
            "symlink /usr/lib64/ld-linux-x86-64.so.2 < /usr/bin/app",
        ];
        assert_eq!(fixture.kept(), expected);
    }

    #[test]
    fn hard_16_run_paths_variants_and_machines_decide_which_library_it_is() {
        let files = [
            ("opt/bin/app", Elf { rpath: "$ORIGIN/../lib", ..program(&["liba.so", "libv.so", "libm.so"]) }),
            // Inherits the program's DT_RPATH; has a DT_RUNPATH of its own below.
            ("opt/lib/liba.so", library(&["libb.so"])),
            ("opt/lib/libb.so", Elf { runpath: "/opt/private", ..library(&["libc1.so", "libd.so"]) }),
            ("opt/private/libc1.so", library(&[])),
            // A DT_RUNPATH switches the inherited DT_RPATH off: the default directory wins.
            ("opt/lib/libd.so", library(&[])),
            ("usr/lib/libd.so", library(&[])),
            ("usr/lib/libv.so", library(&[])),
            ("usr/lib/glibc-hwcaps/x86-64-v3/libv.so", library(&[])),
            ("lib64/libm.so", Elf { machine: 183, ..library(&[]) }),
            ("usr/lib64/libm.so", library(&[])),
        ];
        let fixture = image(layer("", &files)).uses("exec:/opt/bin/app");
        let expected = [
            "/opt/lib/liba.so",
            "/opt/lib/libb.so",
            "/opt/private/libc1.so",
            "/usr/lib/glibc-hwcaps/x86-64-v3/libv.so",
            "/usr/lib/libd.so",
            "/usr/lib/libv.so",
            "/usr/lib64/libm.so",
        ];
        assert_eq!(fixture.by(Rule::ElfNeeded), expected);
    }

    #[test]
    fn a_plug_in_finds_its_libraries_where_its_program_does() {
        let files = [
            ("opt/bin/app", Elf { runpath: "/opt/lib", ..program(&[]) }),
            ("opt/plugins/p.so", library(&["libp.so", "libgone.so"])),
            ("opt/lib/libp.so", library(&[])),
        ];
        let fixture = image(layer("", &files)).uses("exec:/opt/bin/app map-exec:/opt/plugins/p.so");
        assert_eq!(fixture.by(Rule::ElfNeeded), ["/opt/lib/libp.so"]);
        let warnings = fixture.plan().warnings;
        assert!(
            warnings.contains(&"/opt/plugins/p.so needs libgone.so, which the image lacks".to_owned()),
            "{warnings:?}"
        );
    }

    #[test]
    fn musl_searches_its_own_directories_and_is_its_own_c_library() {
        let musl = "/lib/ld-musl-x86_64.so.1";
        let files = [
            ("lib/ld-musl-x86_64.so.1", Elf { soname: "libc.musl-x86_64.so.1", ..Elf::default() }),
            ("bin/app", Elf { interpreter: musl, ..program(&["libz.so", "libc.musl-x86_64.so.1"]) }),
            ("usr/local/lib/libz.so", library(&[])),
            ("usr/lib/libz.so", library(&[])),
        ];
        let fixture = image(layer("", &files)).uses("exec:/bin/app");
        assert_eq!(fixture.by(Rule::ElfInterpreter), ["/lib/ld-musl-x86_64.so.1"]);
        assert_eq!(fixture.by(Rule::ElfNeeded), ["/usr/local/lib/libz.so"]);
        assert_eq!(fixture.plan().warnings, Vec::<String>::new());
    }

    #[test]
    fn broken_elf_files_and_cycles_are_survived() {
        let files = [
            ("a.so", Elf { rpath: "/", ..library(&["b.so"]) }),
            ("b.so", Elf { rpath: "/", ..library(&["a.so"]) }),
        ];
        let layer = layer("", &files)
            .entry(testkit::TarEntry::file("broken", b"\x7fELF\x02\x01\x01rest").mode(0o755));
        let fixture = image(layer).uses("map-exec:/a.so exec:/broken");
        assert_eq!(fixture.by(Rule::ElfNeeded), ["/b.so"]);
        assert_eq!(fixture.plan().warnings, ["/broken cannot be read as an ELF file: its header is broken"]);
    }

    /// What this machine's own loader says that it would load, with all links resolved; `None` for a static program.
    fn listed_by_loader(program: &str) -> Option<BTreeSet<String>> {
        let output = std::process::Command::new(LOADER).args(["--list", program]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let paths = text.lines().filter_map(|line| {
            let line = line.split(" (0x").next()?.trim();
            let path = line.split("=> ").last()?;
            path.starts_with('/').then(|| std::fs::canonicalize(path).unwrap().display().to_string())
        });
        output.status.success().then(|| paths.collect())
    }

    #[test]
    fn the_libraries_of_real_programs_are_those_that_the_real_loader_lists() {
        use testkit::{Compression, ImageBuilder, TarBuilder, TarEntry};
        if !std::path::Path::new(LOADER).exists() {
            eprintln!("skipped: this machine has no {LOADER}");
            return;
        }
        let names = [
            "bash", "ls", "tar", "perl", "openssl", "curl", "git", "gpg", "apt-get", "python3", "clang",
            "sudo",
        ];
        let programs = names.map(|name| format!("/usr/bin/{name}"));
        let programs = programs.iter().filter_map(|path| std::fs::canonicalize(path).ok());
        let programs: Vec<(String, BTreeSet<String>)> = programs
            .map(|path| path.display().to_string())
            .filter_map(|path| Some((path.clone(), listed_by_loader(&path)?)))
            .collect();
        assert!(programs.len() >= 3, "{programs:?}");

        // The programs, everything in the directories of their libraries that is named like a library, and the cache.
        let mut paths: BTreeSet<String> = programs.iter().map(|(program, _)| program.clone()).collect();
        for library in programs.iter().flat_map(|(_, libraries)| libraries) {
            paths.insert(library.clone());
            let directory = std::path::Path::new(library).parent().unwrap();
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let leads_to = std::fs::canonicalize(&path).map(|path| path.display().to_string());
                if leads_to.is_ok_and(|end| programs.iter().any(|(_, libraries)| libraries.contains(&end))) {
                    paths.insert(path.display().to_string());
                }
            }
        }
        paths.extend(["/etc/ld.so.cache", "/lib", "/lib64"].map(str::to_owned));
        paths.insert(
            std::fs::canonicalize("/lib64").unwrap().join("ld-linux-x86-64.so.2").display().to_string(),
        );
        let mut tar = TarBuilder::new();
        for path in &paths {
            let name = path.trim_start_matches('/');
            let metadata = std::fs::symlink_metadata(path).unwrap();
            tar = tar.entry(match metadata.is_symlink() {
                true => TarEntry::symlink(name, std::fs::read_link(path).unwrap().display().to_string()),
                false => TarEntry::file(name, std::fs::read(path).unwrap()).mode(0o755),
            });
        }
        let layout = ImageBuilder::new().compressed_layer(tar.finish(), Compression::None).oci_layout();
        for (program, expected) in &programs {
            let fixture = crate::fixture::open(&layout).uses(&format!("exec:{program}"));
            let fixture = fixture.policy(|policy| policy.generalize = crate::Generalize::None);
            let mut got: BTreeSet<String> = fixture.by(Rule::ElfNeeded).into_iter().collect();
            got.extend(fixture.by(Rule::ElfInterpreter));
            assert_eq!(&got, expected, "{program}");
        }
    }
}
