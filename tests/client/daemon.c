/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, asking and measuring a quoind: see client_daemon.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_daemon.h"
#include "client_socket.h"

#define START_ATTEMPTS 1500
#define START_PAUSE_US 10000
#define STOP_ATTEMPTS 2000

/* --- Finding, making ---------------------------------------------------------------------- */

static int find_program(char *path, size_t size)
{
	static const char *const beside[] = {"quoind", "../../src/quoind/quoind"};
	char self[400];
	const char *named = getenv("QUOIN_QUOIND");
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (named) {
		snprintf(path, size, "%s", named);
		return access(path, X_OK) == 0 ? 0 : -errno;
	}
	if (n <= 0)
		return -errno;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(beside); i++) {
		snprintf(path, size, "%s/%s", self, beside[i]);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

int daemon_init(struct daemon *daemon, const char *program)
{
	const char *dir = getenv("QUOIN_TEST_DIR");
	int error = 0;

	memset(daemon, 0, sizeof(*daemon));
	if (program)
		snprintf(daemon->program, sizeof(daemon->program), "%s", program);
	else
		error = find_program(daemon->program, sizeof(daemon->program));
	if (error)
		return error;
	snprintf(daemon->dir, sizeof(daemon->dir), "%.60s/quoin-test-XXXXXX", dir ? dir : "/tmp");
	if (!mkdtemp(daemon->dir))
		return -errno;
	snprintf(daemon->api, sizeof(daemon->api), "%.80s/api.sock", daemon->dir);
	return 0;
}

static void remove_tree(const char *path, unsigned depth)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char inner[512];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof(inner), "%.200s/%.255s", path, entry->d_name);
		if (entry->d_type == DT_DIR && depth > 0)
			remove_tree(inner, depth - 1);
		else
			unlink(inner);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

void daemon_tree_remove(const char *path)
{
	remove_tree(path, 5);
}

void daemon_fini(struct daemon *daemon)
{
	if (daemon->pid > 0)
		daemon_stop(daemon, SIGKILL);
	if (daemon->dir[0] && !getenv("QUOIN_KEEP"))
		daemon_tree_remove(daemon->dir);
	daemon->dir[0] = '\0';
}

/* --- Start, stop -------------------------------------------------------------------------- */

NO_RETURN static void exec_program(const struct daemon *daemon, const char *const argv[])
{
	char log[160];
	int fd;

	snprintf(log, sizeof(log), "%s/log", daemon->dir);
	setenv("XDG_RUNTIME_DIR", daemon->dir, 1);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

int daemon_spawn(struct daemon *daemon, const char *const argv[])
{
	fflush(NULL);
	daemon->pid = fork();
	if (daemon->pid < 0)
		return -errno;
	if (daemon->pid == 0)
		exec_program(daemon, argv);
	return 0;
}

static int spawn_quoind(struct daemon *daemon)
{
	char state[160], workers[16];
	const char *argv[16] = {daemon->program};
	unsigned n = 1;

	snprintf(state, sizeof(state), "--state-dir=%s/state", daemon->dir);
	snprintf(workers, sizeof(workers), "%u", daemon->workers);
	argv[n++] = state;
	argv[n++] = "--socket";
	argv[n++] = daemon->api;
	argv[n++] = "--test-volumes";
	if (daemon->workers) {
		argv[n++] = "--workers";
		argv[n++] = workers;
	}
	if (daemon->cpus[0]) {
		argv[n++] = "--cpus";
		argv[n++] = daemon->cpus;
	}
	if (daemon->memory[0]) {
		argv[n++] = "--memory";
		argv[n++] = daemon->memory;
	}
	return daemon_spawn(daemon, argv);
}

int daemon_start(struct daemon *daemon)
{
	char answer[DAEMON_ANSWER_MAX];
	int error = spawn_quoind(daemon);

	if (error)
		return error;
	for (unsigned i = 0; i < START_ATTEMPTS; i++) {
		if (daemon_call(daemon, "GET /v1", NULL, answer) == 200)
			return 0;
		if (!daemon_alive(daemon))
			return -ECHILD;
		client_sleep_us(START_PAUSE_US);
	}
	return -ETIMEDOUT;
}

bool daemon_alive(struct daemon *daemon)
{
	int status;

	if (daemon->pid <= 0 || waitpid(daemon->pid, &status, WNOHANG) != 0)
		daemon->pid = 0;
	return daemon->pid > 0;
}

int daemon_stop(struct daemon *daemon, int signal)
{
	const pid_t pid = daemon->pid;
	int status;

	if (pid <= 0)
		return -ECHILD;
	kill(pid, signal);
	for (unsigned i = 0; i < STOP_ATTEMPTS; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			daemon->pid = 0;
			return status;
		}
		client_sleep_us(START_PAUSE_US);
	}
	return -ETIMEDOUT;
}

/* --- The API ------------------------------------------------------------------------------ */

