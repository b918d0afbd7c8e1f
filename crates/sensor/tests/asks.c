/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the backend by notification is asked about, in special circumstances: asks WHAT ...
 * signal: looks itself up, with a handler of SIGALRM that does not restart calls. Prints how many signals came, and
 * whether they broke the call.
 * later FILE PROGRAM: prints a line, waits for one, opens the file, executes the program.
 * signals COUNT: the same COUNT times, and opens itself, while a timer signals every millisecond.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
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

int main(int arguments, char **argument)
{
	if (arguments > 1 && !strcmp(argument[1], "signal"))
		return under_signals(argument[0], 1, 0);
	if (arguments > 2 && !strcmp(argument[1], "signals"))
		return under_signals(argument[0], atol(argument[2]), 1000);
	if (arguments > 3 && !strcmp(argument[1], "later")) {
		char byte;
		if (write(1, "\n", 1) == 1 && read(0, &byte, 1) == 1 && open(argument[2], O_RDONLY) >= 0)
			execl(argument[3], "x", "quit", (char *)0);
		return 1;
	}
	return 2;
}
