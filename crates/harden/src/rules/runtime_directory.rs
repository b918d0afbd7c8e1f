//! Directories that matter although nothing in them is kept.

use image::{ImagePath, Metadata, NodeKind};

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Directories of the file system hierarchy that services write to and engines mount on.
const STANDARD: [&str; 19] = [
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/run/lock",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/etc",
    "/var/cache",
    "/var/empty",
    "/var/lib",
    "/var/lock",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/run",
    "/var/spool",
    "/var/local",
    "/var/tmp",
    "/usr/tmp",
];
/// Where directories belong to a package manager, or to files alone.
const IDLE: [&str; 9] = [
    "/boot",
    "/etc/apt",
    "/etc/dpkg",
    "/usr",
    "/var/backups",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/lib/apt",
    "/var/lib/dpkg",
];

/// Keeps directories that services expect although an image has nothing in them, with their exact owner and mode:
///
/// - those directly below the root, and the standard ones of the hierarchy;
/// - those that are empty in the image, unless beneath `/usr` or in a package manager's own place: somebody made them
///   for something to come, a mount point, a data directory;
/// - those that say by their mode or owner that others than root write there: sticky, setgid or writable for all, or
///   of another owner than the directory above;
/// - home directories of root, of people's accounts, and of the user that the image runs as.
///
/// They cost no bytes, and thousands of documentation directories stay out.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    let root = ImagePath::root();
    for directory in scene.runtime_directories() {
        draft.keep(directory, Rule::RuntimeDirectory, None);
    }
    if let Some(users) = scene.find(b"/etc/passwd") {
        let user = scene.settings().user.split(':').next().unwrap_or_default();
        for home in homes(&scene.text(&users)?, user) {
            if scene.find(home.as_bytes()).is_some_and(|home| scene.is_directory(&home)) {
                draft.keep_way(&root, home.as_bytes(), Rule::RuntimeDirectory, None);
            }
        }
    }
    Ok(())
}

/// All of them but the homes.
pub(crate) fn directories(scene: &Scene<'_>) -> Vec<ImagePath> {
    let idle: Vec<ImagePath> = IDLE.iter().filter_map(|path| scene.at(path)).collect();
    let root = ImagePath::root();
    let mut directories = Vec::new();
    let all = scene.tree().iter().filter(|(path, node)| node.kind == NodeKind::Directory && !path.is_root());
    for (path, node) in all {
        let is_idle = idle.iter().any(|idle| path.is_within(idle)) || packages::is_document(path);
        let above = path.parent();
        let parent = above.as_ref().and_then(|parent| scene.tree().get(parent));
        let is_top = above.as_ref() == Some(&root);
        let is_empty = || scene.tree().children(path).next().is_none();
        let belongs_to_others =
            parent.is_some_and(|parent| belongs_to_others(&node.metadata, &parent.metadata));
        if is_top || (!is_idle && is_empty()) || (belongs_to_others && !packages::is_document(path)) {
            directories.push(path.clone());
        }
    }
    directories
        .extend(STANDARD.iter().filter_map(|path| scene.at(path)).filter(|path| scene.is_directory(path)));
    directories
}

/// Whether others than the owner of the directory above write here; only the topmost of such directories counts.
fn belongs_to_others(own: &Metadata, parent: &Metadata) -> bool {
    let special = |mode: u32| mode & 0o3000 != 0 || mode & 0o002 != 0;
    let other_owner = own.uid != parent.uid && own.uid != 0;
    let other_group = own.gid != parent.gid && own.gid != 0 && own.mode & 0o020 != 0;
    (special(own.mode) && !special(parent.mode)) || other_owner || other_group
}

/// Home directories of root, of accounts from 1000 on, and of `user`, who is named or numbered.
fn homes(passwd: &str, user: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        let home = fields.nth(2)?;
        let number: u32 = id.parse().ok()?;
        let counts = number == 0 || (1000..65534).contains(&number) || name == user || id == user;
        (counts && home.starts_with('/')).then(|| home.to_owned())
    };
    passwd.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_those_of_root_people_and_the_user() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbin:x:2:2:bin:/bin:/bin/sh\nredis:x:999:999::/home/redis:\n\
            me:x:1000:1000::/home/me:/bin/sh\nnobody:x:65534:65534::/nonexistent:\nbroken:x\n";
        assert_eq!(homes(passwd, ""), ["/root", "/home/me"]);
        assert_eq!(homes(passwd, "redis"), ["/root", "/home/redis", "/home/me"]);
        assert_eq!(homes(passwd, "2"), ["/root", "/bin", "/home/me"]);
    }

    #[test]
    fn only_the_topmost_directory_of_another_owner_counts() {
        let directory = |uid, mode| Metadata { uid, mode, ..Metadata::default() };
        for (own, parent, expected) in [
            (directory(999, 0o755), directory(0, 0o755), true),
            (directory(999, 0o755), directory(999, 0o755), false),
            (directory(0, 0o1777), directory(0, 0o755), true),
            (directory(0, 0o2775), directory(0, 0o2775), false),
            (directory(0, 0o755), directory(0, 0o755), false),
        ] {
            assert_eq!(belongs_to_others(&own, &parent), expected, "{own:?}");
        }
    }

    #[test]
    fn hard_6_directories_for_something_to_come_are_kept_with_their_links() {
        let words = "a proc/ srv/ var/lib/redis/@755,999,999 var/lib/redis/x/@755,999,999 var/lib/redis/x/y/z:1 tmp/@1777 \
            etc/nginx/conf.d/ usr/share/doc/x/ usr/lib/empty/ var/lib/dpkg/updates/ var/spool/mail/@2775,0,8 var/lib/apt/lists/partial/@700,42,0 \
            root/ opt/app/node_modules/m/index.js";
        let kept = crate::fixture::image(words).uses("/a").by(Rule::RuntimeDirectory);
        let expected = [
            "/etc",
            "/etc/nginx/conf.d",
            "/opt",
            "/proc",
            "/root",
            "/srv",
            "/tmp",
            "/usr",
            "/var",
            "/var/lib",
            "/var/lib/apt/lists/partial",
            "/var/lib/redis",
            "/var/spool",
            "/var/spool/mail",
        ];
        assert_eq!(kept, expected);
    }
}
