/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses files in many ways, each on its own object beneath /t; the table in torture.rs says what must be seen.
 * Without arguments: all of it, with descriptors 100 and 101 inherited. `quit`: nothing. `open PATH`: one open.
 * `handle PATH`: an open by handle. `bind FROM TO PATH`: a bind mount of its own, stat of PATH, and pause.
 * `replaced DIRECTORY COUNT`: opens that many files, while a thread puts another one in the place of the descriptors.
 * Prints what went otherwise than it should.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

static int failures;

static long ok(const char *what, long result)
{
	if (result < 0) {
		printf("%s: %s\n", what, strerror(errno));
		failures++;
	}
	return result;
}

static void fails(const char *what, long result)
{
	if (result >= 0) {
		printf("%s: did not fail\n", what);
		failures++;
	}
}

#define CHILD(...)                                                                                 \
	do {                                                                                       \
		fflush(stdout);                                                                    \
		pid_t child_ = fork();                                                             \
		if (!child_) {                                                                     \
			__VA_ARGS__;                                                               \
			fflush(stdout);                                                            \
			_exit(failures);                                                           \
		}                                                                                  \
		int status_;                                                                       \
		waitpid(child_, &status_, 0);                                                      \
		if (status_) {                                                                     \
			printf("child at line %d: status %x\n", __LINE__, status_);                \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

static char *quit[] = { "x", "quit", 0 };
static char *none[] = { 0 };

/* What a request acts on, and for an address its length. */
static int request_fd = AT_FDCWD, request_length;

static int uring(int opcode, const char *path, unsigned setup, unsigned flags, void *addr2, unsigned rw)
{
	struct io_uring_params p = { .flags = setup };
	int fd = syscall(SYS_io_uring_setup, 4, &p);
	if (fd < 0)
		return -1;
	char *sq = mmap(0, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	char *cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED,
			fd, IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(0, p.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
					IORING_OFF_SQES);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->flags = flags;
	sqe->fd = request_fd;
	sqe->addr_len = request_length;
	sqe->addr = (unsigned long)path;
	sqe->off = (unsigned long)addr2;
	sqe->len = rw;
	((unsigned *)(sq + p.sq_off.array))[0] = 0;
	__atomic_store_n((unsigned *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	unsigned enter = IORING_ENTER_GETEVENTS | (setup & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, enter, 0, 0) < 0)
		return -1;
	struct io_uring_cqe *cqe = (void *)(cq + p.cq_off.cqes);
	int result = cqe->res;
	close(fd);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	strcpy(a.sun_path, path);
	return a;
}

static long i386(int number, const void *path, int arg)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(path), "c"(arg), "d"(0) : "r8", "r9", "r10", "r11", "memory");
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

static void *exec_in_thread(void *unused)
{
	execv("/t/f_threadexec", quit);
	return unused;
}

static void *in_thread(void *unused)
{
	ok("thread", open("/t/f_thread", O_RDONLY));
	return unused;
}

static void opens(void)
{
	struct open_how how = { .flags = O_RDONLY };
	ok("open", syscall(SYS_open, "/t/f_open", O_RDONLY));
	ok("openat", open("/t/f_openat", O_RDONLY));
	ok("openat2", syscall(SYS_openat2, AT_FDCWD, "/t/f_openat2", &how, sizeof(how)));
	int directory = ok("dirfd", open("/t/d_at", O_RDONLY | O_DIRECTORY));
	ok("at", openat(directory, "f_at", O_RDONLY));
	how.resolve = RESOLVE_IN_ROOT;
	ok("in root", syscall(SYS_openat2, directory, "/l_inroot", &how, sizeof(how)));
	ok("path", open("/t/f_opath", O_PATH));
	ok("creat", creat("/t/f_creat", 0600));
	ok("rdwr", open("/t/f_rdwr", O_RDWR));
	ok("append", open("/t/f_append", O_WRONLY | O_APPEND));
	how.resolve = RESOLVE_BENEATH;
	ok("beneath", syscall(SYS_openat2, directory, "f_beneath", &how, sizeof(how)));
	how.resolve = RESOLVE_NO_SYMLINKS;
	fails("no symlinks", syscall(SYS_openat2, AT_FDCWD, "/t/l_nosym", &how, sizeof(how)));
	char reopened[64];
	sprintf(reopened, "/proc/self/fd/%ld", ok("path", open("/t/f_reopen", O_PATH)));
	ok("reopen", open(reopened, O_RDONLY));
	fails("loop", open("/t/l_loop", O_RDONLY));
	CHILD(setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000); fails("denied", open("/t/f_denied", O_RDONLY)));
	ok("chain", open("/t/l_c1", O_RDONLY));
	ok("link to directory", open("/t/l_dir/f_indir", O_RDONLY));
	ok("dotdot", open("/t/dd/sub/../../f_dotdot", O_RDONLY));
	ok("slash", open("/t/l_slash/", O_RDONLY | O_DIRECTORY));
	fails("nofollow", open("/t/l_nofollow", O_RDONLY | O_NOFOLLOW));
	ok("hard link 1", open("/t/f_hl1", O_RDONLY));
	ok("hard link 2", open("/t/f_hl2", O_RDONLY));
	ok("open to unlink", open("/t/f_unl", O_RDONLY));
	ok("unlink", unlink("/t/f_unl"));
	ok("new file", open("/t/d_new/made", O_CREAT | O_WRONLY | O_EXCL, 0600));
	ok("opened through fd", open("/proc/self/fd/101", O_RDONLY));
	ok("newline", open("/t/f_new\nline", O_RDONLY));
	ok("bytes", open("/t/f_\xff\xfe", O_RDONLY));
	ok("quotes", open("/t/f_'\"$(x)`", O_RDONLY));
	ok("i386 open", i386(5, "/t/f_i386", O_RDONLY));
	ok("i386 stat64", i386(195, "/t/f_i386stat", (int)(long)sbrk(4096)));
	static unsigned mapping[6] = { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE };
	mapping[4] = ok("i386 open", i386(5, "/t/f_i386map", O_RDONLY));
	if (i386(90, mapping, 0) == -1)
		ok("i386 mmap", -1);
	pthread_t thread;
	pthread_create(&thread, 0, in_thread, 0);
	pthread_join(thread, 0);
}

static void lookups(void)
{
	struct stat st;
	struct statx stx;
	struct statfs sfs;
	char text[200];
	ok("stat", syscall(SYS_stat, "/t/f_stat", &st));
	ok("lstat", syscall(SYS_lstat, "/t/l_lstat", &st));
	ok("fstatat", fstatat(AT_FDCWD, "/t/f_fstatat", &st, 0));
	ok("statx", statx(AT_FDCWD, "/t/f_statx", 0, STATX_ALL, &stx));
	ok("stat link", stat("/t/l_stat", &st));
	ok("statfs", statfs("/t/f_statfs", &sfs));
	ok("access", syscall(SYS_access, "/t/f_access", R_OK));
	ok("faccessat2", syscall(439, AT_FDCWD, "/t/f_faccessat2", R_OK, AT_EACCESS));
	ok("readlink", readlink("/t/l_readlink", text, sizeof(text)));
	fails("readlink of a file", readlink("/t/f_nolink", text, sizeof(text)));
	int linked = ok("dirfd", open("/t/d_rl", O_RDONLY | O_DIRECTORY));
	ok("readlinkat", readlinkat(linked, "l_rel", text, sizeof(text)));
	fails("getxattr", getxattr("/t/f_xattr", "user.x", text, sizeof(text)));
	ok("llistxattr", llistxattr("/t/f_lxattr", text, sizeof(text)));
	fails("stat of nothing", stat("/t/f_noent", &st));
	fails("open of nothing", open("/t/f_noopen", O_RDONLY));
	fails("exec of nothing", execl("/t/f_noexec", "x", (char *)0));
	fails("beneath a file", stat("/t/f_notdir/x", &st));
	fails("in a missing directory", open("/t/d_missing/x", O_RDONLY));
	fails("not permitted", execl("/t/f_noperm", "x", (char *)0));
	int fd = inotify_init();
	ok("inotify", inotify_add_watch(fd, "/t/f_inotify", IN_OPEN));
	fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);
	ok("fanotify", fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "/t/f_fanmark"));
	close(fd);
	fd = ok("readdir", open("/t/d_dents", O_RDONLY | O_DIRECTORY));
	ok("getdents", syscall(SYS_getdents64, fd, text, sizeof(text)));
	fd = ok("readdir", open("/t/d_olddents", O_RDONLY | O_DIRECTORY));
	ok("old getdents", syscall(SYS_getdents, fd, text, sizeof(text)));
	struct {
		struct file_handle handle;
		char bytes[128];
	} h = { .handle.handle_bytes = 128 };
	int mount;
	name_to_handle_at(AT_FDCWD, "/t/f_n2h", &h.handle, &mount, 0);
	int tree = ok("open_tree", syscall(428, AT_FDCWD, "/t/f_opentree", 0));
	close(tree);
	CHILD(ok("chdir", chdir("/t/d_chdir")); ok("relative", open("f_rel", O_RDONLY));
	      ok("relative stat", stat("../d_chdir/f_relstat", &st)));
	CHILD(int d = ok("fchdir", open("/t/d_fchdir", O_PATH | O_DIRECTORY)); ok("fchdir", fchdir(d));
	      ok("relative", access("f_infchdir", F_OK)));
	CHILD(ok("chdir", chdir("/t/d_cd")); ok("relative chdir", chdir("d_sub")); ok("here", stat(".", &st));
	      ok("chdir up", chdir("../l_cd")); ok("relative stat", stat("f_cd", &st)));
	ok("through the root in /proc", stat("/proc/self/root/t/f_procroot", &st));
	ok("through the root of a thread", stat("/proc/thread-self/root/t/f_thrroot", &st));
	CHILD(ok("chdir", chdir("/t/d_cwd")); ok("through cwd in /proc", stat("/proc/self/cwd/f_proccwd", &st)));
	sprintf(text, "/proc/self/fd/%ld/f_procfd", ok("dirfd", open("/t/d_procfd", O_PATH | O_DIRECTORY)));
	ok("through fd in /proc", stat(text, &st));
	CHILD(ok("chdir", chdir("/t/d_up/d_down")); ok("here", stat(".", &st)); ok("chdir up", chdir("..")));
	CHILD(ok("chroot through a link", chroot("/t/l_root")));
	CHILD(ok("chdir", chdir("/t/d_cd")); ok("relative chroot", chroot("../l_relroot/d_relroot")));
	CHILD(ok("chroot", chroot("/t/jail")); ok("chdir", chdir("/")); ok("jailed", open("/f_chroot", O_RDONLY));
	      ok("jailed stat", stat("/../f_jailstat", &st)); ok("jailed link", stat("/l_jail", &st)));
}

