//! PAM: the settings and modules of programs that authenticate.

use std::collections::BTreeSet;

use image::ImagePath;

use crate::draft::Draft;
use crate::elf::read::ElfFile;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// What common modules read beside their own settings.
const FILES: [&str; 6] =
    ["/etc/pam.conf", "/etc/shadow", "/etc/gshadow", "/etc/environment", "/etc/login.defs", "/etc/securetty"];

/// Keeps, for each program in use that is linked against PAM, its services' settings with all that they include, the
/// modules that these name, and what such modules read.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &Programs<'_>,
) -> Result<(), PlanError> {
    let root = ImagePath::root();
    let uses_pam = |file: &ElfFile| file.needed.iter().any(|name| name.starts_with(b"libpam.so"));
    let users: Vec<ImagePath> = programs
        .in_use(scene, draft)
        .filter(|(path, file)| uses_pam(file) && scene.is_executable(path))
        .map(|(path, _)| path.clone())
        .collect();
    for user in users {
        let name = String::from_utf8_lossy(user.name()).into_owned();
        let mut todo = vec![format!("{name}-l"), name, "other".to_owned()];
        let mut done = BTreeSet::new();
        while let Some(service) = todo.pop() {
            if !done.insert(service.clone()) || service.contains('/') {
                continue;
            }
            let file = format!("/etc/pam.d/{service}");
            let Some(path) = draft.keep_way(&root, file.as_bytes(), Rule::Pam, Some(&user)) else { continue };
            let (includes, modules) = parse(&scene.text(&path)?);
            todo.extend(includes);
            for module in modules {
                keep_module(scene, draft, programs, &module, &path);
            }
        }
        for file in FILES {
            draft.keep_way(&root, file.as_bytes(), Rule::Pam, Some(&user));
        }
        if let Some(directory) = scene.find(b"/etc/security") {
            for (path, _) in
                scene.tree().within(&directory).filter(|(path, _)| path.name().ends_with(b".conf"))
            {
                draft.keep(path, Rule::Pam, Some(&user));
            }
        }
    }
    Ok(())
}

fn keep_module(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &Programs<'_>,
    module: &str,
    because: &ImagePath,
) {
    if module.starts_with('/') {
        draft.keep_way(&ImagePath::root(), module.as_bytes(), Rule::Pam, Some(because));
        return;
    }
    let libraries = programs.files().filter(|(path, _)| path.name().starts_with(b"libpam.so"));
    let directories: BTreeSet<ImagePath> = libraries.filter_map(|(path, _)| path.parent()).collect();
    for directory in directories {
        let name = [b"security/", module.as_bytes()].concat();
        if draft.find_file(&directory, &name).is_some() {
            draft.keep_way(&directory, &name, Rule::Pam, Some(because));
        } else if let Some(other) = scene.find(&[b"/usr", &directory.to_absolute()[..]].concat()) {
            draft.keep_way(&other, &name, Rule::Pam, Some(because));
        }
    }
}

/// The services that these settings include and the modules that they name. Source: pam.conf(5).
fn parse(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut includes, mut modules) = (Vec::new(), Vec::new());
    for line in text.replace("\\\n", " ").lines() {
        let line = line.split('#').next().unwrap_or_default();
        // `[value=action …]` may hold blanks.
        let line = match (line.find('['), line.find(']')) {
            (Some(start), Some(end)) if start < end => {
                format!("{}control{}", &line[..start], &line[end + 1..])
            }
            _ => line.to_owned(),
        };
        match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            ["@include", service, ..] | [_, "include" | "substack", service, ..] => {
                includes.push(service.to_owned());
            }
            [_, _, module, ..] => modules.push(module.to_owned()),
            _ => {}
        }
    }
    (includes, modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_modules_and_further_settings() {
        let text = "# c\nauth sufficient pam_rootok.so\nauth [success=1 default=ignore] pam_unix.so nullok\n\
            @include common-auth\naccount include system-auth\n-session optional /lib/x/pam_y.so\n";
        let (includes, modules) = parse(text);
        assert_eq!(includes, ["common-auth", "system-auth"]);
        assert_eq!(modules, ["pam_rootok.so", "pam_unix.so", "/lib/x/pam_y.so"]);
    }

    #[test]
    fn hard_36_a_program_that_authenticates_keeps_its_services_and_modules() {
        use crate::fixture::{Elf, image, layer};
        let files = [
            ("usr/bin/su", Elf { needed: &["libpam.so.0"], ..Elf::default() }),
            ("usr/lib/libpam.so.0", Elf::default()),
            ("usr/lib/security/pam_unix.so", Elf::default()),
            ("usr/lib/security/pam_idle.so", Elf::default()),
        ];
        let layer = layer("etc/shadow etc/pam.d/login:x etc/security/limits.conf", &files)
            .entry(testkit::TarEntry::file("etc/pam.d/su", "@include common-auth\n"))
            .entry(testkit::TarEntry::file("etc/pam.d/common-auth", "auth required pam_unix.so\n"));
        let fixture = image(layer.clone()).uses("exec:/usr/bin/su");
        let expected = [
            "/etc/pam.d/common-auth",
            "/etc/pam.d/su",
            "/etc/security/limits.conf",
            "/etc/shadow",
            "/usr/lib/security/pam_unix.so",
        ];
        assert_eq!(fixture.by(Rule::Pam), expected);
        assert_eq!(image(layer).uses("stat:/usr/bin/su").by(Rule::Pam), Vec::<String>::new());
    }
}
