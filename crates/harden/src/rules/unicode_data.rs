//! The data of the ICU library.

use image::ImagePath;

use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Where ICU's data lies when it is not linked in, as its own build and the distributions have it.
const DIRECTORIES: [&str; 4] = ["/usr/share/icu", "/usr/lib/icu", "/usr/lib64/icu", "/usr/local/share/icu"];
/// Environment variables that name a directory or file of it.
const VARIABLES: [&str; 2] = ["ICU_DATA", "NODE_ICU_DATA"];

/// Keeps ICU's data files (`icudt*.dat`) if a program in use is linked against the library, or where the image's
/// environment names their directory. Debian links the data into a library of its own, which is found like any other.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &Programs<'_>,
) -> Result<(), PlanError> {
    let named: Vec<ImagePath> = VARIABLES
        .iter()
        .filter_map(|name| scene.environment.get(name))
        .filter(|path| path.starts_with('/'))
        .filter_map(|path| scene.find(path.as_bytes()))
        .collect();
    let user = programs.user_of(scene, draft, "libicuuc.so");
    let usual = DIRECTORIES.iter().filter(|_| user.is_some()).filter_map(|path| scene.find(path.as_bytes()));
    let directories: Vec<ImagePath> = usual.chain(named).collect();
    for directory in directories {
        for (path, _) in scene.tree().within(&directory) {
            let name = path.name();
            if name.starts_with(b"icudt") && name.ends_with(b".dat") {
                draft.keep(path, Rule::UnicodeData, user.as_ref());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{Elf, configured, layer};

    #[test]
    fn hard_36_icu_data_stays_with_users_of_the_library_and_where_a_variable_names_it() {
        let words = "usr/share/icu/72.1/icudt72l.dat usr/share/icu/72.1/install-sh opt/icu/icudt73l.dat";
        let kept = |needed: &[&str], env: &str| {
            let app = Elf { needed, ..Elf::default() };
            let config = serde_json::json!({"Env": [env]});
            configured(layer(words, &[("app", app)]), config).uses("exec:/app").by(Rule::UnicodeData)
        };
        assert_eq!(kept(&["libicuuc.so.72"], "A=b"), ["/usr/share/icu/72.1/icudt72l.dat"]);
        assert_eq!(kept(&[], "ICU_DATA=/opt/icu"), ["/opt/icu/icudt73l.dat"]);
        assert_eq!(kept(&[], "A=b"), [""; 0]);
    }
}
