//! Which system calls use paths, and where their arguments have them.
//!
//! The kernel side reads one packed word per number. Packing, low bits first: operation (8), then four bits each for
//! path, dirfd, second path, second dirfd and flags (argument index plus one, 0 = none), three bits for where open
//! flags come from, what of the process the call moves, or what it makes, one that inverts the meaning of the mask, and the 32-bit mask
//! of flags that mean "do not follow".
//!
//! Source: the kernel's `syscall_64.tbl`, `syscall_32.tbl`, `scripts/syscall.tbl`, and each call's man page.

use crate::wire::Op;

/// Numbers that the kernel side has room for.
pub(crate) const TABLE_LENGTH: usize = 512;

const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_SYMLINK_FOLLOW: u32 = 0x400;
const IN_DONT_FOLLOW: u32 = 0x0200_0000;
const FAN_MARK_DONT_FOLLOW: u32 = 4;
const UMOUNT_NOFOLLOW: u32 = 8;
const O_NOFOLLOW: u32 = if cfg!(target_arch = "aarch64") { 0o100_000 } else { 0o400_000 };

const HOW_FLAGS: u64 = 1 << 28;
const HOW_STRUCT: u64 = 2 << 28;
const HOW_CREAT: u64 = 3 << 28;
const HOW_WORKING_DIRECTORY: u64 = 4 << 28;
const HOW_ROOT: u64 = 5 << 28;
const HOW_LINK: u64 = 6 << 28;
const HOW_MOUNT: u64 = 7 << 28;

/// One packed word.
#[derive(Debug, Clone, Copy)]
struct Call(u64);

/// A call that takes no path.
const fn call(op: Op) -> Call {
    Call(op as u64)
}

/// A call with its path in argument `index`, relative to the working directory.
const fn path(op: Op, index: u64) -> Call {
    Call(op as u64 | (index + 1) << 8)
}

/// A call with a dirfd in argument `dirfd` and its path in argument `index`.
const fn at(op: Op, dirfd: u64, index: u64) -> Call {
    Call(path(op, index).0 | (dirfd + 1) << 12)
}

impl Call {
    /// A second path.
    const fn and(self, index: u64) -> Self {
        Self(self.0 | (index + 1) << 16)
    }

    /// A second path with its dirfd.
    const fn and_at(self, dirfd: u64, index: u64) -> Self {
        Self(self.and(index).0 | (dirfd + 1) << 20)
    }

    /// It never follows a link at the end.
    const fn itself(self) -> Self {
        Self(self.0 | 1 << 31)
    }

    /// It follows unless this flag is set.
    const fn unless(self, argument: u64, mask: u32) -> Self {
        Self(self.0 | (argument + 1) << 24 | (mask as u64) << 32)
    }

    /// It follows only if this flag is set.
    const fn only_if(self, argument: u64, mask: u32) -> Self {
        self.unless(argument, mask).itself()
    }

    /// Open flags are in argument `argument`.
    const fn open_flags(self, argument: u64) -> Self {
        Self(self.unless(argument, O_NOFOLLOW).0 | HOW_FLAGS)
    }

    /// `struct open_how` is at argument `argument`.
    const fn open_how(self, argument: u64) -> Self {
        Self(self.unless(argument, O_NOFOLLOW).0 | HOW_STRUCT)
    }

    /// The working directory is what it led to.
    const fn moves(self) -> Self {
        Self(self.0 | HOW_WORKING_DIRECTORY)
    }

    /// The process's root is what it led to.
    const fn moves_root(self) -> Self {
        Self(self.0 | HOW_ROOT)
    }

    /// It makes a symbolic link to the text in the first argument.
    const fn links(self) -> Self {
        Self(self.0 | HOW_LINK)
    }

    /// It may show the first path at the second.
    const fn mounts(self) -> Self {
        Self(self.0 | HOW_MOUNT)
    }

    /// As creat(2).
    const fn creat(self) -> Self {
        Self(self.0 | HOW_CREAT)
    }
}

fn pack(tables: &[&[(usize, Call)]]) -> [u64; TABLE_LENGTH] {
    let mut packed = [0; TABLE_LENGTH];
    for (number, call) in tables.iter().copied().flatten() {
        packed[*number] = call.0;
    }
    packed
}

