//! The image's time zone.

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;

/// Keeps `/etc/localtime` with what it leads to, `/etc/timezone`, and the zone that `TZ` names in the image's
/// environment. A zone that only production sets has to be in the coverage or in the policy.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) {
    let root = ImagePath::root();
    for file in ["/etc/localtime", "/etc/timezone"] {
        if let Some(path) = scene.at(file) {
            draft.keep(&path, Rule::TimeZone, None);
            draft.keep_way(&root, file.as_bytes(), Rule::TimeZone, Some(&path));
        }
    }
    if let Some(zone) = scene.environment.get("TZ") {
        let zone = zone.trim_start_matches(':');
        let base = scene.environment.get("TZDIR").copied().unwrap_or("/usr/share/zoneinfo");
        if let Some(base) = scene.find(base.as_bytes())
            && !zone.is_empty()
            && draft.find_file(&base, zone.as_bytes()).is_some()
        {
            draft.keep_way(&base, zone.as_bytes(), Rule::TimeZone, None);
        }
    }
}
