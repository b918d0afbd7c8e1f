// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The base backend: raw tracepoints only, so that it loads where trampolines are refused.
 *
 * One use of a path takes this way: describe it (struct use, on the stack), look it up among the uses already
 * reported, and only if it is new build a record in a claimed scratch buffer, hand it over and remember it. Remembered
 * is only what was handed over, so a use that found no room is reported the next time. Each use ends in exactly one
 * of the counters duplicate, emitted, dropped, faulted.
 *
 * All reads of kernel memory tolerate faults; nothing here can block or be killed half-way, so a claimed buffer is
 * always given back. A buffer belongs to the one program run that set its busy word, which holds whether or not the
 * kernel lets programs be preempted; per-CPU scratch would not.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "wire.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

#define PATH_MAX 4096
#define NAME_ROOM 256		/* NAME_MAX and a NUL */
#define CHAIN_LEVELS 2200	/* PATH_MAX / 2 names, and some mounts */
#define SHORT_TEXT 64
#define MIDDLE_TEXT 256
#define ARGV0_ROOM 256
#define FROM_ROOM 3072		/* of the text of what is shown, before the path where that is */
#define PAYLOAD (6 * PATH_MAX)
#define SCRATCH_BUFFERS 128
#define SCRATCH_TRIES 64
#define SYSCALLS 512
#define RECENT_SHORT_BITS 10
#define RECENT_MIDDLE_BITS 8
#define WORDS_OF(type) (sizeof(struct type) / sizeof(u64))

#define FMODE_BACKING (3u << 24)	/* one of these, it has moved */
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define AT_FDCWD -100
#define AT_BASE 7
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define SUN_PATH_MAX 108
#define PROT_EXEC 4
#define UIO_MAXIOV 1024
#define MAP_ANONYMOUS 0x20
#define RESOLVE_IN_ROOT 0x10
#define RENAME_EXCHANGE 2
#if defined(__TARGET_ARCH_x86)
#define O_NOFOLLOW 0400000
#else
#define O_NOFOLLOW 0100000
#endif
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_SYMLINK_FOLLOW 0x400
#define AT_EMPTY_PATH 0x1000
#define EPERM 1
#define EBADF 9
#define EFAULT 14
#define EINVAL 22
#define ENFILE 23
#define EMFILE 24
#define ENAMETOOLONG 36
#define ENOSYS 38
#define ENOTSOCK 88
#define EOPNOTSUPP 95

/* RECENT counts as seen and as a duplicate, at once. */
enum counter { SEEN, DUPLICATE, EMITTED, DROPPED, FAULTED, PROCESSES, ACTIVITY_DROPPED, RECENT, COUNTERS };

/* What makes two uses the same. */
struct identity {
	u64 exe_ino, root_ino, base_ino, object_ino, object_parent;
	u32 exe_dev, base_dev, object_dev, object_name_hash;
	u8 op, flags;
	s16 result;
	u32 how;
};

struct short_key {
	struct identity id;
	char text[SHORT_TEXT];
} __attribute__((aligned(8)));

struct middle_key {
	struct identity id;
	char text[MIDDLE_TEXT];
} __attribute__((aligned(8)));

struct long_key {
	struct identity id;
	char text[PATH_MAX];
};

struct place {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

/* One use of a path, being looked at. */
struct use {
	struct short_key key;
	struct place object, base, root;
	const void *text;	/* 0: none */
	u16 text_room;		/* bytes that may be read there, with the NUL */
	u16 text_length;	/* bytes of it in the short key, with the NUL */
	bool text_user;		/* in the process's memory, not the kernel's */
	bool text_long;		/* did not fit into the short key */
	int fd;			/* of a socket; -1: not known */
};

/* The state of a walk up a chain of names. It lies in the scratch buffer, for the stack is small. */
struct walk {
	struct place at;
	u32 start, offset;	/* of the payload */
	u32 dev;
	u8 status, crossed;
};

struct scratch {
	u32 busy;
	u32 text_length;
	struct walk walk;
	struct record record;
	char payload[PAYLOAD];
	struct short_key short_key;
	struct long_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 18);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct short_key);
	__type(value, u8);
} short_uses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 17);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct middle_key);
	__type(value, u8);
} middle_uses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 12);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct long_key);
	__type(value, u8);
} long_uses SEC(".maps");

/*
 * Uses that were looked up last on a processor, each at a place of its own: comparing is cheaper than looking up. The
 * version is odd while an entry is written, for a program may be preempted by another one; both then do without it.
 */
struct recent_short {
	u64 version;
	u64 words[WORDS_OF(short_key)];
};

struct recent_middle {
	u64 version;
	u64 words[WORDS_OF(middle_key)];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << RECENT_SHORT_BITS);
	__type(key, u32);
	__type(value, struct recent_short);
} recent_short_uses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << RECENT_MIDDLE_BITS);
	__type(key, u32);
	__type(value, struct recent_middle);
} recent_middle_uses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCH_BUFFERS);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

/* The program that sets the container up from within: nothing that it does is a use of the image. Zero: none. */
struct program_id {
	u64 ino;
	u32 dev, pad;
};

volatile struct program_id set_up_by SEC(".data.set_up_by") = {};

/* Whether the kernel has bpf_rdonly_cast (Linux 6.2), see `cast`; filled in before loading. */
const volatile bool can_cast = false;

/* What each system call does with which argument; filled in before loading, see src/syscalls.rs. */
const volatile u64 native_calls[SYSCALLS] = {};
const volatile u64 compat_calls[SYSCALLS] = {};

static __always_inline void count(enum counter which)
{
	u32 index = which;
	u64 *value = bpf_map_lookup_elem(&counters, &index);
	if (value)
		__sync_fetch_and_add(value, 1);	/* atomic: exact even where a program can be preempted */
}

static __always_inline bool is_target(void)
{
	return bpf_current_task_under_cgroup(&targets, 0) == 1;
}

/* ---- scratch ---- */

static __always_inline struct scratch *claim(u32 *slot)
{
	u32 first = bpf_get_smp_processor_id();
	for (u32 i = 0; i < SCRATCH_TRIES; i++) {
		*slot = (first + i) & (SCRATCH_BUFFERS - 1);
		struct scratch *s = bpf_map_lookup_elem(&scratches, slot);
		if (s && __sync_val_compare_and_swap(&s->busy, 0, 1) == 0)
			return s;
	}
	return 0;
}

static __always_inline void release(struct scratch *s)
{
	__sync_lock_test_and_set(&s->busy, 0);
}

/* ---- the ring ---- */

enum { AVAILABLE_DATA, RING_SIZE };	/* of bpf_ringbuf_query */
enum { NO_WAKEUP = 1, FORCE_WAKEUP = 2 };
#define WAKES_A_RING 32

/*
 * Hands a record over. The reader comes by itself some fifty times a second, and is woken only each time that another
 * part of the ring is full: an interrupt and a switch for each record would cost more than the record.
 */
static __always_inline long hand_over(void *record, u64 length)
{
	u64 waiting = bpf_ringbuf_query(&ring, AVAILABLE_DATA);
	u64 part = bpf_ringbuf_query(&ring, RING_SIZE) / WAKES_A_RING;
	bool is_due = part && waiting / part != (waiting + length) / part;
	return bpf_ringbuf_output(&ring, record, length, is_due ? FORCE_WAKEUP : NO_WAKEUP);
}

/* ---- chains of names ---- */

static long walk_step(u32 index, u32 *slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, slot);
	if (!s)
		return 1;
	struct walk *w = &s->walk;
	struct dentry *dentry = w->at.dentry;
	struct vfsmount *mnt = w->at.mnt;
	struct super_block *sb = BPF_CORE_READ(dentry, d_sb);
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	bool overlay = BPF_CORE_READ(sb, s_magic) == OVERLAYFS_SUPER_MAGIC;
	w->dev = BPF_CORE_READ(sb, s_dev);
	bool detached = false;
	if (overlay || !mnt) {
		/* The root of an overlay is the root of the image, wherever it is mounted. */
		if (dentry == BPF_CORE_READ(sb, s_root)) {
			w->status = PART_WHOLE;
			return 1;
		}
		detached = parent == dentry;
	} else if (dentry == BPF_CORE_READ(mnt, mnt_root)) {
		struct mount *mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
		struct mount *upper = BPF_CORE_READ(mount, mnt_parent);
		struct dentry *point = BPF_CORE_READ(mount, mnt_mountpoint);
		if (upper == mount || !upper || !point) {
			w->status = parent == dentry && dentry != BPF_CORE_READ(sb, s_root) ? PART_DETACHED : PART_WHOLE;
			if (w->status == PART_WHOLE)
				return 1;
			detached = true;
		} else {
			w->at.mnt = (void *)upper + bpf_core_field_offset(struct mount, mnt);
			w->at.dentry = point;
			w->crossed = 1;
			return 0;
		}
	} else {
		detached = parent == dentry;
	}
	u32 offset = w->offset;
	u32 length = BPF_CORE_READ(dentry, d_name.len);
	if (offset > PAYLOAD - NAME_ROOM || offset - w->start + length + 1 > PATH_MAX) {
		w->status = PART_TOO_LONG;
		return 1;
	}
	long read = bpf_probe_read_kernel_str(&s->payload[offset], NAME_ROOM, BPF_CORE_READ(dentry, d_name.name));
	if (read <= 0 || read != (long)length + 1) {
		w->status = PART_TORN;
		return 1;
	}
	w->offset = offset + read;
	if (detached) {
		w->status = PART_DETACHED;
		return 1;
	}
	w->at.dentry = parent;
	return 0;
}

