//! Which advisory hits which package.