static ssize_t read_all(int fd, char *to, size_t size)
{
	size_t done = 0;

	while (done < size - 1) {
		const ssize_t n = read(fd, to + done, size - 1 - done);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	to[done] = '\0';
	return (ssize_t)done;
}

static int exchange(int fd, const char *request, const char *body, char *text)
{
	char out[4096];
	const int n = snprintf(out, sizeof(out),
			       "%s HTTP/1.1\r\nHost: quoin\r\nConnection: close\r\n"
			       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			       request, body ? strlen(body) : 0, body ? body : "");

	if (n < 0 || (size_t)n >= sizeof(out))
		return -E2BIG;
	if (write(fd, out, (size_t)n) != n)
		return -EPIPE;
	return (int)read_all(fd, text, DAEMON_ANSWER_MAX);
}

int daemon_call(struct daemon *daemon, const char *request, const char *body,
		char answer[DAEMON_ANSWER_MAX])
{
	struct client api;
	const char *text;
	int status;
	int n;

	if (access(daemon->api, F_OK) < 0)
		return -errno;
	n = client_connect(&api, daemon->api);
	if (n < 0)
		return n;
	n = exchange(api.fd, request, body, answer);
	client_close(&api);
	if (n < 0)
		return n;
	if (sscanf(answer, "HTTP/1.1 %d", &status) != 1)
		return -EPROTO;
	text = strstr(answer, "\r\n\r\n");
	if (text)
		memmove(answer, text + 4, strlen(text + 4) + 1);
	return status;
}

const char *daemon_target_path(const struct daemon *daemon, const char *name,
			       char path[DAEMON_PATH_MAX])
{
	snprintf(path, DAEMON_PATH_MAX, "%.60s/%.40s.sock", daemon->dir, name);
	return path;
}

/* 0 for 2xx; else the answer is shown, as nobody expects a refusal here. */
static int expect_done(const char *what, int status, const char *answer)
{
	if (status >= 200 && status < 300)
		return 0;
	fprintf(stderr, "%s: %d %s\n", what, status, status > 0 ? answer : "");
	return status < 0 ? status : -EINVAL;
}

static size_t print_namespaces(const struct daemon_target *target, char *to, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; i < DAEMON_VOLUMES_MAX && target->volumes[i]; i++) {
		n += (size_t)snprintf(to + n, size - n, "%s{\"volume\":\"%s\",\"read_only\":%s",
				      i ? "," : "", target->volumes[i],
				      target->read_only ? "true" : "false");
		if (target->block_size)
			n += (size_t)snprintf(to + n, size - n, ",\"block_size\":%u",
					      target->block_size);
		n += (size_t)snprintf(to + n, size - n, "}");
	}
	return n;
}

int daemon_target_create(struct daemon *daemon, const struct daemon_target *target)
{
	char answer[DAEMON_ANSWER_MAX], namespaces[2048] = "", body[3072], path[DAEMON_PATH_MAX];
	int n;

	print_namespaces(target, namespaces, sizeof(namespaces));
	n = snprintf(body, sizeof(body),
		     "{\"name\":\"%s\",\"transport\":\"vfio-user\",\"listen\":\"%s\","
		     "\"doorbells\":\"%s\",\"namespaces\":[%s]",
		     target->name, daemon_target_path(daemon, target->name, path),
		     target->mapped ? "mapped" : "shadow", namespaces);
	if (target->queues)
		n += snprintf(body + n, sizeof(body) - (size_t)n, ",\"queues\":%u", target->queues);
	if (target->poll_us)
		n += snprintf(body + n, sizeof(body) - (size_t)n, ",\"poll_us\":%u",
			      target->poll_us);
	snprintf(body + n, sizeof(body) - (size_t)n, "}");
	return expect_done(target->name, daemon_call(daemon, "POST /v1/targets", body, answer),
			   answer);
}

int daemon_target_destroy(struct daemon *daemon, const char *name)
{
	char answer[DAEMON_ANSWER_MAX], request[128];

	snprintf(request, sizeof(request), "DELETE /v1/targets/%s", name);
	return expect_done(name, daemon_call(daemon, request, NULL, answer), answer);
}

uint64_t daemon_target_number(struct daemon *daemon, const char *name, const char *key)
{
	char answer[DAEMON_ANSWER_MAX], request[128], quoted[64];
	const char *at;

	snprintf(request, sizeof(request), "GET /v1/targets/%s", name);
	if (daemon_call(daemon, request, NULL, answer) != 200)
		return 0;
	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	at = strstr(answer, quoted);
	return at ? strtoull(at + strlen(quoted), NULL, 10) : 0;
}

/* --- /proc -------------------------------------------------------------------------------- */

/* Sums a number of every thread; `scan` reads it from the text of `file`. */
static uint64_t sum_threads(const struct daemon *daemon, const char *file,
			    uint64_t (*scan)(const char *text))
{
	char path[320], text[4096];
	uint64_t sum = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)daemon->pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		CLEANUP_FD int fd = -1;

		snprintf(path, sizeof(path), "/proc/%d/task/%.32s/%s", (int)daemon->pid,
			 entry->d_name, file);
		fd = entry->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read_all(fd, text, sizeof(text)) > 0)
			sum += scan(text);
	}
	if (dir)
		closedir(dir);
	return sum;
}

static uint64_t scan_schedstat(const char *text)
{
	return strtoull(text, NULL, 10);
}

static uint64_t scan_line(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static uint64_t scan_switches(const char *text)
{
	return scan_line(text, "\nvoluntary_ctxt_switches:");
}

uint64_t daemon_cpu_ns(const struct daemon *daemon)
{
	return sum_threads(daemon, "schedstat", scan_schedstat);
}

uint64_t daemon_switches(const struct daemon *daemon)
{
	return sum_threads(daemon, "status", scan_switches);
}

uint64_t daemon_rss_anon_kib(const struct daemon *daemon)
{
	char path[64], text[4096];
	CLEANUP_FD int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read_all(fd, text, sizeof(text)) <= 0)
		return 0;
	return scan_line(text, "\nRssAnon:");
}

unsigned daemon_fd_count(const struct daemon *daemon)
{
	char path[64];
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)daemon->pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}
