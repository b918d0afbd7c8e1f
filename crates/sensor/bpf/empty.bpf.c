// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Does nothing at the end of every system call: what any program there costs. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

char program_license[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_exit")
int on_sys_exit(void *context)
{
	return 0;
}
