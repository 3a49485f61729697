/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `quoin inspect`: the checker of pools (quoin/pool_inspect.h) as commands, without the daemon.
 * Results go to stdout, for people or as JSON; errors, progress and what dumps stumble over to
 * stderr. The drives are opened for reading only.
 *
 * Drives are locked for the time, so that no pool is imported from them meanwhile; drives in use
 * are refused. `live` takes no lock: what is found then may be a change that was only half seen.
 *
 * One at a time, from a process that has no other loop in the calling thread. Ctrl-C stops.
 */
#ifndef QUOIN_INSPECT_H
#define QUOIN_INSPECT_H

#include <quoin/base.h>

struct inspect_job {
	const char *const *drives; /* paths */
	unsigned drive_count;	   /* at most INSPECT_DRIVES_MAX */
	uint64_t checkpoint;	   /* 0 = the newest */
	bool data, live, json;
};

#define INSPECT_DRIVES_MAX 48

/* 0: it is clean. 1: something is wrong with it, or it could not be looked at (told on stderr). */
MUST_CHECK int inspect_check(const struct inspect_job *job);
/* Who uses the space, as counted and as recorded. The same. */
MUST_CHECK int inspect_space(const struct inspect_job *job);
/* Of what pool_inspect_dump() knows; `name` may be NULL. 0, or 1 as above. */
MUST_CHECK int inspect_dump(const struct inspect_job *job, const char *structure, const char *name);

/* Whether there is such a structure; and whether it wants a name. */
bool inspect_structure(const char *structure, bool *ret_named);

#endif
