/* SPDX-License-Identifier: Apache-2.0 */
/* A cell of the matrix: what it knows, how it is left again, and what it must leave in a record. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

struct cell;

/* What a way gives a name to. */
enum form {
	A_DIRECTORY, /* the directory of the object: every operation fits */
	A_LINK, /* the object, by a link: what acts on the last name itself would act on that */
	A_MAGIC_LINK, /* the same, by a link of /proc, which never dangles */
	A_MOUNT, /* the object, by a mount point: that cannot be renamed or removed */
	A_NAME, /* the object, by another name of its own */
};

/* What an operation does with the last name. */
enum touch {
	FOLLOWS, /* uses what it leads to */
	LOOKS, /* uses what has this name, be it a link */
	RENAMES, /* acts on the name in its directory */
	MAKES, /* makes something new in the directory */
	MISSES, /* fails with ENOENT, where it leads */
	MISSES_NAME, /* the same of the name itself */
};

/* Something that the image has beside the directory of the object. */
struct aside {
	const char *suffix; /* of the directory's path */
	char type; /* as in the list, or c: a directory with the same in it */
	const char *target; /* of a link; %1$s is the way, %2$s the operation, %3$s the object's name */
	const char *kinds; /* that the record must have of it, if any */
};

struct way {
	const char *name, *what;
	enum form form;
	int (*enter)(struct cell *);
	struct aside asides[4];
	const char *kinds; /* instead of the operation's, for uses of what exists */
	int in_thread, descriptor; /* names relative to a descriptor, which not every call takes */
};

struct operation {
	const char *name, *what;
	/* f file, p program, s script, l link to a file, x link to a program, d directory, D directory with a file in it,
	 * n nothing. */
	char object;
	enum touch touch;
	const char *kinds;
	long (*run)(struct cell *);
	int no_at; /* takes no descriptor to start from */
	const char *errors; /* with which it may fail having found the object */
};

enum undoing { UNLINK, UNLINK_BY_ANOTHER, REMOVE_DIRECTORY, UNMOUNT, KILL, ROOT };

struct cell {
	const struct way *way;
	const struct operation *operation;
	char directory[200], object[250]; /* in the image */
	char place[200], in_image[200]; /* names for what a way makes, in a tmpfs and in a directory of the image */
	int at;
	char path[300], beside[300]; /* how the operation names the object, and something new in its directory */
	const char *unavailable; /* what an operation needs and has not got */
	int undoings;
	struct {
		enum undoing what;
		char path[250];
		int number;
	} undo[8];
};

/* What the processes of a cell tell the first one. */
struct shared {
	int done, error;
	char step[200], result[400];
};

extern struct shared *shared;

static const char *error_name(void)
{
	const char *name = strerrorname_np(errno);
	return name ? name : "?";
}

