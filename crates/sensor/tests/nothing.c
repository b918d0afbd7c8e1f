/* SPDX-License-Identifier: Apache-2.0 */
/* A program with a dynamic loader and nothing else. */
void _start(void)
{
	__asm__ volatile("syscall" : : "a"(231), "D"(0));
}
