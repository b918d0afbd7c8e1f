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

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::configured;

    #[test]
    fn hard_39_the_zone_of_the_image_is_kept() {
        let words = "a etc/localtime->/usr/share/zoneinfo/Etc/UTC usr/share/zoneinfo/Etc/UTC \
            usr/share/zoneinfo/Europe/Berlin usr/share/zoneinfo/Asia/Tokyo";
        let kept =
            |zone: &str| configured(words, serde_json::json!({"Env": [zone]})).uses("/a").by(Rule::TimeZone);
        let local = ["/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"];
        assert_eq!(kept("TZ="), local);
        assert_eq!(kept("TZ=../../../a"), local);
        assert_eq!(kept("TZ=:Europe/Berlin"), [&local[..], &["/usr/share/zoneinfo/Europe/Berlin"]].concat());
    }
}
