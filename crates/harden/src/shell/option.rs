//! Commands that another command starts because of its options: `tar -z` runs `gzip`.

/// From the words of a command, as far as they are known, to what it starts.
type Starts = fn(&[Option<&str>]) -> Vec<String>;

/// Commands whose options start others.
const CALLERS: [(&str, Starts); 4] = [("bsdtar", tar), ("gtar", tar), ("sort", sort), ("tar", tar)];

/// What tar's options start. Source: the manual of GNU tar, "Creating and Reading Compressed Archives".
const COMPRESSORS: [(char, &[&str], &str); 8] = [
    ('z', &["--gzip", "--gunzip", "--ungzip"], "gzip"),
    ('j', &["--bzip2"], "bzip2"),
    ('J', &["--xz"], "xz"),
    ('Z', &["--compress", "--uncompress"], "compress"),
    ('\0', &["--lzip"], "lzip"),
    ('\0', &["--lzma"], "lzma"),
    ('\0', &["--lzop"], "lzop"),
    ('\0', &["--zstd"], "zstd"),
];
/// What tar starts for an archive of this name, with `--auto-compress` and wherever it reads one.
const ENDINGS: [(&[&str], &str); 7] = [
    (&[".gz", ".tgz", ".taz"], "gzip"),
    (&[".bz2", ".tbz", ".tbz2", ".tz2"], "bzip2"),
    (&[".xz", ".txz"], "xz"),
    (&[".lz"], "lzip"),
    (&[".lzma", ".tlz"], "lzma"),
    (&[".lzo"], "lzop"),
    (&[".zst", ".tzst"], "zstd"),
];
/// Letters of tar whose argument is the rest of the word or the next one.
const TAR_TAKES: &str = "bCfFgHIKLNTVX";

/// The commands that a command of this name starts; `None` in `words` is an argument that only running would tell.
pub(super) fn started(name: &str, words: &[Option<&str>]) -> Vec<String> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let caller = CALLERS.iter().find(|(caller, _)| *caller == name);
    caller.map(|(_, read)| read(words)).unwrap_or_default()
}

fn tar(words: &[Option<&str>]) -> Vec<String> {
    let mut out: Vec<String> = chosen(words, &["-I", "--use-compress-program"]).into_iter().collect();
    for (at, word) in words.iter().enumerate() {
        let Some(word) = word else { continue };
        // The letters of the first word need no dash; their arguments follow in words of their own.
        let is_bundle = at == 0 && !word.starts_with('-');
        for (letter, long, command) in COMPRESSORS {
            if (is_bundle && word.contains(letter)) || has_letter(word, letter) || long.contains(word) {
                out.push(command.to_owned());
            }
        }
        let by_name = ENDINGS.iter().find(|(endings, _)| endings.iter().any(|end| word.ends_with(end)));
        out.extend(by_name.map(|(_, command)| (*command).to_owned()));
    }
    out
}

fn sort(words: &[Option<&str>]) -> Vec<String> {
    chosen(words, &["--compress-program"]).into_iter().collect()
}

/// Whether a word of short options has this one: what stands behind a letter that takes an argument is none.
fn has_letter(word: &str, letter: char) -> bool {
    let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.starts_with('-')) else {
        return false;
    };
    letters.chars().take_while(|at| !TAR_TAKES.contains(*at)).any(|at| at == letter)
}

/// The command in the argument of one of these options; it may have arguments of its own.
fn chosen(words: &[Option<&str>], options: &[&str]) -> Option<String> {
    let line = words.iter().enumerate().find_map(|(at, word)| {
        let word = (*word)?;
        options.iter().find_map(|option| match word.strip_prefix(option)? {
            "" => *words.get(at + 1)?,
            rest if option.starts_with("--") => rest.strip_prefix('='),
            rest => Some(rest),
        })
    })?;
    line.split_ascii_whitespace().next().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use crate::shell::commands;

    #[test]
    fn hard_47_what_options_call_is_told_from_what_they_only_name() {
        for (text, expected) in [
            ("tar -cz -f \"$1\" -C / data", &["tar", "gzip"][..]),
            ("tar czf - .", &["tar", "gzip"]),
            ("exec tar -xjf a", &["tar", "bzip2"]),
            ("/bin/tar --xz -cf a b", &["/bin/tar", "xz"]),
            ("tar --zstd -x; tar -cJ", &["tar", "zstd", "xz"]),
            ("tar -I 'zstd -19' -cf a b", &["tar", "zstd"]),
            ("tar -Ipigz -cf a b", &["tar", "pigz"]),
            ("tar --use-compress-program=lz4 -cf a", &["tar", "lz4"]),
            ("tar --use-compress-program lz4 -cf a", &["tar", "lz4"]),
            ("tar -xf backup.tar.gz", &["tar", "gzip"]),
            ("tar -cf z -C J .", &["tar"]),
            ("tar -fz -c .", &["tar"]),
            ("tar cf jar.tar jazz", &["tar"]),
            ("sort --compress-program=gzip a", &["sort", "gzip"]),
            ("sort -z a.gz", &["sort"]),
            ("echo tar -z", &[]),
        ] {
            assert_eq!(commands(text), expected, "{text}");
        }
    }
}
