/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to name an object. Each function sets its way up; what it says to undo is undone after the operation. */

static int absolute(struct cell *cell) { return name_in(cell, cell->directory); }

static int crooked(struct cell *cell)
{
	return name_in(cell, with(with("/.//m/./", cell->directory + 3), "//."));
}

static int working_directory(struct cell *cell)
{
	NEED(chdir(cell->directory));
	return name_in(cell, "");
}

static int descriptor(struct cell *cell)
{
	NEED(cell->at = open(cell->directory, O_PATH | O_DIRECTORY));
	return name_in(cell, "");
}

static int changed_descriptor(struct cell *cell)
{
	int fd;
	NEED(fd = open(cell->directory, O_RDONLY | O_DIRECTORY));
	NEED(fchdir(fd));
	return name_in(cell, "");
}

static int up_and_down(struct cell *cell)
{
	return name_in(cell, with(with(cell->directory, ".aside/../"), cell->operation->name));
}

static int up_from_directory(struct cell *cell)
{
	NEED(chdir(with(cell->directory, ".aside")));
	return name_in(cell, with("../", cell->operation->name));
}

static int up_from_removed(struct cell *cell)
{
	NEED(mkdir(cell->in_image, 0700));
	NEED(chdir(cell->in_image));
	NEED(rmdir(cell->in_image));
	return name_in(cell, with("../..", cell->directory));
}

/* Links of the image. */

static int image_link(struct cell *cell) { return name_in(cell, with(cell->directory, ".link")); }
static int image_file_link(struct cell *cell) { return name_it(cell, with(cell->directory, ".link")); }

static int link_within_root(struct cell *cell)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY, .resolve = RESOLVE_IN_ROOT };
	int root;
	NEED(root = open(with("/m/", cell->way->name), O_PATH | O_DIRECTORY));
	NEED(cell->at = syscall(SYS_openat2, root, with(cell->operation->name, ".link"), &how, sizeof(how)));
	return name_in(cell, "");
}

/* Links that are made. */

static int linked(struct cell *cell, const char *to, const char *at)
{
	NEED(symlink(to, at));
	later(cell, UNLINK, at, 0);
	return 0;
}

static int made_link(struct cell *cell)
{
	return linked(cell, cell->directory, cell->in_image) || name_in(cell, cell->in_image);
}

static int made_file_link(struct cell *cell)
{
	return linked(cell, cell->object, cell->in_image) || name_it(cell, cell->in_image);
}

static int made_link_in_tmpfs(struct cell *cell)
{
	return linked(cell, cell->directory, cell->place) || name_in(cell, cell->place);
}

static int made_file_link_in_tmpfs(struct cell *cell)
{
	return linked(cell, cell->object, cell->place) || name_it(cell, cell->place);
}

static int made_relative_link(struct cell *cell)
{
	NEED(mkdir(cell->in_image, 0700));
	later(cell, REMOVE_DIRECTORY, cell->in_image, 0);
	const char *link = with(cell->in_image, "/link");
	return linked(cell, with("../..", cell->directory), link) || name_in(cell, link);
}

static int made_chain(struct cell *cell)
{
	const char *last = with(cell->place, ".last");
	return linked(cell, cell->directory, last) || linked(cell, last, cell->in_image) ||
	       linked(cell, cell->in_image, cell->place) || name_in(cell, cell->place);
}

static int made_link_renamed(struct cell *cell)
{
	const char *first = with(cell->in_image, ".tmp");
	NEED(symlink(cell->directory, first));
	NEED(rename(first, cell->in_image));
	later(cell, UNLINK, cell->in_image, 0);
	return name_in(cell, cell->in_image);
}

static int made_link_in_renamed(struct cell *cell)
{
	const char *first = with(cell->in_image, ".tmp");
	NEED(mkdir(first, 0700));
	NEED(symlink(cell->directory, with(first, "/link")));
	NEED(rename(first, cell->in_image));
	later(cell, REMOVE_DIRECTORY, cell->in_image, 0);
	later(cell, UNLINK, with(cell->in_image, "/link"), 0);
	return name_in(cell, with(cell->in_image, "/link"));
}