/* Appends the names from a place up to the root of its file system, and describes them in `part`. */
static __noinline int put_chain(struct scratch *s, u32 slot, const struct place *from, struct part *part)
{
	if (!s || !from || !part)
		return 0;
	struct walk *w = &s->walk;
	w->at = *from;
	w->start = w->offset;
	w->dev = 0;
	w->status = PART_NONE;
	w->crossed = 0;
	if (w->at.dentry) {
		w->status = PART_TOO_LONG;
		bpf_loop(CHAIN_LEVELS, walk_step, &slot, 0);
		if (w->status != PART_WHOLE && w->status != PART_DETACHED)
			w->offset = w->start;
	}
	part->length = w->offset - w->start;
	part->status = w->status;
	part->crossed = w->crossed;
	part->dev = w->dev;
	return 0;
}

static __always_inline bool is_lost(const struct part *part)
{
	return part->status == PART_TOO_LONG || part->status == PART_TORN;
}

/* ---- reporting ---- */

/* Fills in who: executable and name. */
static __always_inline void put_process(struct scratch *s, u32 slot, struct task_struct *task)
{
	struct record *r = &s->record;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *exe = mm ? BPF_CORE_READ(mm, exe_file) : 0;
	struct place place = {};
	if (exe) {
		place.mnt = BPF_CORE_READ(exe, f_path.mnt);
		place.dentry = BPF_CORE_READ(exe, f_path.dentry);
	}
	r->exe_ino = exe ? BPF_CORE_READ(exe, f_inode, i_ino) : 0;
	r->exe_dev = exe ? BPF_CORE_READ(exe, f_inode, i_sb, s_dev) : 0;
	put_chain(s, slot, &place, &r->exe);
	r->time_ns = bpf_ktime_get_ns();
	r->tgid = BPF_CORE_READ(task, tgid);
	bpf_probe_read_kernel(r->comm, sizeof(r->comm), (void *)task + bpf_core_field_offset(struct task_struct, comm));
}

static __always_inline void put_argv0(struct scratch *s, struct task_struct *task)
{
	struct part *part = &s->record.argv0;
	u32 offset = s->walk.offset;
	part->status = PART_NONE;
	part->length = 0;
	part->crossed = 0;
	part->dev = 0;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	if (!mm || offset > PAYLOAD - ARGV0_ROOM)
		return;
	long read = bpf_probe_read_user_str(&s->payload[offset], ARGV0_ROOM, (void *)BPF_CORE_READ(mm, arg_start));
	if (read <= 0 || read > ARGV0_ROOM)
		return;
	part->status = PART_WHOLE;
	part->length = read;
	s->walk.offset = offset + read;
}

/* Builds the record of a use in a claimed buffer whose payload starts with the text. False: a path was not readable. */
static __noinline int build(struct use *u, struct scratch *s, u32 slot)
{
	if (!s || !u)
		return 0;
	struct record *r = &s->record;
	struct dentry *object = u->object.dentry;
	r->version = WIRE_VERSION;
	r->op = u->key.id.op;
	r->flags = u->key.id.flags;
	r->result = u->key.id.result;
	r->how = u->key.id.how;
	r->object_mode = object ? BPF_CORE_READ(object, d_inode, i_mode) : 0;
	r->text.length = s->text_length;
	r->text.status = s->text_length ? PART_WHOLE : PART_NONE;
	r->text.crossed = 0;
	r->text.dev = 0;
	s->walk.offset = s->text_length;
	put_chain(s, slot, &u->object, &r->object);
	put_chain(s, slot, &u->base, &r->base);
	put_chain(s, slot, &u->root, &r->root);
	if (is_lost(&r->object) || is_lost(&r->base) || is_lost(&r->root))
		return 0;
	struct task_struct *task = (void *)bpf_get_current_task();
	put_process(s, slot, task);
	put_argv0(s, task);
	return 1;
}

static __always_inline long read_text(char *to, u32 room, struct use *u)
{
	if (u->text_user)
		return bpf_probe_read_user_str(to, room, u->text);
	return bpf_probe_read_kernel_str(to, room, u->text);
}

/*
 * ---- uses seen last ----
 * Of a key, the identity and the words that hold text are looked at. The NUL is among them, and a use without a text has
 * one empty word, so that no text is taken for the beginning of another.
 */

static __always_inline u32 words_of(u32 text_length)
{
	return WORDS_OF(identity) + (text_length ? (text_length + sizeof(u64) - 1) / sizeof(u64) : 1);
}

/* Where in a table of 2^bits entries a key belongs. */
static __always_inline u32 recent_index(const u64 *key, u32 words, u32 room, u32 bits)
{
	u64 mixed = 0;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < room && i < words; i++)
		mixed ^= key[i] << (i & 31);
	return mixed * 0x9e3779b97f4a7c15 >> (64 - bits);
}

static __always_inline bool is_recent(const u64 *version, const u64 *entry, const u64 *key, u32 words, u32 room)
{
	u64 before = *(volatile u64 *)version, differs = before & 1;
	barrier();
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < room && i < words; i++)
		differs |= entry[i] ^ key[i];
	barrier();
	return before && !differs && *(volatile u64 *)version == before;
}

static __always_inline void put_recent(u64 *version, u64 *entry, const u64 *key, u32 words, u32 room)
{
	u64 before = *(volatile u64 *)version;
	/* Another program that came between has the entry, or had it: no version is ever given twice. */
	if (before & 1 || __sync_val_compare_and_swap(version, before, before + 1) != before)
		return;
	barrier();
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < room && i < words; i++)
		entry[i] = key[i];
	barrier();
	*(volatile u64 *)version = before + 2;
}

static __always_inline struct recent_short *recent_short(struct short_key *key, u32 words)
{
	u32 index = recent_index((void *)key, words, WORDS_OF(short_key), RECENT_SHORT_BITS);
	return bpf_map_lookup_elem(&recent_short_uses, &index);
}

static __always_inline struct recent_middle *recent_middle(struct long_key *key, u32 words)
{
	u32 index = recent_index((void *)key, words, WORDS_OF(middle_key), RECENT_MIDDLE_BITS);
	return bpf_map_lookup_elem(&recent_middle_uses, &index);
}

#define ROOM(place) (sizeof((place)->words) / sizeof(u64))
#define IS_RECENT(place, key, count) is_recent(&(place)->version, (place)->words, (void *)(key), count, ROOM(place))
#define PUT_RECENT(place, key, count) put_recent(&(place)->version, (place)->words, (void *)(key), count, ROOM(place))

enum { NOT_SEEN, KNOWN, UNREADABLE };

/* Looks up a use whose text is too long for the stack: reads it into the scratch buffer. */
static __noinline int look_up_long(struct use *u, struct scratch *s)
{
	if (!s)
		return UNREADABLE;
	u32 room = u->text_room;
	s->key.id = u->key.id;
	__builtin_memset(s->key.text, 0, MIDDLE_TEXT);
	long read = read_text(s->key.text, room < MIDDLE_TEXT ? room : MIDDLE_TEXT, u);
	if (read <= 0)
		return UNREADABLE;
	if (read < MIDDLE_TEXT) {
		u32 words = words_of(read);
		struct recent_middle *place = recent_middle(&s->key, words);
		if (place && IS_RECENT(place, &s->key, words))
			return KNOWN;
		if (bpf_map_lookup_elem(&middle_uses, &s->key)) {
			if (place)
				PUT_RECENT(place, &s->key, words);
			return KNOWN;
		}
		s->text_length = read;
		bpf_probe_read_kernel(s->payload, MIDDLE_TEXT, s->key.text);
		return NOT_SEEN;
	}
	bpf_probe_read_kernel(s->key.text, PATH_MAX, 0);	/* a failed read clears the target */
	read = read_text(s->key.text, PATH_MAX, u);
	if (read <= 0 || read > PATH_MAX)
		return UNREADABLE;
	if (bpf_map_lookup_elem(&long_uses, &s->key))
		return KNOWN;
	s->text_length = read;
	bpf_probe_read_kernel(s->payload, PATH_MAX, s->key.text);
	return NOT_SEEN;
}

