/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is taken from a child before it is another program, one thing after the other:
 *
 *   limits         no file grows by what it writes, unless it has a scratch directory; memory and
 *                  processor time as told
 *   capabilities   those that were named, of root's
 *   Landlock       nothing is opened for writing (but /dev/null, where that must be), made or
 *                  removed, but files in a scratch directory; nobody else's memory is reached
 *   seccomp        system calls that reading files takes, and talking over descriptors, again
 *                  nothing that opens for writing (with a scratch directory that is left to
 *                  Landlock, but for what cuts files off); sockets only as told; signals only to
 *                  itself
 *
 * A call that is not in the list fails with ENOSYS, as on an older kernel, which the C library can
 * do without. A kernel without Landlock or seccomp is worked with: child_sandbox_missing() says so.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int sandbox_limit(int resource, uint64_t value)
{
	const struct rlimit limit = {value, value};
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return -1;
	/* Who is lower than that already stays there. */
	return now.rlim_max < value ? 0 : setrlimit(resource, &limit);
}

static int capabilities_keep(uint64_t kept)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
		data[i].permitted &= (uint32_t)(kept >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	/* Without new privileges, exec gives root no more than these. */
	return (int)syscall(SYS_capset, &header, data);
}

/* --- Landlock ----------------------------------------------------------------------------------
 */

#define WRITES                                                           \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |     \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

#define SCRATCH                                                        \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE)

static int path_allow(int rules_fd, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	int r;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return -1;
	r = (int)syscall(SYS_landlock_add_rule, rules_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
	return r;
}

/* Everything that writes is handled, and no other rule allows any of it. 1: it is in force. */
static int landlock_enter(const struct child_sandbox *sandbox)
{
	const struct landlock_ruleset_attr rules = {.handled_access_fs = WRITES};
	const int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	int r = 0;

	if (fd < 0)
		return 0; /* the kernel has none, or we may not */
	if (sandbox->opens_null || sandbox->needs_null)
		r = path_allow(fd, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE);
	if (r == 0 && sandbox->scratch)
		r = path_allow(fd, sandbox->scratch, SCRATCH);
	if (r == 0)
		r = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
	return r < 0 ? r : 1;
}

/* --- seccomp -----------------------------------------------------------------------------------
 */

#ifdef __x86_64__

#define FILTER_MAX 512
#define X32_BIT 0x40000000U
/* O_TMPFILE has O_DIRECTORY in it. */
#define WRITING (O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define NEW_NAMESPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)

struct filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short length;
};

static const uint16_t allowed[] = {
	/* files, to read; descriptors */
	SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_preadv2, SYS_write, SYS_writev,
	SYS_pwrite64, SYS_pwritev, SYS_close, SYS_close_range, SYS_stat, SYS_fstat, SYS_lstat,
	SYS_newfstatat, SYS_statx, SYS_access, SYS_faccessat, SYS_faccessat2, SYS_readlink,
	SYS_readlinkat, SYS_getcwd, SYS_chdir, SYS_getdents64, SYS_statfs, SYS_fstatfs, SYS_lseek,
	SYS_fcntl, SYS_flock, SYS_ioctl, SYS_fadvise64, SYS_readahead, SYS_dup, SYS_dup2, SYS_dup3,
	SYS_pipe, SYS_pipe2, SYS_eventfd2, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_wait,
	SYS_epoll_pwait, SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6, SYS_timerfd_create,
	SYS_timerfd_settime, SYS_signalfd4, SYS_umask,
	/* memory */
	SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk, SYS_mincore,
	/* threads and programs */
	SYS_futex, SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_set_tid_address,
	SYS_membarrier, SYS_fork, SYS_vfork, SYS_execve, SYS_exit, SYS_exit_group, SYS_wait4,
	SYS_waitid, SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_getparam,
	SYS_sched_getscheduler, SYS_prctl, SYS_arch_prctl, SYS_getcpu, SYS_getrandom,
	/* signals */
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending,
	SYS_rt_sigtimedwait, SYS_rt_sigsuspend, SYS_sigaltstack, SYS_restart_syscall,
	/* time */
	SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday,
	SYS_time, SYS_times, SYS_alarm, SYS_setitimer, SYS_timer_create, SYS_timer_settime,
	SYS_timer_delete,
	/* who and where it is */
	SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
	SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getpgrp, SYS_getpgid, SYS_getsid,
	SYS_capget, SYS_uname, SYS_sysinfo, SYS_getrlimit, SYS_getrusage,
	/* sockets that it has */
	SYS_accept, SYS_accept4, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
	SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_sendto, SYS_sendmsg, SYS_sendmmsg,
	SYS_shutdown, SYS_socketpair};

static void put(struct filter *filter, uint16_t code, uint32_t k, unsigned otherwise)
{
	filter->code[filter->length++] =
		(struct sock_filter){.code = code, .jf = (uint8_t)otherwise, .k = k};
}

static void put_load(struct filter *filter, size_t offset)
{
	put(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0);
}

static void put_return(struct filter *filter, uint32_t action)
{
	put(filter, BPF_RET | BPF_K, action, 0);
}

/* What follows, of that length, is for this value alone. */
static void put_when(struct filter *filter, uint32_t value, unsigned length)
{
	put(filter, BPF_JMP | BPF_JEQ | BPF_K, value, length);
}

