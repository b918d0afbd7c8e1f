/* SPDX-License-Identifier: Apache-2.0 */
/* Looks paths up that lead through what it made itself, and takes that away again at once. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

static void ok(const char *what, long result)
{
	if (result < 0) {
		perror(what);
		failures++;
	}
}

int main(void)
{
	struct stat st;
	ok("unshare", unshare(CLONE_NEWNS));
	ok("private", mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
	ok("proc", mount("none", "/proc", "proc", 0, 0));
	ok("tmpfs", mount("none", "/t/tmp", "tmpfs", 0, 0));
	ok("bind", mount("/t/from", "/t/to", 0, MS_BIND, 0));
	ok("link", symlink("/t/real", "/t/tmp/b"));
	ok("overlay link", symlink("real", "/t/made"));
	ok("stat", stat("/t/tmp/b/f_stat", &st));
	ok("stat", stat("/t/made/f_made", &st));
	ok("stat", stat("/t/to/f_bound", &st));
	ok("open", open("/t/tmp/b/l_met/f_behind", O_RDONLY));
	ok("unlink", unlink("/t/tmp/b/f_unlinked"));
	ok("mkdir", mkdir("/t/tmp/b/d_new/made", 0700));
	ok("stat", stat("/proc/self/root/t/real/f_root", &st));
	ok("chdir", chdir("/t/real"));
	ok("stat", stat("/proc/thread-self/cwd/f_cwd", &st));
	ok("relative", stat("../tmp/b/f_relative", &st));
	if (access("/t/tmp/b/f_missing", F_OK) == 0)
		failures++;
	if (!fork())
		_exit(stat("/t/tmp/b/f_child", &st));
	int status;
	wait(&status);
	failures += status != 0;
	ok("unlink", unlink("/t/tmp/b"));
	ok("unlink", unlink("/t/made"));
	ok("umount", umount("/t/to"));
	ok("umount", umount("/t/tmp"));
	return failures;
}
