//! The image config: how a container starts, and which layers make its root.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Digest, Platform};

/// An image config. Source: OCI image-spec 1.1, `config.md`; Docker's extensions are read too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// When it was made, RFC 3339, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Operating system, architecture and variant.
    #[serde(flatten)]
    pub platform: Platform,
    /// What a container gets unless told otherwise.
    #[serde(default, deserialize_with = "null_as_default")]
    pub config: ContainerConfig,
    /// The layers by diff ID.
    pub rootfs: RootFs,
    /// How each layer came to be; entries with `empty_layer` have none.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// All other fields (`os.version`, `docker_version`, `container_config`, …), in their order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a container of the image gets unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user`, `uid`, `user:group`, `uid:gid`, …; empty = root.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports as `80/tcp`; the values are empty objects.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// `NAME=value`, in order.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The program and leading arguments.
    #[serde(default, deserialize_with = "text_or_list", skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The further arguments, or the command where there is no entrypoint.
    #[serde(default, deserialize_with = "text_or_list", skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Mount points of anonymous volumes; the values are empty objects.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Value>,
    /// Directory to start in; empty = the root.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Instructions for images built on this one.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Labels.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the container to stop: a name or a number; none = SIGTERM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Shell for shell-form commands.
    #[serde(default, deserialize_with = "text_or_list", skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// All other fields (`ArgsEscaped`, `StopTimeout`, `Hostname`, …), in their order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A health check. Durations are nanoseconds, 0 or absent = inherited or the engine's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", args…]` or `["CMD-SHELL", command]`; empty = inherited.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// All other fields (`Interval`, `Timeout`, `Retries`, …), in their order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The layers of the image by diff ID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Digests of the uncompressed layers, base first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
    /// All other fields, in their order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How one layer, or one step without a layer, came to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// This step made no layer.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// All other fields, in their order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Go programs write `null` for an empty list, map or text.
pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Docker reads commands both as a list and as one text.
fn text_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Command {
        Text(String),
        List(Vec<String>),
    }
    Ok(Option::deserialize(deserializer)?.map(|command| match command {
        Command::Text(text) => vec![text],
        Command::List(list) => list,
    }))
}
