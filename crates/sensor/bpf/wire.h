/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What goes from kernel to user space. The other side, with the explanation, is src/wire.rs. */
#ifndef CAREEN_WIRE_H
#define CAREEN_WIRE_H

#define WIRE_VERSION 1

/* What was done with the path; the table of system calls (src/syscalls.rs) gives it for each number. */
enum op {
	OP_NONE,
	OP_OPEN,	/* open in all forms; the object is the new descriptor's */
	OP_STAT,
	OP_ACCESS,
	OP_READLINK,
	OP_XATTR,
	OP_WATCH,
	OP_CONNECT,	/* connect: sockaddr */
	OP_SEND,	/* sendto: sockaddr, if there is one */
	OP_SENDMSG,	/* sendmsg: msghdr */
	OP_SENDMMSG,	/* sendmmsg: an array of mmsghdr */
	OP_BIND,	/* bind: sockaddr */
	OP_SOCKETCALL,	/* i386: all of the above */
	OP_USE,		/* chdir, chroot, handles, mounts: the path must be there */
	OP_CHANGE,	/* content or metadata of what is there changes */
	OP_CREATE,	/* an entry is made */
	OP_REMOVE,	/* an entry is removed or renamed away */
	OP_LINK,	/* the source of a hard link */
	OP_EXEC,	/* the object is the binary, the text the path given to execve */
	OP_INTERPRETER,	/* the text is the path of a script's interpreter */
	OP_LOADER,	/* the object is the program's dynamic loader */
	OP_MAP,		/* a descriptor is mapped; executable if FLAG_EXEC */
	OP_OLD_MAP,	/* i386: its arguments lie in memory */
	OP_FSCONFIG,	/* a mount's setting that is a path */
	OP_BPF,		/* an object is pinned to a path, or got from one */
	OP_READDIR,
	OP_ENTER,	/* fchdir */
	OP_HELD,	/* snapshot: a process holds it open or mapped */
	OP_FORKED,	/* a process is made: `how` is its user, `object_mode` its parent */
	OP_STARTED,	/* the same for a program that begins; the text is its arguments */
	OP_EXITED,	/* a process ends: `how` is its user */
	OP_MADE,	/* something shows elsewhere from now on: `how` says what; see enum made */
};

/*
 * What OP_MADE tells of. The text is that of what is shown, a NUL, and the path where it is made, which a relative one
 * looks up from the base. What is shown is looked up from the object, or is the object if its text is empty.
 */
enum made {
	MADE_LINK = 1,	/* a symbolic link; what is shown is its target */
	MADE_NAME,	/* a new name by rename or link */
	MADE_MOUNT,	/* a mount of something that was there already */
	MADE_OVERLAY,	/* an overlay; what is shown is its options */
	MADE_ROOT,	/* another root, from the first path; the one of before is at the second */
};

/*
 * In `how` of OP_USE: a setting of a file system to be mounted, maybe several paths with colons between them; or, without a
 * text, its root. The bits above are the same for all of one file system.
 */
#define USE_SETTING 1

enum flag {
	FLAG_NOFOLLOW = 1,	/* a link at the end of the path is meant itself */
	FLAG_IN_ROOT = 2,	/* RESOLVE_IN_ROOT: the base is the root */
	FLAG_ABSOLUTE = 4,	/* the text starts with a slash (and FLAG_IN_ROOT is not set) */
	FLAG_PENDING = 8,	/* io_uring: submitted, the result is not known */
	FLAG_EXEC = 16,		/* OP_MAP: with PROT_EXEC */
	FLAG_HOOK = 32,		/* a hook within the kernel tells: an object, on which the kernel was about to act */
	FLAG_MOVED = 64,	/* the object is where the process, or its root, is now; the text was looked up from before */
};

enum part_status {
	PART_NONE,	/* not given */
	PART_WHOLE,
	PART_DETACHED,	/* the chain ends at no file system's root: a pipe, a memfd */
	PART_TOO_LONG,
	PART_TORN,	/* a name changed or could not be read meanwhile */
};

/* One piece of the payload. Chains are names, each ended by NUL, the innermost first. */
struct part {
	u16 length;
	u8 status;
	u8 crossed;	/* mounts between the piece and the file system where the chain ends */
	u32 dev;	/* of the file system where the chain ends */
};

struct record {
	u16 version;
	u8 op;
	u8 flags;
	s32 result;
	u64 time_ns;	/* CLOCK_MONOTONIC */
	u32 tgid;
	u32 how;	/* open flags of OP_OPEN */
	u64 exe_ino;
	u32 exe_dev;
	u32 object_mode;
	struct part text, object, base, root, exe, argv0;	/* in the order of the payload */
	char comm[16];
};

enum { SOCKET_LISTENS = 1, SOCKET_CONNECTS };

/* A socket that listens, or is connected or sent from to somewhere. The key of a map; see src/activity.rs. */
struct socket_key {
	u8 kind, family;
	u16 protocol;	/* IPPROTO_... */
	u16 port;
	u16 pad;
	u8 address[16];	/* 4 bytes of it for AF_INET */
	u64 exe_ino;
	u32 exe_dev;
	u32 pad2;
};

#endif
