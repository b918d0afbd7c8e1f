/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with a path, however it is named. */

static char *no_arguments[] = { "x", 0 }, *no_environment[] = { 0 };

static long closed(long fd)
{
	return fd < 0 ? fd : close(fd);
}

static long opened(struct cell *cell, int flags)
{
	return closed(openat(cell->at, cell->path, flags, 0600));
}

static long open_read(struct cell *cell) { return opened(cell, O_RDONLY); }
static long open_write(struct cell *cell) { return opened(cell, O_WRONLY); }
static long open_both(struct cell *cell) { return opened(cell, O_RDWR); }
static long open_truncate(struct cell *cell) { return opened(cell, O_WRONLY | O_TRUNC); }
static long open_path(struct cell *cell) { return opened(cell, O_PATH); }
static long open_create(struct cell *cell) { return opened(cell, O_RDWR | O_CREAT); }
static long open_exclusive(struct cell *cell) { return opened(cell, O_RDWR | O_CREAT | O_EXCL); }
static long open_no_follow(struct cell *cell) { return opened(cell, O_RDONLY | O_NOFOLLOW); }
static long open_path_of_link(struct cell *cell) { return opened(cell, O_PATH | O_NOFOLLOW); }

static long open_2(struct cell *cell)
{
	struct open_how how = { .flags = O_RDONLY };
	return closed(syscall(SYS_openat2, cell->at, cell->path, &how, sizeof(how)));
}

static long tree_of(struct cell *cell) { return closed(syscall(SYS_open_tree, cell->at, cell->path, 0)); }

/* Runs in a child what executes something. */
static long executed(struct cell *cell, int by_descriptor)
{
	int status;
	shared->error = 0;
	pid_t child = fork();
	if (!child) {
		int fd = by_descriptor ? openat(cell->at, cell->path, O_RDONLY | O_CLOEXEC) : cell->at;
		if (by_descriptor && fd >= 0)
			syscall(SYS_execveat, fd, "", no_arguments, no_environment, AT_EMPTY_PATH);
		else if (!by_descriptor && fd == AT_FDCWD)
			execve(cell->path, no_arguments, no_environment);
		else if (fd >= 0)
			syscall(SYS_execveat, fd, cell->path, no_arguments, no_environment, 0);
		shared->error = errno;
		_exit(1);
	}
	waitpid(child, &status, 0);
	errno = shared->error ? shared->error : ENOEXEC;
	return status ? -1 : 0;
}

static long execute(struct cell *cell) { return executed(cell, 0); }
static long execute_descriptor(struct cell *cell) { return executed(cell, 1); }

static long map(struct cell *cell)
{
	int fd = openat(cell->at, cell->path, O_RDONLY);
	if (fd < 0)
		return -1;
	void *mapped = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	return closed(fd) || mapped == MAP_FAILED ? -1 : munmap(mapped, 4096);
}

static struct stat status;

#ifdef SYS_stat
static long stat_old(struct cell *cell) { return syscall(SYS_stat, cell->path, &status); }
static long stat_link_old(struct cell *cell) { return syscall(SYS_lstat, cell->path, &status); }
static long access_old(struct cell *cell) { return syscall(SYS_access, cell->path, R_OK); }
#else
static long stat_old(struct cell *cell) { return stat(cell->path, &status); }
static long stat_link_old(struct cell *cell) { return lstat(cell->path, &status); }
static long access_old(struct cell *cell) { return access(cell->path, R_OK); }
#endif

static long stat_at(struct cell *cell) { return fstatat(cell->at, cell->path, &status, 0); }
static long stat_link_at(struct cell *cell) { return fstatat(cell->at, cell->path, &status, AT_SYMLINK_NOFOLLOW); }

static long stat_extended(struct cell *cell)
{
	static struct statx extended;
	return statx(cell->at, cell->path, 0, STATX_ALL, &extended);
}

static long access_at(struct cell *cell)
{
	return syscall(SYS_faccessat2, cell->at, cell->path, R_OK, AT_EACCESS);
}

static char text[4096];

static long read_link(struct cell *cell) { return readlinkat(cell->at, cell->path, text, sizeof(text)); }
static long get_attribute(struct cell *cell) { return getxattr(cell->path, "user.x", text, sizeof(text)); }
static long get_link_attribute(struct cell *cell) { return lgetxattr(cell->path, "trusted.x", text, sizeof(text)); }
static long list_attributes(struct cell *cell) { return listxattr(cell->path, text, sizeof(text)); }
static long set_attribute(struct cell *cell) { return setxattr(cell->path, "user.x", "x", 1, 0); }

/* What watches is left open: to close it waits for others, and the way would be there all the while. */
static long watch(struct cell *cell)
{
	return inotify_add_watch(inotify_init1(IN_CLOEXEC), cell->path, IN_OPEN);
}