static __noinline int remember(struct use *u, struct scratch *s)
{
	u8 one = 1;
	if (!s)
		return 0;
	/* A full map is no loss: the use will be reported again. */
	if (!u->text_long)
		bpf_map_update_elem(&short_uses, &s->short_key, &one, BPF_ANY);
	else if (s->text_length < MIDDLE_TEXT)
		bpf_map_update_elem(&middle_uses, &s->key, &one, BPF_ANY);
	else
		bpf_map_update_elem(&long_uses, &s->key, &one, BPF_ANY);
	return 0;
}

/* Hands over what is new, in a claimed buffer whose payload starts with the text, and remembers it. */
static __always_inline int deliver(struct use *u, struct scratch *s, u32 slot)
{
	if (!s || !build(u, s, slot))
		return FAULTED;
	u32 payload = s->walk.offset;
	if (payload > PAYLOAD || hand_over(&s->record, sizeof(s->record) + payload))
		return DROPPED;
	remember(u, s);
	return EMITTED;
}

/*
 * Counts a use and reports it unless it is known. Global, like report_text, so that it is verified only once. A global
 * function's argument is no key of a map on Linux 6.1, so where the kernel is as old as that the key is copied first.
 */
__noinline int report(struct use *u)
{
	u32 slot, words = 0;
	struct recent_short *place = 0;
	if (!u)
		return 0;
	if (!u->text_long) {
		words = words_of(u->text_length);
		place = recent_short(&u->key, words);
		if (place && IS_RECENT(place, &u->key, words)) {
			count(RECENT);
			return 0;
		}
	}
	count(SEEN);
	if (can_cast && !u->text_long && bpf_map_lookup_elem(&short_uses, &u->key)) {
		if (place)
			PUT_RECENT(place, &u->key, words);
		count(DUPLICATE);
		return 0;
	}
	struct scratch *s = claim(&slot);
	if (!s) {
		count(DROPPED);
		return 0;
	}
	enum counter outcome = FAULTED;
	if (u->text_long) {
		int found = look_up_long(u, s);
		if (found == KNOWN)
			outcome = DUPLICATE;
		if (found != NOT_SEEN)
			goto out;
	} else {
		s->short_key = u->key;
		if (!can_cast && bpf_map_lookup_elem(&short_uses, &s->short_key)) {
			outcome = DUPLICATE;
			if (place)
				PUT_RECENT(place, &s->short_key, words);
			goto out;
		}
		long read = u->text ? bpf_probe_read_kernel_str(s->payload, SHORT_TEXT, u->key.text) : 0;
		if (read < 0 || read > SHORT_TEXT)
			goto out;
		s->text_length = read;
	}
	outcome = deliver(u, s, slot);
out:
	release(s);
	count(outcome);
	return 0;
}

/* ---- describing ---- */

static __always_inline void describe_program(struct use *u, struct task_struct *task)
{
	struct mm_struct *mm = task->mm;
	struct file *exe = mm ? mm->exe_file : 0;
	struct inode *inode = exe ? exe->f_inode : 0;
	if (inode) {
		u->key.id.exe_ino = inode->i_ino;
		u->key.id.exe_dev = inode->i_sb->s_dev;
	}
}

static __always_inline void describe_process(struct use *u, struct task_struct *task)
{
	describe_program(u, task);
	struct fs_struct *fs = task->fs;
	if (fs) {
		u->root.mnt = fs->root.mnt;
		u->root.dentry = fs->root.dentry;
		u->key.id.root_ino = fs->root.dentry->d_inode->i_ino;
	}
}

/* Whether the program of a described process is the one that sets the container up. */
static __always_inline bool is_set_up(struct use *u)
{
	return set_up_by.ino && set_up_by.ino == u->key.id.exe_ino && set_up_by.dev == u->key.id.exe_dev;
}

/*
 * Reading a member by a helper costs about as much as comparing a whole key. Since Linux 6.2 a pointer can be given the
 * kernel's type (bpf_rdonly_cast), after which members are read at once, by instructions that yield zero where there is
 * no memory. The loader does not know kernel functions, so the call stands here with a number in place of the
 * function's, which src/object.rs puts in; where the kernel lacks it, a move stands there, and `can_cast` is false.
 */
static __always_inline void *cast(const void *pointer, u32 type)
{
	register const void *object asm("r1") = pointer;
	register u64 id asm("r2") = type;
	register void *typed asm("r0");
	asm volatile(".8byte 0x0ca4ee0100002085" : "=r"(typed), "+r"(object), "+r"(id) : : "r3", "r4", "r5");
	return typed;
}

#define CAST(type, pointer) ((struct type *)cast(pointer, bpf_core_type_id_kernel(struct type)))

static __always_inline void describe_place(struct use *u, struct place place)
{
	struct dentry *dentry = place.dentry;
	u->object.mnt = place.mnt;
	u->object.dentry = dentry;
	if (can_cast) {
		dentry = CAST(dentry, dentry);
		u->key.id.object_ino = dentry->d_inode->i_ino;
		u->key.id.object_dev = dentry->d_sb->s_dev;
		u->key.id.object_parent = dentry->d_parent->d_inode->i_ino;
		u->key.id.object_name_hash = dentry->d_name.hash;
		return;
	}
	u->key.id.object_ino = BPF_CORE_READ(dentry, d_inode, i_ino);
	u->key.id.object_dev = BPF_CORE_READ(dentry, d_sb, s_dev);
	u->key.id.object_parent = BPF_CORE_READ(dentry, d_parent, d_inode, i_ino);
	u->key.id.object_name_hash = BPF_CORE_READ(dentry, d_name.hash);
}

static __always_inline struct place place_of(struct file *file)
{
	if (can_cast) {
		file = CAST(file, file);
		return (struct place){ .mnt = file->f_path.mnt, .dentry = file->f_path.dentry };
	}
	return (struct place){ .mnt = BPF_CORE_READ(file, f_path.mnt), .dentry = BPF_CORE_READ(file, f_path.dentry) };
}

static __always_inline void describe_object(struct use *u, struct file *file)
{
	describe_place(u, place_of(file));
}

/* The path under which a mapped file was opened. Mappings of overlayfs refer to the file of the layer instead. */
static __always_inline struct place mapped_place(struct file *file)
{
	struct place place = {};
	struct backing_file *backing = (void *)file;
	if (bpf_core_field_exists(backing->user_path) && BPF_CORE_READ(file, f_mode) & FMODE_BACKING) {
		place.mnt = BPF_CORE_READ(backing, user_path.mnt);
		place.dentry = BPF_CORE_READ(backing, user_path.dentry);
		struct dentry *dentry = place.dentry;
		if (BPF_CORE_READ(dentry, d_sb, s_magic) == OVERLAYFS_SUPER_MAGIC)
			return place;
	}
	return place_of(file);
}

static long on_mapping(struct task_struct *task, struct vm_area_struct *vma, struct use *u)
{
	struct file *file = vma->vm_file;
	if (file)
		describe_place(u, mapped_place(file));
	return 0;
}

static __always_inline void forget_object(struct use *u)
{
	u->object.mnt = 0;
	u->object.dentry = 0;
	u->key.id.object_ino = 0;
	u->key.id.object_dev = 0;
	u->key.id.object_parent = 0;
	u->key.id.object_name_hash = 0;
}

static __always_inline struct file *file_of(struct task_struct *task, int fd)
{
	struct file *file = 0;
	struct files_struct *files = task->files;
	struct fdtable *table = files ? files->fdt : 0;
	if (!table || fd < 0 || (u32)fd >= table->max_fds)
		return 0;
	struct file **slots = table->fd;
	bpf_probe_read_kernel(&file, sizeof(file), slots + (u32)fd);
	return file;
}

static __always_inline void lost(void)
{
	count(SEEN);
	count(FAULTED);
}

/*
 * Memory of the process that tells of a use could not be read: it is lost, unless the kernel could not read it either, or
 * failed for what it finds before it reads a path. Had it read it, the memory would be there now.
 */
static __noinline int unreadable(struct use *u)
{
	if (!u)
		return 0;
	switch (u->key.id.result) {
	case -EPERM:
	case -EBADF:
	case -EFAULT:
	case -EINVAL:
	case -ENFILE:
	case -EMFILE:
	case -ENOSYS:
	case -ENOTSOCK:
	case -EOPNOTSUPP:
		return 0;
	}
	lost();
	return 0;
}

#define FOUR(a, b, c, d) (a | b << 8 | c << 16 | (u32)d << 24)
#define WORD(a, b, c, d, e, f, g, h) (FOUR(a, b, c, d) | (u64)FOUR(e, f, g, h) << 32)

enum { DESCRIPTOR_DIGITS = 7 };

/* The number that a text starts with, and that ends with a slash or with the text; -1: none. */
static __always_inline int descriptor_at(const char *text)
{
	int number = 0;
	for (u32 i = 0; i <= DESCRIPTOR_DIGITS; i++) {
		char c = text[i];
		if (i && (c == '/' || !c))
			return number;
		if (c < '0' || c > '9')
			return -1;
		number = number * 10 + c - '0';
	}
	return -1;
}

