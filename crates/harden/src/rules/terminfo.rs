//! Descriptions of terminals.

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;

const DIRECTORIES: [&str; 3] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"];

/// The terminals that a person is likely to come with.
const TERMINALS: [&str; 13] = [
    "ansi",
    "dumb",
    "linux",
    "rxvt",
    "screen",
    "screen-256color",
    "tmux",
    "tmux-256color",
    "vt100",
    "vt220",
    "xterm",
    "xterm-256color",
    "xterm-color",
];

/// Keeps the common terminals' descriptions, and that of the image's `TERM`, if the workload looked up any.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) {
    let looked_up = scene.profile.paths.keys().any(|path| path.components().any(|name| name == b"terminfo"));
    if looked_up {
        keep_common(scene, draft, Rule::Terminfo);
    }
}

/// Keeps the common terminals' descriptions, and that of the image's `TERM`.
pub(crate) fn keep_common(scene: &Scene<'_>, draft: &mut Draft<'_>, rule: Rule) {
    for directory in DIRECTORIES.iter().filter_map(|directory| scene.find(directory.as_bytes())) {
        for terminal in TERMINALS.iter().chain(scene.environment.get("TERM")) {
            let Some(&initial) = terminal.as_bytes().first() else { continue };
            let file = [&[initial], &b"/"[..], terminal.as_bytes()].concat();
            if draft.find_file(&directory, &file).is_some() {
                draft.keep_way(&directory, &file, rule, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::image;

    #[test]
    fn one_lookup_keeps_the_common_terminals() {
        let words = "a usr/share/terminfo/x/xterm usr/share/terminfo/w/wyse60 usr/share/terminfo/v/vt100";
        let kept = |uses: &str| image(words).uses(uses).by(Rule::Terminfo);
        assert_eq!(kept("/a"), [""; 0]);
        let both = ["/usr/share/terminfo/v/vt100", "/usr/share/terminfo/x/xterm"];
        assert_eq!(kept("/a missing:/etc/terminfo/x/xterm-kitty"), both);
    }
}
