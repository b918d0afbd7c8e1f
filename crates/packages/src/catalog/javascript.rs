//! JavaScript libraries for browsers that lie among the files of an application, where no package manager put them.
//!
//! A library says its name and version in a comment that survives minifying (`/*! jQuery v3.4.1 | …`), in the name of its
//! file (`jquery-3.4.1.min.js`), or in that of a directory (`/jquery/3.4.1/jquery.min.js`). The comment is believed
//! before the names. Of the few that say it in their code alone, the pattern is asked only where file or comment
//! name the library. What lies below `node_modules` has a manifest that knows better.

mod libraries;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::OnceLock;

use image::ImagePath;
use memchr::memmem::Finder;
use regex::bytes::Regex;

pub(crate) use self::libraries::retire;
use self::libraries::{LIBRARIES, Library};
use super::found::{Content, Findings, Found};
use crate::{Ecosystem, Limits, purl};

/// How much of a comment is looked at, how much of a file at once, and how much of that again with what follows.
const COMMENT_BYTES: usize = 1 << 10;
const CHUNK_BYTES: usize = 1 << 20;
/// Comments of one file that are looked at.
const MAX_COMMENTS: usize = 20_000;
/// Lines of a comment in which its version may stand.
const COMMENT_LINES: usize = 12;
/// Words between a title and its version.
const FILLERS: [&str; 12] = [
    "javascript",
    "js",
    "library",
    "framework",
    "editor",
    "version",
    "lib",
    "plugin",
    "utility",
    "core",
    "release",
    "full",
];
/// What a build appends to the name of a library's file.
const BUILDS: [&str; 16] = [
    "min",
    "slim",
    "prod",
    "production",
    "dev",
    "development",
    "debug",
    "bundle",
    "umd",
    "esm",
    "cjs",
    "global",
    "compressed",
    "packed",
    "pack",
    "all",
];

/// Whether this may be such a library: a script that no `node_modules` above it describes.
pub(super) fn is_script(path: &ImagePath, name: &str) -> bool {
    (name.ends_with(".js") || name.ends_with(".mjs"))
        && !path.components().any(|part| part == b"node_modules")
}

/// The libraries in a script: several where they were put together to one file.
pub(super) fn examine(path: &ImagePath, content: &mut dyn Content, limits: &Limits) -> Findings {
    let (named, mut version) = match of_path(&path.to_text()) {
        Some((library, version)) => (Some(library), version),
        None => (None, None),
    };
    let mut found: BTreeMap<&'static str, String> = BTreeMap::new();
    // Libraries that are named, and whose version only their code says.
    let mut open: Vec<&'static Library> = named.into_iter().collect();
    let mut left = MAX_COMMENTS;
    let mut is_first = true;
    let mut content = content.take(limits.manifest_bytes);
    let mut window: Vec<u8> = Vec::new();
    loop {
        let before = window.len();
        if let Err(error) = content.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut window) {
            return Findings::problem(format!("cannot read it: {error}"));
        }
        if window.len() == before {
            break;
        }
        let is_last = window.len() - before < CHUNK_BYTES;
        for comment in comments(&window, is_last, &mut left) {
            if std::mem::take(&mut is_first) && version.is_none() && named.is_some() {
                version = untitled(comment);
            }
            match banner(comment) {
                Some((library, Some(version))) => drop(found.entry(library.name).or_insert(version)),
                Some((library, None)) if !open.iter().any(|known| known.name == library.name) => {
                    open.push(library);
                }
                _ => {}
            }
        }
        for library in &open {
            if !found.contains_key(library.name)
                && let Some(version) = of_code(library, &window)
            {
                found.insert(library.name, version);
            }
        }
        window.drain(..window.len().saturating_sub(COMMENT_BYTES + 2));
    }
    if let (Some(library), Some(version)) = (named, version.take()) {
        found.entry(library.name).or_insert(version);
    }
    let found = found.into_iter().filter_map(|(name, version)| {
        let names: Vec<&str> = name.split('/').collect();
        Found::new(Ecosystem::Javascript, name, &version, purl::of("npm", &names, &version, &[]))
    });
    Findings { found: found.collect(), problems: Vec::new() }
}

/// The comments of a text, from behind their sign, cut short. Unless the text is the last of its file, those that may go on
/// behind its end are left for the next one.
fn comments<'t>(text: &'t [u8], is_last: bool, left: &mut usize) -> Vec<&'t [u8]> {
    static SIGN: OnceLock<Finder<'static>> = OnceLock::new();
    static LINE: OnceLock<Finder<'static>> = OnceLock::new();
    let mut all = Vec::new();
    let mut add = |at: usize| {
        if *left == 0 || !is_last && at + COMMENT_BYTES > text.len() {
            return;
        }
        *left -= 1;
        all.push(&text[at..text.len().min(at + COMMENT_BYTES)]);
    };
    SIGN.get_or_init(|| Finder::new(b"/*")).find_iter(text).for_each(|at| add(at + 2));
    // Line comments only where a file or a line begins with one: elsewhere they are addresses.
    for at in LINE.get_or_init(|| Finder::new(b"//")).find_iter(text) {
        if at == 0 || text[at - 1] == b'\n' {
            add(at + 2);
        }
    }
    all
}