/* The directory or descriptor of the task's own that a text means which begins in /proc: AT_FDCWD, a number, -1: none. */
static __always_inline int own_begin(const char *text)
{
	u64 first = *(u64 *)text;
	const char *link;
	if (first == WORD('/', 'd', 'e', 'v', '/', 'f', 'd', '/'))
		return descriptor_at(text + 8);
	if (first == WORD('/', 'p', 'r', 'o', 'c', '/', 's', 'e'))
		link = text + 11;	/* behind "self/" */
	else if (first == WORD('/', 'p', 'r', 'o', 'c', '/', 't', 'h'))
		link = text + 18;	/* "thread-self/" */
	else
		return -1;
	if (link[-5] != 's' || link[-2] != 'f' || link[-1] != '/')
		return -1;
	if (link[0] == 'c' && link[1] == 'w' && link[2] == 'd')
		return AT_FDCWD;
	return link[0] == 'f' && link[1] == 'd' && link[2] == '/' ? descriptor_at(link + 3) : -1;
}

/* Where a path begins; of its text at least 32 bytes are there. False: that is not known. */
static __always_inline bool describe_base(struct use *u, struct task_struct *task, const char *text, int dfd)
{
	u->key.id.flags &= ~FLAG_ABSOLUTE;
	if (text[0] == '/' && !(u->key.id.flags & FLAG_IN_ROOT)) {
		u->key.id.flags |= FLAG_ABSOLUTE;
		u->base.mnt = 0;
		u->base.dentry = 0;
		u->key.id.base_ino = 0;
		u->key.id.base_dev = 0;
		dfd = own_begin(text);
		if (dfd == -1 || (dfd != AT_FDCWD && !file_of(task, dfd)))
			return true;
	}
	if (dfd == AT_FDCWD) {
		struct fs_struct *fs = task->fs;
		if (!fs) {
			lost();
			return false;
		}
		struct dentry *dentry = fs->pwd.dentry;
		u->base.mnt = fs->pwd.mnt;
		u->base.dentry = dentry;
		u->key.id.base_ino = dentry->d_inode->i_ino;
		u->key.id.base_dev = dentry->d_sb->s_dev;
	} else {
		struct file *file = file_of(task, dfd);
		if (!file) {
			if (u->key.id.result != -EBADF)
				lost();
			return false;
		}
		u->base = place_of(file);
		struct dentry *dentry = u->base.dentry;
		u->key.id.base_ino = BPF_CORE_READ(dentry, d_inode, i_ino);
		u->key.id.base_dev = BPF_CORE_READ(dentry, d_sb, s_dev);
	}
	return true;
}

/* Reports the use of a path given as text relative to `dfd`. */
__noinline int report_text(struct use *u, int dfd)
{
	if (!u)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	if (!u->text)
		return 0;	/* no path means the descriptor too: futimens, and statx since Linux 6.11 */
	char *text = u->key.text;
	__builtin_memset(text, 0, SHORT_TEXT);
	u32 room = u->text_room;
	u->text_long = false;
	long read = read_text(text, room < SHORT_TEXT ? room : SHORT_TEXT, u);
	if (read < 0)
		return unreadable(u);
	/* An empty path means the descriptor, whose opening was seen. Older kernels, such as 6.12, count no NUL then. */
	if (read <= 1)
		return 0;
	u->text_long = read >= SHORT_TEXT;
	u->text_length = read;
	if (!describe_base(u, task, text, dfd))
		return 0;
	return report(u);
}

/* ---- what the container makes ---- */

/* Something that shows elsewhere from now on. */
struct making {
	const void *from, *to;	/* texts; no `from`: what its descriptor stands for */
	int from_dfd, to_dfd;
	u32 kind;
};

/* Reads both texts into the key, the first no longer than FROM_ROOM. Their length; 0: they are not readable, or too long. */
static __noinline u32 read_made(struct use *u, struct making *m, struct scratch *s)
{
	long from = 1, to;
	if (!u || !m || !s)
		return 0;
	bpf_probe_read_kernel(s->key.text, PATH_MAX, 0);	/* a failed read clears the target */
	if (m->from) {
		u->text = m->from;
		from = read_text(s->key.text, FROM_ROOM, u);
	}
	if (from < 0 || from >= FROM_ROOM)
		return 0;
	if (!from)	/* older kernels count no NUL of an empty text */
		from = 1;
	u->text = m->to;
	to = m->to ? read_text(&s->key.text[from], PATH_MAX - FROM_ROOM, u) : 1;
	if (to < 0 || to >= PATH_MAX - FROM_ROOM)
		return 0;
	return from + (to ? to : 1);
}

/* Where what is shown begins, or what it is if it is a descriptor of the task's own in /proc: there it is an object. */
static __noinline int describe_shown(struct use *u, struct making *m, const char *text)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (!u || !m || !text)
		return 0;
	forget_object(u);
	if (m->kind == MADE_LINK)
		return 1;
	bool absolute = text[0] == '/';
	int dfd = absolute ? own_begin(text) : m->from_dfd;
	if (absolute && dfd == -1)
		return 1;
	struct fs_struct *fs = task->fs;
	struct file *file = dfd == AT_FDCWD ? 0 : file_of(task, dfd);
	if (file)
		describe_object(u, file);
	else if (fs && dfd == AT_FDCWD)
		describe_place(u, (struct place){ .mnt = fs->pwd.mnt, .dentry = fs->pwd.dentry });
	return absolute || u->object.dentry != 0;
}

static __noinline int look_up_made(struct use *u, struct making *m, struct scratch *s)
{
	if (!u || !m || !s)
		return UNREADABLE;
	u32 length = read_made(u, m, s);
	if (!length || length > PATH_MAX || !describe_shown(u, m, s->key.text))
		return UNREADABLE;
	u->key.text[0] = 0;
	u->text = m->to;
	if (m->to)
		read_text(u->key.text, SHORT_TEXT, u);
	if (!describe_base(u, bpf_get_current_task_btf(), u->key.text, m->to_dfd))
		return UNREADABLE;
	s->key.id = u->key.id;
	s->text_length = length;
	u->text_long = true;
	if (length < MIDDLE_TEXT ? bpf_map_lookup_elem(&middle_uses, &s->key) != 0
				 : bpf_map_lookup_elem(&long_uses, &s->key) != 0)
		return KNOWN;
	bpf_probe_read_kernel(s->payload, PATH_MAX, s->key.text);
	return NOT_SEEN;
}

/* Reports what a described process made. */
__noinline int report_made(struct use *u, struct making *m)
{
	u32 slot;
	if (!u || !m)
		return 0;
	u->key.id.op = OP_MADE;
	u->key.id.how = m->kind;
	u->key.id.flags = 0;
	u->text_room = PATH_MAX;
	count(SEEN);
	struct scratch *s = claim(&slot);
	if (!s) {
		count(DROPPED);
		return 0;
	}
	enum counter outcome = FAULTED;
	switch (look_up_made(u, m, s)) {
	case KNOWN:
		outcome = DUPLICATE;
		break;
	case NOT_SEEN:
		outcome = deliver(u, s, slot);
	}
	release(s);
	count(outcome);
	return 0;
}

