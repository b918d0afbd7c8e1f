//! One header block.

use super::TarProblem;

/// Tars are made of blocks of this many bytes.
pub(crate) const BLOCK: u64 = 512;

/// A header block with a correct checksum.
pub(crate) struct Header<'b>(&'b [u8; 512]);

#[derive(PartialEq, Eq)]
enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

impl<'b> Header<'b> {
    /// Checks the checksum: some old tars sum signed bytes.
    pub(crate) fn new(block: &'b [u8; 512]) -> Result<Self, TarProblem> {
        let sum = |value: fn(u8) -> i64| -> i64 {
            let blanked = block
                .iter()
                .enumerate()
                .map(|(at, &byte)| if (148..156).contains(&at) { b' ' } else { byte });
            blanked.map(value).sum()
        };
        let claimed = octal(&block[148..156])
            .and_then(|claimed| i64::try_from(claimed).ok())
            .ok_or(TarProblem::Checksum)?;
        if claimed != sum(i64::from) && claimed != sum(|byte| i64::from(byte.cast_signed())) {
            return Err(TarProblem::Checksum);
        }
        Ok(Self(block))
    }

    fn format(&self) -> Format {
        match (&self.0[257..265], &self.0[508..]) {
            (b"ustar  \0", _) => Format::Gnu,
            ([b'u', b's', b't', b'a', b'r', 0, ..], b"tar\0") => Format::Star,
            ([b'u', b's', b't', b'a', b'r', 0, ..], _) => Format::Ustar,
            _ => Format::V7,
        }
    }

    pub(crate) fn kind(&self) -> u8 {
        self.0[156]
    }

    /// The name, joined of prefix and name where the format has a prefix.
    pub(crate) fn name(&self) -> Vec<u8> {
        let prefix = match self.format() {
            Format::Ustar => text(&self.0[345..500]),
            Format::Star => text(&self.0[345..476]),
            Format::Gnu | Format::V7 => b"",
        };
        let name = text(&self.0[..100]);
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    pub(crate) fn mode(&self) -> Result<u32, TarProblem> {
        let mode = number(&self.0[100..108], "mode")?;
        u32::try_from(mode & 0o7777).map_err(|_| TarProblem::Number { field: "mode" })
    }

    pub(super) fn uid(&self) -> Result<i64, TarProblem> {
        number(&self.0[108..116], "owner")
    }

    pub(super) fn gid(&self) -> Result<i64, TarProblem> {
        number(&self.0[116..124], "group")
    }

    pub(crate) fn size(&self) -> Result<u64, TarProblem> {
        let size = number(&self.0[124..136], "size")?;
        u64::try_from(size).map_err(|_| TarProblem::Number { field: "size" })
    }

    pub(super) fn mtime(&self) -> Result<i64, TarProblem> {
        number(&self.0[136..148], "modification time")
    }

    pub(super) fn device(&self) -> Result<(u32, u32), TarProblem> {
        let part = |at: usize| -> Result<u32, TarProblem> {
            let number = number(&self.0[at..at + 8], "device number")?;
            u32::try_from(number).map_err(|_| TarProblem::Number { field: "device number" })
        };
        Ok((part(329)?, part(337)?))
    }

    /// The four sparse segments of an old GNU header, whether more follow, and the file's whole size.
    pub(super) fn gnu_sparse(&self) -> Result<(&'b [u8], bool, u64), TarProblem> {
        let size = number(&self.0[483..495], "size")?;
        let size = u64::try_from(size).map_err(|_| TarProblem::Number { field: "size" })?;
        Ok((&self.0[386..482], self.0[482] != 0, size))
    }
}

/// The bytes before the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A numeric field: octal, or base 256 in two's complement where the first bit is set.
pub(super) fn number(bytes: &[u8], field: &'static str) -> Result<i64, TarProblem> {
    let bad = TarProblem::Number { field };
    if bytes[0] & 0x80 == 0 {
        return octal(bytes).and_then(|number| i64::try_from(number).ok()).ok_or(bad);
    }
    let invert = if bytes[0] & 0x40 == 0 { 0 } else { 0xff };
    let mut number = 0_u64;
    for (nth, byte) in bytes.iter().enumerate() {
        let byte = (byte ^ invert) & if nth == 0 { 0x7f } else { 0xff };
        if number >> 56 != 0 {
            return Err(bad);
        }
        number = number << 8 | u64::from(byte);
    }
    let number = i64::try_from(number).map_err(|_| bad)?;
    Ok(if invert == 0 { number } else { !number })
}

/// Octal digits with blanks and NULs around them; none at all is 0.
fn octal(bytes: &[u8]) -> Option<u64> {
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = bytes.iter().position(|byte| !padding(byte)).unwrap_or(bytes.len());
    let digits = bytes[start..].split(padding).next().unwrap_or_default();
    digits.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644  ", Some(0o644)),
            (b"77777777", Some(0o77_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\0", None),
            (b"0000648\0", None),
            (b"-000644\0", None),
        ] {
            assert_eq!(number(field, "x").ok(), value, "{field:?}");
        }
    }
}