static int made_link_to_link(struct cell *cell)
{
	return linked(cell, with(cell->directory, ".link"), cell->in_image) || name_in(cell, cell->in_image);
}

static int made_link_to_proc(struct cell *cell)
{
	NEED(chdir(cell->directory));
	return linked(cell, "/proc/self/cwd", cell->place) || name_in(cell, cell->place);
}

static int made_link_by_another(struct cell *cell)
{
	pid_t child;
	int failed;
	NEED(child = fork());
	if (!child)
		_exit(!!symlink(cell->directory, cell->in_image));
	NEED(waitpid(child, &failed, 0));
	NEED(-!!failed);
	later(cell, UNLINK_BY_ANOTHER, cell->in_image, 0);
	return name_in(cell, cell->in_image);
}

static int pointed(const char *to, const char *link)
{
	const char *first = with(link, ".tmp");
	NEED(symlink(to, first));
	NEED(rename(first, link));
	return 0;
}

/* Does with another object what is to be done with this one, by the same text. */
static int do_before(struct cell *cell)
{
	judge(cell, cell->operation->run(cell));
	NEED(strncmp(shared->result, "ok", 2) && strncmp(shared->result, "found", 5) ? -1 : 0);
	return 0;
}

/* Leads to the other directory, which is used, then to the right one. */
static int link_pointed_anew_at(struct cell *cell, const char *link)
{
	const char *other = with(cell->directory, ".other");
	NEED(pointed(other, link));
	name_in(cell, link);
	if (do_before(cell))
		return -1;
	NEED(pointed(cell->directory, link));
	later(cell, UNLINK, link, 0);
	return 0;
}

static int link_pointed_anew(struct cell *cell) { return link_pointed_anew_at(cell, cell->in_image); }
static int link_pointed_anew_in_tmpfs(struct cell *cell) { return link_pointed_anew_at(cell, cell->place); }

static int hard_link(struct cell *cell)
{
	NEED(link(cell->object, cell->in_image));
	later(cell, UNLINK, cell->in_image, 0);
	return name_it(cell, cell->in_image);
}

/* Mounts. */

static int is_directory(const struct operation *operation)
{
	return operation->object == 'd' || operation->object == 'D';
}

static int point(struct cell *cell, const char *at)
{
	NEED(mkdir(at, 0700));
	later(cell, REMOVE_DIRECTORY, at, 0);
	return 0;
}

static int point_for_object(struct cell *cell)
{
	if (is_directory(cell->operation))
		return point(cell, cell->place);
	NEED(closed(creat(cell->place, 0600)));
	later(cell, UNLINK, cell->place, 0);
	return 0;
}

static int bound(struct cell *cell, const char *from, const char *at, unsigned long more)
{
	NEED(mount(from, at, 0, MS_BIND | more, 0));
	later(cell, UNMOUNT, at, 0);
	return 0;
}

static int bind_mount(struct cell *cell)
{
	return point(cell, cell->place) || bound(cell, cell->directory, cell->place, 0) || name_in(cell, cell->place);
}

static int bind_file(struct cell *cell)
{
	return point_for_object(cell) || bound(cell, cell->object, cell->place, 0) || name_it(cell, cell->place);
}

static int bind_on_image(struct cell *cell)
{
	const char *at = with(cell->directory, ".point");
	return bound(cell, cell->directory, at, 0) || name_in(cell, at);
}

static int bind_on_other(struct cell *cell)
{
	const char *at = with(cell->directory, ".other");
	return bound(cell, cell->directory, at, 0) || name_in(cell, at);
}

static int bind_relative(struct cell *cell)
{
	NEED(chdir(cell->directory));
	return point(cell, cell->place) || bound(cell, ".", cell->place, 0) || chdir("/") || name_in(cell, cell->place);
}

