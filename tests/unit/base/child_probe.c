/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries what a child in a sandbox must be able to do, and what it must not, and prints a line for
 * each: its name, and yes or no. Nothing is harmed where it succeeds. The argument is a file of the
 * caller's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *file;

static void say(const char *name, int works)
{
	printf("%s %s\n", name, works ? "yes" : "no");
}

static void *nothing(void *arg)
{
	return arg;
}

static int thread_works(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static int fork_works(void)
{
	int status = -1;
	const pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int open_works(int flags)
{
	const int fd = open(file, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int open_null_works(void)
{
	const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int make_works(void)
{
	char name[256];
	int fd;

	snprintf(name, sizeof(name), "%s.new", file);
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return 0;
	close(fd);
	return unlink(name) == 0;
}

/* Refused by nobody but the sandbox: nobody listens there. */
static int connect_works(int domain)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
	struct sockaddr_in internet = {.sin_family = AF_INET, .sin_port = htons(9)};
	const int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return 0;
	internet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r = domain == AF_UNIX ? connect(fd, (struct sockaddr *)&local, sizeof(local))
			      : connect(fd, (struct sockaddr *)&internet, sizeof(internet));
	r = r == 0 || errno == ECONNREFUSED || errno == ENOENT;
	close(fd);
	return r;
}

/* ENOSYS is no, whatever else is wrong with the call is not the sandbox's. */
static int is_there(long result)
{
	return result >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	file = argv[1];
	say("read", open_works(O_RDONLY));
	say("thread", thread_works());
	say("fork", fork_works());
	say("signal-self", kill(getpid(), 0) == 0);
	say("write", open_works(O_WRONLY));
	say("null", open_null_works());
	say("make", make_works());
	say("remove", is_there(unlink("/nonexistent/file")));
	say("signal-parent", kill(getppid(), 0) == 0);
	say("trace", ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	say("mount", is_there(mount("none", "/nonexistent", "tmpfs", 0, NULL)));
	say("namespace",
	    is_there(syscall(SYS_clone, 0xffffffffffffffffUL, NULL, NULL, NULL, NULL)));
	say("unshare", is_there(unshare(0)));
	say("keys", is_there(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, 0, 0)));
	say("bpf", is_there(syscall(SYS_bpf, -1, NULL, 0)));
	say("remove-it", unlink(file) == 0);
	say("local-socket", connect_works(AF_UNIX));
	say("internet", connect_works(AF_INET));
	return 0;
}