/* ---- sockets ---- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct socket_key);
	__type(value, u8);
} sockets SEC(".maps");

static __always_inline void put_in(struct socket_key *key, u32 address)
{
	__builtin_memcpy(key->address, &address, sizeof(address));
}

static __always_inline void put_in6(struct socket_key *key, const void *address)
{
	bpf_probe_read_kernel(key->address, sizeof(key->address), address);
}

static __noinline int note_socket(struct task_struct *task, struct socket_key *key)
{
	u8 one = 1;
	if (!key)
		return 0;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *exe = mm ? BPF_CORE_READ(mm, exe_file) : 0;
	if (exe) {
		key->exe_ino = BPF_CORE_READ(exe, f_inode, i_ino);
		key->exe_dev = BPF_CORE_READ(exe, f_inode, i_sb, s_dev);
	}
	if (!bpf_map_lookup_elem(&sockets, key) && bpf_map_update_elem(&sockets, key, &one, BPF_ANY))
		count(ACTIVITY_DROPPED);
	return 0;
}

/* An internet address that a socket call named. TCP's listeners are seen where they begin to listen. */
static __noinline int internet_address(struct use *u, const void *address, u16 family)
{
	struct {
		u16 family;
		__be16 port;
		u32 in;		/* IPv6: flow information */
		u8 in6[16];
		u32 scope;
	} name = {};
	if (!u)
		return 0;
	u32 length = family == AF_INET ? 8 : 24;
	if (bpf_probe_read_user(&name, length, address))
		return unreadable(u);
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = file_of(task, u->fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct socket_key key = {
		.kind = u->key.id.op == OP_BIND ? SOCKET_LISTENS : SOCKET_CONNECTS,
		.family = family,
		.protocol = BPF_CORE_READ(sk, sk_protocol),
		.port = bpf_ntohs(name.port),
	};
	if (family == AF_INET)
		put_in(&key, name.in);
	else
		__builtin_memcpy(key.address, name.in6, sizeof(key.address));
	if (key.kind == SOCKET_LISTENS) {
		if (key.protocol == IPPROTO_TCP || u->key.id.result)
			return 0;
		key.port = BPF_CORE_READ(sk, __sk_common.skc_num);	/* also where the kernel chose it */
	}
	note_socket(task, &key);
	return 0;
}

/* Finds the path in a socket address, if there is one. */
static __noinline int address_text(struct use *u, const void *address, u32 length)
{
	u16 family = 0;
	char first = 0;
	if (length <= sizeof(family))
		return 0;
	if (bpf_probe_read_user(&family, sizeof(family), address))
		return unreadable(u);
	if ((family == AF_INET && length >= 16) || (family == AF_INET6 && length >= 24))
		return internet_address(u, address, family);
	if (family != AF_UNIX)
		return 0;
	if (bpf_probe_read_user(&first, 1, address + sizeof(family)))
		return unreadable(u);
	if (!first)
		return 0;	/* abstract */
	length -= sizeof(family);
	u->text = address + sizeof(family);
	u->text_user = true;
	u->text_room = (length < SUN_PATH_MAX ? length : SUN_PATH_MAX) + 1;
	return 1;
}

/* ---- system calls ---- */

#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 2
#define X32_BIT 0x40000000

static __always_inline bool is_compat(struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT;
}

static __always_inline u32 call_number(struct pt_regs *regs)
{
	return (u32)regs->orig_ax & ~X32_BIT;
}

/* Calls that use paths and stand in no table: sendmsg, execve, sendmmsg, execveat of programs of the x32 kind. */
static __always_inline bool is_untold(u32 number, bool compat)
{
	return number == 518 || number == 520 || number == 538 || number == 545;
}

/* The call that a task is in; -1: none. */
static __always_inline s32 original_call(struct pt_regs *regs)
{
	s64 number = BPF_CORE_READ(regs, orig_ax);
	return number < 0 ? -1 : (s32)number & ~X32_BIT;
}

static __always_inline u64 argument(struct pt_regs *regs, bool compat, u32 index)
{
	if (compat) {
		switch (index) {
		case 0: return (u32)regs->bx;
		case 1: return (u32)regs->cx;
		case 2: return (u32)regs->dx;
		case 3: return (u32)regs->si;
		case 4: return (u32)regs->di;
		default: return (u32)regs->bp;
		}
	}
	switch (index) {
	case 0: return regs->di;
	case 1: return regs->si;
	case 2: return regs->dx;
	case 3: return regs->r10;
	case 4: return regs->r8;
	default: return regs->r9;
	}
}
#else
#define TIF_32BIT 22

static __always_inline bool is_compat(struct task_struct *task)
{
	return task->thread_info.flags & (1ul << TIF_32BIT);
}

static __always_inline u32 call_number(struct pt_regs *regs)
{
	return is_compat(bpf_get_current_task_btf()) ? SYSCALLS : regs->syscallno;
}

/* There is no table of the calls of 32-bit programs. */
static __always_inline bool is_untold(u32 number, bool compat)
{
	return compat;
}

static __always_inline s32 original_call(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, syscallno);
}

static __always_inline u64 argument(struct pt_regs *regs, bool compat, u32 index)
{
	switch (index) {
	case 0: return regs->orig_x0;
	case 1: return regs->regs[1];
	case 2: return regs->regs[2];
	case 3: return regs->regs[3];
	case 4: return regs->regs[4];
	default: return regs->regs[5];
	}
}
#endif

/* The packing of src/syscalls.rs. Argument indexes are stored plus one; 0 means that there is none. */
#define CALL_OP(call) ((call) & 0xff)
#define CALL_PATH(call) (((call) >> 8) & 0xf)
#define CALL_DFD(call) (((call) >> 12) & 0xf)
#define CALL_PATH2(call) (((call) >> 16) & 0xf)
#define CALL_DFD2(call) (((call) >> 20) & 0xf)
#define CALL_FLAGS(call) (((call) >> 24) & 0xf)
#define CALL_HOW(call) (((call) >> 28) & 0x7)
#define CALL_INVERT(call) (((call) >> 31) & 1)
#define CALL_NOFOLLOW(call) ((u32)((call) >> 32))

enum { HOW_NONE, HOW_FLAGS, HOW_STRUCT, HOW_CREAT, HOW_WORKING_DIRECTORY, HOW_ROOT, HOW_LINK, HOW_MOUNT };

#define CREAT_FLAGS 0x241	/* O_CREAT | O_WRONLY | O_TRUNC */

#define ARGUMENT(plus_one) argument(regs, compat, (plus_one) - 1)

static __noinline int message_address(struct use *u, const void *header, bool compat, u64 *address)
{
	*address = 0;
	if (compat) {
		u32 name[2] = {};
		if (bpf_probe_read_user(name, sizeof(name), header))
			return unreadable(u);
		*address = name[0];
		return name[1];
	}
	u64 name[2] = {};	/* msg_name, msg_namelen and padding */
	if (bpf_probe_read_user(name, sizeof(name), header))
		return unreadable(u);
	*address = name[0];
	return (u32)name[1];
}

struct messages {
	struct use *use;
	u64 headers;
	u32 count;
	bool compat;
};

static long on_message(u32 index, struct messages *m)
{
	enum { HEADER = 64, COMPAT_HEADER = 32 };	/* struct mmsghdr */
	u64 address = 0;
	if (index >= m->count)
		return 1;
	u64 header = m->headers + index * (m->compat ? COMPAT_HEADER : HEADER);
	u32 length = message_address(m->use, (void *)header, m->compat, &address);
	if (address && address_text(m->use, (void *)address, length))
		report_text(m->use, AT_FDCWD);
	return 0;
}

/* sendmmsg ends at the first message that fails, and then tells how many went before it. */
static __always_inline int report_messages(struct use *u, u64 headers, u32 count, bool compat, s64 result)
{
	u32 looked_at = result < 0 ? 1 : (u32)result + 1;
	struct messages m = {
		.use = u,
		.headers = headers,
		.count = looked_at < count ? looked_at : count,
		.compat = compat,
	};
	u->key.id.op = OP_CONNECT;
	bpf_loop(UIO_MAXIOV, on_message, &m, 0);
	return 0;
}

/* i386 multiplexes its socket calls: the arguments lie in memory. */
static __noinline int socketcall_address(struct use *u, u32 which, const void *where, u64 *address)
{
	enum { BIND = 2, CONNECT = 3, SENDTO = 11, SENDMSG = 16, SENDMMSG = 20 };
	u32 args[6] = {};
	if (which != BIND && which != CONNECT && which != SENDTO && which != SENDMSG && which != SENDMMSG)
		return 0;
	if (bpf_probe_read_user(args, sizeof(args), where) && bpf_probe_read_user(args, 12, where))
		return unreadable(u);
	u->key.id.op = which == BIND ? OP_BIND : which == SENDMMSG ? OP_SENDMMSG : OP_CONNECT;
	*address = args[1];
	u->fd = args[0];
	u32 length = args[2];
	if (which == SENDTO) {
		*address = args[4];
		length = args[5];
	} else if (which == SENDMSG) {
		return message_address(u, (void *)(u64)args[1], true, address);
	}
	return length;
}

/* Reports the path that a socket call names, if it names one. */
static __always_inline int report_address(struct use *u, struct pt_regs *regs, bool compat, long result)
{
	u64 address = argument(regs, compat, 1);
	u32 length = 0;
	u->fd = argument(regs, compat, 0);
	switch (u->key.id.op) {
	case OP_SEND:
		address = argument(regs, compat, 4);
		length = argument(regs, compat, 5);
		u->key.id.op = OP_CONNECT;
		break;
	case OP_SENDMSG:
		length = message_address(u, (void *)address, compat, &address);
		u->key.id.op = OP_CONNECT;
		break;
	case OP_SOCKETCALL:
		length = socketcall_address(u, argument(regs, compat, 0), (void *)address, &address);
		break;
	default:
		length = argument(regs, compat, 2);
	}
	if (!address)
		return 0;
	if (u->key.id.op == OP_SENDMMSG)
		return report_messages(u, address, length, compat, result);
	return address_text(u, (void *)address, length) ? report_text(u, AT_FDCWD) : 0;
}