static int bind_by_descriptors(struct cell *cell)
{
	char from[40], at[40];
	int fd;
	if (point(cell, cell->place))
		return -1;
	NEED(fd = open(cell->directory, O_PATH));
	sprintf(from, "/proc/self/fd/%d", fd);
	NEED(fd = open(cell->place, O_PATH));
	sprintf(at, "/proc/self/fd/%d", fd);
	NEED(mount(from, at, 0, MS_BIND, 0));
	later(cell, UNMOUNT, cell->place, 0);
	return name_in(cell, cell->place);
}

static int bind_of_bind(struct cell *cell)
{
	const char *first = with(cell->place, ".first");
	if (point(cell, first) || point(cell, cell->place))
		return -1;
	NEED(mount(cell->directory, first, 0, MS_BIND, 0));
	NEED(mount(first, cell->place, 0, MS_BIND, 0));
	later(cell, UNMOUNT, cell->place, 0);
	NEED(umount2(first, MNT_DETACH));
	return name_in(cell, cell->place);
}

static int recursive_bind(struct cell *cell)
{
	return point(cell, cell->place) || bound(cell, with("/m/", cell->way->name), cell->place, MS_REC) ||
	       name_in(cell, with(with(cell->place, "/"), cell->operation->name));
}

static int moved_mount(struct cell *cell)
{
	const char *first = with(cell->place, ".first");
	if (point(cell, first) || point(cell, cell->place))
		return -1;
	NEED(mount(cell->directory, first, 0, MS_BIND, 0));
	NEED(mount(first, cell->place, 0, MS_MOVE, 0));
	later(cell, UNMOUNT, cell->place, 0);
	return name_in(cell, cell->place);
}

/* Another directory was bound there before, and used. */
static int bind_again(struct cell *cell)
{
	if (point(cell, cell->place))
		return -1;
	NEED(mount(with(cell->directory, ".other"), cell->place, 0, MS_BIND, 0));
	name_in(cell, cell->place);
	if (do_before(cell))
		return -1;
	NEED(umount2(cell->place, MNT_DETACH));
	return bound(cell, cell->directory, cell->place, 0);
}

static int link_into_bind(struct cell *cell)
{
	const char *at = with(cell->place, ".bind");
	return point(cell, at) || bound(cell, cell->directory, at, 0) || linked(cell, at, cell->place) ||
	       name_in(cell, cell->place);
}

static int up_from_mount(struct cell *cell)
{
	const char *at = with(cell->directory, ".point");
	NEED(mount("none", at, "tmpfs", 0, 0));
	later(cell, UNMOUNT, at, 0);
	return name_in(cell, with(with(at, "/../"), cell->operation->name));
}

static int mount_namespace(struct cell *cell)
{
	NEED(unshare(CLONE_NEWNS));
	NEED(mkdir(cell->place, 0700));
	NEED(mount(cell->directory, cell->place, 0, MS_BIND, 0));
	return name_in(cell, cell->place);
}

static int user_namespace(struct cell *cell)
{
	NEED(unshare(CLONE_NEWUSER | CLONE_NEWNS));
	int fd;
	NEED(fd = open("/proc/self/uid_map", O_WRONLY));
	NEED(write(fd, "0 0 1", 5));
	NEED(closed(fd));
	NEED(fd = open("/proc/self/setgroups", O_WRONLY));
	NEED(write(fd, "deny", 4));
	NEED(closed(fd));
	NEED(fd = open("/proc/self/gid_map", O_WRONLY));
	NEED(write(fd, "0 0 1", 5));
	NEED(closed(fd));
	NEED(mkdir(cell->place, 0700));
	NEED(mount(cell->directory, cell->place, 0, MS_BIND, 0));
	return name_in(cell, cell->place);
}

static int cloned_tree(const char *path)
{
	return syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE);
}

static int detached(struct cell *cell)
{
	NEED(cell->at = cloned_tree(cell->directory));
	return name_in(cell, "");
}

static int detached_working_directory(struct cell *cell)
{
	int tree;
	NEED(tree = cloned_tree(cell->directory));
	NEED(fchdir(tree));
	return name_in(cell, "");
}

