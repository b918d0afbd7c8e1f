//! The database of advisories: one read-only file.
