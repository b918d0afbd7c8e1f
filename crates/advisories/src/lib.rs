//! Known vulnerabilities of an image's packages: what the sources say, which package each one hits, and whether the
//! part that is hit ever ran.
//!
//! Start at [`advisory`] for what a source says and at [`database`] for the file that holds all of it;
//! [`import`] reads what upstreams publish into one. [`version`] has the version orders, [`matching`] joins packages and
//! advisories to findings, [`heat`] says how far a package was used, [`scan`] puts all of it into one report, which
//! [`rank`] orders and [`context`] scores, [`symbols`] says what of it is not in a program at all, [`vex`] says what may be claimed of it.
#![forbid(unsafe_code)]

pub mod advisory;
pub mod context;
pub mod database;
pub mod heat;
pub mod import;
pub mod matching;
pub mod rank;
pub mod scan;
pub mod symbols;
pub mod version;
pub mod vex;

pub use advisory::{Advisory, Affected, FixState, Range, Severity, Symbols};
pub use database::{Database, DatabaseBuilder};
pub use heat::{Heat, PackageUse};
pub use scan::ScanReport;