static int detached_through_proc(struct cell *cell)
{
	char path[60];
	int tree;
	NEED(tree = cloned_tree(cell->directory));
	sprintf(path, "/proc/self/fd/%d", tree);
	return name_in(cell, path);
}

static int attached(struct cell *cell, int tree)
{
	NEED(syscall(SYS_move_mount, tree, "", AT_FDCWD, cell->place, MOVE_MOUNT_F_EMPTY_PATH));
	later(cell, UNMOUNT, cell->place, 0);
	return name_in(cell, cell->place);
}

static int attached_tree(struct cell *cell)
{
	int tree;
	if (point(cell, cell->place))
		return -1;
	NEED(tree = cloned_tree(cell->directory));
	return attached(cell, tree);
}

/* Overlays of the workload's own. */

static int upper_and_work(struct cell *cell)
{
	NEED(mkdir(with(cell->place, ".upper"), 0700));
	NEED(mkdir(with(cell->place, ".work"), 0700));
	return 0;
}

static int overlaid(struct cell *cell, const char *lower, const char *at, int writable)
{
	char options[1500];
	if (writable && upper_and_work(cell))
		return -1;
	snprintf(options, sizeof(options), writable ? "lowerdir=%s,upperdir=%s,workdir=%s" : "lowerdir=%s", lower,
		 with(cell->place, ".upper"), with(cell->place, ".work"));
	NEED(mount("overlay", at, "overlay", 0, options));
	later(cell, UNMOUNT, at, 0);
	return name_in(cell, at);
}

static int overlay(struct cell *cell)
{
	return point(cell, cell->place) || overlaid(cell, cell->directory, cell->place, 1);
}

static int overlay_of_two(struct cell *cell)
{
	const char *lower = with(with(with(cell->directory, ".point"), ":"), cell->directory);
	return point(cell, cell->place) || overlaid(cell, lower, cell->place, 1);
}

static int overlay_to_read(struct cell *cell)
{
	const char *lower = with(with(cell->directory, ":"), with(cell->directory, ".point"));
	return point(cell, cell->place) || overlaid(cell, lower, cell->place, 0);
}

static int overlay_in_place(struct cell *cell) { return overlaid(cell, cell->directory, cell->directory, 1); }

static int overlay_of_relative(struct cell *cell)
{
	NEED(chdir(cell->directory));
	int failed = point(cell, cell->place) || overlaid(cell, ".", cell->place, 1);
	NEED(chdir("/"));
	return failed;
}

enum { BY_STRING, BY_LOWER, BY_DESCRIPTOR };

static int set_up_overlay(struct cell *cell, int how)
{
	int fs, directory, made;
	if (upper_and_work(cell))
		return -1;
	NEED(fs = syscall(SYS_fsopen, "overlay", 0));
	switch (how) {
	case BY_STRING: NEED(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "lowerdir", cell->directory, 0)); break;
	case BY_LOWER: NEED(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "lowerdir+", cell->directory, 0)); break;
	default:
		NEED(directory = open(cell->directory, O_PATH));
		NEED(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FD, "lowerdir+", 0, directory));
	}
	NEED(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "upperdir", with(cell->place, ".upper"), 0));
	NEED(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "workdir", with(cell->place, ".work"), 0));
	NEED(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0));
	NEED(made = syscall(SYS_fsmount, fs, 0, 0));
	return made;
}

static int overlay_attached(struct cell *cell, int how)
{
	if (point(cell, cell->place))
		return -1;
	int made = set_up_overlay(cell, how);
	return made < 0 ? -1 : attached(cell, made);
}

static int overlay_by_string(struct cell *cell) { return overlay_attached(cell, BY_STRING); }
static int overlay_by_lower(struct cell *cell) { return overlay_attached(cell, BY_LOWER); }
static int overlay_by_descriptor(struct cell *cell) { return overlay_attached(cell, BY_DESCRIPTOR); }

static int overlay_detached(struct cell *cell)
{
	cell->at = set_up_overlay(cell, BY_STRING);
	return cell->at < 0 ? -1 : name_in(cell, "");
}

/* Roots. */

