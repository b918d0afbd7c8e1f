//! Files that are no code.

use std::collections::BTreeSet;
use std::io::Read;

use image::{ImagePath, NodeKind, ReadFileError, ResolutionEnd};
use packages::PackageIndex;

use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Endings of source text, byte code, archives of either, and what compilers and linkers leave.
const CODE_ENDINGS: [&str; 51] = [
    "a", "awk", "bash", "bat", "beam", "c", "cc", "cjs", "class", "cmd", "cpp", "csh", "cxx", "dll", "egg",
    "elc", "erl", "exe", "exs", "gem", "go", "h", "hh", "hpp", "inc", "jar", "java", "jmod", "ko", "la",
    "lua", "luac", "mjs", "node", "o", "php", "phar", "pl", "pm", "ps1", "py", "pyc", "pyo", "pyx", "rb",
    "rs", "sh", "tcl", "war", "wasm", "whl",
];

/// How code begins: ELF, scripts, libraries of objects, Java, WebAssembly, LLVM, Windows programs, a JDK's modules.
const CODE_STARTS: [&[u8]; 9] = [
    b"\x7fELF",
    b"#!",
    b"!<arch>",
    b"!<thin>",
    b"\xca\xfe\xba\xbe",
    b"\xca\xfe\xda\xda",
    b"\xda\xda\xfe\xca",
    b"\0asm",
    b"MZ",
];

/// Directories of which nothing is kept as data: texts for people, translations, what a package manager keeps for
/// itself, caches and logs.
const LEFT_OUT: [&str; 14] = [
    "usr/share/locale",
    "usr/share/i18n",
    "usr/lib/locale",
    "usr/share/help",
    "usr/share/common-licenses",
    "usr/share/licenses",
    "usr/include",
    "var/lib/dpkg",
    "var/lib/apt",
    "var/lib/rpm",
    "usr/lib/sysimage",
    "lib/apk",
    "var/cache",
    "var/log",
];

/// Keeps data files of packages of which something else is kept, and all data files that belong to no package, where
/// the policy says so; with the links to them. Texts for people, translations, caches and package databases stay out.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<(), PlanError> {
    if !scene.policy.keep_data_files {
        return Ok(());
    }
    let alive: BTreeSet<PackageIndex> = draft
        .kept_paths()
        .filter(|path| !packages::is_document(path) && !packages::is_licence(path))
        .flat_map(|path| scene.packages.owners(path))
        .copied()
        .collect();
    let mut links = Vec::new();
    for (path, node) in scene.tree().iter() {
        let owners = scene.packages.owners(path);
        let is_ours = owners.is_empty() || owners.iter().any(|owner| alive.contains(owner));
        if !is_ours || draft.is_kept(path) || is_left_out(path) {
            continue;
        }
        match node.kind {
            NodeKind::File { size_bytes, .. } if is_data(scene, path, size_bytes)? => {
                draft.keep(path, Rule::DataFile, None);
            }
            NodeKind::Symlink { .. } => links.push(path),
            _ => {}
        }
    }
    for link in links {
        let leads_to = scene.tree().resolve(&ImagePath::root(), &link.to_absolute(), true).end;
        if let ResolutionEnd::Found(end) = leads_to
            && draft.reason(&end).is_some_and(|reason| reason.rule == Rule::DataFile)
        {
            draft.keep(link, Rule::DataFile, Some(&end));
        }
    }
    Ok(())
}

fn is_left_out(path: &ImagePath) -> bool {
    let beneath = |directory: &&str| {
        path.as_bytes().strip_prefix(directory.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
    };
    packages::is_document(path) || packages::is_licence(path) || LEFT_OUT.iter().any(beneath)
}

/// Whether a regular file is neither a program, nor a library, nor a script, nor any form of their code.
pub(crate) fn is_data(scene: &Scene<'_>, path: &ImagePath, size_bytes: u64) -> Result<bool, PlanError> {
    if is_code_by_name(path) {
        return Ok(false);
    }
    let mut start = Vec::new();
    if size_bytes > 0 {
        let mut file = scene.image.open_file(path)?.take(8);
        file.read_to_end(&mut start).map_err(|source| ReadFileError::Read { path: path.clone(), source })?;
    }
    Ok(!CODE_STARTS.iter().any(|code| start.starts_with(code)))
}

/// JavaScript is code where Node.js looks for packages, and data elsewhere: browsers get it as it is.
pub(crate) fn is_code_by_name(path: &ImagePath) -> bool {
    let name = path.name().to_ascii_lowercase();
    let Some((stem, ending)) = name.iter().rposition(|&byte| byte == b'.').map(|dot| name.split_at(dot))
    else {
        return false;
    };
    let ending = String::from_utf8_lossy(&ending[1..]);
    let is_library = ending == "so" || stem.windows(4).any(|part| part == b".so.") || stem.ends_with(b".so");
    let is_node = || {
        let names: Vec<&[u8]> = path.components().collect();
        names.iter().any(|name| matches!(*name, b"node_modules" | b"nodejs"))
    };
    CODE_ENDINGS.contains(&&*ending) || is_library || (ending == "js" && is_node())
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{debian, image};
    use testkit::TarEntry;

    fn data(layer: testkit::TarBuilder, uses: &str) -> Vec<String> {
        image(layer).uses(uses).policy(|policy| policy.keep_data_files = true).by(Rule::DataFile)
    }

    #[test]
    fn data_of_packages_that_stay_and_of_no_package_is_kept() {
        let layer = debian(&[
            ("shop", "/usr/bin/shop /usr/share/shop/prices /usr/share/doc/shop/README"),
            ("gone", "/usr/bin/gone /usr/share/gone/data"),
        ])
        .entry(TarEntry::file("srv/www/index.html", "<p>"))
        .entry(TarEntry::symlink("srv/www/home.html", "index.html"))
        .entry(TarEntry::file("usr/share/locale/de/LC_MESSAGES/shop.mo", "text"))
        .entry(TarEntry::file("var/cache/apt/list", "x"));
        let kept = data(layer.clone(), "exec:/usr/bin/shop");
        assert_eq!(kept, ["/srv/www/home.html", "/srv/www/index.html", "/usr/share/shop/prices"]);
        let off = image(layer).uses("exec:/usr/bin/shop").by(Rule::DataFile);
        assert_eq!(off, [""; 0]);
    }

    #[test]
    fn code_in_any_form_is_no_data() {
        let files = [
            ("srv/prog", "\x7fELF"),
            ("srv/script", "#!/bin/sh"),
            ("srv/app.py", "import os"),
            ("srv/App.PYC", "x"),
            ("srv/libx.so.1.2", "text that the linker reads"),
            ("srv/app.jar", "PK"),
            ("srv/node_modules/x/index.js", "x"),
            ("srv/classes", "\0asm"),
            ("srv/static/app.js", "x"),
            ("srv/data.json", "{}"),
            ("srv/empty", ""),
            ("srv/socket.txt", "x"),
            ("srv/mail.source", "x"),
        ];
        let layer = files.iter().fold(debian(&[]).entry(TarEntry::file("a", "")), |tar, (name, text)| {
            tar.entry(TarEntry::file(name, *text))
        });
        let expected =
            ["/srv/data.json", "/srv/empty", "/srv/mail.source", "/srv/socket.txt", "/srv/static/app.js"];
        assert_eq!(data(layer, "/a"), expected);
    }
}
