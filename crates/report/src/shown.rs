//! Foreign text on its way into the page.

use std::fmt::Write as _;

use image::Digest;
use serde::Serialize;

/// Text with what would reorder the text around it made visible: a name with a right-to-left override could otherwise
/// show another ending than it has.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Marks of direction, joiners and separators that have no shape of their own.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// JSON that can stand inside a script element: `<` cannot begin a closing tag there, nor a comment.
pub(crate) fn script_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(value)?
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

/// The source expression that allows one inline script or style and no other.
///
/// Source: Content Security Policy Level 3, section 2.3.1, `hash-source`.
pub(crate) fn source_hash(text: &str) -> String {
    let hex = Digest::of(text.as_bytes()).hex();
    let nibbles: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)?.try_into().ok()).collect();
    let bytes: Vec<u8> =
        nibbles.chunks(2).map(|pair| pair.iter().fold(0, |sum, nibble| sum << 4 | nibble)).collect();
    format!("sha256-{}", base64(&bytes))
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            (0..3).fold(0_usize, |sum, at| sum << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            match at <= chunk.len() {
                true => out.push(char::from(ALPHABET[group >> (18 - 6 * at) & 63])),
                false => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_close_the_script_element() {
        let json = script_json(&["</script><!--"]).unwrap();
        assert!(!json.contains('<'));
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), ["</script><!--"]);
    }

    #[test]
    fn marks_that_reorder_text_are_made_visible() {
        assert_eq!(visible("cod\u{202e}txt.exe"), "cod\\u{202e}txt.exe");
        assert_eq!(visible("שלום \"<b>"), "שלום \"<b>");
        assert_eq!(visible("a\u{7}\u{200b}"), "a\\u{7}\\u{200b}");
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        assert_eq!(source_hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