static int rooted(struct cell *cell, const char *at)
{
	int root;
	NEED(root = open("/", O_PATH | O_DIRECTORY));
	NEED(chroot(at));
	later(cell, ROOT, 0, root);
	NEED(chdir("/"));
	return name_in(cell, "/");
}

static int changed_root(struct cell *cell) { return rooted(cell, cell->directory); }

static int changed_root_to_bind(struct cell *cell)
{
	return point(cell, cell->place) || bound(cell, cell->directory, cell->place, 0) || rooted(cell, cell->place);
}

static int pivot_to_bind(struct cell *cell)
{
	NEED(unshare(CLONE_NEWNS));
	NEED(mkdir(cell->place, 0700));
	NEED(mount("/", cell->place, 0, MS_BIND | MS_REC, 0));
	NEED(chdir(cell->place));
	NEED(pivot_here());
	return name_in(cell, cell->directory);
}

/* As bubblewrap does it: into a tmpfs, where a new root is put together from binds of the old one, and into that. */
static int put_together(struct cell *cell)
{
	NEED(unshare(CLONE_NEWNS));
	NEED(mkdir(cell->place, 0700));
	NEED(mount("none", cell->place, "tmpfs", 0, 0));
	NEED(chdir(cell->place));
	NEED(mkdir("new", 0755));
	NEED(mkdir("old", 0755));
	NEED(mount("new", "new", 0, MS_BIND | MS_REC, 0));
	NEED(syscall(SYS_pivot_root, ".", "old"));
	NEED(chdir("/"));
	NEED(mkdir("/new/data", 0755));
	NEED(mount(with("/old", cell->directory), "/new/data", 0, MS_BIND | MS_REC, 0));
	NEED(closed(creat("/new/i", 0755)));
	NEED(mount("/old/i", "/new/i", 0, MS_BIND, 0));
	NEED(symlink("data", "/new/link"));
	NEED(umount2("/old", MNT_DETACH));
	NEED(chdir("/new"));
	NEED(pivot_here());
	return 0;
}

static int pivot_to_tmpfs(struct cell *cell) { return put_together(cell) || name_in(cell, "/data"); }
static int link_in_tmpfs_root(struct cell *cell) { return put_together(cell) || name_in(cell, "/link"); }

/* Paths of /proc. */

static int proc_root(struct cell *cell) { return name_in(cell, with("/proc/self/root", cell->directory)); }

static int proc_directory(struct cell *cell)
{
	NEED(chdir(cell->directory));
	return name_in(cell, "/proc/self/cwd");
}

static int proc_again(struct cell *cell, const char *through)
{
	NEED(chdir(with(cell->directory, ".other")));
	name_in(cell, through);
	if (do_before(cell))
		return -1;
	NEED(chdir(cell->directory));
	return 0;
}

static int proc_directory_again(struct cell *cell) { return proc_again(cell, "/proc/self/cwd"); }
static int proc_thread_again(struct cell *cell) { return proc_again(cell, "/proc/thread-self/cwd"); }

static int proc_descriptor(struct cell *cell)
{
	char path[60];
	int fd;
	NEED(fd = open(cell->directory, O_PATH));
	sprintf(path, "/proc/self/fd/%d", fd);
	return name_in(cell, path);
}

static int proc_file_descriptor(struct cell *cell)
{
	char path[60];
	int fd;
	NEED(fd = open(cell->object, O_PATH));
	sprintf(path, "/proc/self/fd/%d", fd);
	return name_it(cell, path);
}

static int proc_thread(struct cell *cell)
{
	NEED(chdir(cell->directory));
	return name_in(cell, "/proc/thread-self/cwd");
}

