// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The base, and what the same hooks tell where the BPF security module is not active: at the entry of the functions that
 * would call it. The kernel skips such a program while it runs already on this processor, and counts that.
 */
#include "sensor.bpf.c"
#include "hooks.h"

SEC("fentry/security_file_open")
int BPF_PROG(fentry_file_open, struct file *file)
{
	return told_open(file);
}

SEC("fentry/security_inode_getattr")
int BPF_PROG(fentry_inode_getattr, const struct path *path)
{
	return tell_path(path, OP_STAT);
}

SEC("fentry/security_inode_follow_link")
int BPF_PROG(fentry_inode_follow_link, struct dentry *dentry)
{
	return tell(0, (u64)dentry, OP_READLINK, 0);
}

SEC("fentry/security_inode_readlink")
int BPF_PROG(fentry_inode_readlink, struct dentry *dentry)
{
	return tell(0, (u64)dentry, OP_READLINK, 0);
}

SEC("fentry/security_inode_permission")
int BPF_PROG(fentry_inode_permission, struct inode *inode, int mask)
{
	return told_permission(inode, mask);
}

SEC("fentry/security_mmap_file")
int BPF_PROG(fentry_mmap_file, struct file *file, unsigned long protection)
{
	return told_mapping(file, protection);
}

SEC("fentry/security_bprm_check")
int BPF_PROG(fentry_bprm_check, struct linux_binprm *binprm)
{
	return tell_file(BPF_CORE_READ(binprm, file), OP_EXEC, 0);
}

SEC("fentry/security_path_rename")
int BPF_PROG(fentry_path_rename, const struct path *from_dir, struct dentry *from, const struct path *to_dir,
	     struct dentry *to)
{
	tell_entry(from_dir, from, OP_REMOVE);
	return tell_entry(to_dir, to, OP_REMOVE);
}

SEC("fentry/security_path_unlink")
int BPF_PROG(fentry_path_unlink, const struct path *dir, struct dentry *dentry)
{
	return tell_entry(dir, dentry, OP_REMOVE);
}

SEC("fentry/security_unix_stream_connect")
int BPF_PROG(fentry_unix_connect, struct sock *sock, struct sock *other)
{
	return told_socket(other);
}

SEC("fentry/security_unix_may_send")
int BPF_PROG(fentry_unix_send, struct socket *sock, struct socket *other)
{
	return told_socket_of(other);
}