static void mounts(void)
{
	struct stat st;
	CHILD(ok("unshare", unshare(CLONE_NEWNS)); ok("bind", mount("/t/jail2", "/t/jail2", 0, MS_BIND, 0));
	      ok("chdir", chdir("/t/jail2")); ok("pivot", syscall(SYS_pivot_root, ".", "old")); ok("chdir", chdir("/"));
	      ok("pivoted", open("/f_pivot", O_RDONLY)); ok("pivoted stat", stat("/f_pivotstat", &st)));
	CHILD(ok("unshare", unshare(CLONE_NEWNS)); ok("bind", mount("/t/jail3", "/t/jail3", 0, MS_BIND, 0));
	      ok("pivot", syscall(SYS_pivot_root, "/t/l_pivot", "/t/jail3/d_old")));
	CHILD(ok("unshare", unshare(CLONE_NEWNS)); ok("bind", mount("/t/bsrc", "/t/bdst", 0, MS_BIND, 0));
	      ok("bound", open("/t/bdst/f_bind", O_RDONLY)));
	/* A user namespace cannot be made in a chroot, so this one leaves it for a moment. */
	CHILD(int root = ok("root", open("/", O_PATH)); ok("chdir", chdir("/")); ok("chroot", chroot("/t/jail"));
	      for (int i = 0; i < 64; i++) chdir(".."); ok("out", chroot("."));
	      ok("user namespace", unshare(CLONE_NEWUSER | CLONE_NEWNS)); ok("fchdir", fchdir(root));
	      ok("in again", chroot(".")); ok("in a user namespace", open("/t/f_userns", O_RDONLY)));
	fails("umount", umount("/t/d_umount"));
	int fs = ok("fsopen", syscall(430, "overlay", 0));
	ok("fsconfig string", syscall(431, fs, 1, "lowerdir", "/t/d_fsstring", 0));
	fs = ok("fsopen", syscall(430, "tmpfs", 0));
	fails("fsconfig path", syscall(431, fs, 3, "x", "/t/f_fspath", AT_FDCWD));
	union bpf_attr attr = { .pathname = (unsigned long)"/t/f_bpfget" };
	fails("bpf object", syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr)));
	CHILD(ok("unshare", unshare(CLONE_NEWNS)); ok("tmpfs", mount("none", "/t/d_tmp", "tmpfs", 0, 0));
	      ok("chdir", chdir("/t/d_tmp")); ok("out of a mount", stat("../f_outof", &st)));
}

