//! Tars, well-formed or not.

/// A tar under construction, block by block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TarBuilder {
    bytes: Vec<u8>,
}

/// One entry: set any field, then hand it to [`TarBuilder::entry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarEntry {
    /// The name as it is written.
    pub name: Vec<u8>,
    /// The type flag: `b'0'` file, `b'5'` directory, ….
    pub kind: u8,
    /// Mode.
    pub mode: u64,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time in seconds.
    pub mtime: i64,
    /// Target of a link.
    pub link: Vec<u8>,
    /// Device numbers.
    pub device: (u32, u32),
    /// What follows the header, padded to a block.
    pub content: Vec<u8>,
    /// The size field, where it is not the length of `content`.
    pub size: Option<u64>,
    /// PAX records before this entry.
    pub pax: Vec<(Vec<u8>, Vec<u8>)>,
    /// Write a long name or link as GNU tar does (types `L`, `K`), not as PAX.
    pub gnu: bool,
    /// Bytes written over the header at these offsets, before the checksum is computed.
    pub patches: Vec<(usize, Vec<u8>)>,
    /// Blocks between the header and the content (extension blocks of an old GNU sparse header).
    pub extension: Vec<u8>,
    /// Write a wrong checksum.
    pub wrong_checksum: bool,
}

impl TarEntry {
    /// An entry of this type with nothing in it, owned by root, of 13 September 2020.
    pub fn new(name: impl AsRef<[u8]>, kind: u8) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 1_600_000_000,
            link: Vec::new(),
            device: (0, 0),
            content: Vec::new(),
            size: None,
            pax: Vec::new(),
            gnu: false,
            patches: Vec::new(),
            extension: Vec::new(),
            wrong_checksum: false,
        }
    }

    /// A regular file.
    pub fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self { content: content.as_ref().to_vec(), ..Self::new(name, b'0') }
    }

    /// A directory.
    pub fn dir(name: impl AsRef<[u8]>) -> Self {
        Self { mode: 0o755, ..Self::new(name, b'5') }
    }

    /// A symbolic link.
    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self { mode: 0o777, link: target.as_ref().to_vec(), ..Self::new(name, b'2') }
    }

    /// A hard link.
    pub fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self { link: target.as_ref().to_vec(), ..Self::new(name, b'1') }
    }

    /// A named pipe.
    pub fn fifo(name: impl AsRef<[u8]>) -> Self {
        Self::new(name, b'6')
    }

    /// A device: `b'3'` character, `b'4'` block.
    pub fn device(name: impl AsRef<[u8]>, kind: u8, numbers: (u32, u32)) -> Self {
        Self { device: numbers, ..Self::new(name, kind) }
    }

    /// A sparse file in the old GNU form: data segments as (offset, bytes) and the file's whole size.
    pub fn gnu_sparse(name: impl AsRef<[u8]>, segments: &[(u64, &[u8])], size: u64) -> Self {
        let maps: Vec<Vec<u8>> = segments
            .iter()
            .map(|(at, data)| [octal(*at, 12), octal(data.len() as u64, 12)].concat())
            .collect();
        let mut entry = Self::new(name, b'S');
        let in_header = maps.iter().take(4).flatten().copied().collect();
        entry.patches = vec![(386, in_header), (482, vec![u8::from(maps.len() > 4)]), (483, octal(size, 12))];
        let rest = maps.get(4..).unwrap_or_default();
        for (nth, block) in rest.chunks(21).enumerate() {
            let mut bytes = block.concat();
            bytes.resize(504, 0);
            bytes.push(u8::from((nth + 1) * 21 < rest.len()));
            bytes.resize(512, 0);
            entry.extension.extend(bytes);
        }
        entry.content = segments.iter().flat_map(|(_, data)| data.iter().copied()).collect();
        entry
    }

    /// A sparse file in PAX form 1.0 (its map stands at the head of the content).
    pub fn pax_sparse(name: &str, segments: &[(u64, &[u8])], size: u64) -> Self {
        let mut map = format!("{}\n", segments.len());
        for (at, data) in segments {
            map += &format!("{at}\n{}\n", data.len());
        }
        let mut content = map.into_bytes();
        content.resize(content.len().next_multiple_of(512), 0);
        content.extend(segments.iter().flat_map(|(_, data)| data.iter().copied()));
        Self::file(format!("GNUSparseFile.0/{name}"), content)
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.minor", "0")
            .pax("GNU.sparse.name", name)
            .pax("GNU.sparse.realsize", size.to_string())
    }

    /// Sets the mode.
    pub fn mode(mut self, mode: u64) -> Self {
        self.mode = mode;
        self
    }

    /// Sets owner and group.
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// Adds a PAX record.
    pub fn pax(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Adds an extended attribute, as GNU tar writes it.
    pub fn xattr(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax(format!("SCHILY.xattr.{name}"), value)
    }

    /// Sets the size field, whatever the content.
    pub fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// Writes over the header, before the checksum is computed.
    pub fn patch(mut self, offset: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.patches.push((offset, bytes.as_ref().to_vec()));
        self
    }

    /// The blocks of this entry.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut pax = self.pax.clone();
        for (long, key, kind) in [(&self.name, "path", b'L'), (&self.link, "linkpath", b'K')] {
            if long.len() > 100 && self.gnu {
                let record = Self::file("././@LongLink", [long, &b"\0"[..]].concat());
                out.extend(Self { kind, ..record }.to_bytes());
            } else if long.len() > 100 {
                pax.push((key.into(), long.clone()));
            }
        }
        if !pax.is_empty() {
            let records: Vec<u8> = pax.iter().flat_map(|(key, value)| pax_record(key, value)).collect();
            out.extend(Self { kind: b'x', ..Self::file("PaxHeaders/x", records) }.to_bytes());
        }
        out.extend(self.header());
        out.extend(&self.extension);
        out.extend(&self.content);
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }

    fn header(&self) -> [u8; 512] {
        let mut header = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, &octal(self.mode, 8));
        put(108, &octal(self.uid, 8));
        put(116, &octal(self.gid, 8));
        put(124, &octal(self.size.unwrap_or(self.content.len() as u64), 12));
        match u64::try_from(self.mtime) {
            Ok(mtime) => put(136, &octal(mtime, 12)),
            Err(_) => put(136, &[&[0xff; 4][..], &self.mtime.to_be_bytes()].concat()),
        }
        put(148, b"        ");
        put(156, &[self.kind]);
        put(157, &self.link[..self.link.len().min(100)]);
        put(257, if self.gnu || self.kind == b'S' { b"ustar  \0" } else { b"ustar\x0000" });
        put(329, &octal(self.device.0.into(), 8));
        put(337, &octal(self.device.1.into(), 8));
        for (at, bytes) in &self.patches {
            put(*at, bytes);
        }
        let sum: u64 =
            header.iter().map(|&byte| u64::from(byte)).sum::<u64>() + u64::from(self.wrong_checksum);
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header
    }
}

