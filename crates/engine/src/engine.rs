//! The engine: checks the host, keeps the store of layers, makes containers.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use image::{Edits, Image};

use crate::cgroup::Hierarchy;
use crate::program::HelperProgram;
use crate::protocol::Plan;
use crate::{
    Container, Edited, EngineError, EngineOptions, FullDisk, RunOptions, Standing, Unpacked, overlay,
    run_dir, store,
};

/// Runs containers of unpacked images, without a daemon.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    data_dir: PathBuf,
    hierarchy: Option<Hierarchy>,
    standing: Standing,
    program: Arc<HelperProgram>,
}

impl Engine {
    /// Checks by trying that containers can run here, and sweeps up what killed runs left.
    ///
    /// # Errors
    /// `NotRoot`, `NoOverlay`, `NoCgroup2`, `DataDir`, `Upper`, `StartHelper`.
    pub fn open(options: EngineOptions) -> Result<Self, EngineError> {
        let standing = Standing::of_this_process();
        if standing == Standing::Ordinary {
            return Err(EngineError::NotRoot);
        }
        let failed = |source| EngineError::DataDir { path: options.data_dir.clone(), source };
        fs::create_dir_all(&options.data_dir).map_err(failed)?;
        let data_dir = options.data_dir.canonicalize().map_err(failed)?;
        if data_dir.to_str().is_none() {
            return Err(failed(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "its name is not UTF-8",
            )));
        }
        run_dir::sweep(&data_dir).map_err(failed)?;
        let hierarchy = if standing.is_rootless() { None } else { Some(Hierarchy::find()?) };
        run_dir::with_scratch(&data_dir, |scratch| overlay::probe(&data_dir, scratch)).map_err(failed)??;
        let program = Arc::new(HelperProgram::load(&options.helper)?);
        Ok(Self { options, data_dir, hierarchy, standing, program })
    }

    /// As whom it runs containers.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The file system that containers write to, if it is full now.
    pub fn full_disk(&self) -> Option<FullDisk> {
        FullDisk::at(&self.data_dir)
    }

    /// Unpacks the layers that the store does not hold yet, base first. `on_layer` is called with the index of each
    /// layer that is there.
    ///
    /// # Errors
    /// `Unpack`, `DataDir`, `Interrupted`.
    pub fn unpack(&self, image: &Image, on_layer: &dyn Fn(usize)) -> Result<Unpacked, EngineError> {
        store::unpack(&self.data_dir, image, &self.options.interrupt, on_layer)
    }

    /// The image as it would be with these edits, without writing it: the difference becomes one more layer over the
    /// unpacked ones.
    ///
    /// # Errors
    /// `DataDir`, `Edit`, `Interrupted`. Nothing remains then.
    pub fn edited(&self, image: &Image, unpacked: &Unpacked, edits: &Edits) -> Result<Edited, EngineError> {
        use std::os::unix::fs::PermissionsExt;
        if self.options.interrupt.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(EngineError::Interrupted);
        }
        let failed = |source| EngineError::DataDir { path: self.data_dir.join("run"), source };
        let (dir, lock) = run_dir::reserve(&self.data_dir, "edits-").map_err(failed)?;
        let top = dir.path().join("layer");
        fs::create_dir(&top).map_err(failed)?;
        fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        image::unpack_edits(image, edits, &top, self.standing.rights())
            .map_err(|source| EngineError::Edit { source: Box::new(source) })?;
        Ok(Edited::new(unpacked, top, dir, lock))
    }

    /// Makes a container, its main process ready but not started.
    ///
    /// # Errors
    /// `NoCommand`, `ProgramNotFound`, `ProgramNotExecutable`, `UnknownUser`, `Option`, `StartHelper`, `HelperGone`,
    /// `Runtime`, `DataDir`, `Interrupted`. Nothing remains then.
    pub fn create(&self, unpacked: &Unpacked, options: &RunOptions) -> Result<Container, EngineError> {
        if self.options.interrupt.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(EngineError::Interrupted);
        }
        let (run_dir, cgroup, id, lock) = run_dir::create(&self.data_dir, self.hierarchy.as_ref())?;
        let plan = Plan {
            id,
            run_dir,
            layers: unpacked.layers.clone(),
            root: unpacked.root,
            standing: self.standing,
            cgroup,
            defaults: unpacked.defaults.clone(),
            options: options.clone(),
        };
        let in_use = unpacked.in_use.clone();
        Container::create(plan, lock, in_use, Arc::clone(&self.program), Arc::clone(&self.options.interrupt))
    }
}