static long mark(struct cell *cell)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);
	if (fd < 0)
		cell->unavailable = "fanotify_init";
	return fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN, cell->at, cell->path);
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static long connect_to(struct cell *cell)
{
	struct sockaddr_un address = address_of(cell->path);
	return connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof(address));
}

static long send_to(struct cell *cell)
{
	struct sockaddr_un address = address_of(cell->path);
	return sendto(socket(AF_UNIX, SOCK_DGRAM, 0), "x", 1, 0, (void *)&address, sizeof(address));
}

static long bind_to(struct cell *cell)
{
	struct sockaddr_un address = address_of(cell->beside);
	return bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&address, sizeof(address));
}

static long status_of_file_system(struct cell *cell)
{
	struct statfs status;
	return statfs(cell->path, &status);
}

static long cut(struct cell *cell) { return truncate(cell->path, 2); }
static long set_times(struct cell *cell) { return utimensat(cell->at, cell->path, 0, 0); }
static long set_mode(struct cell *cell) { return fchmodat(cell->at, cell->path, 0700, 0); }
static long set_owner(struct cell *cell) { return fchownat(cell->at, cell->path, 0, 0, 0); }
static long rename_away(struct cell *cell) { return renameat(cell->at, cell->path, cell->at, cell->beside); }
static long link_away(struct cell *cell) { return linkat(cell->at, cell->path, cell->at, cell->beside, 0); }
static long remove_it(struct cell *cell) { return unlinkat(cell->at, cell->path, 0); }
static long remove_directory(struct cell *cell) { return unlinkat(cell->at, cell->path, AT_REMOVEDIR); }
static long make_directory(struct cell *cell) { return mkdirat(cell->at, cell->beside, 0700); }
static long make_again(struct cell *cell) { return mkdirat(cell->at, cell->path, 0700); }
static long make_pipe(struct cell *cell) { return mknodat(cell->at, cell->beside, S_IFIFO | 0600, 0); }
static long make_link(struct cell *cell) { return symlinkat("nowhere", cell->at, cell->beside); }

static long make_file(struct cell *cell)
{
	return closed(openat(cell->at, cell->beside, O_CREAT | O_WRONLY, 0600));
}

static long read_directory(struct cell *cell)
{
	int fd = openat(cell->at, cell->path, O_RDONLY | O_DIRECTORY);
	long result = fd < 0 ? -1 : syscall(SYS_getdents64, fd, text, sizeof(text));
	return closed(fd) ? -1 : result;
}

/* These move a process, and the way may need the old place to be taken away again. */
static long moved(struct cell *cell, int (*move)(const char *))
{
	int status;
	shared->error = 0;
	pid_t child = fork();
	if (!child) {
		if (move(cell->path))
			shared->error = errno;
		_exit(!!shared->error);
	}
	waitpid(child, &status, 0);
	errno = shared->error;
	return status ? -1 : 0;
}

static long change_directory(struct cell *cell) { return moved(cell, chdir); }
static long change_root(struct cell *cell) { return moved(cell, chroot); }

static long take_handle(struct cell *cell)
{
	struct {
		struct file_handle handle;
		char bytes[128];
	} handle = { .handle.handle_bytes = 128 };
	int mount;
	return name_to_handle_at(cell->at, cell->path, &handle.handle, &mount, 0);
}