/* A step of setting up a way; when it fails, the cell is skipped for that reason. */
#define NEED(what)                                                                                 \
	do {                                                                                       \
		if ((long)(what) < 0) {                                                            \
			int error_ = errno;                                                        \
			snprintf(shared->step, sizeof(shared->step), "%.100s", #what);             \
			errno = error_;                                                            \
			return -1;                                                                 \
		}                                                                                  \
	} while (0)

/* No two cells have names in common, so that what is said of one cannot count for another. */
static const char *name_of(const struct way *way, const struct operation *operation, char kind)
{
	static char texts[8][120];
	static int next;
	char *text = texts[next++ % 8];
	snprintf(text, sizeof(texts[0]), "%c-%s-%s", kind, way->name, operation->name);
	return text;
}

/* The last name of the object. */
static const char *leaf(const struct way *way, const struct operation *operation)
{
	switch (operation->object) {
	case 'x': return name_of(way, operation, 'l');
	case 'D': return name_of(way, operation, 'd');
	case 'n': return operation->touch == MAKES ? "" : name_of(way, operation, 'n');
	default: return name_of(way, operation, operation->object);
	}
}

static int fits(const struct way *way, const struct operation *operation)
{
	char object = operation->object;
	if (way->descriptor && operation->no_at)
		return 0;
	if (way->form != A_DIRECTORY && (object == 'l' || object == 'x'))
		return 0;
	switch (operation->touch) {
	case FOLLOWS: return way->form != A_NAME || object != 'd';
	case LOOKS: return way->form == A_DIRECTORY || way->form == A_MOUNT || way->form == A_NAME;
	case MISSES: return way->form == A_DIRECTORY || way->form == A_LINK;
	default: return way->form == A_DIRECTORY;
	}
}

/* Names the object by its directory, or in the working directory. */
static int name_in(struct cell *cell, const char *prefix)
{
	const char *slash = !*prefix || !strcmp(prefix, "/") ? "" : "/";
	snprintf(cell->path, sizeof(cell->path), "%s%s%s", prefix, slash, leaf(cell->way, cell->operation));
	snprintf(cell->beside, sizeof(cell->beside), "%s%s%s", prefix, slash,
		 name_of(cell->way, cell->operation, 'm'));
	return 0;
}

static int name_it(struct cell *cell, const char *path)
{
	snprintf(cell->path, sizeof(cell->path), "%s", path);
	return 0;
}

static const char *with(const char *path, const char *suffix)
{
	static char texts[8][300];
	static int next;
	char *text = texts[next++ % 8];
	snprintf(text, sizeof(texts[0]), "%s%s", path, suffix);
	return text;
}

static void later(struct cell *cell, enum undoing what, const char *path, int number)
{
	cell->undo[cell->undoings].what = what;
	snprintf(cell->undo[cell->undoings].path, sizeof(cell->undo[0].path), "%s", path ? path : "");
	cell->undo[cell->undoings++].number = number;
}

static void undo(struct cell *cell)
{
	while (cell->undoings--) {
		const char *path = cell->undo[cell->undoings].path;
		int number = cell->undo[cell->undoings].number, failed = 0;
		switch (cell->undo[cell->undoings].what) {
		case UNLINK: failed = unlink(path); break;
		case UNLINK_BY_ANOTHER:
			if (!(number = fork()))
				_exit(!!unlink(path));
			waitpid(number, &failed, 0);
			break;
		case REMOVE_DIRECTORY: failed = rmdir(path); break;
		case UNMOUNT: failed = umount2(path, MNT_DETACH); break;
		case KILL:
			kill(number, SIGKILL);
			waitpid(number, 0, 0);
			break;
		case ROOT: failed = fchdir(number) || chroot("."); break;
		}
		if (failed)
			cell->unavailable = "to take the way away again";
	}
}

/* Makes the working directory the root of the mount namespace, and takes the old root away. */
static int pivot_here(void)
{
	return syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chroot(".") || chdir("/") ? -1 : 0;
}

/* Whether an errno says that the operation found its object. */
static void judge(struct cell *cell, long result)
{
	const char *name = result < 0 ? error_name() : "", *errors = cell->operation->errors;
	const char *found = errors && *name ? strstr(errors, name) : 0;
	char *to = shared->result;
	size_t size = sizeof(shared->result);
	if (cell->unavailable)
		snprintf(to, size, "%s %s", strncmp(cell->unavailable, "to ", 3) ? "skipped" : "wrong:", cell->unavailable);
	else if (cell->operation->touch >= MISSES)
		snprintf(to, size, result < 0 && errno == ENOENT ? "found %s" : "wrong: %s", result < 0 ? name : "no error");
	else if (result >= 0)
		snprintf(to, size, "ok");
	else if (found || errno == EROFS)
		snprintf(to, size, "found %s", name);
	else
		snprintf(to, size, "wrong: %s", name);
}

static void list_thing(char type, const char *directory, const char *name, const char *target)
{
	printf("make\t%c\t%s/%s\t%s\n", type, directory, name, target);
}

/* What the operation needs in a directory. */
static void list_object(const struct way *way, const struct operation *operation, const char *directory)
{
	const char *name = leaf(way, operation);
	printf("make\td\t%s\t\n", directory);
	switch (operation->object) {
	case 's':
		list_thing('s', directory, name, "");
		list_thing('p', directory, "i", "");
		break;
	case 'l': case 'x': {
		char type = operation->object == 'l' ? 'f' : 'p';
		list_thing('l', directory, name, name_of(way, operation, type));
		list_thing(type, directory, name_of(way, operation, type), "");
		break;
	}
	case 'D':
		list_thing('d', directory, name, "");
		list_thing('f', directory, with(name, "/f"), "");
		break;
	case 'n': break;
	default: list_thing(operation->object, directory, name, "");
	}
}

static void list_cell(const struct way *way, const struct operation *operation)
{
	char directory[200], path[250], target[300];
	const struct aside *aside;
	const char *name = leaf(way, operation);
	snprintf(directory, sizeof(directory), "/m/%s/%s", way->name, operation->name);
	list_object(way, operation, directory);
	for (aside = way->asides; aside->suffix; aside++) {
		snprintf(path, sizeof(path), "%s%s", directory, aside->suffix);
		snprintf(target, sizeof(target), aside->target ? aside->target : "", way->name, operation->name, name);
		if (aside->type == 'c')
			list_object(way, operation, path);
		else
			printf("make\t%c\t%s\t%s\n", aside->type, path, target);
	}
	const char *kinds = way->kinds && operation->touch < MISSES ? way->kinds : operation->kinds;
	printf("cell\t%s\t%s\t%s%s%s=%s", way->name, operation->name, directory, *name ? "/" : "", name, kinds);
	if (operation->object == 'x')
		printf("\t%s/%s=%s", directory, name_of(way, operation, 'p'), way->kinds ? way->kinds : "exec");
	if (operation->object == 'l' && operation->touch == FOLLOWS)
		printf("\t%s/%s=%s", directory, name_of(way, operation, 'f'), way->kinds ? way->kinds : "stat");
	for (aside = way->asides; aside->suffix; aside++)
		if (aside->kinds)
			printf("\t%s%s=%s", directory, aside->suffix, aside->kinds);
	putchar('\n');
}
