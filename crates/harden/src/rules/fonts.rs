//! Fonts, and the settings that say which one stands in for which.
//!
//! A program draws text when the first chart, label or subtitle is asked for, and then wants a family by name:
//! `sans-serif`, or one that the image lacks and that an alias leads to another. Which file that is, fontconfig works out
//! at run time from all of its settings and all fonts that it finds. So the settings stay where a program in use is linked
//! against it, with the plain face of each family that they put first for a generic name. Where the workload asked for
//! fonts already, the next request asks for other ones, and they stay as far as they cost little.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImagePath, NodeKind};

use super::suite;
use crate::draft::Draft;
use crate::rules::elf::Programs;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// fontconfig's settings; those beneath the second are linked to from there.
const SETTINGS: [&str; 3] = ["/etc/fonts", "/usr/share/fontconfig", "/usr/local/etc/fonts"];
/// Where fonts lie.
const DIRECTORIES: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];
const ENDINGS: [&[u8]; 6] = [b".otf", b".pfa", b".pfb", b".t1", b".ttc", b".ttf"];
/// The names that programs ask for where they do not care, most asked for first: those of all systems, and those that
/// PostScript and the web have made common, for which others stand in.
const COMMON: [&str; 9] = [
    "sans-serif",
    "serif",
    "monospace",
    "Helvetica",
    "Times",
    "Courier",
    "Arial",
    "Times New Roman",
    "Courier New",
];
/// How the names of plain faces go on after that of the family.
const PLAIN: [&[u8]; 6] = [b"", b"-Regular", b"-Book", b"-Roman", b"-Medium", b"[wght]"];
/// Most entries beneath a directory of settings or fonts that are looked at.
const MAX_ENTRIES: usize = 20_000;

/// Keeps fontconfig's settings and the fonts that they choose by default, where a program in use draws text with it.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    programs: &Programs<'_>,
) -> Result<(), PlanError> {
    if scene.policy.generalize < Generalize::References {
        return Ok(());
    }
    let Some(user) = user(scene, draft, programs) else { return Ok(()) };
    let budget_bytes = suite::budget_bytes(scene, draft);
    let root = ImagePath::root();
    let mut text = String::new();
    for path in within(scene, &SETTINGS) {
        let is_linked = path.as_bytes().starts_with(b"usr/share/");
        if scene.is_directory(&path) || is_linked {
            continue;
        }
        if let Some(end) = draft.keep_way(&root, &path.to_absolute(), Rule::Fonts, Some(&user)) {
            text += &scene.text(&end)?;
        }
    }
    let fonts: Vec<ImagePath> = within(scene, &DIRECTORIES)
        .into_iter()
        .filter(|path| scene.file_size(path).is_some())
        .filter(|path| ENDINGS.iter().any(|ending| path.name().to_ascii_lowercase().ends_with(ending)))
        .collect();
    let was_asked = [&SETTINGS[..], &DIRECTORIES].concat().iter().any(|place| is_asked(scene, place));
    let mut left = if was_asked { budget_bytes } else { budget_bytes / 2 };
    for path in first_choices(&text, &fonts) {
        let size = scene.file_size(path).unwrap_or_default();
        if draft.is_kept(path) || size > left {
            continue;
        }
        left -= size;
        draft.keep(path, Rule::Fonts, Some(&user));
    }
    if was_asked {
        let others = fonts.iter().filter(|path| !draft.is_kept(path));
        let others: BTreeMap<_, _> = others.map(|path| (path.clone(), BTreeSet::new())).collect();
        for path in suite::within(scene, left, &others) {
            draft.keep(&path, Rule::Fonts, Some(&user));
        }
    }
    Ok(())
}

/// A program or library in use that finds fonts by fontconfig. Java's library loads it by name.
fn user(scene: &Scene<'_>, draft: &Draft<'_>, programs: &Programs<'_>) -> Option<ImagePath> {
    let java = || {
        let mut files = programs.in_use(scene, draft).map(|(path, _)| path);
        files.find(|path| path.name() == b"libfontmanager.so").cloned()
    };
    programs.user_of(scene, draft, "libfontconfig.so").or_else(java)
}

/// What lies beneath these directories.
fn within(scene: &Scene<'_>, places: &[&str]) -> Vec<ImagePath> {
    let found = places.iter().filter_map(|place| scene.find(place.as_bytes()));
    found
        .flat_map(|place| scene.tree().within(&place).map(|(path, _)| path.clone()).collect::<Vec<_>>())
        .take(MAX_ENTRIES)
        .collect()
}

/// Whether the workload looked into this directory, for whatever it was.
fn is_asked(scene: &Scene<'_>, place: &str) -> bool {
    let Some(place) = scene.find(place.as_bytes()) else { return false };
    let mut paths = scene.profile.paths.range(place.clone()..).map(|(path, _)| path);
    paths.next().is_some_and(|path| path.is_within(&place))
        && scene.tree().get(&place).is_some_and(|node| node.kind == NodeKind::Directory)
}

/// The plain faces, in whatever form, of the installed families that settings put first for a common name, in the order
/// of these names.
fn first_choices<'f>(settings: &str, fonts: &'f [ImagePath]) -> Vec<&'f ImagePath> {
    let mut chosen = Vec::new();
    for name in COMMON {
        let stand_ins = aliases(settings).filter(|(of, _)| *of == name).flat_map(|(_, families)| families);
        let mut faces = std::iter::once(name)
            .chain(stand_ins)
            .map(|family| fonts.iter().filter(|path| is_plain(path, family)).collect::<Vec<_>>());
        let found = faces.find(|faces| !faces.is_empty()).unwrap_or_default();
        chosen.extend(found.into_iter().filter(|face| !chosen.contains(face)).collect::<Vec<_>>());
    }
    chosen
}

