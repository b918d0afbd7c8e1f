/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a container does beyond using files: system calls, capabilities, sockets, processes. The first three are sets
 * that user space reads at the end; processes go through the ring as records of their own, which the account of uses
 * does not count. Included by sensor.bpf.c after what reports uses.
 */
#ifndef CAREEN_ACTIVITY_H
#define CAREEN_ACTIVITY_H

/* ---- system calls ---- */

volatile u8 calls_used[2 * SYSCALLS] SEC(".data.calls_used") = {};	/* native, then compat */

static __always_inline bool runs_set_up(struct task_struct *task)
{
	struct use u = {};
	describe_program(&u, task);
	return is_set_up(&u);
}

/* Where a call below SYSCALLS is noted. The compiler is kept from what older verifiers do not follow. */
static __always_inline u32 noted_at(u32 number, bool compat)
{
	u32 at = compat ? SYSCALLS + number : number;
	asm volatile("" : "+r"(at));
	return at & (2 * SYSCALLS - 1);
}

static __always_inline bool is_noted(u32 number, bool compat)
{
	return calls_used[noted_at(number, compat)];
}

/* Notes a system call of a watched process; cheap once it is known. */
static __always_inline void note_call(struct task_struct *task, u32 number, bool compat)
{
	if (!is_noted(number, compat) && !runs_set_up(task))
		calls_used[noted_at(number, compat)] = 1;
}

/* ---- capabilities ---- */

/* One question for a capability: whether a system call had it. */
struct capability_key {
	u8 capability;
	u8 denied;
	u8 compat;
	u8 pad;
	s32 call;	/* -1: outside of any */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct capability_key);
	__type(value, u8);
} capabilities SEC(".maps");

SEC("tp_btf/cap_capable")
int BPF_PROG(on_capability, const struct cred *cred, struct user_namespace *wanted, const struct user_namespace *held,
	     int capability, int result)
{
	if (!is_target())
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	/* With other credentials than the task's own the kernel asks for itself, such as overlayfs for its mount. */
	if (cred != task->real_cred || runs_set_up(task))
		return 0;
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	struct capability_key key = {
		.capability = capability,
		.denied = result != 0,
		.compat = is_compat(task),
		.call = original_call(regs),
	};
	u8 one = 1;
	if (!bpf_map_lookup_elem(&capabilities, &key) && bpf_map_update_elem(&capabilities, &key, &one, BPF_ANY))
		count(ACTIVITY_DROPPED);
	return 0;
}

/* ---- sockets ---- */

enum { TCP_SYN_SENT = 2, TCP_LISTEN = 10 };

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_socket_state, const struct sock *sk, int old_state, int new_state)
{
	if ((new_state != TCP_LISTEN && new_state != TCP_SYN_SENT) || !is_target())
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct socket_key key = {
		.kind = new_state == TCP_LISTEN ? SOCKET_LISTENS : SOCKET_CONNECTS,
		.family = sk->__sk_common.skc_family,
		.protocol = sk->sk_protocol,
	};
	if (new_state == TCP_LISTEN) {
		key.port = sk->__sk_common.skc_num;
		if (key.family == AF_INET6)
			put_in6(&key, bpf_core_field_exists(sk->__sk_common.skc_v6_rcv_saddr) ?
					      &sk->__sk_common.skc_v6_rcv_saddr : 0);
		else
			put_in(&key, sk->__sk_common.skc_rcv_saddr);
	} else {
		key.port = bpf_ntohs(sk->__sk_common.skc_dport);
		if (key.family == AF_INET6)
			put_in6(&key, bpf_core_field_exists(sk->__sk_common.skc_v6_daddr) ?
					      &sk->__sk_common.skc_v6_daddr : 0);
		else
			put_in(&key, sk->__sk_common.skc_daddr);
	}
	note_socket(task, &key);
	return 0;
}

/* ---- processes ---- */

static __always_inline void put_program(struct record *r, struct task_struct *task)
{
	struct use u = {};
	describe_program(&u, task);
	r->version = WIRE_VERSION;
	r->exe_ino = u.key.id.exe_ino;
	r->exe_dev = u.key.id.exe_dev;
	r->how = task->cred->uid.val;
	r->time_ns = bpf_ktime_get_ns();
	r->tgid = task->tgid;
}

static __always_inline void send_process(void *record, u32 length)
{
	count(hand_over(record, length) ? ACTIVITY_DROPPED : PROCESSES);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	if (parent->tgid == child->tgid || !is_target())
		return 0;
	struct record r = {};
	put_program(&r, parent);
	r.op = OP_FORKED;
	r.object_mode = parent->tgid;
	r.tgid = child->tgid;
	send_process(&r, sizeof(r));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *ended)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (!is_target())
		return 0;
	/* A call that never returns, such as exit_group or the one in which a signal met the task. */
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	u32 number = original_call(regs);
	if (number < SYSCALLS)
		note_call(task, number, is_compat(task));
	if (task->pid != task->tgid)
		return 0;
	struct record r = {};
	put_program(&r, task);
	r.op = OP_EXITED;
	send_process(&r, sizeof(r));
	return 0;
}

#define ARGV_ROOM 2048

/* Reports that a program has begun: its arguments as the text, its file as the executable. */
static __noinline int report_program(struct task_struct *task)
{
	u32 slot;
	struct scratch *s = claim(&slot);
	if (!s) {
		count(ACTIVITY_DROPPED);
		return 0;
	}
	struct record *r = &s->record;
	__builtin_memset(r, 0, sizeof(*r));
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	u64 start = mm ? BPF_CORE_READ(mm, arg_start) : 0;
	u64 length = mm ? BPF_CORE_READ(mm, arg_end) - start : 0;
	if (length > ARGV_ROOM)
		length = ARGV_ROOM;
	if (length && !bpf_probe_read_user(s->payload, length, (void *)start)) {
		r->text.length = length;
		r->text.status = PART_WHOLE;
	}
	s->walk.offset = r->text.length;
	put_process(s, slot, task);
	r->version = WIRE_VERSION;
	r->op = OP_STARTED;
	r->how = BPF_CORE_READ(task, cred, uid.val);
	r->object_mode = BPF_CORE_READ(task, real_parent, tgid);
	u32 payload = s->walk.offset;
	if (payload <= PAYLOAD)
		send_process(r, sizeof(*r) + payload);
	release(s);
	return 0;
}

#endif
