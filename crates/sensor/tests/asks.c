/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the backend by notification is asked about, in special circumstances: asks WHAT ...
 * signal: looks itself up, with a handler of SIGALRM that does not restart calls. Prints how many signals came, and
 * whether they broke the call.
 * signals COUNT PROCESSES: the same COUNT times in each, and opens itself, while a timer signals every millisecond.
 * mounts COUNT: prints how many nanoseconds a look-up takes, of COUNT each time: at first, after a failed umount, a mount,
 * an umount, a move, and after a child has unmounted something and sleeps.
 * filters: puts on a filter of its own, then one with a listener; prints how each went.
 * others: socketcall(SENDMMSG) of i386, bpf(BPF_OBJ_GET) and fsconfig(FSCONFIG_SET_PATH_EMPTY) relative to a descriptor.
 * later FILE PROGRAM: prints a line, waits for one, opens the file, executes the program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile long signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static int under_signals(const char *path, long count, long every_us)
{
	long broken = 0;
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval every = { { 0, every_us }, { 0, every_us } }, never = { { 0 } };
	struct stat st;
	sigaction(SIGALRM, &action, 0);
	setitimer(ITIMER_REAL, &every, 0);
	for (long i = 0; i < count; i++) {
		broken += stat(path, &st) && errno == EINTR;
		int fd = open(path, O_RDONLY);
		broken += fd < 0 && errno == EINTR;
		if (fd >= 0)
			close(fd);
	}
	setitimer(ITIMER_REAL, &never, 0);
	printf("%ld signals, %ld broken\n", signals, broken);
	return 0;
}

/* The least time of a look-up, in nanoseconds: of the best tenth of them. */
static long look_up(const char *path, long count)
{
	struct timespec from, to;
	struct stat st;
	long least = 1L << 40;
	for (int part = 0; part < 10; part++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (long i = 0; i < count / 10; i++)
			stat(path, &st);
		clock_gettime(CLOCK_MONOTONIC, &to);
		long took = (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec;
		if (took * 10 / count < least)
			least = took * 10 / count;
	}
	return least;
}

static int mounts(const char *path, long count)
{
	printf("%ld", look_up(path, count));
	int failures = unshare(CLONE_NEWNS) || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	umount2("/t/f_one", 0);
	printf(" %ld", look_up(path, count));
	failures += !!mount("none", "/t/d_one", "tmpfs", 0, 0);
	printf(" %ld", look_up(path, count));
	failures += !!umount2("/t/d_one", 0);
	printf(" %ld", look_up(path, count));
	failures += mount("none", "/t/d_one", "tmpfs", 0, 0) || mount("/t/d_one", "/t/d_two", 0, MS_MOVE, 0);
	open("/t/d_two/../f_two", O_RDONLY);
	open("/t/d_two/f_new", O_CREAT | O_WRONLY, 0600);
	printf(" %ld", look_up(path, count));
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		umount2("/t/d_two", 0);
		for (;;)
			sleep(1000);
	}
	usleep(50000);
	printf(" %ld", look_up(path, count));
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
	printf(" %s\n", failures ? "failed" : "ok");
	return 0;
}

static int filters(void)
{
	struct sock_filter allow = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog program = { 1, &allow };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (int listener = 0; listener < 2; listener++) {
		long flags = listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
		long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
		printf("%s\n", result < 0 ? strerror(errno) : "on");
	}
	return 0;
}

static int others(void)
{
	int directory = open("/t/d_one", O_PATH);
#ifdef __x86_64__
	static struct sockaddr_un addresses[2] = {
		{ AF_UNIX, "/t/s_first" },
		{ AF_UNIX, "/t/s_second" },
	};
	static unsigned headers[2][8], words[4], vector[2], byte;
	vector[0] = (unsigned)(unsigned long)&byte;
	vector[1] = 1;
	for (int i = 0; i < 2; i++) {
		headers[i][0] = (unsigned)(unsigned long)&addresses[i];
		headers[i][1] = sizeof(addresses[i]);
		headers[i][2] = (unsigned)(unsigned long)vector;
		headers[i][3] = 1;
	}
	/* The first arrives, so the second one's address is looked up. */
	int there = socket(AF_UNIX, SOCK_DGRAM, 0);
	bind(there, (struct sockaddr *)&addresses[0], sizeof(addresses[0]));
	words[0] = socket(AF_UNIX, SOCK_DGRAM, 0);
	words[1] = (unsigned)(unsigned long)headers;
	words[2] = 2;
	long sent;
	__asm__ volatile("int $0x80" : "=a"(sent) : "a"(102), "b"(20L), "c"((long)words)
			 : "r8", "r9", "r10", "r11", "memory");
	printf("%ld\n", sent);
#endif
	struct {
		unsigned long path;
		unsigned fd, flags;
		int directory;
		unsigned pad;
	} attributes = { (unsigned long)"f_bpf", 0, 1 << 14, directory, 0 };
	syscall(SYS_bpf, 7, &attributes, sizeof(attributes));
	int fs = syscall(430, "tmpfs", 0);
	syscall(431, fs, 4, "x", "f_empty", directory);
	return 0;
}

int main(int arguments, char **argument)
{
	if (arguments > 1 && !strcmp(argument[1], "signal"))
		return under_signals(argument[0], 1, 0);
	if (arguments > 3 && !strcmp(argument[1], "signals")) {
		for (long i = 1; i < atol(argument[3]) && fork(); i++)
			;
		return under_signals(argument[0], atol(argument[2]), 1000);
	}
	if (arguments > 3 && !strcmp(argument[1], "later")) {
		char byte;
		if (write(1, "\n", 1) == 1 && read(0, &byte, 1) == 1 && open(argument[2], O_RDONLY) >= 0)
			execl(argument[3], "x", "quit", (char *)0);
		return 1;
	}
	if (arguments > 1 && !strcmp(argument[1], "filters"))
		return filters();
	if (arguments > 1 && !strcmp(argument[1], "others"))
		return others();
	if (arguments > 2 && !strcmp(argument[1], "mounts"))
		return mounts(argument[0], atol(argument[2]));
	return 2;
}
