//! PAX extended headers.

use std::collections::BTreeMap;

use super::TarProblem;
use crate::Timestamp;

/// What one PAX header says about its entry. A record with an empty value leaves the header's own value in place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<i64>,
    pub(super) gid: Option<i64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
    pub(super) sparse: PaxSparse,
}

/// The records of GNU's three sparse forms.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PaxSparse {
    pub(super) version: (u64, u64),
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Form 0.0 repeats `offset` and `numbytes`, form 0.1 has them in one `map`: offset, length, offset, length, ….
    pub(super) map: Option<Vec<u64>>,
}

impl Pax {
    /// Reads the records `LENGTH KEY=VALUE\n`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TarProblem> {
        let mut pax = Self::default();
        let mut base64_xattrs = BTreeMap::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (key, value, after) = record(rest).ok_or(TarProblem::Pax)?;
            rest = after;
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                pax.xattrs.insert(xattr_name(name)?, value.into());
            } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                let name = percent_decode(name).ok_or(TarProblem::Pax)?;
                let value = base64_decode(value).ok_or(TarProblem::Pax)?;
                base64_xattrs.insert(xattr_name(&name)?, value.into_boxed_slice());
            } else if !value.is_empty() {
                pax.set(key, value)?;
            }
        }
        // bsdtar writes both forms; the raw one is what container tools read.
        for (name, value) in base64_xattrs {
            pax.xattrs.entry(name).or_insert(value);
        }
        Ok(pax)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarProblem> {
        let unsigned = || decimal(value).ok_or(TarProblem::Pax);
        let id = || unsigned().and_then(|id| i64::try_from(id).map_err(|_| TarProblem::Pax));
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(unsigned()?),
            b"uid" => self.uid = Some(id()?),
            b"gid" => self.gid = Some(id()?),
            b"mtime" => self.mtime = Some(timestamp(value).ok_or(TarProblem::Pax)?),
            b"GNU.sparse.major" => self.sparse.version.0 = unsigned()?,
            b"GNU.sparse.minor" => self.sparse.version.1 = unsigned()?,
            b"GNU.sparse.name" => self.sparse.name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = Some(unsigned()?),
            b"GNU.sparse.offset" => {
                let map = self.sparse.map.get_or_insert_default();
                if !map.len().is_multiple_of(2) {
                    return Err(TarProblem::Sparse);
                }
                map.push(unsigned()?);
            }
            b"GNU.sparse.numbytes" => {
                let map = self.sparse.map.get_or_insert_default();
                if map.len().is_multiple_of(2) {
                    return Err(TarProblem::Sparse);
                }
                map.push(unsigned()?);
            }
            b"GNU.sparse.map" => {
                let numbers = value.split(|&byte| byte == b',').map(decimal);
                self.sparse.map = Some(numbers.collect::<Option<_>>().ok_or(TarProblem::Sparse)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The first record: key, value, what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..blank])?).ok()?;
    if length <= blank + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
        return None;
    }
    let text = &bytes[blank + 1..length - 1];
    let equals = text.iter().position(|&byte| byte == b'=')?;
    let key = &text[..equals];
    (!key.is_empty() && !key.contains(&0)).then(|| (key, &text[equals + 1..], &bytes[length..]))
}

pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Seconds with an optional sign and fraction; digits past nanoseconds are cut off.
fn timestamp(text: &[u8]) -> Option<Timestamp> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let seconds = i64::try_from(decimal(&text[..dot])?).ok()?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanoseconds) {
        (false, nanoseconds) => Timestamp { seconds, nanoseconds },
        (true, 0) => Timestamp { seconds: -seconds, nanoseconds: 0 },
        (true, nanoseconds) => Timestamp { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

fn xattr_name(name: &[u8]) -> Result<Box<[u8]>, TarProblem> {
    if name.is_empty() || name.contains(&0) { Err(TarProblem::Pax) } else { Ok(name.into()) }
}

fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

/// Base 64 with or without padding.
fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    for chunk in digits.chunks(4) {
        let mut bits = 0_u32;
        for &digit in chunk {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        match chunk.len() {
            4 => out.extend_from_slice(&bits.to_be_bytes()[1..]),
            3 => out.extend_from_slice(&(bits << 6).to_be_bytes()[1..3]),
            2 => out.extend_from_slice(&(bits << 12).to_be_bytes()[1..2]),
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_records_are_errors() {
        for bad in [
            &b"6 a=b"[..],
            b"6 a=b\nx",
            b"7 a=b\n",
            b"5 a=b\n",
            b"0 a=b\n",
            b"99999999999999999999 a=b\n",
            b" a=b\n",
            b"5 =b\n",
            b"6 ab \n",
            b"-6 a=b\n",
            b"10 size=x\n",
            b"9 uid=-1\n",
            b"21 GNU.sparse.map=1,\n",
            b"24 GNU.sparse.numbytes=1\n",
        ] {
            assert!(Pax::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(Pax::parse(b"6 a=b\n").is_ok());
    }

    #[test]
    fn times_may_have_fractions_and_signs() {
        for (text, seconds, nanoseconds) in [
            ("0", 0, 0),
            ("1350244992.023960108", 1_350_244_992, 23_960_108),
            ("1.5", 1, 500_000_000),
            ("1.1234567899", 1, 123_456_789),
            ("-1", -1, 0),
            ("-1.5", -2, 500_000_000),
            ("3.", 3, 0),
        ] {
            assert_eq!(timestamp(text.as_bytes()), Some(Timestamp { seconds, nanoseconds }), "{text}");
        }
        for text in ["", "-", "+1", "1.x", "--1", "99999999999999999999"] {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn both_forms_of_extended_attributes_are_read() {
        let record = |key: &str, value: &str| testkit::tar::pax_record(key.as_bytes(), value.as_bytes());
        let bytes = [
            record("LIBARCHIVE.xattr.user.a%3Db", "aGVsbG8="),
            record("LIBARCHIVE.xattr.user.both", "b3RoZXI"),
            record("SCHILY.xattr.user.both", "raw=\n"),
            record("SCHILY.xattr.user.empty", ""),
        ];
        let pax = Pax::parse(&bytes.concat()).unwrap();
        let expected = [("user.a=b", "hello"), ("user.both", "raw=\n"), ("user.empty", "")];
        let expected = expected.map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into()));
        assert_eq!(pax.xattrs, BTreeMap::from(expected));
    }
}
