//! The order of versions, by ecosystem.