static const struct operation operations[] = {
	{ "open-read", "open for reading", 'f', FOLLOWS, "open-read", open_read },
	{ "open-write", "open for writing", 'f', FOLLOWS, "open-write", open_write },
	{ "open-both", "open for reading and writing", 'f', FOLLOWS, "open-write", open_both },
	{ "open-truncate", "open with `O_TRUNC`", 'f', FOLLOWS, "open-write", open_truncate },
	{ "open-path", "open with `O_PATH`", 'f', FOLLOWS, "open-read", open_path },
	{ "open-create", "open with `O_CREAT` of what exists", 'f', FOLLOWS, "open-write", open_create },
	{ "open-exclusive", "open with `O_EXCL` of what exists", 'f', RENAMES, "*", open_exclusive, 0, "EEXIST" },
	{ "openat2", "openat2", 'f', FOLLOWS, "open-read", open_2 },
	{ "open-nofollow", "open of a file with `O_NOFOLLOW`", 'f', LOOKS, "open-read", open_no_follow },
	{ "open-nofollow-link", "open of a link with `O_NOFOLLOW`, which fails",
	  'l', LOOKS, "readlink", open_no_follow, 0, "ELOOP" },
	{ "open-path-link", "open of a link itself with `O_PATH`", 'l', LOOKS, "open-read", open_path_of_link },
	{ "open-tree", "open_tree", 'f', FOLLOWS, "open-read", tree_of },
	{ "exec", "execve of a program", 'p', FOLLOWS, "exec", execute },
	{ "exec-descriptor", "open of a program, and execveat of the descriptor",
	  'p', FOLLOWS, "exec", execute_descriptor },
	{ "exec-script", "execve of a script", 's', FOLLOWS, "exec", execute },
	{ "exec-link", "execve of a link to a program", 'x', FOLLOWS, "readlink", execute },
	{ "map", "open, and mmap executable", 'f', FOLLOWS, "map-exec", map },
	{ "stat", "stat", 'f', FOLLOWS, "stat", stat_old, 1 },
	{ "lstat", "lstat of a link", 'l', LOOKS, "stat", stat_link_old, 1 },
	{ "lstat-file", "newfstatat of a file with `AT_SYMLINK_NOFOLLOW`", 'f', LOOKS, "stat", stat_link_at },
	{ "newfstatat", "newfstatat", 'f', FOLLOWS, "stat", stat_at },
	{ "stat-link", "newfstatat through a link at the end", 'l', FOLLOWS, "readlink", stat_at },
	{ "statx", "statx", 'f', FOLLOWS, "stat", stat_extended },
	{ "access", "access", 'f', FOLLOWS, "access", access_old, 1 },
	{ "faccessat2", "faccessat2", 'f', FOLLOWS, "access", access_at },
	{ "readlink", "readlink of a link", 'l', LOOKS, "readlink", read_link },
	{ "readlink-file", "readlink of a file, which fails", 'f', LOOKS, "stat", read_link, 0, "EINVAL" },
	{ "getxattr", "getxattr of an attribute that is not there",
	  'f', FOLLOWS, "xattr", get_attribute, 1, "ENODATA" },
	{ "lgetxattr", "lgetxattr of a link", 'l', LOOKS, "xattr", get_link_attribute, 1, "ENODATA" },
	{ "listxattr", "listxattr", 'f', FOLLOWS, "xattr", list_attributes, 1 },
	{ "setxattr", "setxattr", 'f', FOLLOWS, "open-write", set_attribute, 1, "EOPNOTSUPP" },
	{ "inotify", "inotify_add_watch", 'f', FOLLOWS, "watch", watch, 1 },
	{ "fanotify", "fanotify_mark", 'f', FOLLOWS, "watch", mark },
	{ "connect", "connect to what is no socket", 'f', FOLLOWS, "connect", connect_to, 1, "ECONNREFUSED" },
	{ "sendto", "sendto what is no socket", 'f', FOLLOWS, "connect", send_to, 1, "ECONNREFUSED" },
	{ "statfs", "statfs", 'f', FOLLOWS, "stat", status_of_file_system, 1 },
	{ "truncate", "truncate", 'f', FOLLOWS, "open-write", cut, 1 },
	{ "utimensat", "utimensat", 'f', FOLLOWS, "open-write", set_times },
	{ "chmod", "fchmodat", 'f', FOLLOWS, "open-write", set_mode },
	{ "chown", "fchownat", 'f', FOLLOWS, "open-write", set_owner },
	{ "rename", "renameat to another name", 'f', RENAMES, "open-write", rename_away },
	{ "link", "linkat to another name", 'f', RENAMES, "open-read,open-write", link_away },
	{ "unlink", "unlinkat", 'f', RENAMES, "open-write", remove_it },
	{ "rmdir", "unlinkat of a directory", 'd', RENAMES, "open-write", remove_directory },
	{ "rmdir-full", "unlinkat of a directory that is not empty, which fails",
	  'D', RENAMES, "*", remove_directory, 0, "ENOTEMPTY" },
	{ "mkdir", "mkdirat", 'n', MAKES, "open-write", make_directory },
	{ "mkdir-exists", "mkdirat of what exists, which fails", 'd', RENAMES, "*", make_again, 0, "EEXIST" },
	{ "mknod", "mknodat", 'n', MAKES, "open-write", make_pipe },
	{ "symlink", "symlinkat", 'n', MAKES, "open-write", make_link },
	{ "create", "open with `O_CREAT` of what is new", 'n', MAKES, "open-write", make_file },
	{ "bind", "bind of a socket", 'n', MAKES, "open-write", bind_to, 1 },
	{ "readdir", "open and getdents64 of a directory", 'd', FOLLOWS, "readdir", read_directory },
	{ "chdir", "chdir", 'd', FOLLOWS, "open-read", change_directory, 1 },
	{ "chroot", "chroot", 'd', FOLLOWS, "open-read", change_root, 1 },
	{ "handle", "name_to_handle_at", 'f', LOOKS, "open-read", take_handle, 0, "EOPNOTSUPP" },
	{ "missing-stat", "newfstatat of nothing", 'n', MISSES, "missing", stat_at },
	{ "missing-access", "faccessat2 of nothing", 'n', MISSES, "missing", access_at },
	{ "missing-open", "open of nothing", 'n', MISSES, "missing", open_read },
	{ "missing-exec", "execve of nothing", 'n', MISSES, "missing", execute },
	{ "missing-readlink", "readlink of nothing", 'n', MISSES_NAME, "missing", read_link },
	{ 0 },
};
