//! Commands of Python packages whose module stays anyway: `flask` beside an application that another server runs.
//!
//! What an installer writes for such a command is a script of a few lines, which imports one function and calls it. It
//! costs nothing where the module of that function is kept, and is what somebody types when the service needs care.

use std::collections::BTreeSet;

use image::ImagePath;
use packages::Package;

use crate::draft::Draft;
use crate::rules::sibling_program::is_plain_program;
use crate::rules::sibling_script::interpreter_in_use;
use crate::scene::Scene;
use crate::{Generalize, PlanError, Rule};

/// Longest such script.
const MAX_SCRIPT_BYTES: u64 = 4096;
/// Directories of commands, in the system and in a virtual environment.
const COMMANDS: [&[u8]; 2] = [b"bin", b"sbin"];

/// Keeps the commands of packages of which a module is in use, if the module that they call is kept.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if scene.policy.generalize < Generalize::References {
        return Ok(());
    }
    let mut found = Vec::new();
    for package in &scene.packages.packages {
        let is_module = |path: &&ImagePath| path.name().ends_with(b".py");
        if !package.files.iter().filter(is_module).any(|path| scene.is_in_use(draft, path)) {
            continue;
        }
        for path in commands(scene, draft, package) {
            let Some((_, interpreter)) = interpreter_in_use(scene, draft, path)? else { continue };
            if package.files.contains(&interpreter) {
                continue; // a tool of the language itself
            }
            let text = scene.text(path)?;
            let module = called_module(&text).and_then(|module| file_of(package, module));
            if let Some(module) = module.filter(|module| draft.is_kept(module)) {
                found.push((path.clone(), module.clone()));
            }
        }
    }
    for (path, module) in found {
        draft.keep(&path, Rule::SiblingProgram, Some(&module));
    }
    Ok(())
}

/// The small commands of a package that would go.
fn commands<'p>(
    scene: &'p Scene<'_>,
    draft: &'p Draft<'_>,
    package: &'p Package,
) -> impl Iterator<Item = &'p ImagePath> {
    package.files.iter().filter(|path| {
        path.parent().is_some_and(|directory| COMMANDS.contains(&directory.name()))
            && scene.file_size(path).is_some_and(|size| size <= MAX_SCRIPT_BYTES)
            && is_plain_program(scene, path)
            && !draft.is_kept(path)
    })
}

/// The module of the function that a script calls: `from flask.cli import main`. Source: the entry points specification
/// of the Python Packaging Authority, "Use for scripts", and the scripts that pip and Debian's tools write for it.
fn called_module(text: &str) -> Option<&str> {
    let mut imports = text.lines().filter_map(|line| line.strip_prefix("from ")?.split_once(" import "));
    let (module, _) = imports.find(|(module, _)| !matches!(*module, "sys" | "re" | "importlib.metadata"))?;
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    module.split('.').all(is_part).then_some(module)
}

/// The file of a module among those of its package.
fn file_of<'p>(package: &'p Package, module: &str) -> Option<&'p ImagePath> {
    let name = module.replace('.', "/");
    let endings = BTreeSet::from([format!("/{name}.py"), format!("/{name}/__init__.py")]);
    package.files.iter().find(|path| {
        let path = path.to_absolute();
        endings.iter().any(|ending| path.ends_with(ending.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::called_module;
    use crate::fixture::{Fixture, image};
    use crate::{Generalize, Rule};
    use testkit::{TarBuilder, TarEntry};

    const SITE: &str = "usr/local/lib/python3.11/dist-packages";
    const USES: &str = "exec:/usr/bin/python3.11 /usr/local/lib/python3.11/dist-packages/shop/__init__.py";

    fn application() -> Fixture {
        let command = |name: &str, module: &str| {
            let text = format!(
                "#!/usr/bin/python3\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom {module} import main\n\
                 if __name__ == '__main__':\n    sys.exit(main())\n"
            );
            TarEntry::file(format!("usr/local/bin/{name}"), text).mode(0o755)
        };
        let record = "shop/__init__.py,,\nshop/cli.py,,\nshop/idle.py,,\n../../../bin/shop,,\n\
            ../../../bin/shop-idle,,\nshop-1.dist-info/RECORD,,\n";
        let other = "other/__init__.py,,\n../../../bin/other,,\nother-1.dist-info/RECORD,,\n";
        let words = "usr/bin/python3.11@755 usr/bin/python3->python3.11 usr/lib/python3.11/os.py";
        let mut layer = TarBuilder::from_text(words)
            .entry(command("shop", "shop.cli"))
            .entry(command("shop-idle", "shop.idle"))
            .entry(command("other", "other"))
            .entry(TarEntry::file(format!("{SITE}/shop/__init__.py"), "from . import cli\n"))
            .entry(TarEntry::file(format!("{SITE}/shop/cli.py"), ""))
            .entry(TarEntry::file(format!("{SITE}/shop/idle.py"), ""))
            .entry(TarEntry::file(format!("{SITE}/other/__init__.py"), ""));
        for (name, record) in [("shop", record), ("other", other)] {
            let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1\n");
            layer = layer
                .entry(TarEntry::file(format!("{SITE}/{name}-1.dist-info/METADATA"), metadata))
                .entry(TarEntry::file(format!("{SITE}/{name}-1.dist-info/RECORD"), record));
        }
        image(layer)
    }

    #[test]
    fn hard_41_a_command_whose_module_stays_anyway_stays_beside_it() {
        assert_eq!(application().uses(USES).by(Rule::SiblingProgram), ["/usr/local/bin/shop"]);
        let none = application().uses(USES).policy(|policy| policy.generalize = Generalize::None);
        assert_eq!(none.by(Rule::SiblingProgram), [""; 0]);
        let not_run = "/usr/local/lib/python3.11/dist-packages/shop/__init__.py";
        assert_eq!(application().uses(not_run).by(Rule::SiblingProgram), [""; 0]);
    }

    #[test]
    fn the_called_module_is_told_from_what_the_script_itself_needs() {
        assert_eq!(called_module("import sys\nfrom flask.cli import main\n"), Some("flask.cli"));
        assert_eq!(called_module("from importlib.metadata import distribution\n"), None);
        assert_eq!(called_module("from . import x\nfrom a.b import c"), None);
        assert_eq!(called_module("print('from x import y')"), None);
    }
}
