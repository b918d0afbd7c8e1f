//! SASL modules.

use image::ImagePath;

use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Directories of settings that Cyrus SASL searches beside its modules' own.
const SETTINGS: [&str; 2] = ["/etc/sasl2", "/etc/sasl"];
/// Where passwords lie unless settings say otherwise.
const PASSWORDS: &str = "/etc/sasldb2";
/// Modules that fetch passwords from a database, and load the library of that database.
const STORES: [&[u8]; 3] = [b"libldapdb.so", b"libsasldb.so", b"libsql.so"];

/// Larger databases of passwords are taken for used, unread.
const MAX_PASSWORD_BYTES: u64 = 16 << 20;
/// What stands in the key of each password.
const PASSWORD_KEY: &[u8] = b"userPassword";
/// The user that Debian's package adds to make the database, and takes away again; its key stays in the file.
const PLACEHOLDER: &[u8] = b"no:such:user";

/// Whether a database of passwords has any user but the one that made it.
fn has_users(content: &[u8]) -> bool {
    let times = |text: &[u8]| content.windows(text.len()).filter(|window| *window == text).count();
    times(PASSWORD_KEY) > times(PLACEHOLDER)
}

/// Keeps the modules and settings of Cyrus SASL if a program in use is linked against it. The library loads every module
/// in its directory when a session begins, and a client chooses among them. The modules that fetch passwords from a
/// database stay only where SASL is in use or set up: a workload looked into the directory, or there are settings or
/// passwords.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &Programs<'_>,
) -> Result<(), PlanError> {
    let Some(user) = programs.user_of(scene, draft, "libsasl2.so") else { return Ok(()) };
    let libraries: Vec<ImagePath> = programs
        .files()
        .map(|(path, _)| path)
        .filter(|path| path.name().starts_with(b"libsasl2.so"))
        .cloned()
        .collect();
    let beside = libraries.iter().filter_map(|library| library.parent()?.join(b"sasl2").ok());
    let settings: Vec<ImagePath> = SETTINGS.iter().filter_map(|path| scene.find(path.as_bytes())).collect();
    let further = scene.environment.get("SASL_PATH").copied().unwrap_or_default().split(':');
    let further = further.filter_map(|path| scene.find(path.as_bytes()).filter(|_| path.starts_with('/')));
    let modules: Vec<ImagePath> = beside.chain(further).collect();
    let was_asked = |path: &ImagePath| scene.profile.usage(path).is_some_and(|usage| usage.first().is_some());
    let passwords = scene.find(PASSWORDS.as_bytes()).filter(|path| scene.file_size(path).is_some());
    let has_users = match &passwords {
        Some(path) if scene.file_size(path).is_some_and(|size| size <= MAX_PASSWORD_BYTES) => {
            has_users(&scene.image.read_file(path, MAX_PASSWORD_BYTES)?)
        }
        large => large.is_some(),
    };
    if has_users {
        draft.keep_way(&ImagePath::root(), PASSWORDS.as_bytes(), Rule::Sasl, Some(&user));
    }
    let is_set_up = has_users
        || settings.iter().any(|directory| scene.tree().children(directory).next().is_some())
        || modules.iter().any(was_asked);
    let is_store = |path: &ImagePath| STORES.iter().any(|store| path.name().starts_with(store));
    for directory in modules.iter().chain(&settings).filter(|directory| scene.is_directory(directory)) {
        for (path, _) in scene.tree().children(directory).filter(|(path, _)| is_set_up || !is_store(path)) {
            draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::Sasl, Some(&user));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{Elf, image, layer};

    #[test]
    fn hard_36_sasl_modules_stay_with_who_authenticates_by_them() {
        let words = "usr/lib/sasl2/libplain.so->libplain.so.2 etc/sasl2/memcached.conf";
        let kept = |needed: &[&str]| {
            let files = [
                ("app", Elf { needed, ..Elf::default() }),
                ("usr/lib/libsasl2.so.2", Elf::default()),
                ("usr/lib/sasl2/libplain.so.2", Elf { needed: &["libcrypt.so.1"], ..Elf::default() }),
                ("usr/lib/libcrypt.so.1", Elf::default()),
            ];
            image(layer(words, &files)).uses("exec:/app")
        };
        let with = kept(&["libsasl2.so.2"]);
        assert_eq!(with.by(Rule::Sasl), ["/etc/sasl2/memcached.conf", "/usr/lib/sasl2/libplain.so.2"]);
        assert_eq!(with.by(Rule::ElfNeeded), ["/usr/lib/libcrypt.so.1", "/usr/lib/libsasl2.so.2"]);
        assert_eq!(kept(&[]).by(Rule::Sasl), [""; 0]);
    }
    #[test]
    fn hard_36_sasl_modules_with_databases_stay_where_sasl_is_set_up() {
        let kept = |words: &str, uses: &str| {
            let files = [
                ("app", Elf { needed: &["libsasl2.so.2"], ..Elf::default() }),
                ("usr/lib/libsasl2.so.2", Elf::default()),
                ("usr/lib/sasl2/libplain.so.2", Elf::default()),
                ("usr/lib/sasl2/libsasldb.so.2", Elf { needed: &["libdb.so"], ..Elf::default() }),
                ("usr/lib/libdb.so", Elf::default()),
            ];
            let fixture = image(layer(words, &files)).uses(&format!("exec:/app {uses}"));
            fixture.plan().edits.keep.contains(&crate::fixture::path("/usr/lib/libdb.so"))
        };
        assert!(!kept("", ""));
        assert!(kept("", "readdir:/usr/lib/sasl2"));
        assert!(kept("etc/sasl2/memcached.conf", ""));
        assert!(!kept("etc/sasl2/", ""));
        assert!(!kept("etc/sasldb2", ""));
    }

    #[test]
    fn a_database_of_passwords_counts_once_it_has_a_user() {
        let placeholder = b"..no:such:user\0host\0userPassword..";
        assert!(!super::has_users(placeholder));
        assert!(super::has_users(&[&placeholder[..], b"ada\0host\0userPassword"].concat()));
    }
}