/// The table of this machine's own calls.
pub(crate) fn native() -> [u64; TABLE_LENGTH] {
    pack(&[if cfg!(target_arch = "aarch64") { ARM64 } else { X86_64 }, COMMON])
}

/// The table of 32-bit programs' calls.
pub(crate) fn compat() -> [u64; TABLE_LENGTH] {
    if cfg!(target_arch = "aarch64") { [0; TABLE_LENGTH] } else { pack(&[I386, COMMON]) }
}

/// Calls with the same number everywhere: all since Linux 5.1.
const COMMON: &[(usize, Call)] = &[
    (428, at(Op::Open, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)), // open_tree
    (429, at(Op::Use, 0, 1).and_at(2, 3).mounts()),           // move_mount
    (431, call(Op::FsConfig)),
    (433, at(Op::Use, 0, 1)),                                   // fspick
    (437, at(Op::Open, 0, 1).open_how(2)),                      // openat2
    (439, at(Op::Access, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)), // faccessat2
    (442, at(Op::Use, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)),    // mount_setattr
    (452, at(Op::Change, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)), // fchmodat2
    (463, at(Op::Change, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)), // setxattrat
    (464, at(Op::Xattr, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)),  // getxattrat
    (465, at(Op::Xattr, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)),  // listxattrat
    (466, at(Op::Change, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)), // removexattrat
    (467, at(Op::Open, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)),   // open_tree_attr
    (468, at(Op::Stat, 0, 1).unless(4, AT_SYMLINK_NOFOLLOW)),   // file_getattr
    (469, at(Op::Change, 0, 1).unless(4, AT_SYMLINK_NOFOLLOW)), // file_setattr
];

const X86_64: &[(usize, Call)] = &[
    (2, path(Op::Open, 0).open_flags(1)),
    (4, path(Op::Stat, 0)),
    (6, path(Op::Stat, 0).itself()), // lstat
    (9, call(Op::Map)),
    (21, path(Op::Access, 0)),
    (42, call(Op::Connect)),
    (44, call(Op::Send)),
    (46, call(Op::SendMessage)),
    (49, call(Op::Bind)),
    (59, path(Op::Exec, 0)),
    (76, path(Op::Change, 0)), // truncate
    (78, call(Op::ReadDirectory)),
    (80, path(Op::Use, 0).moves()), // chdir
    (81, call(Op::Enter)),
    (82, path(Op::Remove, 0).and(1).itself()), // rename
    (83, path(Op::Create, 0).itself()),        // mkdir
    (84, path(Op::Remove, 0).itself()),        // rmdir
    (85, path(Op::Open, 0).creat()),
    (86, path(Op::Link, 0).and(1).itself()),
    (87, path(Op::Remove, 0).itself()),         // unlink
    (88, path(Op::Create, 1).itself().links()), // symlink
    (89, path(Op::Readlink, 0).itself()),
    (90, path(Op::Change, 0)),                   // chmod
    (92, path(Op::Change, 0)),                   // chown
    (94, path(Op::Change, 0).itself()),          // lchown
    (132, path(Op::Change, 0)),                  // utime
    (133, path(Op::Create, 0).itself()),         // mknod
    (134, path(Op::Use, 0)),                     // uselib
    (137, path(Op::Stat, 0)),                    // statfs
    (155, path(Op::Use, 0).and(1).moves_root()), // pivot_root
    (161, path(Op::Use, 0).moves_root()),        // chroot
    (163, path(Op::Change, 0)),                  // acct
    (165, path(Op::Use, 0).and(1).mounts()),     // mount
    (166, path(Op::Use, 0).unless(1, UMOUNT_NOFOLLOW)),
    (167, path(Op::Use, 0)),                             // swapon
    (168, path(Op::Use, 0)),                             // swapoff
    (179, path(Op::Use, 1)),                             // quotactl
    (188, path(Op::Change, 0)),                          // setxattr
    (189, path(Op::Change, 0).itself()),                 // lsetxattr
    (191, path(Op::Xattr, 0)),                           // getxattr
    (192, path(Op::Xattr, 0).itself()),                  // lgetxattr
    (194, path(Op::Xattr, 0)),                           // listxattr
    (195, path(Op::Xattr, 0).itself()),                  // llistxattr
    (197, path(Op::Change, 0)),                          // removexattr
    (198, path(Op::Change, 0).itself()),                 // lremovexattr
    (217, call(Op::ReadDirectory)),                      // getdents64
    (235, path(Op::Change, 0)),                          // utimes
    (254, path(Op::Watch, 1).unless(2, IN_DONT_FOLLOW)), // inotify_add_watch
    (257, at(Op::Open, 0, 1).open_flags(2)),
    (258, at(Op::Create, 0, 1).itself()),                       // mkdirat
    (259, at(Op::Create, 0, 1).itself()),                       // mknodat
    (260, at(Op::Change, 0, 1).unless(4, AT_SYMLINK_NOFOLLOW)), // fchownat
    (261, at(Op::Change, 0, 1)),                                // futimesat
    (262, at(Op::Stat, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)),   // newfstatat
    (263, at(Op::Remove, 0, 1).itself()),                       // unlinkat
    (264, at(Op::Remove, 0, 1).and_at(2, 3).itself()),          // renameat
    (265, at(Op::Link, 0, 1).and_at(2, 3).only_if(4, AT_SYMLINK_FOLLOW)),
    (266, at(Op::Create, 1, 2).itself().links()), // symlinkat
    (267, at(Op::Readlink, 0, 1).itself()),       // readlinkat
    (268, at(Op::Change, 0, 1)),                  // fchmodat
    (269, at(Op::Access, 0, 1)),                  // faccessat
    (280, at(Op::Change, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)), // utimensat
    (301, at(Op::Watch, 3, 4).unless(1, FAN_MARK_DONT_FOLLOW)), // fanotify_mark
    (303, at(Op::Use, 0, 1).only_if(4, AT_SYMLINK_FOLLOW)), // name_to_handle_at
    (304, call(Op::Open).open_flags(2)),          // open_by_handle_at
    (307, call(Op::SendMessages)),                // sendmmsg
    (316, at(Op::Remove, 0, 1).and_at(2, 3).itself().unless(4, 0)), // renameat2
    (321, call(Op::Bpf)),
    (322, at(Op::Exec, 0, 1).unless(4, AT_SYMLINK_NOFOLLOW)),
    (332, at(Op::Stat, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)), // statx
];

