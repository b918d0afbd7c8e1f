//! What a Go program says of its modules and of the compiler.
//!
//! The linker writes a header, `\xff Go buildinf:`, at the start of the section `.go.buildinfo`: since Go 1.18 two
//! strings with their lengths follow it, before that two pointers to strings. The first names the version of Go, the
//! second lists the modules. Everything comes from there; a program compressed by UPX has none that can be seen.
//!
//! Source: Go's `debug/buildinfo` and `runtime/debug`; `go version -m`.

use super::elf::Elf;
use super::found::{Content, Findings, Found};
use crate::{Ecosystem, purl};

const SECTION: &str = ".go.buildinfo";
const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGNMENT: usize = 16;
const HEADER_BYTES: usize = 32;
/// The header lies within the first bytes of the data, where there are no section names.
const MAX_DATA_BYTES: u64 = 1 << 20;
/// The module lists of the largest programs have some 200 KiB.
const MAX_TEXT_BYTES: u64 = 8 << 20;
const MAX_MODULES: usize = 20_000;

/// The two strings of a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct BuildInfo {
    /// `go1.22.1`.
    version: String,
    /// One line for each module and setting.
    modules: String,
}

/// The modules built into this program, and Go's standard library; nothing for programs that Go did not build.
pub(super) fn examine(elf: &Elf, content: &mut dyn Content) -> Findings {
    let Some(info) = build_info(elf, content) else { return Findings::default() };
    Findings { found: components(&info), problems: Vec::new() }
}

pub(crate) fn build_info(elf: &Elf, content: &mut dyn Content) -> Option<BuildInfo> {
    let data = elf.section(content, SECTION, MAX_TEXT_BYTES).or_else(|| elf.data(content, MAX_DATA_BYTES))?;
    let at = (0..data.len()).step_by(ALIGNMENT).find(|&at| data[at..].starts_with(MAGIC))?;
    let header = data.get(at..at + HEADER_BYTES)?;
    let (pointer_bytes, flags) = (header[14], header[15]);
    let (version, modules) = if flags & 2 != 0 {
        let mut rest = &data[at + HEADER_BYTES..];
        (counted(&mut rest)?, counted(&mut rest)?)
    } else {
        let is_big = flags & 1 != 0;
        let mut text = |at: usize| pointed(elf, content, header.get(at..)?, pointer_bytes, is_big);
        (text(16)?, text(16 + usize::from(pointer_bytes))?)
    };
    // The list stands between two marks of 16 bytes, by which a running program finds it.
    let framed = modules.len() >= 33 && modules[modules.len() - 17] == b'\n';
    let modules = if framed { &modules[16..modules.len() - 16] } else { &[][..] };
    Some(BuildInfo {
        version: String::from_utf8_lossy(&version).into_owned(),
        modules: String::from_utf8_lossy(modules).into_owned(),
    })
}

/// A string after its length, a varint.
fn counted(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut length = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let length = usize::try_from(length).ok()?;
            let text = rest.get(..length)?.to_vec();
            *rest = &rest[length..];
            return Some(text);
        }
    }
    None
}

/// A string by a pointer to its address and length.
fn pointed(elf: &Elf, content: &mut dyn Content, pointer: &[u8], bytes: u8, is_big: bool) -> Option<Vec<u8>> {
    let number = |at: &[u8]| {
        let at = at.get(..usize::from(bytes))?;
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if is_big { at.iter().fold(0, add) } else { at.iter().rev().fold(0, add) })
    };
    if bytes != 4 && bytes != 8 {
        return None;
    }
    let header = elf.at_address(content, number(pointer)?, u64::from(bytes) * 2)?;
    let (address, length) = (number(&header)?, number(&header[usize::from(bytes)..])?);
    if length == 0 {
        return Some(Vec::new());
    }
    (length <= MAX_TEXT_BYTES).then(|| elf.at_address(content, address, length))?
}

impl BuildInfo {
    /// Under which import paths a package of this module stands in the program. Where another module was put in a module's
    /// place, its packages keep the import paths of the one that they replace; the program's own package is `main`.
    pub(crate) fn paths_in_program(&self, module: &str, package: &str) -> Vec<String> {
        let mut paths = vec![package.to_owned()];
        let mut last = "";
        for line in self.modules.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["path", path] if path == package => paths.push("main".to_owned()),
                ["mod" | "dep", path, ..] => last = path,
                ["=>", path, ..] if path == module && path != last => {
                    let rest =
                        package.strip_prefix(path).filter(|rest| rest.is_empty() || rest.starts_with('/'));
                    paths.extend(rest.map(|rest| format!("{last}{rest}")));
                }
                _ => {}
            }
        }
        paths
    }
}

fn components(info: &BuildInfo) -> Vec<Found> {
    let mut modules: Vec<(String, String)> = Vec::new();
    let mut main: Option<(String, String)> = None;
    let (mut path, mut settings) = ("", Vec::new());
    let mut last_is_main = false;
    for line in info.modules.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["path", found] => path = found,
            ["mod", path, version, ..] => {
                main = Some((path.to_owned(), version.to_owned()));
                last_is_main = true;
            }
            ["dep", path, version, ..] if modules.len() < MAX_MODULES => {
                modules.push((path.to_owned(), version.to_owned()));
                last_is_main = false;
            }
            // The line before is replaced by this one. A directory has no version; its module keeps the name.
            ["=>", path, version, ..] => {
                let replaced = if last_is_main { main.as_mut() } else { modules.last_mut() };
                if let Some(replaced) = replaced.filter(|_| !path.starts_with(['.', '/'])) {
                    *replaced = (path.to_owned(), version.to_owned());
                }
            }
            ["build", setting] => settings.extend(setting.split_once('=')),
            _ => {}
        }
    }
    let standard =
        info.version.split_whitespace().find_map(|word| word.strip_prefix("go")).unwrap_or_default();
    let standard = (!standard.is_empty()).then(|| ("stdlib".to_owned(), standard.to_owned()));
    let main = main.map(|(path, version)| {
        let version = if version == "(devel)" { main_version(&settings) } else { Some(version) };
        (path, version.unwrap_or_default())
    });
    let program = (path == "cmd/go").then(|| ("cmd/go".to_owned(), String::new()));
    let all = main.into_iter().chain(program).chain(modules).chain(standard);
    all.filter(|(path, _)| path != "command-line-arguments")
        .filter_map(|(path, version)| {
            let version = if version == "(devel)" { String::new() } else { version };
            // Module paths tell upper from lower case, and so do advisories, whatever the purl specification says.
            let names: Vec<&str> = path.split('/').collect();
            let purl = purl::of("golang", &names, &version, &[]);
            Found::new(Ecosystem::Go, &path, &version, purl)
        })
        .collect()
}