/// Each `<alias>` of the settings: the family that is asked for, and those to prefer or accept for it. The first counts
/// most.
fn aliases(settings: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    settings.split("<alias").skip(1).filter_map(|block| {
        let block = block.split("</alias>").next()?;
        let (asked, others) = ["<prefer>", "<accept>"].iter().find_map(|tag| block.split_once(tag))?;
        let others = others
            .split("</")
            .take_while(|part| !part.starts_with("prefer>") && !part.starts_with("accept>"));
        Some((families(asked).next()?, others.flat_map(stand_in).collect()))
    })
}

/// The family that one part of a list ends with: `<family>NAME`.
fn stand_in(part: &str) -> Option<&str> {
    Some(part.rsplit_once("<family>")?.1.trim())
}

fn families(text: &str) -> impl Iterator<Item = &str> {
    text.split("<family>").skip(1).filter_map(|rest| Some(rest.split_once("</family>")?.0.trim()))
}

/// Whether a file has, by its name, the plain face of a family.
fn is_plain(path: &ImagePath, family: &str) -> bool {
    let family: Vec<u8> = family.bytes().filter(|byte| *byte != b' ').collect();
    let name = path.name();
    let stem = name.iter().rposition(|&byte| byte == b'.').map_or(name, |dot| &name[..dot]);
    stem.strip_prefix(&family[..]).is_some_and(|rest| !family.is_empty() && PLAIN.contains(&rest))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Elf, Fixture, LOADER, MERGED, image, layer, libc};
    use crate::{Generalize, Rule};
    use testkit::TarEntry;

    const ALIASES: &str = "<fontconfig><alias binding=\"same\"><family>Arial</family><accept><family>Liberation Sans\
        </family></accept></alias><alias><family>sans-serif</family><prefer><family>Noto Sans</family>\
        <family>DejaVu Sans</family></prefer></alias><alias><family>monospace</family><prefer>\
        <family>DejaVu Sans Mono</family></prefer></alias></fontconfig>";

    fn pictures(library: &str) -> Fixture {
        let [ld, c] = libc();
        let needed: &[&str] = &[library, "libc.so.6"];
        let files = [
            ld,
            c,
            ("usr/bin/draw", Elf { interpreter: LOADER, needed, ..Elf::default() }),
            ("usr/lib/x86_64-linux-gnu/libfontconfig.so.1", Elf::default()),
        ];
        let fonts = "usr/share/fonts/truetype/dejavu/";
        let words = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "README"]
            .map(|name| format!("{fonts}{name}:{} ", "f".repeat(300)))
            .concat();
        let words = MERGED.to_owned()
            + &words
            + "etc/fonts/fonts.conf etc/fonts/conf.d/60.conf->/usr/share/fontconfig/conf.avail/60.conf \
            usr/share/fontconfig/conf.avail/10.conf";
        image(
            layer(&words, &files)
                .entry(TarEntry::file("usr/share/fontconfig/conf.avail/60.conf", ALIASES))
                .entry(TarEntry::file("usr/share/fonts/truetype/huge.ttf", "x".repeat(100_000)))
                .entry(TarEntry::file("ballast", "x".repeat(30_000))),
        )
    }

    const USES: &str = "exec:/usr/bin/draw /ballast";

    #[test]
    fn hard_36_a_program_that_may_draw_text_keeps_the_settings_of_fonts_and_the_default_faces() {
        let kept = pictures("libfontconfig.so.1").uses(USES).by(Rule::Fonts);
        let expected = [
            "/etc/fonts/fonts.conf",
            "/usr/share/fontconfig/conf.avail/60.conf",
            "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
            "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
        ];
        assert_eq!(kept, expected);
        assert_eq!(pictures("libc.so.6").uses(USES).by(Rule::Fonts), [""; 0]);
        let none = pictures("libfontconfig.so.1").uses(USES).policy(|policy| {
            policy.generalize = Generalize::None;
        });
        assert_eq!(none.by(Rule::Fonts), [""; 0]);
    }

    #[test]
    fn hard_36_a_workload_that_asked_for_a_font_keeps_the_others_as_far_as_they_cost_little() {
        let asked = pictures("libfontconfig.so.1").uses(USES).uses("readdir:/usr/share/fonts/truetype");
        let kept = asked.by(Rule::Fonts);
        assert!(
            kept.contains(&"/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf".to_owned()),
            "{kept:?}"
        );
        assert!(!kept.iter().any(|path| path.ends_with("huge.ttf") || path.ends_with("README")), "{kept:?}");
    }

    #[test]
    fn the_first_installed_family_that_is_preferred_is_chosen_by_its_plain_face() {
        let fonts = ["/f/NotoSans-Bold.ttf", "/f/LiberationSans-Regular.ttf", "/f/DejaVuSans.ttf"];
        let fonts = fonts.map(crate::fixture::path);
        assert_eq!(super::first_choices(ALIASES, &fonts), [&fonts[2], &fonts[1]]);
        assert_eq!(super::first_choices("<alias><family>serif", &fonts), [&fonts[0]; 0]);
        assert!(super::is_plain(&fonts[1], "Liberation Sans") && !super::is_plain(&fonts[0], "Noto Sans"));
    }
}