/// The library that a comment introduces, and its version.
fn banner(comment: &[u8]) -> Option<(&'static Library, Option<String>)> {
    let end = memchr::memmem::find(comment, b"*/").unwrap_or(comment.len());
    let text = String::from_utf8_lossy(&comment[..end]).to_lowercase();
    let mut lines = text.lines().map(bare).filter(|line| !line.is_empty()).take(COMMENT_LINES);
    let (library, rest) = lines.by_ref().take(3).find_map(title)?;
    let mut rest = rest.trim_start_matches([' ', ',', '-', ':', '–', '(']);
    if let Some(version) = leading_version(rest) {
        // All parts of React have its title, and the file's name in the next line.
        let file = lines.next().filter(|line| library.name == "react" && line.ends_with(".js"));
        let library = file.map_or(Some(library), |file| Some(of_path(&format!("/{file}"))?.0))?;
        return Some((library, Some(version)));
    }
    let mut is_alone = rest.is_empty();
    while let Some(word) = FILLERS.iter().find(|word| starts_with_word(rest, word)) {
        rest = rest[word.len()..].trim_start_matches([' ', ',', '-', ':', '(']);
        if let Some(version) = leading_version(rest) {
            return Some((library, Some(version)));
        }
        is_alone |= rest.is_empty();
    }
    // A title with other words behind it is the title of something else, unless a link or what it is follows.
    // `Lodash <https://lodash.com/>`, `marked - a markdown parser`.
    let is_told = ["<", "|", "http", "a "].iter().any(|start| rest.starts_with(start))
        || library.files.split(' ').any(|file| rest.starts_with(file));
    if !(is_alone || is_told) {
        return None;
    }
    Some((library, lines.find_map(line_of_version)))
}

/// `Version: 1.2.3`, `@version 1.2.3`, `v1.2.3` in a line of its own.
fn line_of_version(line: &str) -> Option<String> {
    let line = line.strip_prefix('@').unwrap_or(line);
    let rest = line.strip_prefix("version").or_else(|| line.strip_prefix('v').map(|_| line))?;
    leading_version(rest.trim_start_matches([' ', ':', '=']))
}

/// The version that a comment without a title says of the file.
fn untitled(comment: &[u8]) -> Option<String> {
    let end = memchr::memmem::find(comment, b"*/").unwrap_or(comment.len());
    let text = String::from_utf8_lossy(&comment[..end]).to_lowercase();
    text.lines().map(bare).take(COMMENT_LINES).find_map(line_of_version)
}

/// A line without what comments are framed in, and without tags that introduce a title.
fn bare(line: &str) -> &str {
    let mut line = line.trim_start_matches(|sign: char| sign.is_whitespace() || "*!/=-#".contains(sign));
    for tag in ["@license", "@preserve", "@overview", "@file", "@name", "license"] {
        line = line.strip_prefix(tag).unwrap_or(line).trim_start_matches([' ', ':', '\t']);
    }
    line.trim_end()
}

/// The library whose title begins a line, the longest one, and what follows.
fn title(line: &str) -> Option<(&'static Library, &str)> {
    let all =
        LIBRARIES.iter().flat_map(|library| library.titles.split('|').map(move |title| (library, title)));
    let of_line = all.filter(|(_, title)| starts_with_word(line, title));
    let (library, title) = of_line.max_by_key(|(_, title)| title.len())?;
    Some((library, &line[title.len()..]))
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| {
        let next = rest.chars().next();
        // `react-select` is another library than `react`.
        !next.is_some_and(|next| next.is_alphanumeric() || matches!(next, '_' | '.' | '-' | '/' | '@'))
    })
}

/// A version at the beginning of a text, with or without a `v`.
fn leading_version(text: &str) -> Option<String> {
    static VERSION: OnceLock<regex::Regex> = OnceLock::new();
    let version = VERSION.get_or_init(|| {
        regex::Regex::new(r"^(?:version:? *|v\.? ?)?(\d{1,4}\.\d{1,4}(?:\.\d{1,5}){0,2}(?:[-.]?(?:alpha|beta|rc|pre)[-.]?\d*(?:\.\d+)?)?)(?:[^\w.]|\.(?:\s|$)|$)")
            .expect("a pattern of ours is right")
    });
    version.captures(text).map(|found| found[1].to_owned())
}

