//! Time zones.

use image::ImagePath;
use profile::AccessKind;

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;

/// The database of all zones.
const DATABASE: &str = "/usr/share/zoneinfo";
/// Its copies with other rules, which nobody asks for by accident.
const COPIES: [&[u8]; 2] = [b"posix", b"right"];

/// Keeps `/etc/localtime` with what it leads to, `/etc/timezone`, and the zone that `TZ` names in the image's
/// environment. The database is kept whole once the workload looked for any other zone in it: the next user, request
/// or deployment has another one.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) {
    let root = ImagePath::root();
    let mut local = None;
    for file in ["/etc/localtime", "/etc/timezone"] {
        if let Some(path) = scene.at(file) {
            draft.keep(&path, Rule::TimeZone, None);
            let end = draft.keep_way(&root, file.as_bytes(), Rule::TimeZone, Some(&path));
            local = local.or(end);
        }
    }
    let directory = scene.environment.get("TZDIR").copied().unwrap_or(DATABASE);
    let Some(base) = scene.find(directory.as_bytes()).filter(|base| scene.is_directory(base)) else { return };
    if let Some(zone) = scene.environment.get("TZ") {
        let zone = zone.trim_start_matches(':');
        if !zone.is_empty() && draft.find_file(&base, zone.as_bytes()).is_some() {
            draft.keep_way(&base, zone.as_bytes(), Rule::TimeZone, None);
        }
    }
    if is_searched(scene, &base, local.as_ref()) || has_zones_by_name(draft) {
        let parts = scene.tree().within(&base).map(|(path, _)| path);
        for path in parts.filter(|path| !is_copy(path, &base)) {
            draft.keep(path, Rule::TimeZone, Some(&base));
        }
    }
}

fn is_copy(path: &ImagePath, base: &ImagePath) -> bool {
    path.components().nth(base.components().count()).is_some_and(|part| COPIES.contains(&part))
}

/// Whether Python's module of zones stays, or R, whose zones are named by requests and users.
fn has_zones_by_name(draft: &Draft<'_>) -> bool {
    draft.kept_paths().any(|path| {
        let is_of_python = || {
            path.parent().is_some_and(|parent| parent.name() == b"zoneinfo") && path.name() == b"_tzpath.py"
        };
        path.name() == b"libR.so" || is_of_python()
    })
}

/// Whether the workload listed the database or looked for a zone other than the local one, found or not.
fn is_searched(scene: &Scene<'_>, base: &ImagePath, local: Option<&ImagePath>) -> bool {
    let paths = scene.profile.paths.range(base.clone()..);
    let mut paths = paths.take_while(|(path, _)| path.is_within(base));
    paths.any(|(path, usage)| {
        if path == base {
            return usage.0.contains_key(&AccessKind::Readdir);
        }
        let is_asked = usage
            .0
            .keys()
            .any(|kind| matches!(kind, AccessKind::OpenRead | AccessKind::Missing | AccessKind::Stat));
        is_asked && Some(path) != local && !scene.is_directory(path)
    })
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::configured;

    const WORDS: &str = "a etc/localtime->/usr/share/zoneinfo/Etc/UTC usr/share/zoneinfo/Etc/UTC \
        usr/share/zoneinfo/Europe/Berlin usr/share/zoneinfo/Asia/Tokyo usr/share/zoneinfo/right/Asia/Tokyo";

    #[test]
    fn hard_39_the_zone_of_the_image_is_kept() {
        let kept =
            |zone: &str| configured(WORDS, serde_json::json!({"Env": [zone]})).uses("/a").by(Rule::TimeZone);
        let local = ["/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"];
        assert_eq!(kept("TZ="), local);
        assert_eq!(kept("TZ=../../../a"), local);
        assert_eq!(kept("TZ=:Europe/Berlin"), [&local[..], &["/usr/share/zoneinfo/Europe/Berlin"]].concat());
    }

    #[test]
    fn hard_39_all_zones_are_kept_once_another_than_the_local_one_was_asked_for() {
        for (uses, is_whole) in [
            ("/usr/share/zoneinfo/Etc/UTC readlink:/etc/localtime", false),
            ("stat:/usr/share/zoneinfo", false),
            ("/usr/share/zoneinfo/Asia/Tokyo", true),
            ("missing:/usr/share/zoneinfo/America/Lima", true),
            ("readdir:/usr/share/zoneinfo", true),
        ] {
            let plan = configured(WORDS, serde_json::json!({})).uses(uses).uses("/a").plan();
            let berlin = crate::fixture::path("/usr/share/zoneinfo/Europe/Berlin");
            assert_eq!(plan.edits.keep.contains(&berlin), is_whole, "{uses}");
            assert!(!plan.edits.keep.contains(&crate::fixture::path("/usr/share/zoneinfo/right/Asia/Tokyo")));
        }
    }

    #[test]
    fn hard_39_zones_stay_for_code_of_python_and_r_that_may_ask_for_one() {
        let kept = |used: &str| {
            let words = used.trim_start_matches('/').to_owned() + " usr/share/zoneinfo/Asia/Tokyo";
            configured(&*words, serde_json::json!({})).uses(used).by(Rule::TimeZone)
        };
        let tokyo = "/usr/share/zoneinfo/Asia/Tokyo".to_owned();
        assert!(kept("/usr/lib/python3.11/zoneinfo/_tzpath.py").contains(&tokyo));
        assert!(kept("/usr/lib/R/lib/libR.so").contains(&tokyo));
        assert!(!kept("/usr/lib/libQ.so").contains(&tokyo));
    }
}
