/* SPDX-License-Identifier: Apache-2.0 */
/* The same for 32 bits, and its own loader: a loader's loader is not asked for. */
void _start(void)
{
	__asm__ volatile("int $0x80" : : "a"(1), "b"(0));
}