const I386: &[(usize, Call)] = &[
    (5, path(Op::Open, 0).open_flags(1)),
    (8, path(Op::Open, 0).creat()),
    (9, path(Op::Link, 0).and(1).itself()),
    (10, path(Op::Remove, 0).itself()), // unlink
    (11, path(Op::Exec, 0)),
    (12, path(Op::Use, 0).moves()),         // chdir
    (14, path(Op::Create, 0).itself()),     // mknod
    (15, path(Op::Change, 0)),              // chmod
    (16, path(Op::Change, 0).itself()),     // lchown16
    (18, path(Op::Stat, 0)),                // oldstat
    (21, path(Op::Use, 0).and(1).mounts()), // mount
    (22, path(Op::Use, 0)),                 // umount
    (30, path(Op::Change, 0)),              // utime
    (33, path(Op::Access, 0)),
    (38, path(Op::Remove, 0).and(1).itself()), // rename
    (39, path(Op::Create, 0).itself()),        // mkdir
    (40, path(Op::Remove, 0).itself()),        // rmdir
    (51, path(Op::Change, 0)),                 // acct
    (52, path(Op::Use, 0).unless(1, UMOUNT_NOFOLLOW)),
    (61, path(Op::Use, 0).moves_root()),        // chroot
    (83, path(Op::Create, 1).itself().links()), // symlink
    (84, path(Op::Stat, 0).itself()),           // oldlstat
    (85, path(Op::Readlink, 0).itself()),
    (86, path(Op::Use, 0)),                              // uselib
    (87, path(Op::Use, 0)),                              // swapon
    (89, call(Op::ReadDirectory)),                       // readdir
    (90, call(Op::OldMap)),                              // mmap
    (92, path(Op::Change, 0)),                           // truncate
    (99, path(Op::Stat, 0)),                             // statfs
    (102, call(Op::SocketCall)),                         // socketcall
    (106, path(Op::Stat, 0)),                            // stat
    (107, path(Op::Stat, 0).itself()),                   // lstat
    (115, path(Op::Use, 0)),                             // swapoff
    (131, path(Op::Use, 1)),                             // quotactl
    (133, call(Op::Enter)),                              // fchdir
    (141, call(Op::ReadDirectory)),                      // getdents
    (182, path(Op::Change, 0)),                          // chown16
    (192, call(Op::Map)),                                // mmap2
    (193, path(Op::Change, 0)),                          // truncate64
    (195, path(Op::Stat, 0)),                            // stat64
    (196, path(Op::Stat, 0).itself()),                   // lstat64
    (198, path(Op::Change, 0).itself()),                 // lchown
    (212, path(Op::Change, 0)),                          // chown
    (217, path(Op::Use, 0).and(1).moves_root()),         // pivot_root
    (220, call(Op::ReadDirectory)),                      // getdents64
    (226, path(Op::Change, 0)),                          // setxattr
    (227, path(Op::Change, 0).itself()),                 // lsetxattr
    (229, path(Op::Xattr, 0)),                           // getxattr
    (230, path(Op::Xattr, 0).itself()),                  // lgetxattr
    (232, path(Op::Xattr, 0)),                           // listxattr
    (233, path(Op::Xattr, 0).itself()),                  // llistxattr
    (235, path(Op::Change, 0)),                          // removexattr
    (236, path(Op::Change, 0).itself()),                 // lremovexattr
    (268, path(Op::Stat, 0)),                            // statfs64
    (271, path(Op::Change, 0)),                          // utimes
    (292, path(Op::Watch, 1).unless(2, IN_DONT_FOLLOW)), // inotify_add_watch
    (295, at(Op::Open, 0, 1).open_flags(2)),
    (296, at(Op::Create, 0, 1).itself()),                       // mkdirat
    (297, at(Op::Create, 0, 1).itself()),                       // mknodat
    (298, at(Op::Change, 0, 1).unless(4, AT_SYMLINK_NOFOLLOW)), // fchownat
    (299, at(Op::Change, 0, 1)),                                // futimesat
    (300, at(Op::Stat, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)),   // fstatat64
    (301, at(Op::Remove, 0, 1).itself()),                       // unlinkat
    (302, at(Op::Remove, 0, 1).and_at(2, 3).itself()),          // renameat
    (303, at(Op::Link, 0, 1).and_at(2, 3).only_if(4, AT_SYMLINK_FOLLOW)),
    (304, at(Op::Create, 1, 2).itself().links()), // symlinkat
    (305, at(Op::Readlink, 0, 1).itself()),       // readlinkat
    (306, at(Op::Change, 0, 1)),                  // fchmodat
    (307, at(Op::Access, 0, 1)),                  // faccessat
    (320, at(Op::Change, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)), // utimensat
    (339, at(Op::Watch, 4, 5).unless(1, FAN_MARK_DONT_FOLLOW)), // fanotify_mark: its mask takes two registers
    (341, at(Op::Use, 0, 1).only_if(4, AT_SYMLINK_FOLLOW)), // name_to_handle_at
    (342, call(Op::Open).open_flags(2)),          // open_by_handle_at
    (345, call(Op::SendMessages)),                // sendmmsg
    (353, at(Op::Remove, 0, 1).and_at(2, 3).itself().unless(4, 0)), // renameat2
    (357, call(Op::Bpf)),
    (358, at(Op::Exec, 0, 1).unless(4, AT_SYMLINK_NOFOLLOW)),
    (361, call(Op::Bind)),
    (362, call(Op::Connect)),
    (369, call(Op::Send)),
    (370, call(Op::SendMessage)),
    (383, at(Op::Stat, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)), // statx
    (412, at(Op::Change, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)), // utimensat_time64
];