/// The library that a path names, and the version in it.
fn of_path(path: &str) -> Option<(&'static Library, Option<String>)> {
    let path = path.to_lowercase();
    let (directories, name) = path.rsplit_once('/')?;
    let mut stem = name.strip_suffix(".js").or_else(|| name.strip_suffix(".mjs"))?;
    while let Some(shorter) = BUILDS.iter().find_map(|build| {
        let rest = stem.strip_suffix(build)?;
        rest.strip_suffix(['.', '-'])
    }) {
        if of_stem(stem).is_some() {
            break;
        }
        stem = shorter;
    }
    if let Some(library) = of_stem(stem) {
        let above = directories.rsplit('/').take(4);
        let version = above.filter_map(|part| part.rsplit('@').next()).find_map(|part| {
            let version = leading_version(part)?;
            part.ends_with(&version).then_some(version)
        });
        return Some((library, version));
    }
    // `jquery-3.4.1`, `moment.2.29.1`.
    let at = stem.char_indices().find(|(at, letter)| {
        matches!(letter, '-' | '.' | '_' | '@')
            && stem[at + 1..].starts_with(|next: char| next.is_ascii_digit())
    })?;
    let version = leading_version(&stem[at.0 + 1..])?;
    Some((of_stem(&stem[..at.0])?, Some(version)))
}

fn of_stem(stem: &str) -> Option<&'static Library> {
    LIBRARIES.iter().find(|library| library.files.split(' ').any(|file| file == stem))
}