static void execs(void)
{
	CHILD(ok("exec", execv("/t/f_exec", quit)));
	CHILD(int fd = open("/t/f_execveat", O_PATH | O_CLOEXEC); syscall(SYS_execveat, fd, "", quit, none, AT_EMPTY_PATH);
	      _exit(9));
	CHILD(int fd = open("/t/f_fexecve", O_RDONLY | O_CLOEXEC); fexecve(fd, quit, none); _exit(9));
	CHILD(ok("exec through a link", execv("/t/l_exec", quit)));
	CHILD(char *arguments[] = { "x", 0 }; ok("script", execv("/t/f_script", arguments)));
	CHILD(char *arguments[] = { "x", 0 }; ok("nested script", execv("/t/f_script2", arguments)));
	CHILD(ok("chdir", chdir("/t")); ok("relative exec", execv("./f_relexec", quit)));
	CHILD(pthread_t thread; pthread_create(&thread, 0, exec_in_thread, 0); pthread_join(thread, 0); _exit(9));
	CHILD(int from = open("/t/f_memsrc", O_RDONLY); int to = memfd_create("m", MFD_CLOEXEC); struct stat st;
	      fstat(from, &st); for (long left = st.st_size; left > 0;) left -= sendfile(to, from, 0, left);
	      char *arguments[] = { "x", "open", "/t/f_bymem", 0 }; fexecve(to, arguments, none); _exit(9));
	pid_t spawned;
	if (posix_spawn(&spawned, "/t/f_spawn", 0, 0, quit, none))
		ok("posix_spawn", -1);
	waitpid(spawned, 0, 0);
	CHILD(char *arguments[] = { "x", 0 }; ok("dynamic", execv("/t/f_dynamic", arguments)));
	CHILD(char *arguments[] = { "x", 0 }; ok("dynamic, 32 bits", execv("/t/f_dynamic32", arguments)));
	CHILD(char *arguments[] = { "x", "open", "/t/f_byexec", 0 }; ok("exec", execv("/t/f_static", arguments)));
	CHILD(setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000); ok("setuid", execv("/t/f_suid", quit)));
	pid_t child = vfork();
	if (!child) {
		execv("/t/f_vfork", quit);
		_exit(9);
	}
	waitpid(child, 0, 0);
	int fd = open("/t/f_map", O_RDONLY);
	if (mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		ok("map", -1);
	if (mmap(0, 4096, PROT_READ, MAP_PRIVATE, 100, 0) == MAP_FAILED)
		ok("map inherited", -1);
}

