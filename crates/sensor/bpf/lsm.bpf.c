// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The base, and what hooks of the BPF security module tell. They decide nothing: each returns that all is allowed. */
#include "sensor.bpf.c"
#include "hooks.h"

/* Such programs load and attach also where the kernel does not run them: whether one did run. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} lsm_ran SEC(".maps");

SEC("lsm/file_open")
int BPF_PROG(lsm_trial, struct file *file)
{
	u32 zero = 0, one = 1;
	bpf_map_update_elem(&lsm_ran, &zero, &one, BPF_ANY);
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(lsm_file_open, struct file *file)
{
	told_open(file);
	return 0;
}

SEC("lsm/inode_getattr")
int BPF_PROG(lsm_inode_getattr, const struct path *path)
{
	tell_path(path, OP_STAT);
	return 0;
}

SEC("lsm/inode_follow_link")
int BPF_PROG(lsm_inode_follow_link, struct dentry *dentry)
{
	tell(0, (u64)dentry, OP_READLINK, 0);
	return 0;
}

SEC("lsm/inode_readlink")
int BPF_PROG(lsm_inode_readlink, struct dentry *dentry)
{
	tell(0, (u64)dentry, OP_READLINK, 0);
	return 0;
}

SEC("lsm/inode_permission")
int BPF_PROG(lsm_inode_permission, struct inode *inode, int mask)
{
	told_permission(inode, mask);
	return 0;
}

SEC("lsm/mmap_file")
int BPF_PROG(lsm_mmap_file, struct file *file, unsigned long wanted, unsigned long protection)
{
	told_mapping(file, protection);
	return 0;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(lsm_bprm_check, struct linux_binprm *binprm)
{
	tell_file(BPF_CORE_READ(binprm, file), OP_EXEC, 0);
	return 0;
}

SEC("lsm/path_rename")
int BPF_PROG(lsm_path_rename, const struct path *from_dir, struct dentry *from, const struct path *to_dir,
	     struct dentry *to)
{
	tell_entry(from_dir, from, OP_REMOVE);
	tell_entry(to_dir, to, OP_REMOVE);
	return 0;
}

SEC("lsm/path_unlink")
int BPF_PROG(lsm_path_unlink, const struct path *dir, struct dentry *dentry)
{
	tell_entry(dir, dentry, OP_REMOVE);
	return 0;
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(lsm_unix_connect, struct sock *sock, struct sock *other)
{
	told_socket(other);
	return 0;
}

SEC("lsm/unix_may_send")
int BPF_PROG(lsm_unix_send, struct socket *sock, struct socket *other)
{
	told_socket_of(other);
	return 0;
}