/* Starts a process that does something and then waits until it is killed. */
static int helper(struct cell *cell, int (*prepare)(struct cell *, int), pid_t *pid)
{
	int ends[2];
	char byte;
	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	NEED(*pid = fork());
	if (!*pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		if (prepare(cell, ends[1]) || write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	later(cell, KILL, 0, *pid);
	errno = ECHILD;
	NEED(read(ends[0], &byte, 1) - 1);
	return ends[0];
}

static int there(struct cell *cell, int to) { return chdir(cell->directory); }
static int rooted_there(struct cell *cell, int to) { return chroot(cell->directory); }

static int of_another(struct cell *cell, int (*prepare)(struct cell *, int), const char *what)
{
	char path[60];
	pid_t pid;
	if (helper(cell, prepare, &pid) < 0)
		return -1;
	sprintf(path, "/proc/%d/%s", pid, what);
	return name_in(cell, with(path, !strcmp(what, "root") && prepare != rooted_there ? cell->place : ""));
}

static int proc_root_of_another(struct cell *cell) { return of_another(cell, rooted_there, "root"); }
static int proc_directory_of_another(struct cell *cell) { return of_another(cell, there, "cwd"); }

static int with_descriptor_50(struct cell *cell, int to)
{
	return dup2(open(cell->directory, O_PATH), 50) < 0;
}

static int proc_descriptor_of_another(struct cell *cell) { return of_another(cell, with_descriptor_50, "fd/50"); }

static int with_own_mounts(struct cell *cell, int to)
{
	return unshare(CLONE_NEWNS) || mkdir(cell->place, 0700) || mount(cell->directory, cell->place, 0, MS_BIND, 0);
}

static int proc_mounts_of_another(struct cell *cell) { return of_another(cell, with_own_mounts, "root"); }

static int namespace_of_another(struct cell *cell)
{
	char path[60];
	pid_t pid;
	int fd;
	if (helper(cell, with_own_mounts, &pid) < 0)
		return -1;
	sprintf(path, "/proc/%d/ns/mnt", pid);
	NEED(fd = open(path, O_RDONLY));
	NEED(setns(fd, CLONE_NEWNS));
	return name_in(cell, cell->place);
}

static int sends_descriptor(struct cell *cell, int to)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(header) = open(cell->directory, O_PATH | O_DIRECTORY);
	return write(to, "", 1) != 1 || sendmsg(to, &message, 0) < 0;
}

static int descriptor_of_another(struct cell *cell)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	pid_t pid;
	int from = helper(cell, sends_descriptor, &pid);
	if (from < 0)
		return -1;
	NEED(recvmsg(from, &message, 0));
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	NEED(header ? 0 : -1);
	cell->at = *(int *)CMSG_DATA(header);
	return name_in(cell, "");
}

/* A process that shares its working directory with us changes it. */
static int directory_by_another(struct cell *cell)
{
	int failed;
	pid_t child;
	NEED(child = syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0));
	if (!child)
		_exit(!!chdir(cell->directory));
	NEED(waitpid(child, &failed, 0));
	NEED(-!!failed);
	return name_in(cell, "");
}

#define ASIDE { ".aside", 'd', 0, "*" }
#define POINT { ".point", 'd' }
#define OTHER { ".other", 'c' }
#define LINK(to) { ".link", 'l', to, "readlink" }

