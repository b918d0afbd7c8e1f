//! To come.