static void changes(void)
{
	ok("truncate", truncate("/t/f_trunc", 2));
	ok("chmod", chmod("/t/f_chmod", 0700));
	ok("lchown", lchown("/t/f_lchown", 0, 0));
	/* Linux 6.6; before, another call does the same. */
	long result = syscall(452, AT_FDCWD, "/t/f_chmod2", 0700, 0);
	ok("fchmodat2", result < 0 && errno == ENOSYS ? chmod("/t/f_chmod2", 0600) : result);
	ok("chown", chown("/t/f_chown", 0, 0));
	ok("fchownat", fchownat(AT_FDCWD, "/t/f_chownat", 0, 0, 0));
	ok("utime", syscall(SYS_utime, "/t/f_oldutime", 0));
	ok("utimes", syscall(SYS_utimes, "/t/f_utimes", 0));
	ok("futimesat", syscall(SYS_futimesat, AT_FDCWD, "/t/f_futimesat", 0));
	setxattr("/t/f_setxattr", "user.x", "x", 1, 0);
	removexattr("/t/f_rmxattr", "user.x");
	ok("renameat2", renameat2(AT_FDCWD, "/t/f_xchg1", AT_FDCWD, "/t/f_xchg2", RENAME_EXCHANGE));
	int described = ok("path", open("/t/f_lnempty", O_PATH));
	ok("link a descriptor", linkat(described, "", AT_FDCWD, "/t/d_new/linked2", AT_EMPTY_PATH));
	ok("utimensat", utimensat(AT_FDCWD, "/t/f_utime", 0, 0));
	int touched = open("/t/f_utime", O_RDONLY);
	ok("futimens", futimens(touched, 0));
	ok("rename", rename("/t/f_rnsrc", "/t/f_rndst"));
	ok("link", link("/t/f_linksrc", "/t/d_new/linked"));
	ok("rmdir", rmdir("/t/d_rmdir"));
	ok("mkdir", mkdir("/t/d_mkdir/made", 0700));
	fails("mkdir -p", mkdir("/t/d_exists", 0700));
	ok("symlink", symlink("f_viamade", "/t/made_link"));
	struct stat st;
	ok("stat through a made link", stat("/t/made_link", &st));
	ok("symlink", symlink("/t/d_there", "/t/made_way"));
	fails("open behind a made link", open("/t/made_way/f_behind", O_RDONLY));
	ok("unlink", unlink("/t/l_swap"));
	ok("symlink", symlink("f_swapnew", "/t/l_swap"));
	ok("stat through a changed link", stat("/t/l_swap", &st));
	ok("mknod", mknod("/t/d_mknod/fifo", S_IFIFO | 0600, 0));
	int fd = open("/t/f_copyup", O_RDWR);
	ok("copy up", write(fd, "zz", 2));
	ok("copied up", open("/t/f_copyup", O_RDONLY));
}

