/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm WHAT THREADS COUNT: each thread uses files COUNT times.
 * distinct: open of a file that no thread uses twice; fork: THREADS is ignored, COUNT children look up a name and end,
 * every 50th executes this program again.
 * open, stat: one of 1000 files, which need not exist; unique: stat of names that no thread uses twice; wait: sleep.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *what;
static long count;

static void *work(void *argument)
{
	long thread = (long)argument;
	struct stat st;
	char path[64];
	for (long i = 0; i < count; i++) {
		if (!strcmp(what, "distinct"))
			snprintf(path, sizeof(path), "/t/many/%ld/f%ld", thread, i);
		else if (!strcmp(what, "unique"))
			snprintf(path, sizeof(path), "/t/none/%ld-%ld", thread, i);
		else
			snprintf(path, sizeof(path), "/t/many/f%ld", i % 1000);
		if (!strcmp(what, "open") || !strcmp(what, "distinct")) {
			int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
			if (fd >= 0)
				close(fd);
		} else {
			syscall(SYS_newfstatat, AT_FDCWD, path, &st, 0);
		}
	}
	return 0;
}

int main(int arguments, char **argument)
{
	if (arguments < 4)
		return 2;
	what = argument[1];
	long threads = atol(argument[2]);
	count = atol(argument[3]);
	if (!strcmp(what, "wait")) {
		open(argument[4], O_RDONLY);
		sleep(count);
		return 0;
	}
	if (!strcmp(what, "fork")) {
		struct stat st;
		char path[64];
		for (long i = 0; i < count; i++) {
			snprintf(path, sizeof(path), "/t/none/%ld", i);
			if (!vfork()) {
				syscall(SYS_newfstatat, AT_FDCWD, path, &st, 0);
				if (i % 50 == 0)
					execl("/t/storm", "again", "stat", "0", "0", (char *)0);
				_exit(0);
			}
			while (wait(0) < 0)
				;
		}
		return 0;
	}
	pthread_t handle[64];
	for (long i = 0; i < threads && i < 64; i++)
		pthread_create(&handle[i], 0, work, (void *)i);
	for (long i = 0; i < threads && i < 64; i++)
		pthread_join(handle[i], 0);
	return 0;
}
