//! Web servers: the modules, settings, pages and documents that the configuration of a used server names.
//!
//! A coverage asks for some pages; users ask for the others. What stands in a document root that the configuration
//! names is content, not code that a code path may or may not reach, so its regular files stay, within bounds: a root
//! of more than [`MAX_ROOT_BYTES`] or [`MAX_ROOT_FILES`] is kept only as far as it was used, and the user is told.

mod apache;
mod nginx;
mod words;

use std::collections::BTreeSet;

use image::ImagePath;

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Most bytes of one document root that stay because of the configuration alone.
const MAX_ROOT_BYTES: u64 = 256 << 20;
/// Most files of one.
const MAX_ROOT_FILES: usize = 50_000;
/// Most files of settings of one server.
const MAX_SETTINGS: usize = 4096;

/// What a server's configuration names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    /// Files and directories, absolute; a directory stays alone.
    paths: BTreeSet<String>,
    /// Directories whose files are served.
    roots: BTreeSet<String>,
}

/// Keeps what the configuration of a server in use names.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    for program in fresh {
        let named = match program.name() {
            b"apache2" | b"httpd" => apache::read as fn(&Scene<'_>, &mut Draft<'_>, &ImagePath) -> _,
            b"nginx" | b"openresty" | b"angie" | b"freenginx" => nginx::read,
            _ => continue,
        };
        if !scene.is_executable(program) || !scene.is_in_use(draft, program) {
            continue;
        }
        let named = named(scene, draft, program)?;
        for path in &named.paths {
            draft.keep_way(&ImagePath::root(), path.as_bytes(), Rule::ServerModule, Some(program));
        }
        for root in &named.roots {
            keep_root(scene, draft, root, program);
        }
    }
    Ok(())
}

/// Keeps a document root with its files, unless it is a directory of the system or too large.
fn keep_root(scene: &Scene<'_>, draft: &mut Draft<'_>, root: &str, program: &ImagePath) {
    let Some(end) = scene.find(root.as_bytes()).filter(|end| scene.is_directory(end)) else { return };
    if is_system(&end) {
        return;
    }
    let files = || scene.tree().within(&end).filter_map(|(path, _)| Some((path, scene.file_size(path)?)));
    let (count, bytes) = files().fold((0, 0), |(count, bytes), (_, size)| (count + 1, bytes + size));
    if count > MAX_ROOT_FILES || bytes > MAX_ROOT_BYTES {
        draft.warn(format!(
            "{end} is served by {program} and too large to be kept whole ({count} files, {bytes} bytes): only what was used stays"
        ));
        return;
    }
    draft.keep_way(&ImagePath::root(), root.as_bytes(), Rule::ServerModule, Some(program));
    for (path, _) in scene.tree().within(&end) {
        draft.keep(path, Rule::ServerModule, Some(program));
    }
}

/// The root directory, those of the system, and those that hold more than documents.
fn is_system(path: &ImagePath) -> bool {
    const SYSTEM: [&str; 12] = [
        "/",
        "/usr/share",
        "/usr/lib",
        "/usr/bin",
        "/usr/local",
        "/usr/local/share",
        "/var/lib",
        "/var/cache",
        "/var/log",
        "/etc/ssl",
        "/usr/share/doc",
        "/usr/local/lib",
    ];
    let inside = [
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/lib",
        "/lib64",
        "/proc",
        "/run",
        "/sbin",
        "/sys",
        "/usr/share/doc",
    ];
    let text = path.to_string();
    path.components().count() < 2
        && !matches!(text.as_str(), "/app" | "/html" | "/public" | "/www" | "/site" | "/data")
        || SYSTEM.contains(&text.as_str())
        || inside.iter().any(|inside| text.strip_prefix(inside).is_some_and(|rest| rest.starts_with('/')))
}

/// The files that a glob of a configuration names, sorted; wildcards in any component. A path without any is given as
/// it is, found or not.
fn glob(scene: &Scene<'_>, pattern: &str) -> Vec<String> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![pattern.to_owned()];
    }
    let mut found = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| *path += &format!("/{part}"));
            continue;
        }
        let Ok(matcher) = globset::Glob::new(part).map(|glob| glob.compile_matcher()) else {
            return Vec::new();
        };
        found = found
            .iter()
            .filter_map(|path| {
                Some((path, scene.find(if path.is_empty() { b"/" } else { path.as_bytes() })?))
            })
            .flat_map(|(path, directory)| {
                let names =
                    scene.tree().children(&directory).map(|(path, _)| String::from_utf8_lossy(path.name()));
                let names = names.filter(|name| matcher.is_match(&**name) && !name.starts_with('.'));
                names.map(|name| format!("{path}/{name}")).collect::<Vec<_>>()
            })
            .take(MAX_SETTINGS)
            .collect();
    }
    found
}

/// `path` as seen from `base`, both absolute in the end.
fn absolute(base: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", base.trim_end_matches('/')) }
}

/// Whether a variable of the server or of its environment is left in it.
fn is_plain(path: &str) -> bool {
    !path.is_empty() && !path.contains('$') && !path.contains("%{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_system_are_no_document_roots() {
        for (path, expected) in [
            ("/var/www/html", false),
            ("/usr/share/nginx/html", false),
            ("/srv/www", false),
            ("/app", false),
            ("/", true),
            ("/usr", true),
            ("/usr/share", true),
            ("/etc/nginx", true),
            ("/usr/share/doc/x", true),
        ] {
            assert_eq!(is_system(&crate::fixture::path(path)), expected, "{path}");
        }
    }
}