/// The version of the main module, where the build did not know it: what the linker was told to write into a variable
/// that is called version, or else the revision, written as Go writes versions without a tag.
fn main_version(settings: &[(&str, &str)]) -> Option<String> {
    let setting = |name: &str| settings.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
    let flags = setting("-ldflags").map(|flags| flags.trim_matches('"')).unwrap_or_default();
    for word in flags.split(|letter: char| letter.is_whitespace() || letter == '\'' || letter == '"') {
        let Some((variable, value)) = word.split_once('=') else { continue };
        let name = variable.rsplit(['.', '/']).next().unwrap_or(variable).to_ascii_lowercase();
        let number = value.strip_prefix('v').unwrap_or(value);
        let is_version = number.split('.').count() >= 3
            && number.bytes().next().is_some_and(|first| first.is_ascii_digit())
            && number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte));
        if name.ends_with("version") && !name.contains("go") && is_version {
            return Some(format!("v{number}"));
        }
    }
    let revision = setting("vcs.revision")?.get(..12)?;
    let time: String = setting("vcs.time")?.bytes().filter(u8::is_ascii_digit).map(char::from).collect();
    (time.len() == 14).then(|| format!("v0.0.0-{time}-{revision}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purls(version: &str, modules: &str) -> Vec<String> {
        let info = BuildInfo { version: version.into(), modules: modules.into() };
        components(&info).into_iter().map(|found| found.purl).collect()
    }

    #[test]
    fn modules_are_named_as_they_were_built_in() {
        let modules = "path\texample.com/app/cmd\nmod\texample.com/app\tv1.2.3\th1:x\ndep\ta.b/C\tv1.0.0+incompatible\th1:y\n\
                       dep\td.e/f\tv1.0.0\n=>\tg.h/f\tv1.1.0\th1:z\ndep\tlocal.x/y\tv0.1.0\n=>\t./y\t(devel)\t\n";
        assert_eq!(
            purls("go1.22.1 X:nocoverageredesign", modules),
            [
                "pkg:golang/example.com/app@v1.2.3",
                "pkg:golang/a.b/C@v1.0.0%2Bincompatible",
                "pkg:golang/g.h/f@v1.1.0",
                "pkg:golang/local.x/y@v0.1.0",
                "pkg:golang/stdlib@1.22.1",
            ]
        );
        assert_eq!(purls("devel go1.23-abcdef Tue", ""), ["pkg:golang/stdlib@1.23-abcdef"]);
        assert_eq!(purls("", "nonsense\tx"), [""; 0]);
    }

    #[test]
    fn a_main_module_without_a_version_has_what_the_build_says() {
        let of = |settings: &str| {
            let modules = format!("mod\tm.x/y\t(devel)\t\n{settings}");
            purls("", &modules).remove(0)
        };
        let vcs = "build\tvcs.revision=0123456789abcdef0123\nbuild\tvcs.time=2024-02-03T04:05:06Z\n";
        assert_eq!(of(vcs), "pkg:golang/m.x/y@v0.0.0-20240203040506-0123456789ab");
        let flags = format!(
            "build\t-ldflags=\"-s -X 'm.x/y/version.GoVersion=1.22.1' -X main.Version=v3.1.4\"\n{vcs}"
        );
        assert_eq!(of(&flags), "pkg:golang/m.x/y@v3.1.4");
        assert_eq!(of(""), "pkg:golang/m.x/y");
        assert_eq!(
            of("build\tvcs.revision=\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}x\nbuild\tvcs.time=1\n"),
            "pkg:golang/m.x/y"
        );
    }

    #[test]
    fn a_replaced_module_keeps_its_import_paths_and_the_program_is_main() {
        let modules =
            "path\tm.x/app/cmd\nmod\tm.x/app\tv1.0.0\ndep\ta.b/c\tv1.0.0\n=>\tfork.x/c\tv1.1.0\th1:z\n";
        let info = BuildInfo { version: String::new(), modules: modules.into() };
        assert_eq!(info.paths_in_program("fork.x/c", "fork.x/c/d"), ["fork.x/c/d", "a.b/c/d"]);
        assert_eq!(info.paths_in_program("fork.x/c", "fork.x/cd"), ["fork.x/cd"]);
        assert_eq!(info.paths_in_program("m.x/app", "m.x/app/cmd"), ["m.x/app/cmd", "main"]);
        assert_eq!(info.paths_in_program("stdlib", "net/http"), ["net/http"]);
    }

    #[test]
    fn lengths_that_lie_give_nothing() {
        assert_eq!(counted(&mut &b"\x02ab"[..]), Some(b"ab".to_vec()));
        for bytes in [&b""[..], b"\x03ab", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80"] {
            assert_eq!(counted(&mut &bytes[..]), None);
        }
    }
}