const ARM64: &[(usize, Call)] = &[
    (5, path(Op::Change, 0)),                           // setxattr
    (6, path(Op::Change, 0).itself()),                  // lsetxattr
    (8, path(Op::Xattr, 0)),                            // getxattr
    (9, path(Op::Xattr, 0).itself()),                   // lgetxattr
    (11, path(Op::Xattr, 0)),                           // listxattr
    (12, path(Op::Xattr, 0).itself()),                  // llistxattr
    (14, path(Op::Change, 0)),                          // removexattr
    (15, path(Op::Change, 0).itself()),                 // lremovexattr
    (27, path(Op::Watch, 1).unless(2, IN_DONT_FOLLOW)), // inotify_add_watch
    (33, at(Op::Create, 0, 1).itself()),                // mknodat
    (34, at(Op::Create, 0, 1).itself()),                // mkdirat
    (35, at(Op::Remove, 0, 1).itself()),                // unlinkat
    (36, at(Op::Create, 1, 2).itself().links()),        // symlinkat
    (37, at(Op::Link, 0, 1).and_at(2, 3).only_if(4, AT_SYMLINK_FOLLOW)),
    (38, at(Op::Remove, 0, 1).and_at(2, 3).itself()), // renameat
    (39, path(Op::Use, 0).unless(1, UMOUNT_NOFOLLOW)),
    (40, path(Op::Use, 0).and(1).mounts()),                    // mount
    (41, path(Op::Use, 0).and(1).moves_root()),                // pivot_root
    (43, path(Op::Stat, 0)),                                   // statfs
    (45, path(Op::Change, 0)),                                 // truncate
    (48, at(Op::Access, 0, 1)),                                // faccessat
    (49, path(Op::Use, 0).moves()),                            // chdir
    (50, call(Op::Enter)),                                     // fchdir
    (51, path(Op::Use, 0).moves_root()),                       // chroot
    (53, at(Op::Change, 0, 1)),                                // fchmodat
    (54, at(Op::Change, 0, 1).unless(4, AT_SYMLINK_NOFOLLOW)), // fchownat
    (56, at(Op::Open, 0, 1).open_flags(2)),
    (60, path(Op::Use, 1)),                                    // quotactl
    (61, call(Op::ReadDirectory)),                             // getdents64
    (78, at(Op::Readlink, 0, 1).itself()),                     // readlinkat
    (79, at(Op::Stat, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)),   // newfstatat
    (88, at(Op::Change, 0, 1).unless(3, AT_SYMLINK_NOFOLLOW)), // utimensat
    (89, path(Op::Change, 0)),                                 // acct
    (200, call(Op::Bind)),
    (203, call(Op::Connect)),
    (206, call(Op::Send)),
    (211, call(Op::SendMessage)),
    (221, path(Op::Exec, 0)),
    (222, call(Op::Map)),
    (224, path(Op::Use, 0)),                                        // swapon
    (225, path(Op::Use, 0)),                                        // swapoff
    (263, at(Op::Watch, 3, 4).unless(1, FAN_MARK_DONT_FOLLOW)),     // fanotify_mark
    (264, at(Op::Use, 0, 1).only_if(4, AT_SYMLINK_FOLLOW)),         // name_to_handle_at
    (265, call(Op::Open).open_flags(2)),                            // open_by_handle_at
    (269, call(Op::SendMessages)),                                  // sendmmsg
    (276, at(Op::Remove, 0, 1).and_at(2, 3).itself().unless(4, 0)), // renameat2
    (280, call(Op::Bpf)),
    (281, at(Op::Exec, 0, 1).unless(4, AT_SYMLINK_NOFOLLOW)),
    (291, at(Op::Stat, 0, 1).unless(2, AT_SYMLINK_NOFOLLOW)), // statx
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_once_in_its_table() {
        for table in [X86_64, I386, ARM64, COMMON] {
            let numbers: Vec<_> = table.iter().map(|(number, _)| *number).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
            assert!(numbers.iter().all(|&n| n < TABLE_LENGTH));
        }
    }

    #[test]
    fn flags_and_indexes_are_packed_where_the_kernel_side_reads_them() {
        let word = at(Op::Link, 0, 1).and_at(2, 3).only_if(4, AT_SYMLINK_FOLLOW).0;
        assert_eq!(word & 0xff, Op::Link as u64);
        assert_eq!([8, 12, 16, 20, 24].map(|shift| word >> shift & 0xf), [2, 1, 4, 3, 5]);
        assert_eq!((word >> 28 & 7, word >> 31 & 1, word >> 32), (0, 1, u64::from(AT_SYMLINK_FOLLOW)));
        assert_eq!(X86_64[0].1.0 >> 28 & 7, 1);
    }
}
