/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what is not the use of a file: listens, connects, sends, uses a capability, lacks one, makes processes.
 * `quit`: nothing. `pause`: waits for a signal.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Tests run at the same time on one host: one waits until the other is done with the port. */
static int bind_patiently(int fd, const struct sockaddr_in *address)
{
	int result, one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	for (int tries = 0; (result = bind(fd, (const void *)address, sizeof(*address))) && errno == EADDRINUSE && tries < 400; tries++)
		usleep(25000);
	return result;
}

static struct sockaddr_in in(const char *text, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	inet_pton(AF_INET, text, &a.sin_addr);
	return a;
}

static int run(const char *self, const char *what)
{
	int status;
	pid_t child = fork();
	if (!child) {
		execl(self, "child", what, "with", (char *)0);
		_exit(9);
	}
	waitpid(child, &status, 0);
	return status;
}

int main(int count, char **arguments)
{
	if (count > 1 && !strcmp(arguments[1], "quit"))
		return 0;
	if (count > 1 && !strcmp(arguments[1], "pause"))
		return syscall(SYS_pause);
	int one = 1, failures = 0;
	struct sockaddr_in tcp = in("127.0.0.1", 38491), udp = in("127.0.0.1", 38492), away = in("127.0.0.2", 38493);
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(38494) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	failures += bind_patiently(listener, &tcp) || listen(listener, 1);
	failures += !!connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&tcp, sizeof(tcp));
	int receiver = socket(AF_INET, SOCK_DGRAM, 0);
	failures += !!bind_patiently(receiver, &udp);
	sendto(receiver, "x", 1, 0, (void *)&away, sizeof(away));
	connect(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&six, sizeof(six));
	failures += !!chown("/t/active", 1, 1);
	free(malloc(8 << 20));
	long compat;
	__asm__ volatile("int $0x80" : "=a"(compat) : "a"(64) : "r8", "r9", "r10", "r11", "memory");	/* getppid */
	failures += run(arguments[0], "quit") + run(arguments[0], "quit");
	pid_t child = fork();
	if (!child) {
		setresuid(1000, 1000, 1000);
		_exit(chown("/t/active", 0, 0) != -1);
	}
	int status;
	waitpid(child, &status, 0);
	return failures + status;
}
