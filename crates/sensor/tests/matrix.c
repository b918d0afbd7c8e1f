/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names a path in each of many ways and does with it each of many operations, on an object of its own each time.
 *
 * matrix list: says what there is to make of the image before, and what each cell must leave in a record. Fields are
 * separated by tabs:
 *	make TYPE PATH TARGET		f file, p program, s script, d directory, l link to TARGET
 *	way NAME WHAT
 *	operation NAME WHAT
 *	cell WAY OPERATION PATH=KINDS...	KINDS are separated by commas, one of them is enough; * is any use
 * matrix [WAY | WAY/OPERATION]...: does it, or what of it is named, and prints for each cell
 *	WAY OPERATION PATH RESULT
 * where RESULT is ok, found ERRNO (it failed, with an errno which says that the object was found), skipped WHY, or wrong
 * WHY. What the way needed is taken away again before the line is printed, at once.
 *
 * Each cell is a process of its own. The program is root, chrooted into the image, and has /proc there to mount on.
 */
#define _GNU_SOURCE
#include "matrix/cell.h"
#include "matrix/operations.h"
#include "matrix/ways.h"

struct shared *shared;

static void list(void)
{
	const struct way *way;
	const struct operation *operation;
	for (way = ways; way->name; way++)
		printf("way\t%s\t%s\n", way->name, way->what);
	for (operation = operations; operation->name; operation++)
		printf("operation\t%s\t%s\n", operation->name, operation->what);
	puts("make\tp\t/i\t");
	puts("make\td\t/tmp\t");
	puts("make\td\t/w\t");
	for (way = ways; way->name; way++)
		for (operation = operations; operation->name; operation++)
			if (fits(way, operation))
				list_cell(way, operation);
}

/* Becomes root of a mount namespace of its own whose root is the image, as in a container; in a chroot no user
 * namespace can be made. */
static int enter_image(void)
{
	int root;
	if (unshare(CLONE_NEWNS) || (root = open("/", O_PATH | O_DIRECTORY)) < 0 || chroot("/tmp"))
		return -1;
	for (int i = 0; i < 64; i++)
		if (chdir(".."))
			return -1;
	if (chroot(".") || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0) || fchdir(root) ||
	    pivot_here() || close(root))
		return -1;
	return mount("none", "/proc", "proc", 0, 0) || mount("none", "/tmp", "tmpfs", 0, 0) ? -1 : 0;
}

static void do_cell(struct cell *cell)
{
	shared->done = 0;
	if (cell->way->enter(cell)) {
		snprintf(shared->result, sizeof(shared->result), "skipped %s: %s", shared->step, error_name());
	} else {
		long result = cell->operation->run(cell);
		int error = errno;
		undo(cell);
		errno = error;
		judge(cell, result);
	}
	shared->done = 1;
}

static void *in_thread(void *cell)
{
	if (unshare(CLONE_FS))
		_exit(1);
	do_cell(cell);
	_exit(0);
}

static void run_cell(const struct way *way, const struct operation *operation)
{
	struct cell cell = { .way = way, .operation = operation, .at = AT_FDCWD };
	snprintf(cell.directory, sizeof(cell.directory), "/m/%s/%s", way->name, operation->name);
	snprintf(cell.object, sizeof(cell.object), "%s/%s", cell.directory, leaf(way, operation));
	snprintf(cell.place, sizeof(cell.place), "/tmp/%s.%s", way->name, operation->name);
	snprintf(cell.in_image, sizeof(cell.in_image), "/w/%s.%s", way->name, operation->name);
	snprintf(shared->result, sizeof(shared->result), "wrong: the process died");
	pid_t child = fork();
	if (!child) {
		pthread_t thread;
		if (!way->in_thread)
			do_cell(&cell);
		else if (!pthread_create(&thread, 0, in_thread, &cell))
			pthread_join(thread, 0);
		_exit(0);
	}
	waitpid(child, 0, 0);
	printf("%s %s %s %s\n", way->name, operation->name, cell.object, shared->result);
	fflush(stdout);
}

static int is_wanted(const struct way *way, const struct operation *operation, char **arguments)
{
	if (!*arguments)
		return 1;
	for (; *arguments; arguments++)
		if (!strcmp(*arguments, way->name) ||
		    !strcmp(*arguments, with(with(way->name, "/"), operation->name)))
			return 1;
	return 0;
}

int main(int count, char **arguments)
{
	if (count > 1 && !strcmp(arguments[1], "list")) {
		list();
		return 0;
	}
	shared = mmap(0, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || enter_image()) {
		perror("cannot set up");
		return 1;
	}
	/* On one processor with who watches, they only get to run when a cell waits for something: so no way is seen for
	 * having been there a moment longer by chance. */
	struct sched_param first = { .sched_priority = 1 };
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		perror("cannot go first");
	for (const struct way *way = ways; way->name; way++)
		for (const struct operation *operation = operations; operation->name; operation++)
			if (fits(way, operation) && is_wanted(way, operation, arguments + 1))
				run_cell(way, operation);
	return 0;
}
