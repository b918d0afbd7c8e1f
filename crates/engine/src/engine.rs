//! The engine: opens the store, makes containers.

use image::Image;

use crate::{Container, EngineError, EngineOptions, RunOptions, Unpacked};

/// Runs containers of unpacked images, without a daemon.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// Checks by trying that containers can run here, and sweeps up what killed runs left.
    ///
    /// # Errors
    /// `NotRoot`, `NoOverlay`, `NoCgroup2`, `DataDir`, `Upper`.
    pub fn open(options: EngineOptions) -> Result<Self, EngineError> {
        Ok(Self { options })
    }

    /// Unpacks the layers that the store does not hold yet, base first. `on_layer` is called with the index of each
    /// layer that is there.
    ///
    /// # Errors
    /// `Unpack`, `DataDir`, `Interrupted`.
    pub fn unpack(&self, _image: &Image, _on_layer: &dyn Fn(usize)) -> Result<Unpacked, EngineError> {
        Err(EngineError::Interrupted)
    }

    /// Makes a container, its main process ready but not started.
    ///
    /// # Errors
    /// `NoCommand`, `ProgramNotFound`, `ProgramNotExecutable`, `UnknownUser`, `Option`, `StartHelper`, `Runtime`, `Interrupted`.
    pub fn create(&self, _unpacked: &Unpacked, _options: &RunOptions) -> Result<Container, EngineError> {
        let _ = &self.options;
        Err(EngineError::Interrupted)
    }
}