static const struct way ways[] = {
	{ "absolute", "an absolute path", A_DIRECTORY, absolute },
	{ "crooked", "an absolute path with `.` and more slashes than needed", A_DIRECTORY, crooked },
	{ "cwd", "relative to the working directory", A_DIRECTORY, working_directory },
	{ "fchdir", "the same after fchdir", A_DIRECTORY, changed_descriptor },
	{ "thread-cwd", "the same in a thread with a working directory of its own",
	  A_DIRECTORY, working_directory, .in_thread = 1 },
	{ "cwd-by-other", "the same, where another process has changed the shared one (`CLONE_FS`)",
	  A_DIRECTORY, directory_by_another },
	{ "dirfd", "relative to a descriptor", A_DIRECTORY, descriptor, .descriptor = 1 },
	{ "dirfd-passed", "the same, got from another process", A_DIRECTORY, descriptor_of_another, .descriptor = 1 },
	{ "dotdot", "through a directory of the image and `..`", A_DIRECTORY, up_and_down, { ASIDE } },
	{ "cwd-dotdot", "through `..` from the working directory", A_DIRECTORY, up_from_directory, { ASIDE } },
	{ "cwd-removed", "through `..` from a working directory that was made and removed",
	  A_DIRECTORY, up_from_removed },
	{ "mount-dotdot", "through `..` from a tmpfs mounted on a directory of the image",
	  A_DIRECTORY, up_from_mount, { POINT } },

	{ "image-link", "a link of the image to the directory", A_DIRECTORY, image_link, { LINK("/m/%1$s/%2$s") } },
	{ "image-link-relative", "a relative link of the image", A_DIRECTORY, image_link, { LINK("../%1$s/%2$s") } },
	{ "image-link-file", "a link of the image to the object", A_LINK, image_file_link, { LINK("%2$s/%3$s") } },
	{ "image-link-chain", "three links of the image, one after the other", A_DIRECTORY, image_link,
	  { LINK("%2$s.second"), { ".second", 'l', "/m/%1$s/%2$s.third", "readlink" }, { ".third", 'l', "%2$s", "readlink" } } },
	{ "in-root", "a link of the image within the root of openat2 with `RESOLVE_IN_ROOT`",
	  A_DIRECTORY, link_within_root,
	  { LINK("/%2$s") }, .descriptor = 1 },

	{ "link", "a link made in a directory of the image", A_DIRECTORY, made_link },
	{ "link-file", "the same to the object", A_LINK, made_file_link },
	{ "link-tmpfs", "a link made in a tmpfs", A_DIRECTORY, made_link_in_tmpfs },
	{ "link-tmpfs-file", "the same to the object", A_LINK, made_file_link_in_tmpfs },
	{ "link-relative", "a relative link made in a directory made for it", A_DIRECTORY, made_relative_link },
	{ "link-chain", "three links made, one after the other", A_DIRECTORY, made_chain },
	{ "link-renamed", "a link made and renamed", A_DIRECTORY, made_link_renamed },
	{ "link-in-renamed", "a link made in a directory that is renamed then", A_DIRECTORY, made_link_in_renamed },
	{ "link-to-link", "a link made to a link of the image",
	  A_DIRECTORY, made_link_to_link, { LINK("/m/%1$s/%2$s") } },
	{ "link-to-proc", "a link made to `/proc/self/cwd`", A_DIRECTORY, made_link_to_proc },
	{ "link-by-other", "a link made and removed by other processes", A_DIRECTORY, made_link_by_another },
	{ "link-anew", "a link made that has led elsewhere before", A_DIRECTORY, link_pointed_anew, { OTHER } },
	{ "link-anew-tmpfs", "the same in a tmpfs", A_DIRECTORY, link_pointed_anew_in_tmpfs, { OTHER } },
	{ "hard-link", "a hard link made to the object", A_NAME, hard_link, .kinds = "*" },

	{ "bind", "a bind mount of the directory", A_DIRECTORY, bind_mount },
	{ "bind-file", "a bind mount of the object", A_MOUNT, bind_file },
	{ "bind-on-image", "a bind mount on a directory of the image", A_DIRECTORY, bind_on_image, { POINT } },
	{ "bind-on-other", "a bind mount on a directory of the image with the same in it",
	  A_DIRECTORY, bind_on_other, { OTHER } },
	{ "bind-relative", "a bind mount whose source is relative", A_DIRECTORY, bind_relative },
	{ "bind-fd", "a bind mount of descriptors, through `/proc/self/fd`", A_DIRECTORY, bind_by_descriptors },
	{ "bind-of-bind", "a bind mount of a bind mount that is gone", A_DIRECTORY, bind_of_bind },
	{ "bind-recursive", "a recursive bind mount of the directory above", A_DIRECTORY, recursive_bind },
	{ "bind-moved", "a bind mount that was moved", A_DIRECTORY, moved_mount },
	{ "bind-again", "a bind mount where another one was before", A_DIRECTORY, bind_again, { OTHER } },
	{ "link-to-bind", "a link made to a bind mount", A_DIRECTORY, link_into_bind },
	{ "mount-namespace", "a bind mount in a mount namespace that ends at once", A_DIRECTORY, mount_namespace },
	{ "user-namespace", "the same in a user namespace", A_DIRECTORY, user_namespace },
	{ "setns", "a bind mount in the mount namespace of another process, entered",
	  A_DIRECTORY, namespace_of_another },
	{ "detached", "relative to a mount that is attached nowhere (`open_tree`)",
	  A_DIRECTORY, detached, .descriptor = 1 },
	{ "detached-cwd", "the same by way of the working directory", A_DIRECTORY, detached_working_directory },
	{ "detached-proc", "the same by way of `/proc/self/fd`", A_DIRECTORY, detached_through_proc },
	{ "attached", "such a mount attached by move_mount", A_DIRECTORY, attached_tree },

	{ "overlay", "an overlay on the directory", A_DIRECTORY, overlay, .kinds = "*" },
	{ "overlay-two", "an overlay on two directories", A_DIRECTORY, overlay_of_two, { POINT }, .kinds = "*" },
	{ "overlay-read", "an overlay without an upper directory",
	  A_DIRECTORY, overlay_to_read, { POINT }, .kinds = "*" },
	{ "overlay-in-place", "an overlay mounted on the directory itself",
	  A_DIRECTORY, overlay_in_place, .kinds = "*" },
	{ "overlay-relative", "an overlay whose lower directory is relative",
	  A_DIRECTORY, overlay_of_relative, .kinds = "*" },
	{ "overlay-fsconfig", "an overlay set up by fsconfig with `lowerdir`",
	  A_DIRECTORY, overlay_by_string, .kinds = "*" },
	{ "overlay-lowerdir+", "the same with `lowerdir+`", A_DIRECTORY, overlay_by_lower, .kinds = "*" },
	{ "overlay-fd", "the same with `lowerdir+` and a descriptor",
	  A_DIRECTORY, overlay_by_descriptor, .kinds = "*" },
	{ "overlay-detached", "an overlay that is attached nowhere",
	  A_DIRECTORY, overlay_detached, .kinds = "*", .descriptor = 1 },

	{ "chroot", "after chroot into the directory", A_DIRECTORY, changed_root },
	{ "chroot-bind", "after chroot into a bind mount of the directory", A_DIRECTORY, changed_root_to_bind },
	{ "pivot", "after pivot_root into a bind mount of the root", A_DIRECTORY, pivot_to_bind },
	{ "pivot-tmpfs", "after pivot_root into a tmpfs with a bind mount of the directory",
	  A_DIRECTORY, pivot_to_tmpfs },
	{ "pivot-tmpfs-link", "the same through a link in that tmpfs", A_DIRECTORY, link_in_tmpfs_root },

	{ "proc-root", "`/proc/self/root`", A_DIRECTORY, proc_root },
	{ "proc-cwd", "`/proc/self/cwd`", A_DIRECTORY, proc_directory },
	{ "proc-cwd-again", "the same, which led to another directory before",
	  A_DIRECTORY, proc_directory_again, { OTHER } },
	{ "proc-thread", "`/proc/thread-self/cwd`", A_DIRECTORY, proc_thread },
	{ "proc-thread-again", "the same, which led to another directory before",
	  A_DIRECTORY, proc_thread_again, { OTHER } },
	{ "proc-fd", "`/proc/self/fd/N` of the directory", A_DIRECTORY, proc_descriptor },
	{ "proc-fd-file", "`/proc/self/fd/N` of the object", A_MAGIC_LINK, proc_file_descriptor },
	{ "proc-other-root", "`/proc/PID/root` of another process in a chroot", A_DIRECTORY, proc_root_of_another },
	{ "proc-other-mounts", "the same of another process with mounts of its own",
	  A_DIRECTORY, proc_mounts_of_another },
	{ "proc-other-cwd", "`/proc/PID/cwd` of another process", A_DIRECTORY, proc_directory_of_another },
	{ "proc-other-fd", "`/proc/PID/fd/N` of another process", A_DIRECTORY, proc_descriptor_of_another },
	{ 0 },
};
