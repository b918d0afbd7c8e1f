//! What a used part of Erlang needs beside it.
//!
//! An application is a directory `NAME-VERSION` (or `NAME`) with `ebin`, whose modules are loaded when they are first
//! called, and perhaps `priv`, with native code and helpers.

mod beam;

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;

use super::reference::Reference;
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Longest module that is read.
const MAX_MODULE_BYTES: u64 = 16 << 20;
/// Programs of the run time that the emulator starts when it needs them. Compilers and test tools are not among them.
const PROGRAMS: [&[u8]; 10] = [
    b"beam.smp",
    b"dyn_erl",
    b"epmd",
    b"erl",
    b"erl_child_setup",
    b"erlexec",
    b"escript",
    b"heart",
    b"inet_gethost",
    b"start",
];

/// The modules of the image by name.
#[derive(Default)]
pub(crate) struct Modules(std::cell::OnceCell<BTreeMap<Vec<u8>, Vec<ImagePath>>>);

impl Modules {
    fn named(&self, scene: &Scene<'_>, name: &[u8]) -> &[ImagePath] {
        let all = self.0.get_or_init(|| {
            let mut out: BTreeMap<Vec<u8>, Vec<ImagePath>> = BTreeMap::new();
            for (path, _) in scene.tree().iter() {
                if let Some(name) = path.name().strip_suffix(b".beam") {
                    out.entry(name.to_vec()).or_default().push(path.clone());
                }
            }
            out
        });
        all.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Keeps what newly kept files need beside them: of a module, its application's description, native code and helpers;
/// of a module that no recorded run loaded, the modules of the same application that it names; of the emulator, its
/// helpers, boot files and releases.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    for path in fresh {
        let is_module = path.name().ends_with(b".beam");
        let is_emulator = matches!(path.name(), b"beam.smp" | b"erlexec");
        if !(is_module || is_emulator) || !scene.is_in_use(draft, path) {
            continue;
        }
        if is_emulator {
            keep_run_time(scene, draft, path);
            continue;
        }
        let Some(ebin) = path.parent().filter(|ebin| ebin.name() == b"ebin") else { continue };
        for (part, _) in scene.tree().children(&ebin).filter(|(part, _)| part.name().ends_with(b".app")) {
            draft.keep(part, Rule::Erlang, Some(path));
        }
        for helper in helpers(scene, &ebin) {
            draft.keep(&helper, Rule::Erlang, Some(path));
        }
        let was_loaded = draft.reason(path).is_some_and(|reason| reason.rule == Rule::Observed);
        if !was_loaded && scene.file_size(path).is_some_and(|size| size <= MAX_MODULE_BYTES) {
            let content = scene.image.read_file(path, MAX_MODULE_BYTES)?;
            let module = beam::read(&content).unwrap_or_default();
            for name in module.imports.iter().chain(&module.atoms) {
                if let Some(sibling) = sibling(scene, &ebin, name) {
                    draft.keep(&sibling, Rule::Erlang, Some(path));
                }
            }
        }
    }
    Ok(())
}

/// Helpers, boot files and releases around `ROOT/erts-VERSION/bin/beam.smp`.
fn keep_run_time(scene: &Scene<'_>, draft: &mut Draft<'_>, emulator: &ImagePath) {
    let Some(programs) = emulator.parent() else { return };
    for (path, _) in scene.tree().children(&programs).filter(|(path, _)| PROGRAMS.contains(&path.name())) {
        draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::Erlang, Some(emulator));
    }
    let Some(root) = programs.ancestors().nth(1) else { return };
    let is_ours = |path: &ImagePath| {
        let name = path.name();
        name.ends_with(b".boot")
            || matches!(name, b"RELEASES" | b"start_erl.data" | b"OTP_VERSION" | b"sys.config")
    };
    for directory in [&b"bin"[..], b"releases"] {
        let Ok(directory) = root.join(directory) else { continue };
        for (path, _) in scene.tree().within(&directory).filter(|(path, _)| is_ours(path)) {
            draft.keep_way(&ImagePath::root(), &path.to_absolute(), Rule::Erlang, Some(emulator));
        }
    }
}

/// Native code and helper programs of the application with this `ebin`.
fn helpers(scene: &Scene<'_>, ebin: &ImagePath) -> Vec<ImagePath> {
    let Some(private) = ebin.parent().and_then(|application| application.join(b"priv").ok()) else {
        return Vec::new();
    };
    let parts = scene.tree().within(&private).map(|(path, _)| path);
    let is_helper = |path: &&ImagePath| path.name().ends_with(b".so") || scene.is_executable(path);
    parts.filter(is_helper).cloned().collect()
}

