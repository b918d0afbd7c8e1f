//! Loading the programs into the kernel.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{LoadError, Recording, SensorError, Target};

/// How to load the sensor.
#[derive(Debug, Clone)]
pub struct SensorOptions {
    /// Size of the ring buffer between kernel and user space; rounded up to a power of two pages.
    pub ring_bytes: u32,
    /// How many distinct uses the kernel remembers; beyond it, uses are reported again.
    pub dedup_entries: u32,
    /// What to run for canaries.
    pub helper: Helper,
}

/// A program, with leading arguments, that ends up in [`crate::canary_main`] with the arguments after those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// The program, such as `/proc/self/exe`.
    pub program: PathBuf,
    /// Its leading arguments, such as `__sensor-canary`.
    pub args: Vec<OsString>,
}

impl SensorOptions {
    /// The ordinary settings: a ring of 16 MiB, 262,144 distinct uses.
    pub fn new(helper: Helper) -> Self {
        Self { ring_bytes: 16 << 20, dedup_entries: 1 << 18, helper }
    }
}

/// The loaded sensor, attached, watching nothing yet.
#[derive(Debug)]
pub struct Sensor(());

impl Sensor {
    /// Loads the programs and attaches them.
    ///
    /// # Errors
    /// [`LoadError`] names what is missing.
    pub fn load(options: &SensorOptions) -> Result<Self, LoadError> {
        let _ = options;
        Err(LoadError::Unfinished)
    }

    /// Watches a container from now on.
    ///
    /// # Errors
    /// [`SensorError`].
    pub fn watch(self, target: &Target) -> Result<Recording, SensorError> {
        let source = std::io::Error::other("the sensor is not complete");
        Err(SensorError::OpenCgroup { cgroup: target.cgroup_dir.clone(), source })
    }
}
