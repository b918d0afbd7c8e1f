/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the stronger backends tell beside the base: files that the kernel itself was about to use, whatever path led to
 * them. Each use comes as an object without a text, marked FLAG_HOOK, through the same dedup, ring and account.
 *
 * Only objects on an overlay count: the image's own. The files of layers beneath, which the overlay uses on its own
 * account through the same hooks, lie elsewhere and end here.
 */
#ifndef CAREEN_HOOKS_H
#define CAREEN_HOOKS_H

#define MAY_ACCESS 0x10
#define MAY_CHDIR 0x40
#define FMODE_EXEC 0x20		/* in f_flags: opened to be executed */
#define EXECUTABLE (FLAG_EXEC << 8)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct file___hooks {
	unsigned int f_flags;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct inode___hooks {
	struct hlist_head i_dentry;
};

struct dentry___hooks {
	union {
		struct hlist_node d_alias;
	} d_u;
};

struct unix_sock {
	struct path path;
};

struct socket___hooks {
	struct sock *sk;
};

#pragma clang attribute pop

/* Tells of one object; `what` is the operation and, above it, flags. */
static __noinline int tell(u64 mnt, u64 dentry, u32 what, u32 how)
{
	struct dentry *at = (void *)dentry;
	struct place place = { .mnt = (void *)mnt, .dentry = at };
	if (!at || BPF_CORE_READ(at, d_sb, s_magic) != OVERLAYFS_SUPER_MAGIC || !is_target())
		return 0;
	struct use u = {};
	describe_program(&u, bpf_get_current_task_btf());
	if (is_set_up(&u))
		return 0;
	u.key.id.op = what & 0xff;
	u.key.id.flags = FLAG_HOOK | (what >> 8);
	u.key.id.how = how;
	describe_place(&u, place);
	return report(&u);
}

static __always_inline int tell_path(const struct path *path, u32 what)
{
	return tell((u64)BPF_CORE_READ(path, mnt), (u64)BPF_CORE_READ(path, dentry), what, 0);
}

static __always_inline int tell_file(struct file *file, u32 what, u32 how)
{
	return tell((u64)BPF_CORE_READ(file, f_path.mnt), (u64)BPF_CORE_READ(file, f_path.dentry), what, how);
}

/* An entry of a directory, if it is there. */
static __always_inline int tell_entry(const struct path *directory, struct dentry *dentry, u32 what)
{
	return BPF_CORE_READ(dentry, d_inode) ? tell((u64)BPF_CORE_READ(directory, mnt), (u64)dentry, what, 0) : 0;
}

static __always_inline int told_open(struct file *file)
{
	u32 flags = BPF_CORE_READ((struct file___hooks *)file, f_flags);
	return flags & FMODE_EXEC ? 0 : tell_file(file, OP_OPEN, flags);
}

/* An inode that is asked for permission has no name; where it has one name only, it is that. */
static __always_inline int told_permission(struct inode *inode, u32 mask)
{
	if (!(mask & (MAY_ACCESS | MAY_CHDIR)) || BPF_CORE_READ(inode, i_sb, s_magic) != OVERLAYFS_SUPER_MAGIC)
		return 0;
	struct hlist_node *node = BPF_CORE_READ((struct inode___hooks *)inode, i_dentry.first);
	if (!node || BPF_CORE_READ(node, next))
		return 0;
	u64 dentry = (u64)node - bpf_core_field_offset(struct dentry___hooks, d_u.d_alias);
	return tell(0, dentry, mask & MAY_CHDIR ? OP_ENTER : OP_ACCESS, 0);
}

static __always_inline int told_mapping(struct file *file, unsigned long protection)
{
	return file && protection & PROT_EXEC ? tell_file(file, OP_MAP | EXECUTABLE, 0) : 0;
}

static __always_inline int told_socket(struct sock *sk)
{
	if (!bpf_core_type_exists(struct unix_sock) || !sk)
		return 0;
	struct unix_sock *socket = (void *)sk;
	return tell((u64)BPF_CORE_READ(socket, path.mnt), (u64)BPF_CORE_READ(socket, path.dentry), OP_CONNECT, 0);
}

static __always_inline int told_socket_of(struct socket *socket)
{
	return told_socket(BPF_CORE_READ((struct socket___hooks *)socket, sk));
}

#endif