static void sockets(void)
{
	struct sockaddr_un a = address("/t/d_bind/socket");
	ok("bind", bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&a, sizeof(a)));
	a = address("/t/s_conn");
	fails("connect", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof(a)));
	a = address("/t/s_dgram");
	fails("sendto", sendto(socket(AF_UNIX, SOCK_DGRAM, 0), "x", 1, 0, (void *)&a, sizeof(a)));
	a = address("/t/s_msg");
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &v, .msg_iovlen = 1 };
	fails("sendmsg", sendmsg(socket(AF_UNIX, SOCK_DGRAM, 0), &m, 0));
	/* The first of these messages arrives, so the second one's address is looked up. */
	struct sockaddr_un there = address("/t/d_bind/socket"), dead = address("/t/s_mmsg");
	struct mmsghdr mm[2] = { { .msg_hdr = m }, { .msg_hdr = m } };
	mm[0].msg_hdr.msg_name = &there;
	mm[1].msg_hdr.msg_name = &dead;
	if (ok("sendmmsg", sendmmsg(socket(AF_UNIX, SOCK_DGRAM, 0), mm, 2, 0)) != 1)
		ok("one message of sendmmsg", -1);
	static struct sockaddr_un old;
	static unsigned arguments[6];
	old = address("/t/s_i386");
	arguments[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	arguments[1] = (unsigned)(unsigned long)&old;
	arguments[2] = sizeof(old);
	fails("i386 connect", i386(102, (void *)3, (int)(long)arguments));
}