impl TarBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    pub fn entry(self, entry: impl std::borrow::Borrow<TarEntry>) -> Self {
        self.raw(entry.borrow().to_bytes())
    }

    /// Adds PAX records for all that follows.
    pub fn global_pax(self, records: &[(&str, &str)]) -> Self {
        let records: Vec<u8> =
            records.iter().flat_map(|(key, value)| pax_record(key.as_bytes(), value.as_bytes())).collect();
        self.entry(TarEntry { kind: b'g', ..TarEntry::file("pax_global_header", records) })
    }

    /// Adds bytes as they are.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// The tar with its end marker of two zero blocks.
    pub fn finish(self) -> Vec<u8> {
        self.raw([0; 1024]).bytes
    }

    /// The tar as it stands, without an end marker.
    pub fn unfinished(self) -> Vec<u8> {
        self.bytes
    }
}

/// One PAX record: its own length in decimal, a blank, `key=value`, a newline.
pub fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() + rest != length {
        length += 1;
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// A number in a field of this width: octal with a NUL, or base 256 where it does not fit.
pub fn octal(number: u64, width: usize) -> Vec<u8> {
    let text = format!("{number:0digits$o}\0", digits = width - 1);
    if text.len() == width {
        return text.into_bytes();
    }
    let mut out = vec![0; width];
    let bytes = number.to_be_bytes();
    let take = bytes.len().min(width - 1);
    out[width - take..].copy_from_slice(&bytes[bytes.len() - take..]);
    out[0] |= 0x80;
    out
}