/* A setting of a mount that is a path, or a text that looks like one, such as the layers of an overlay. */
static __always_inline int fsconfig_text(struct use *u, struct pt_regs *regs, bool compat, long result)
{
	enum { SET_STRING = 1, SET_PATH = 3, SET_PATH_EMPTY = 4, SET_FD = 5, CREATE = 6, CREATE_EXCL = 8 };
	u32 command = argument(regs, compat, 1);
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = file_of(task, argument(regs, compat, 0));
	struct fs_context *context = file ? BPF_CORE_READ(file, private_data) : 0;
	char first = 0, key = 0;
	u->text = (void *)argument(regs, compat, 3);
	u->text_user = true;
	u->text_room = PATH_MAX;
	u->key.id.op = OP_USE;
	bpf_probe_read_user(&key, 1, (void *)argument(regs, compat, 2));
	if (key != 'w')	/* the workdir of an overlay shows nowhere */
		u->key.id.how = USE_SETTING | ((u64)context >> 6 << 1);	/* all of one file system have the same */
	if (command == SET_PATH || command == SET_PATH_EMPTY)
		return report_text(u, argument(regs, compat, 4));
	if (result < 0)
		return 0;
	if (command == CREATE || command == CREATE_EXCL) {
		describe_place(u, (struct place){ .dentry = BPF_CORE_READ(context, root) });
		return u->object.dentry ? report(u) : 0;
	}
	if (command == SET_FD) {
		file = file_of(task, argument(regs, compat, 4));
		if (!file)
			return 0;
		describe_object(u, file);
		return report(u);
	}
	if (command != SET_STRING)
		return 0;
	if (bpf_probe_read_user(&first, 1, u->text))
		return unreadable(u);
	return first == '/' ? report_text(u, AT_FDCWD) : 0;
}

/* bpf(2): an object is pinned to a path, or got from one. */
static __always_inline int bpf_text(struct use *u, struct pt_regs *regs, bool compat)
{
	enum { OBJ_PIN = 6, OBJ_GET = 7, PATH_FD = 1 << 14 };
	struct {
		u64 path;
		u32 fd, flags;
		s32 dfd;
		u32 pad;
	} object = {};
	u32 command = argument(regs, compat, 0), size = argument(regs, compat, 2);
	if (command != OBJ_PIN && command != OBJ_GET)
		return 0;
	if (bpf_probe_read_user(&object, size < sizeof(object) ? size : sizeof(object), (void *)argument(regs, compat, 1)))
		return unreadable(u);
	u->key.id.op = command == OBJ_PIN ? OP_CREATE : OP_USE;
	if (command == OBJ_PIN)
		u->key.id.flags |= FLAG_NOFOLLOW;
	u->text = (void *)object.path;
	u->text_user = true;
	u->text_room = PATH_MAX;
	return report_text(u, object.flags & PATH_FD ? object.dfd : AT_FDCWD);
}

/* What a call to map a file asks for. */
struct mapping {
	u32 protection, flags;
	int fd;
	bool is_unreadable;
};

static __always_inline struct mapping mapping_of(struct pt_regs *regs, bool compat, u32 op)
{
	struct mapping m = {};
	if (op == OP_OLD_MAP) {
		u32 args[6] = {};	/* address, length, protection, flags, descriptor, offset */
		m.is_unreadable = bpf_probe_read_user(args, sizeof(args), (void *)argument(regs, compat, 0));
		m.flags = args[3];
		m.protection = args[2];
		m.fd = args[4];
		return m;
	}
	m.protection = argument(regs, compat, 2);
	m.flags = argument(regs, compat, 3);
	m.fd = argument(regs, compat, 4);
	return m;
}

#include "activity.h"

/* Looks at a call that maps something. Each kind has a function of its own, for the stack of all together has an end. */
static __noinline int look_at_mapping(struct pt_regs *regs, struct task_struct *task, u32 op, bool compat, long result)
{
	if (result < 0 && result > -4096)
		return 0;
	struct mapping mapping = mapping_of(regs, compat, op);
	if (mapping.is_unreadable)
		lost();
	if (mapping.is_unreadable || mapping.flags & MAP_ANONYMOUS)
		return 0;
	struct use u = {};
	u.key.id.op = OP_MAP;
	if (mapping.protection & PROT_EXEC)
		u.key.id.flags = FLAG_EXEC;
	describe_process(&u, task);
	if (is_set_up(&u))
		return 0;
	struct file *file = file_of(task, mapping.fd);
	if (file)
		describe_object(&u, file);
	else	/* another thread closed it since, but the mapping is there */
		bpf_find_vma(task, result, on_mapping, &u, 0);
	if (!u.object.dentry) {
		lost();
		return 0;
	}
	return report(&u);
}

/* The same of a call whose path is behind something else. */
static __noinline int look_at_address(struct pt_regs *regs, struct task_struct *task, u32 op, bool compat, long result)
{
	if ((op == OP_SEND && !argument(regs, compat, 4)) || result == -ENOSYS)
		return 0;
	struct use u = {};
	u.key.id.op = op;
	u.key.id.result = result < 0 && result > -4096 ? result : 0;
	describe_process(&u, task);
	if (is_set_up(&u))
		return 0;
	if (op == OP_FSCONFIG)
		return fsconfig_text(&u, regs, compat, result);
	return op == OP_BPF ? bpf_text(&u, regs, compat) : report_address(&u, regs, compat, result);
}

/* The same of a call that takes a descriptor in place of a path, or gives one for a handle. */
static __noinline int look_at_descriptor(struct pt_regs *regs, struct task_struct *task, u64 call, bool compat, long result)
{
	u32 op = CALL_OP(call);
	if (result < 0)
		return 0;
	struct use u = {};
	u.key.id.op = op;
	describe_process(&u, task);
	if (is_set_up(&u))
		return 0;
	int fd = argument(regs, compat, 0);
	if (op == OP_OPEN) {	/* by handle */
		fd = result;
		u.key.id.how = ARGUMENT(CALL_FLAGS(call));
	}
	struct file *file = file_of(task, fd);
	if (file)
		describe_object(&u, file);
	else if (op == OP_ENTER && task->fs)	/* another thread closed it since, but there we are */
		describe_place(&u, (struct place){ .mnt = task->fs->pwd.mnt, .dentry = task->fs->pwd.dentry });
	if (!u.object.dentry) {
		lost();
		return 0;
	}
	return report(&u);
}

/* Whether there is no path, or one without a character. */
static __noinline bool is_empty(const void *text)
{
	char first = 1;
	return !text || (!bpf_probe_read_user(&first, 1, text) && !first);
}

/* How openat2 opens. */
static __noinline int read_how(struct use *u, const void *from)
{
	struct {
		u64 flags, mode, resolve;
	} how = {};
	if (!u || bpf_probe_read_user(&how, sizeof(how), from))
		return -1;
	u->key.id.how = how.flags;
	if (how.resolve & RESOLVE_IN_ROOT)
		u->key.id.flags |= FLAG_IN_ROOT;
	return 0;
}

/* The process has moved: its text was looked up from where it is no more. */
static __noinline int describe_moved(struct use *u, struct task_struct *task, bool root)
{
	struct fs_struct *fs = task->fs;
	if (!u || !fs)
		return 0;
	if (root)
		describe_place(u, (struct place){ .mnt = fs->root.mnt, .dentry = fs->root.dentry });
	else
		describe_place(u, (struct place){ .mnt = fs->pwd.mnt, .dentry = fs->pwd.dentry });
	u->key.id.flags |= FLAG_MOVED;
	return 0;
}

/* The source of a mount that shows something elsewhere. */
static __noinline int describe_mount(struct making *m, struct pt_regs *regs, bool compat)
{
	enum { REMOUNT = 32, BIND = 4096, MOVE = 8192, PROPAGATION = 15 << 17 };
	u32 flags = argument(regs, compat, 3);
	char type[8] = {};
	if (flags & (REMOUNT | PROPAGATION))
		return 0;
	m->from_dfd = AT_FDCWD;
	m->to_dfd = AT_FDCWD;
	m->from = (void *)argument(regs, compat, 0);
	m->to = (void *)argument(regs, compat, 1);
	m->kind = MADE_MOUNT;
	if (flags & (BIND | MOVE))
		return 1;
	bpf_probe_read_user(type, sizeof(type), (void *)argument(regs, compat, 2));
	m->from = (void *)argument(regs, compat, 4);
	m->kind = MADE_OVERLAY;
	return m->from && __builtin_bswap64(*(u64 *)type) == 0x6f7665726c617900;	/* overlay */
}

/* Whether a call makes something that shows elsewhere. */
static __always_inline bool makes(u64 call)
{
	return CALL_PATH2(call) || CALL_HOW(call) == HOW_LINK;
}

/* What a call that succeeded made. */
static __noinline int look_at_made(struct pt_regs *regs, struct task_struct *task, u64 call, bool compat)
{
	struct making m = { .from_dfd = AT_FDCWD, .to_dfd = AT_FDCWD };
	u32 op = CALL_OP(call), how = CALL_HOW(call);
	struct use u = {};
	describe_process(&u, task);
	if (is_set_up(&u))
		return 0;
	u.text_user = true;
	if (how == HOW_MOUNT && !CALL_DFD2(call)) {
		if (!describe_mount(&m, regs, compat))
			return 0;
	} else if (how == HOW_LINK) {
		m.kind = MADE_LINK;
		m.from = (void *)argument(regs, compat, 0);
		m.to = (void *)ARGUMENT(CALL_PATH(call));
		if (CALL_DFD(call))
			m.to_dfd = ARGUMENT(CALL_DFD(call));
	} else {
		m.kind = how == HOW_MOUNT ? MADE_MOUNT : how == HOW_ROOT ? MADE_ROOT : MADE_NAME;
		m.from = (void *)ARGUMENT(CALL_PATH(call));
		m.to = (void *)ARGUMENT(CALL_PATH2(call));
		if (CALL_DFD2(call)) {
			m.from_dfd = ARGUMENT(CALL_DFD(call));
			m.to_dfd = ARGUMENT(CALL_DFD2(call));
		}
	}
	report_made(&u, &m);
	if (op == OP_REMOVE && CALL_FLAGS(call) && ARGUMENT(CALL_FLAGS(call)) & RENAME_EXCHANGE) {
		const void *from = m.from;
		int from_dfd = m.from_dfd;
		m.from = m.to;
		m.from_dfd = m.to_dfd;
		m.to = from;
		m.to_dfd = from_dfd;
		report_made(&u, &m);
	}
	return 0;
}

