//! Members of the archives that we make: `oci-archive` and `docker-archive`.

/// Header of a member: owner 0:0, time 0, nothing that differs between machines. A name ending in `/` is a directory.
///
/// # Panics
/// If the name is longer than 100 bytes: all names are ours.
pub(crate) fn member_header(name: &str, size_bytes: u64) -> [u8; 512] {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    let is_directory = name.ends_with('/');
    header[100..108].copy_from_slice(if is_directory { b"0000755\0" } else { b"0000644\0" });
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    if size_bytes < 1 << 33 {
        header[124..136].copy_from_slice(format!("{size_bytes:011o}\0").as_bytes());
    } else {
        // GNU's base 256, which every reader of large archives knows.
        header[124] = 0x80;
        header[128..136].copy_from_slice(&size_bytes.to_be_bytes());
    }
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].fill(b' ');
    header[156] = if is_directory { b'5' } else { b'0' };
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// Zeros up to the next block.
pub(crate) fn padding(size_bytes: u64) -> Vec<u8> {
    vec![0; ((512 - size_bytes % 512) % 512) as usize]
}
