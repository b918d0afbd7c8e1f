//! What a name is called whatever the version.

use image::ImagePath;

/// Words between a number and another one that belong to the version too: `1.2rc1`, `1.2.post1`, `3.0-1+deb12u2`.
const VERSION_WORDS: [&[u8]; 8] = [b"alpha", b"beta", b"post", b"rc", b"dev", b"deb", b"ubuntu", b"u"];
/// Shortest hexadecimal hash in a name (webpack's default has 20, and many cut it to 6 or 8).
const MIN_HEX_HASH: usize = 6;
/// Shortest hash of letters and digits in a name (Vite's and Rollup's have 8).
const MIN_MIXED_HASH: usize = 8;
/// Shortest hash in any other alphabet, such as Nix's base 32.
const MIN_LONG_HASH: usize = 20;

/// A name with its versions replaced by `#` and its hashes by `~`: `libfoo.so.#`, `decoder.cpython-#.pyc`, `app.~.js`.
/// Two files of one directory that have the same role in two versions of an image are the same file in two versions.
pub(crate) fn of_name(name: &[u8]) -> Vec<u8> {
    split(name).0
}

/// How far two names of the same role are apart: 2 for each version or hash that differs, and 1 more where a version
/// has more or fewer numbers. `utf_8.cpython-311.pyc` is nearer to `utf_8.cpython-312.pyc` than to
/// `utf_16.cpython-312.pyc`, and `python3.11` is nearer to `python3.12` than to `python3`.
pub(crate) fn distance(name: &[u8], other: &[u8]) -> u32 {
    let numbers = |version: &[u8]| version.split(|byte| !byte.is_ascii_digit()).count();
    let (versions, others) = (split(name).1, split(other).1);
    let pairs = versions.iter().zip(&others).filter(|(version, other)| version != other);
    pairs.map(|(version, other)| 2 + u32::from(numbers(version) != numbers(other))).sum()
}

/// The role of a name, and the versions and hashes that were taken out, in order.
fn split(name: &[u8]) -> (Vec<u8>, Vec<&[u8]>) {
    let mut role = Vec::with_capacity(name.len());
    let mut versions = Vec::new();
    let mut rest = name;
    while let Some(&first) = rest.first() {
        let word = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let begins_word = role.last().is_none_or(|byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'#');
        let (mark, length) = if begins_word && is_hash(&rest[..word]) {
            (b'~', word)
        } else if first.is_ascii_digit() {
            (b'#', version_length(rest))
        } else {
            role.push(first);
            rest = &rest[1..];
            continue;
        };
        role.push(mark);
        versions.push(&rest[..length]);
        rest = &rest[length..];
    }
    (role, versions)
}

/// A path with each of its names replaced so.
pub(crate) fn of_path(path: &ImagePath) -> Vec<u8> {
    path.components().flat_map(|name| [vec![b'/'], of_name(name)].concat()).collect()
}

/// Length of the version that begins with this digit: numbers, what joins them, and the words of versions.
fn version_length(text: &[u8]) -> usize {
    let digits =
        |at: usize| text.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let mut length = digits(0);
    loop {
        let joint = usize::from(text.get(length).is_some_and(|byte| b".-_+~:".contains(byte)));
        let after = text.get(length + joint..).unwrap_or_default();
        let word = VERSION_WORDS.iter().find(|word| after.starts_with(word)).map_or(0, |word| word.len());
        let more = digits(length + joint + word);
        if joint + word == 0 || more == 0 {
            return length;
        }
        length += joint + word + more;
    }
}

/// Whether a word looks like a hash of content: hexadecimal with digits and letters, or letters of both cases with
/// digits among them, or a long row of letters and digits.
fn is_hash(word: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| word.iter().any(is);
    let is_hex =
        word.iter().all(u8::is_ascii_hexdigit) && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let one_case = !(has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase));
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let is_long = word.len() >= MIN_LONG_HASH && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    (word.len() >= MIN_HEX_HASH && is_hex && one_case)
        || (word.len() >= MIN_MIXED_HASH && is_mixed)
        || is_long
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_hashes_are_left_out_of_names() {
        for (name, role) in [
            ("libfoo.so.1.2.3", "libfoo.so.#"),
            ("libfoo.so.1.2.4", "libfoo.so.#"),
            ("libpython3.11.so.1.0", "libpython#.so.#"),
            ("python3.12", "python#"),
            ("decoder.cpython-311.pyc", "decoder.cpython-#.pyc"),
            ("decoder.cpython-312.opt-1.pyc", "decoder.cpython-#.opt-#.pyc"),
            ("jdk-17.0.1+12", "jdk-#"),
            ("jdk-21", "jdk-#"),
            ("requests-2.31.0.dist-info", "requests-#.dist-info"),
            ("requests-2.32.0rc1.dist-info", "requests-#.dist-info"),
            ("foo_1.2-3+deb12u2_amd64", "foo_#_amd#"),
            ("app.3f2a1b.js", "app.~.js"),
            ("app.9c0d1e.js", "app.~.js"),
            ("index-BxQ3k9Zd.css", "index-~.css"),
            ("0c5b8vw40dy178xlpddw65q9gf1h2186-glibc-2.37", "~-glibc-#"),
            ("x86_64-linux-gnu", "x#-linux-gnu"),
            ("aarch64-linux-gnu", "aarch#-linux-gnu"),
            ("sha256sum", "sha#sum"),
            ("facade.py", "facade.py"),
            ("README", "README"),
            ("1", "#"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(of_name(name.as_bytes())).unwrap(), role, "{name}");
        }
        let path = ImagePath::from_text("/usr/lib/python3.11/json/__pycache__/tool.cpython-311.pyc").unwrap();
        assert_eq!(of_path(&path), b"/usr/lib/python#/json/__pycache__/tool.cpython-#.pyc");
    }

    #[test]
    fn names_are_the_farther_apart_the_more_versions_differ() {
        let far = |a: &str, b: &str| distance(a.as_bytes(), b.as_bytes());
        assert_eq!(far("liba.so.1", "liba.so.1"), 0);
        assert_eq!(far("liba.so.1.2", "liba.so.1.3"), 2);
        let (old, new) = ("utf_8.cpython-311.pyc", "utf_8.cpython-312.pyc");
        assert!(far(old, new) < far(old, "utf_16.cpython-312.pyc"));
        assert!(far("python3.11", "python3.12") < far("python3.11", "python3"));
        assert!(far("python3.11", "python3") < far("a1-b.2", "a2-b.3"));
    }
}