/* Looks at a call of which the table says that it may use a path. */
static __noinline int look_at_call(struct pt_regs *regs, struct task_struct *task, u64 call, bool compat, long result)
{
	u32 op = CALL_OP(call);
	/* What is no use of a path, told by the arguments alone. */
	if (op == OP_EXEC && result >= 0)
		return 0;	/* on_exec sees it; the arguments are gone */
	if (result == -ENOSYS)
		return 0;
	if (op == OP_STAT && CALL_FLAGS(call) && ARGUMENT(CALL_FLAGS(call)) & AT_EMPTY_PATH) {
		/* fstat(3): see report_text for paths that are empty */
		if (is_empty((void *)ARGUMENT(CALL_PATH(call))))
			return 0;
	}

	struct use u = {};
	u.key.id.op = op;
	u.key.id.result = result < 0 && result > -4096 ? result : 0;
	describe_process(&u, task);
	if (is_set_up(&u))
		return 0;

	u32 flags = CALL_FLAGS(call) ? ARGUMENT(CALL_FLAGS(call)) : 0;
	switch (CALL_HOW(call)) {
	case HOW_FLAGS:
		u.key.id.how = flags;
		break;
	case HOW_STRUCT:
		if (read_how(&u, (void *)ARGUMENT(CALL_FLAGS(call))))
			return unreadable(&u);
		flags = u.key.id.how;
		break;
	case HOW_CREAT:
		u.key.id.how = CREAT_FLAGS;
		break;
	case HOW_WORKING_DIRECTORY:
	case HOW_ROOT:
		if (result >= 0)
			describe_moved(&u, task, CALL_HOW(call) == HOW_ROOT);
		break;
	}
	if (!!(flags & CALL_NOFOLLOW(call)) != CALL_INVERT(call))
		u.key.id.flags |= FLAG_NOFOLLOW;

	if (op == OP_OPEN && result >= 0) {
		struct file *file = file_of(task, result);
		if (file)
			describe_object(&u, file);
	}
	u.text_user = true;
	u.text_room = PATH_MAX;
	u.text = (void *)ARGUMENT(CALL_PATH(call));
	if (op == OP_READLINK && result > 0 && (u64)u.text - ARGUMENT(CALL_PATH(call) + 1) < (u64)result) {
		lost();	/* what the link says was written over its path */
		return 0;
	}
	report_text(&u, CALL_DFD(call) ? (int)ARGUMENT(CALL_DFD(call)) : AT_FDCWD);
	if (CALL_PATH2(call)) {
		forget_object(&u);
		if (op != OP_USE)
			u.key.id.op = OP_CREATE;
		u.key.id.flags = FLAG_NOFOLLOW;
		u.text = (void *)ARGUMENT(CALL_PATH2(call));
		report_text(&u, CALL_DFD2(call) ? (int)ARGUMENT(CALL_DFD2(call)) : AT_FDCWD);
	}
	return 0;
}

/*
 * Every system call of the host comes here. What names no path, and was noted once for the container, is done with
 * before it is asked whose call it is: that holds for most calls of a service. What is looked at further has a function
 * of its own, so that the code for the others lies together.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	bool compat = is_compat(task);
	u32 number = call_number(regs);
	if (number >= SYSCALLS) {
		if (is_untold(number, compat) && is_target())
			lost();
		return 0;
	}
	u64 call = compat ? compat_calls[number] : native_calls[number];
	if (!call && is_noted(number, compat))
		return 0;
	if (!is_target())
		return 0;
	note_call(task, number, compat);
	u32 op = CALL_OP(call);
	if (op == OP_MAP || op == OP_OLD_MAP)
		return look_at_mapping(regs, task, op, compat, result);
	if ((op >= OP_CONNECT && op <= OP_SOCKETCALL) || op == OP_FSCONFIG || op == OP_BPF)
		return look_at_address(regs, task, op, compat, result);
	if (!call)
		return 0;
	if (!CALL_PATH(call))
		return look_at_descriptor(regs, task, call, compat, result);
	look_at_call(regs, task, call, compat, result);
	return makes(call) && result >= 0 ? look_at_made(regs, task, call, compat) : 0;
}

/* ---- exec ---- */

#define AUXV_ENTRIES 24

/* The address at which the kernel put the program's dynamic loader; 0 without one. Its words are those of the program. */
static __always_inline u64 loader_address(struct mm_struct *mm, bool compat)
{
	void *saved = &mm->saved_auxv;
	if (compat) {
		u32 auxv[2];
		for (u32 i = 0; i < AUXV_ENTRIES; i++) {
			if (bpf_probe_read_kernel(auxv, sizeof(auxv), saved + i * sizeof(auxv)) || !auxv[0])
				return 0;
			if (auxv[0] == AT_BASE)
				return auxv[1];
		}
		return 0;
	}
	u64 auxv[2];
	for (u32 i = 0; i < AUXV_ENTRIES; i++) {
		if (bpf_probe_read_kernel(auxv, sizeof(auxv), saved + i * sizeof(auxv)) || !auxv[0])
			return 0;
		if (auxv[0] == AT_BASE)
			return auxv[1];
	}
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, s32 old_pid, struct linux_binprm *binprm)
{
	if (!is_target())
		return 0;
	struct task_struct *current = bpf_get_current_task_btf();
	struct use u = {};
	describe_process(&u, current);
	if (is_set_up(&u))
		return 0;
	report_program(current);
	u.key.id.op = OP_EXEC;
	describe_object(&u, binprm->file);
	u.text = binprm->filename;
	u.text_room = PATH_MAX;
	report_text(&u, AT_FDCWD);
	if (binprm->interp != binprm->filename) {
		forget_object(&u);
		u.key.id.op = OP_INTERPRETER;
		u.text = binprm->interp;
		report_text(&u, AT_FDCWD);
	}

	struct mm_struct *mm = current->mm;
	u64 address = mm ? loader_address(mm, is_compat(current)) : 0;
	if (!address)
		return 0;
	forget_object(&u);
	u.key.id.op = OP_LOADER;
	u.key.id.flags = 0;
	u.key.id.base_ino = 0;
	u.key.id.base_dev = 0;
	u.base.dentry = 0;
	u.text = 0;
	u.text_length = 0;
	u.text_long = false;
	__builtin_memset(u.key.text, 0, SHORT_TEXT);
	if (bpf_find_vma(current, address, on_mapping, &u, 0) || !u.object.dentry) {
		lost();
		return 0;
	}
	return report(&u);
}

/* ---- io_uring ---- */

enum {
	IORING_OP_SENDMSG = 9,
	IORING_OP_CONNECT = 16,
	IORING_OP_OPENAT = 18,
	IORING_OP_STATX = 21,
	IORING_OP_SEND = 26,
	IORING_OP_OPENAT2 = 28,
	IORING_OP_RENAMEAT = 35,
	IORING_OP_UNLINKAT = 36,
	IORING_OP_MKDIRAT = 37,
	IORING_OP_SYMLINKAT = 38,
	IORING_OP_LINKAT = 39,
	IORING_OP_SETXATTR = 42,
	IORING_OP_GETXATTR = 44,
	IORING_OP_SEND_ZC = 47,
	IORING_OP_SENDMSG_ZC = 48,
};

static __always_inline int report_filename(struct use *u, struct filename *name, int dfd)
{
	u->text = BPF_CORE_READ(name, name);
	return report_text(u, dfd);
}

/* What a request to rename or link will make. */
#define REPORT_NAMED(use, request, what)                             \
	({                                                            \
		struct making m = {                                     \
			.kind = what,                                 \
			.from = BPF_CORE_READ(request, oldpath, name), \
			.to = BPF_CORE_READ(request, newpath, name),  \
			.from_dfd = BPF_CORE_READ(request, old_dfd),  \
			.to_dfd = BPF_CORE_READ(request, new_dfd),    \
		};                                                    \
		report_made(use, &m);                                 \
	})

/* Whether a kind of request may name a path. */
static __always_inline bool names_path(u8 opcode)
{
	return opcode == IORING_OP_SENDMSG || (opcode >= IORING_OP_CONNECT && opcode <= IORING_OP_GETXATTR) ||
	       opcode == IORING_OP_SEND_ZC || opcode == IORING_OP_SENDMSG_ZC;
}