static void allow(struct filter *filter, uint32_t number)
{
	put_when(filter, number, 1);
	put_return(filter, SECCOMP_RET_ALLOW);
}

/* Only where its first argument, of 32 bits, is one of these. */
static void allow_for(struct filter *filter, uint32_t number, const uint32_t *values,
		      unsigned count)
{
	put_when(filter, number, 2 + 2 * count);
	put_load(filter, offsetof(struct seccomp_data, args[0]));
	for (unsigned i = 0; i < count; i++)
		allow(filter, values[i]);
	put_return(filter, SECCOMP_RET_ERRNO | EPERM);
}

/* Only where that argument, of 32 bits, has none of these bits. */
static void allow_without(struct filter *filter, uint32_t number, unsigned argument, uint32_t bits)
{
	put_when(filter, number, 4);
	put_load(filter, offsetof(struct seccomp_data, args) + 8 * argument);
	put(filter, BPF_JMP | BPF_JSET | BPF_K, bits, 1);
	put_return(filter, SECCOMP_RET_ERRNO | EPERM);
	put_return(filter, SECCOMP_RET_ALLOW);
}

static void allow_sockets(struct filter *filter, enum child_sockets sockets)
{
	/* The last one: how names are resolved begins with a look at the interfaces. */
	static const uint32_t internet[] = {AF_INET, AF_INET6, AF_NETLINK};
	static const uint32_t local[] = {AF_UNIX};

	if (sockets == CHILD_SOCKETS_NONE)
		return;
	if (sockets == CHILD_SOCKETS_LOCAL)
		allow_for(filter, SYS_socket, local, ARRAY_SIZE(local));
	else
		allow_for(filter, SYS_socket, internet, ARRAY_SIZE(internet));
	allow(filter, SYS_bind);
	allow(filter, SYS_connect);
}

/* What is opened for that, Landlock judges. */
static void allow_scratch(struct filter *filter)
{
	static const uint16_t more[] = {SYS_ftruncate, SYS_fallocate, SYS_fdatasync, SYS_unlink,
					SYS_unlinkat};

	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		allow(filter, more[i]);
}

static void filter_make(struct filter *filter, const struct child_sandbox *sandbox, bool landlock)
{
	const bool scratch = landlock && sandbox->scratch;
	const uint32_t own[] = {(uint32_t)getpid()};
	const uint32_t self[] = {0, own[0]};
	const uint32_t null = landlock && (sandbox->opens_null || sandbox->needs_null)
				      ? O_WRONLY | O_RDWR
			      : sandbox->needs_null ? O_WRONLY
						    : 0;
	const uint32_t make = scratch ? O_WRONLY | O_RDWR | O_CREAT : 0;
	const uint32_t writing = (WRITING | O_WRONLY) & ~null & ~make;

	filter->length = 0;
	put_load(filter, offsetof(struct seccomp_data, arch));
	put(filter, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0);
	filter->code[1].jt = 1;
	put_return(filter, SECCOMP_RET_KILL_PROCESS);
	put_load(filter, offsetof(struct seccomp_data, nr));
	put(filter, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 1);
	put_return(filter, SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		allow(filter, allowed[i]);
	allow_without(filter, SYS_open, 1, writing);
	allow_without(filter, SYS_openat, 2, writing);
	allow_without(filter, SYS_clone, 0, NEW_NAMESPACES);
	allow_for(filter, SYS_kill, own, ARRAY_SIZE(own));
	allow_for(filter, SYS_tgkill, own, ARRAY_SIZE(own));
	allow_for(filter, SYS_prlimit64, self, ARRAY_SIZE(self));
	allow_sockets(filter, sandbox->sockets);
	if (scratch)
		allow_scratch(filter);
	put_return(filter, SECCOMP_RET_ERRNO | ENOSYS);
}

static int seccomp_enter(const struct child_sandbox *sandbox, bool landlock)
{
	struct filter filter;
	struct sock_fprog program = {.filter = filter.code};

	filter_make(&filter, sandbox, landlock);
	program.len = filter.length;
	/* EINVAL: the kernel has none. */
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 && errno != EINVAL ? -1 : 0;
}

/* Without a filter: who has none says EINVAL, before it looks. */
static bool has_seccomp(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) < 0 && errno == EFAULT;
}

#else

static int seccomp_enter(const struct child_sandbox *sandbox UNUSED, bool landlock UNUSED)
{
	return 0;
}

static bool has_seccomp(void)
{
	return false;
}

#endif

bool child_sandbox_scratch(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

const char *child_sandbox_missing(void)
{
	const bool landlock = child_sandbox_scratch();
	const bool seccomp = has_seccomp();

	if (landlock)
		return seccomp ? NULL : "seccomp";
	return seccomp ? "Landlock" : "Landlock and seccomp";
}

int sandbox_enter(const struct child_sandbox *sandbox)
{
	int landlock;

	if ((!sandbox->scratch && sandbox_limit(RLIMIT_FSIZE, 0) < 0) ||
	    (sandbox->memory_bytes > 0 && sandbox_limit(RLIMIT_AS, sandbox->memory_bytes) < 0) ||
	    (sandbox->cpu_s > 0 && sandbox_limit(RLIMIT_CPU, sandbox->cpu_s) < 0) ||
	    capabilities_keep(sandbox->capabilities) < 0)
		return -1;
	landlock = landlock_enter(sandbox);
	return landlock < 0 ? -1 : seccomp_enter(sandbox, landlock == 1);
}
