//! The dynamic loader, and the libraries that it loads for kept programs and libraries.

use std::collections::BTreeSet;
use std::rc::Rc;

use image::ImagePath;

use crate::draft::Draft;
use crate::elf::read::ElfFile;
use crate::elf::search::Searcher;
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
    ) -> Result<(), PlanError> {
        if name.contains(&b'/') {
            draft.keep_way(&ImagePath::root(), name, rule, None);
            return Ok(());
        }
        let targets: BTreeSet<_> = self.files.iter().map(|(_, file)| file.target).collect();
        for target in targets {
            for library in self.searcher.find_by_default(name, target)? {
                draft.keep_way(&ImagePath::root(), &library, rule, None);
            }
        }
        Ok(())
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