/* The address that a message is sent to. */
static __always_inline int report_message(struct use *u, struct io_sr_msg *message)
{
	u64 address = 0;
	bool compat = is_compat(bpf_get_current_task_btf());
	u32 length = message_address(u, BPF_CORE_READ(message, umsg), compat, &address);
	return address && address_text(u, (void *)address, length) ? report_text(u, AT_FDCWD) : 0;
}

/* The address that something is sent to without a message; the kernel has taken it in since Linux 6.10. */
static __always_inline int report_sent(struct use *u, struct io_kiocb *request)
{
	struct io_sr_msg *message = (void *)request;
	if (bpf_core_field_exists(message->addr)) {
		const void *address = BPF_CORE_READ(message, addr);
		u32 length = BPF_CORE_READ(message, addr_len);
		return address && address_text(u, address, length) ? report_text(u, AT_FDCWD) : 0;
	}
	struct io_async_msghdr *taken = BPF_CORE_READ(request, async_data);
	if (!taken || !bpf_core_field_exists(taken->addr) || BPF_CORE_READ(taken, msg.msg_name) != &taken->addr)
		return 0;
	struct {
		u16 family;
		char first;
	} name = {};
	if (bpf_probe_read_kernel(&name, 3, &taken->addr) || name.family != AF_UNIX || !name.first)
		return 0;
	u->text = (void *)&taken->addr + sizeof(name.family);
	u->text_room = SUN_PATH_MAX + 1;
	return report_text(u, AT_FDCWD);
}

static __noinline int on_request(struct io_kiocb *request, u8 opcode)
{
	struct use u = {};
	describe_process(&u, bpf_get_current_task_btf());
	u.key.id.flags = FLAG_PENDING;
	u.text_room = PATH_MAX;
	switch (opcode) {
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2: {
		struct io_open *open = (void *)request;
		u.key.id.op = OP_OPEN;
		u.key.id.how = BPF_CORE_READ(open, how.flags);
		if (u.key.id.how & O_NOFOLLOW)
			u.key.id.flags |= FLAG_NOFOLLOW;
		if (BPF_CORE_READ(open, how.resolve) & RESOLVE_IN_ROOT)
			u.key.id.flags |= FLAG_IN_ROOT;
		return report_filename(&u, BPF_CORE_READ(open, filename), BPF_CORE_READ(open, dfd));
	}
	case IORING_OP_STATX: {
		struct io_statx *statx = (void *)request;
		u.key.id.op = OP_STAT;
		if (BPF_CORE_READ(statx, flags) & AT_SYMLINK_NOFOLLOW)
			u.key.id.flags |= FLAG_NOFOLLOW;
		return report_filename(&u, BPF_CORE_READ(statx, filename), BPF_CORE_READ(statx, dfd));
	}
	case IORING_OP_UNLINKAT: {
		struct io_unlink *unlink = (void *)request;
		u.key.id.op = OP_REMOVE;
		u.key.id.flags |= FLAG_NOFOLLOW;
		return report_filename(&u, BPF_CORE_READ(unlink, filename), BPF_CORE_READ(unlink, dfd));
	}
	case IORING_OP_MKDIRAT: {
		struct io_mkdir *mkdir = (void *)request;
		u.key.id.op = OP_CREATE;
		u.key.id.flags |= FLAG_NOFOLLOW;
		return report_filename(&u, BPF_CORE_READ(mkdir, filename), BPF_CORE_READ(mkdir, dfd));
	}
	case IORING_OP_RENAMEAT: {
		struct io_rename *rename = (void *)request;
		u.key.id.op = OP_REMOVE;
		u.key.id.flags |= FLAG_NOFOLLOW;
		report_filename(&u, BPF_CORE_READ(rename, oldpath), BPF_CORE_READ(rename, old_dfd));
		u.key.id.op = OP_CREATE;
		report_filename(&u, BPF_CORE_READ(rename, newpath), BPF_CORE_READ(rename, new_dfd));
		return REPORT_NAMED(&u, rename, MADE_NAME);
	}
	case IORING_OP_SYMLINKAT:
	case IORING_OP_LINKAT: {
		struct io_link *link = (void *)request;
		if (opcode == IORING_OP_LINKAT) {
			u.key.id.op = OP_LINK;
			if (!(BPF_CORE_READ(link, flags) & AT_SYMLINK_FOLLOW))
				u.key.id.flags |= FLAG_NOFOLLOW;
			report_filename(&u, BPF_CORE_READ(link, oldpath), BPF_CORE_READ(link, old_dfd));
		}
		u.key.id.op = OP_CREATE;
		u.key.id.flags = FLAG_PENDING | FLAG_NOFOLLOW;
		report_filename(&u, BPF_CORE_READ(link, newpath), BPF_CORE_READ(link, new_dfd));
		return REPORT_NAMED(&u, link, opcode == IORING_OP_LINKAT ? MADE_NAME : MADE_LINK);
	}
	case IORING_OP_SETXATTR:
	case IORING_OP_GETXATTR: {
		struct io_xattr *xattr = (void *)request;
		if (!bpf_core_type_exists(struct io_xattr))
			return 0;
		u.key.id.op = opcode == IORING_OP_SETXATTR ? OP_CHANGE : OP_XATTR;
		return report_filename(&u, BPF_CORE_READ(xattr, filename), AT_FDCWD);
	}
	}
	u.key.id.op = OP_CONNECT;
	u.fd = -1;	/* TCP's connections are seen where they begin */
	switch (opcode) {
	case IORING_OP_CONNECT: {
		struct io_connect *connect = (void *)request;
		if (address_text(&u, BPF_CORE_READ(connect, addr), BPF_CORE_READ(connect, addr_len)))
			report_text(&u, AT_FDCWD);
		return 0;
	}
	case IORING_OP_SENDMSG:
	case IORING_OP_SENDMSG_ZC:
		return report_message(&u, (void *)request);
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
		return report_sent(&u, request);
	}
	return 0;
}

/* The tracepoint had another name and other arguments once: one of the three is loaded. */

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring_submit, struct io_kiocb *request)
{
	u8 opcode = request->opcode;
	return names_path(opcode) && is_target() ? on_request(request, opcode) : 0;
}

/* Linux 5.19 to 6.3. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_uring_submit_sqe, struct io_kiocb *request)
{
	u8 opcode = request->opcode;
	return names_path(opcode) && is_target() ? on_request(request, opcode) : 0;
}

/* Linux 5.17 and 5.18. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_uring_submit_in, void *ring, struct io_kiocb *request)
{
	u8 opcode = BPF_CORE_READ(request, opcode);
	return names_path(opcode) && is_target() ? on_request(request, opcode) : 0;
}

/* ---- snapshot ---- */

#define CGROUP_LEVELS 64

/* The cgroup whose tasks are listed, by its ID. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} listed SEC(".maps");

/* Whether a task, which is not the one that runs, is in the listed cgroup or beneath it. */
static __noinline bool is_listed(struct task_struct *task)
{
	u32 zero = 0;
	u64 *wanted = bpf_map_lookup_elem(&listed, &zero);
	struct cgroup *at = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	for (u32 i = 0; wanted && at && i < CGROUP_LEVELS; i++) {
		if (BPF_CORE_READ(at, kn, id) == *wanted)
			return true;
		struct cgroup_subsys_state *parent = BPF_CORE_READ(at, self.parent);
		at = parent ? (void *)parent - bpf_core_field_offset(struct cgroup, self) : 0;
	}
	return false;
}

static __noinline int put_held(struct seq_file *seq, struct task_struct *task, struct file *file, bool mapped)
{
	u32 slot;
	struct scratch *s = claim(&slot);
	if (!s) {
		lost();
		return 0;
	}
	struct place place = {
		.mnt = BPF_CORE_READ(file, f_path.mnt),
		.dentry = BPF_CORE_READ(file, f_path.dentry),
	};
	if (mapped)
		place = mapped_place(file);
	struct record *r = &s->record;
	__builtin_memset(r, 0, sizeof(*r));
	r->version = WIRE_VERSION;
	r->op = OP_HELD;
	r->object_mode = BPF_CORE_READ(file, f_inode, i_mode);
	s->walk.offset = 0;
	put_chain(s, slot, &place, &r->object);
	put_process(s, slot, task);
	u32 payload = s->walk.offset;
	if (payload <= PAYLOAD)
		bpf_seq_write(seq, r, sizeof(*r) + payload);
	release(s);
	return 0;
}

SEC("iter/task_file")
int on_held_open(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	if (task && file && is_listed(task))
		put_held(ctx->meta->seq, task, file, false);
	return 0;
}

SEC("iter/task_vma")
int on_held_mapped(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	if (task && vma && vma->vm_file && is_listed(task))
		put_held(ctx->meta->seq, task, vma->vm_file, true);
	return 0;
}