fn sibling(scene: &Scene<'_>, ebin: &ImagePath, module: &[u8]) -> Option<ImagePath> {
    if module.is_empty() || module.contains(&b'/') || module.contains(&0) {
        return None;
    }
    let path = ebin.join(&[module, b".beam"].concat()).ok()?;
    scene.file_size(&path).map(|_| path)
}

/// The modules that a module calls, and those of its own application that it names at all; `None` for what is no module.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    if !path.name().ends_with(b".beam") {
        return None;
    }
    let module = beam::read(content)?;
    let called = module.imports.iter().flat_map(|name| scene.modules.named(scene, name)).cloned();
    let ebin = path.parent()?;
    let named = module.atoms.iter().filter_map(|name| sibling(scene, &ebin, name));
    Some(called.chain(named).map(Reference::File).collect())
}

/// The rest of the application that a module belongs to: `ebin` and `priv`.
pub(crate) fn unit(scene: &Scene<'_>, path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    if !path.name().ends_with(b".beam") {
        return None;
    }
    let ebin = path.parent().filter(|ebin| ebin.name() == b"ebin")?;
    let private = ebin.parent()?.join(b"priv").ok()?;
    let parts = scene.tree().within(&ebin).chain(scene.tree().within(&private));
    Some(parts.map(|(path, _)| path.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::image;
    use testkit::{TarBuilder, TarEntry};

    #[test]
    fn hard_45_modules_bring_what_they_name_and_their_applications_description() {
        let module = |tar: TarBuilder, (path, imports, atoms): (&str, &[&str], &[&str])| {
            tar.entry(TarEntry::file(path, beam::tests::module("m", imports, atoms)))
        };
        let words = "lib/a-1/ebin/a.app lib/a-1/priv/lib/a.so lib/a-1/priv/page.html lib/b-1/ebin/b.app lib/c-1/ebin/never.app";
        let modules: [(&str, &[&str], &[&str]); 5] = [
            ("lib/a-1/ebin/used.beam", &["other"], &["child"]),
            ("lib/a-1/ebin/child.beam", &["deep"], &[]),
            ("lib/a-1/ebin/deep.beam", &["never"], &[]),
            ("lib/b-1/ebin/other.beam", &["never"], &[]),
            ("lib/c-1/ebin/never.beam", &[], &[]),
        ];
        let tar = modules.into_iter().fold(TarBuilder::from_text(words), module);
        let fixture = image(tar).uses("/lib/a-1/ebin/used.beam");
        assert_eq!(fixture.by(Rule::Reference), ["/lib/a-1/ebin/child.beam", "/lib/b-1/ebin/other.beam"]);
        let expected = [
            "/lib/a-1/ebin/a.app",
            "/lib/a-1/ebin/deep.beam",
            "/lib/a-1/priv/lib/a.so",
            "/lib/b-1/ebin/b.app",
        ];
        assert_eq!(fixture.by(Rule::Erlang), expected);
        let whole = fixture.policy(|policy| policy.generalize = crate::Generalize::Package);
        assert_eq!(whole.by(Rule::Unit), ["/lib/a-1/priv/page.html"]);
    }

    #[test]
    fn hard_45_the_emulator_keeps_its_helpers_and_boot_files() {
        let base = "usr/lib/erlang";
        let words = format!(
            "{base}/erts-13/bin/beam.smp@755 {base}/erts-13/bin/erl_child_setup@755 {base}/erts-13/bin/heart@755 \
             {base}/erts-13/bin/dialyzer@755 {base}/bin/start.boot {base}/bin/no_dot_erlang.boot {base}/bin/ct_run@755 \
             {base}/releases/25/OTP_VERSION {base}/releases/RELEASES"
        );
        let fixture = image(&*words).uses("exec:/usr/lib/erlang/erts-13/bin/beam.smp");
        let expected = [
            "bin/no_dot_erlang.boot",
            "bin/start.boot",
            "erts-13/bin/erl_child_setup",
            "erts-13/bin/heart",
            "releases/25/OTP_VERSION",
            "releases/RELEASES",
        ];
        assert_eq!(fixture.by(Rule::Erlang), expected.map(|path| format!("/{base}/{path}")));
    }
}