/// The version that a library's own code says.
fn of_code(library: &Library, text: &[u8]) -> Option<String> {
    static PATTERNS: OnceLock<BTreeMap<&'static str, Regex>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        let coded = LIBRARIES.iter().filter(|library| !library.code.is_empty());
        let pattern = |code: &str| Regex::new(&format!("(?-u){code}")).expect("a pattern of ours is right");
        coded.map(|library| (library.name, pattern(library.code))).collect()
    });
    let found = patterns.get(library.name)?.captures(text)?;
    let parts: Vec<&str> =
        (1..found.len()).filter_map(|at| std::str::from_utf8(found.get(at)?.as_bytes()).ok()).collect();
    // What three.js calls revision 100 is 0.100.0 for everybody else.
    Some(if library.name == "three" { format!("0.{}.0", parts.concat()) } else { parts.join(".") })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let path = ImagePath::from_absolute(path.as_bytes()).unwrap();
        let found = examine(&path, &mut Cursor::new(text.as_bytes()), &Limits::default()).found;
        found.into_iter().map(|found| found.purl.trim_start_matches("pkg:npm/").to_owned()).collect()
    }

    #[test]
    fn a_library_is_known_by_the_comment_at_its_head() {
        for (text, expected) in [
            ("/*! jQuery v3.4.1 | (c) somebody */\n!function(){}", "jquery@3.4.1"),
            ("/*!\n * jQuery JavaScript Library v1.12.4\n * http://jquery.com/\n */", "jquery@1.12.4"),
            ("/*! jQuery UI - v1.12.1 - 2016-09-14\n* http://jqueryui.com */", "jquery-ui@1.12.1"),
            ("/*! jQuery Migrate - v1.2.1 - 2013-05-08 */", "jquery-migrate@1.2.1"),
            ("/*!\n  * Bootstrap v4.1.3 (https://getbootstrap.com/)\n  */", "bootstrap@4.1.3"),
            ("/**\n * @license AngularJS v1.5.8\n */", "angular@1.5.8"),
            ("/*\n AngularJS v1.6.0-rc.1\n*/", "angular@1.6.0-rc.1"),
            ("/*!\n * Vue.js v2.6.11\n */", "vue@2.6.11"),
            ("//! moment.js\n//! version : 2.18.1\n//! authors", "moment@2.18.1"),
            ("/** @license React v16.13.1\n * react.production.min.js\n */", "react@16.13.1"),
            ("/*  Prototype JavaScript framework, version 1.7.3\n */", "prototype@1.7.3"),
            ("/*! @license DOMPurify 2.3.3 | (c) */", "dompurify@2.3.3"),
            ("/*!\n\n handlebars v4.0.5\n\n*/", "handlebars@4.0.5"),
            ("/* axios v0.19.0 | (c) */", "axios@0.19.0"),
            ("/*!\n * Chart.js\n * http://chartjs.org/\n * Version: 2.7.1\n */", "chart.js@2.7.1"),
            ("//     Underscore.js 1.8.3\n//     http://underscorejs.org", "underscore@1.8.3"),
            ("/*!\n\nJSZip v3.1.5 - A library\n*/", "jszip@3.1.5"),
            (
                "/**\n * @license\n * Lodash <https://lodash.com/>\n */;(function(){var VERSION = '4.17.15';",
                "lodash@4.17.15",
            ),
            (
                "/**\n * @license\n * Lodash lodash.com/license | x\n */;n.VERSION=\"4.17.15\";",
                "lodash@4.17.15",
            ),
            ("/** @license React v16.13.1\n * react-dom.production.min.js\n */", "react-dom@16.13.1"),
            ("/*! @license DOMPurify | github.com/cure53/DOMPurify/blob/2.0.7/LICENSE */", "dompurify@2.0.7"),
        ] {
            assert_eq!(found("/app/static/site.js", text), [expected], "{text}");
        }
    }

    #[test]
    fn what_only_speaks_of_a_library_is_not_it() {
        for text in [
            "/*! jQuery Cookie Plugin v1.4.0 */",
            "/* jquery-ui-timepicker-addon v1.6.3 */",
            "/*! react-select v1.2.0 */",
            "/* Bootstrap theme for DataTables v1.2.3 */",
            "var text = 'jQuery v3.4.1';",
            "x = 1; // jQuery v3.4.1",
            "/* requires jQuery v1.7 or later */",
            "/* jQuery UI */",
            "/*! jQuery vfoo */",
            "/** @license React v16.13.1\n * react-is.production.min.js\n */",
            "/* Bootstrap theme of ours\n * v1.2.3 */",
        ] {
            assert_eq!(found("/app/static/site.js", text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_library_is_known_by_its_file_and_its_directory() {
        for (path, expected) in [
            ("/app/static/jquery-3.4.1.min.js", Some("jquery@3.4.1")),
            ("/app/static/jQuery-3.4.1.slim.min.js", Some("jquery@3.4.1")),
            ("/app/jquery/1.9.1/jquery.min.js", Some("jquery@1.9.1")),
            ("/app/vue@2.6.11/dist/vue.js", Some("vue@2.6.11")),
            ("/app/bootstrap-4.0.0-beta.2.bundle.min.js", Some("bootstrap@4.0.0-beta.2")),
            ("/app/static/jquery.min.js", None),
            ("/app/static/jquery-plugin-1.2.3.js", None),
            ("/app/static/jquery-3.4.1.css", None),
            ("/app-2.0/static/site.js", None),
        ] {
            assert_eq!(found(path, "x"), expected.into_iter().collect::<Vec<_>>(), "{path}");
        }
        for (path, text, expected) in [
            (
                "/app/tinymce.min.js",
                "/**\n * Copyright\n *\n * Version: 5.10.0 (2021-10-11)\n */",
                "tinymce@5.10.0",
            ),
            ("/app/purify.min.js", "u.version=\"2.0.7\",u.removed=[]", "dompurify@2.0.7"),
            ("/app/backbone-min.js", ";e.VERSION=\"1.3.3\";", "backbone@1.3.3"),
            ("/app/three.min.js", "l.REVISION=\"100\";", "three@0.100.0"),
        ] {
            assert_eq!(found(path, text), [expected], "{path}");
        }
        // The comment knows better, and of a bundle each library is named.
        let both = "/*! jQuery v3.5.0 */ /*! jQuery UI - v1.13.0 */";
        assert_eq!(found("/app/jquery-3.4.1.js", both), ["jquery@3.5.0", "jquery-ui@1.13.0"]);
    }

    #[test]
    fn a_comment_across_two_chunks_is_found_and_node_modules_are_left_alone() {
        for at in [CHUNK_BYTES - 9, CHUNK_BYTES - 15, CHUNK_BYTES - 16, CHUNK_BYTES, 2 * CHUNK_BYTES - 3] {
            let text = " ".repeat(at) + "/*! jQuery v3.4.1 */" + &" ".repeat(9);
            assert_eq!(found("/app/all.js", &text), ["jquery@3.4.1"], "{at}");
        }
        let is_script = |path: &str| {
            let path = ImagePath::from_absolute(path.as_bytes()).unwrap();
            is_script(&path, std::str::from_utf8(path.name()).unwrap())
        };
        assert!(is_script("/app/x.js"));
        assert!(!is_script("/app/node_modules/a/x.js") && !is_script("/app/x.json"));
    }

    #[test]
    fn every_name_is_its_own_and_every_pattern_is_one() {
        let names: std::collections::BTreeSet<_> = LIBRARIES.iter().map(|library| library.name).collect();
        assert_eq!(names.len(), LIBRARIES.len());
        for library in LIBRARIES {
            assert_eq!(of_code(library, b""), None);
            assert_eq!(library.titles.to_lowercase(), library.titles);
            assert_eq!(library.files.to_lowercase(), library.files);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "(/\\*|\\*/|//|\n|[ v.!a-jé0-3]|jquery|lodash|version ){0,60}") {
            let _ = found("/app/jquery.js", &text);
        }
    }
}
