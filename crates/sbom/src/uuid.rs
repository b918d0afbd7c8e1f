//! Names of documents that depend on nothing but what the documents say.

use image::Digest;

/// A UUID made of these parts: version 8, the first 128 bits of their SHA-256.
///
/// Source: RFC 9562, 5.8 and appendix B.2. Version 5 would take SHA-1.
pub(crate) fn of(parts: &[&str]) -> String {
    let mut hex = Digest::of(parts.join("\n").as_bytes()).hex().into_bytes();
    hex.truncate(32);
    hex[12] = b'8';
    hex[16] = match hex[16] {
        b'0' | b'4' | b'8' | b'c' => b'8',
        b'1' | b'5' | b'9' | b'd' => b'9',
        b'2' | b'6' | b'a' | b'e' => b'a',
        _ => b'b',
    };
    let hex = String::from_utf8_lossy(&hex);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_its_version_and_follows_its_parts() {
        let one = of(&["a", "b"]);
        assert_eq!(one, of(&["a", "b"]));
        assert_ne!(one, of(&["a", "c"]));
        assert_eq!((one.len(), &one[14..15]), (36, "8"));
        assert!("89ab".contains(&one[19..20]));
    }
}