static void urings(void)
{
	static struct statx stx;
	ok("uring open", uring(IORING_OP_OPENAT, "/t/f_uringopen", 0, 0, 0, 0));
	ok("uring async open", uring(IORING_OP_OPENAT, "/t/f_uringasync", 0, IOSQE_ASYNC, 0, 0));
	ok("uring polled open", uring(IORING_OP_OPENAT, "/t/f_sqpoll", IORING_SETUP_SQPOLL, 0, 0, 0));
	ok("uring statx", uring(IORING_OP_STATX, "/t/f_uringstat", 0, 0, &stx, STATX_BASIC_STATS));
	static struct open_how how = { .flags = O_RDONLY };
	ok("uring openat2", uring(IORING_OP_OPENAT2, "/t/f_uringopen2", 0, 0, &how, sizeof(how)));
	ok("uring mkdir", uring(IORING_OP_MKDIRAT, "/t/d_uringmk/made", 0, 0, 0, 0700));
	ok("uring rename", uring(IORING_OP_RENAMEAT, "/t/f_uringrn", 0, 0, "/t/f_uringrn2", AT_FDCWD));
	ok("uring unlink", uring(IORING_OP_UNLINKAT, "/t/f_uringunlink", 0, 0, 0, 0));
	how.flags |= O_NOFOLLOW;
	fails("uring nofollow", uring(IORING_OP_OPENAT2, "/t/l_uringnofollow", 0, 0, &how, sizeof(how)));
	struct sockaddr_un a = address("/t/s_uringmsg");
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &v, .msg_iovlen = 1 };
	request_fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	fails("uring sendmsg", uring(IORING_OP_SENDMSG, (void *)&m, 0, 0, 0, 1));
	a = address("/t/s_uringsend");
	request_length = sizeof(a);
	fails("uring send", uring(IORING_OP_SEND, "x", 0, 0, &a, 1));
}

static int open_by_handle(const char *path)
{
	struct {
		struct file_handle handle;
		char bytes[128];
	} h = { .handle.handle_bytes = 128 };
	int mount, root = open("/", O_RDONLY | O_DIRECTORY);
	return name_to_handle_at(AT_FDCWD, path, &h.handle, &mount, 0) || open_by_handle_at(root, &h.handle, O_RDWR) < 0;
}

static int bind_and_hold(const char *from, const char *to, const char *path)
{
	struct stat st;
	if (unshare(CLONE_NEWNS) || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0) || mount(from, to, 0, MS_BIND, 0) ||
	    stat(path, &st))
		return 1;
	puts("bound");
	fflush(stdout);
	return pause();
}

static volatile int opened_all;

static void *replace(void *source)
{
	while (!opened_all) {
		dup2((int)(long)source, 50);
		close(50);
	}
	return 0;
}

static int open_replaced(const char *directory, int count)
{
	char path[100];
	int source = open("/t/torture", O_RDONLY);
	while (dup(source) < 49)
		;
	pthread_t thread;
	pthread_create(&thread, 0, replace, (void *)(long)source);
	for (int i = 0; i < count; i++) {
		sprintf(path, "%s/%d", directory, i);
		int fd = open(path, O_RDONLY);
		if (fd < 0)
			i--; /* EBUSY, or the other one closed it */
		else
			close(fd);
	}
	opened_all = 1;
	pthread_join(thread, 0);
	return 0;
}

int main(int count, char **arguments)
{
	if (count > 1 && !strcmp(arguments[1], "quit"))
		return 0;
	if (count > 1 && !strcmp(arguments[1], "hold"))
		return pause();
	if (count > 2 && !strcmp(arguments[1], "open"))
		return open(arguments[2], O_RDONLY) < 0;
	if (count > 2 && !strcmp(arguments[1], "handle"))
		return open_by_handle(arguments[2]);
	if (count > 3 && !strcmp(arguments[1], "replaced"))
		return open_replaced(arguments[2], atoi(arguments[3]));
	if (count > 4 && !strcmp(arguments[1], "bind"))
		return bind_and_hold(arguments[2], arguments[3], arguments[4]);
	ok("unshare", unshare(CLONE_NEWNS));
	ok("private", mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
	ok("proc", mount("none", "/proc", "proc", 0, 0));
	opens();
	lookups();
	mounts();
	execs();
	changes();
	sockets();
	urings();
	return failures;
}
