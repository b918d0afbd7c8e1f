//! What the C library, and programs without one, read to look up users, groups, hosts and services.

use image::ImagePath;

use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Small text files that a lookup reads, of glibc, musl and Go's own resolver. Together they rarely have 20 KB.
const FILES: [&str; 12] = [
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/networks",
    "/etc/services",
    "/etc/protocols",
    "/etc/mtab",
    "/etc/machine-id",
    "/etc/netconfig",
];

/// Settings of glibc's resolver. Without such a file all settings have their defaults, and so they have with one that
/// sets none: Debian's `gai.conf` is 2,500 bytes of comments. A lookup of a service or a network, which the files above
/// list, ends another way where the list is missing than where it is empty.
///
/// Source: `gai.conf(5)`, `host.conf(5)`.
const SETTINGS: [&str; 2] = ["/etc/host.conf", "/etc/gai.conf"];

/// Keeps these files if any program is kept, and the modules that `nsswitch.conf` names if one is dynamically linked.
/// Settings that set nothing are no reason to keep their package: they stay where the workload read them.
///
/// The C library opens the modules by name when a lookup first asks for them, which may be in production only.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &Programs<'_>,
) -> Result<(), PlanError> {
    let root = ImagePath::root();
    let Some(user) = programs.files().next().map(|(path, _)| path.clone()) else { return Ok(()) };
    let mut files = FILES.to_vec();
    for file in SETTINGS {
        if let Some(found) = scene.find(file.as_bytes())
            && sets_something(scene, &found)?
        {
            files.push(file);
        }
    }
    for file in files {
        draft.keep_way(&root, file.as_bytes(), Rule::NameService, Some(&user));
    }
    let c_libraries: Vec<ImagePath> = programs
        .files()
        .filter(|(_, file)| file.soname.as_deref() == Some(b"libc.so.6"))
        .map(|(path, _)| path.clone())
        .collect();
    let Some(settings) = scene.find(b"/etc/nsswitch.conf") else { return Ok(()) };
    let modules = modules(&scene.text(&settings)?);
    for library in &c_libraries {
        let Some(directory) = library.parent() else { continue };
        for module in &modules {
            // Beside the C library, or in the same directory of the other hierarchy where /lib is not /usr/lib.
            let name =
                [b"/", &directory.to_absolute()[1..], b"/libnss_", module.as_bytes(), b".so.2"].concat();
            let other = match name.strip_prefix(b"/usr") {
                Some(rest) => rest.to_vec(),
                None => [b"/usr", &name[..]].concat(),
            };
            if draft.keep_way(&root, &name, Rule::NameService, Some(library)).is_none() {
                draft.keep_way(&root, &other, Rule::NameService, Some(library));
            }
        }
    }
    Ok(())
}

/// Whether a settings file has a line that is neither blank nor a comment. One too large to be settings may have.
fn sets_something(scene: &Scene<'_>, file: &ImagePath) -> Result<bool, PlanError> {
    let text = scene.text(file)?;
    let is_unread = text.is_empty() && scene.file_size(file) != Some(0);
    Ok(is_unread || text.lines().map(str::trim_start).any(|line| !line.is_empty() && !line.starts_with('#')))
}

/// The services that `nsswitch.conf` names: words after the colon that are no `[action]`.
fn modules(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((_, services)) = line.split_once(':') else { continue };
        let mut in_action = false;
        for word in services.split_ascii_whitespace() {
            in_action |= word.starts_with('[');
            let is_name = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !in_action && is_name && !out.iter().any(|known| known == word) {
                out.push(word.to_owned());
            }
            in_action &= !word.ends_with(']');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_without_actions_and_comments() {
        let text = "# x: y\npasswd: files systemd\nhosts:  files mdns4_minimal [NOTFOUND=return] dns [ !a b ] x # z\n";
        assert_eq!(modules(text), ["files", "systemd", "mdns4_minimal", "dns", "x"]);
        assert_eq!(modules("bad: ../../x /y"), Vec::<String>::new());
    }

    #[test]
    fn settings_that_set_nothing_stay_only_where_they_were_read() {
        use crate::fixture::{MERGED, image, layer, libc};
        let comments = "# Configuration for getaddrinfo(3).\n\n  #label ::1/128  0\n\t\n";
        let kept = |text: &str, uses: &str| {
            let words = MERGED.to_owned() + "etc/hosts";
            let layer = layer(&words, &libc()).entry(testkit::TarEntry::file("etc/gai.conf", text));
            let fixture = image(layer).uses("map-exec:/usr/lib/x86_64-linux-gnu/libc.so.6").uses(uses);
            let kept = fixture.kept().into_iter().find(|line| line.contains("/etc/gai.conf"));
            kept.and_then(|line| line.split(' ').next().map(str::to_owned))
        };
        assert_eq!(kept(comments, ""), None);
        assert_eq!(kept("", ""), None);
        let set = format!("{comments}precedence ::ffff:0:0/96  100\n");
        assert_eq!(kept(&set, "").as_deref(), Some("name-service"));
        assert_eq!(
            kept(&format!("{comments} scopev4 ::ffff:169.254.0.0/112 2"), "").as_deref(),
            Some("name-service")
        );
        // Bytes that are no text are no comment either, and a file of megabytes is not looked into.
        assert_eq!(kept("\0", "").as_deref(), Some("name-service"));
        assert_eq!(kept(&"#\n".repeat(1 << 20), "").as_deref(), Some("name-service"));
        assert_eq!(kept(comments, "/etc/gai.conf").as_deref(), Some("observed"));
    }

    #[test]
    fn hard_37_lists_and_named_modules_are_kept_beside_the_c_library() {
        use crate::fixture::{MERGED, image, layer, libc};
        let words = MERGED.to_owned()
            + "etc/passwd etc/hosts usr/lib/x86_64-linux-gnu/libnss_foo.so.2 usr/lib/x86_64-linux-gnu/libnss_bar.so.2";
        let layer = layer(&words, &libc()).entry(testkit::TarEntry::file(
            "etc/nsswitch.conf",
            "passwd: files foo [NOTFOUND=return] none\n",
        ));
        let fixture = image(layer).uses("map-exec:/usr/lib/x86_64-linux-gnu/libc.so.6");
        let expected = ["/etc/hosts", "/etc/nsswitch.conf", "/usr/lib/x86_64-linux-gnu/libnss_foo.so.2"];
        assert_eq!(fixture.by(Rule::NameService), expected);
    }
}
