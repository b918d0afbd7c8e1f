//! Files that users write, such as coverages and policies: YAML and TOML as one tree in which every value knows its line
//! and column, and what is wrong with them, told with that place.
#![forbid(unsafe_code)]

mod problem;
mod toml;
mod tree;
mod yaml;

pub use problem::{Problem, list};
pub use toml::toml;
pub use tree::{Key, Node, Place, SyntaxError, Value};
pub use yaml::yaml;
