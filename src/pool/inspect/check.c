/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a check, in order: each uses what those before it found. */
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/loop_fiber.h>

#include "inspect/fetch.h"

static int steps(struct inspect *in)
{
	int r = inspect_drives_open(in);

	if (r < 0)
		return r;
	r = inspect_fetcher_new(in);
	if (r < 0)
		return in->error = r;
	inspect_labels_check(in);
	if (inspect_tick(in))
		(void)!inspect_segments_load(in);
	if (inspect_tick(in))
		(void)!inspect_tables_load(in);
	if (inspect_tick(in))
		(void)!inspect_shares_load(in);
	if (inspect_tick(in))
		inspect_tables_check(in);
	if (inspect_tick(in))
		inspect_chains_check(in);
	if (inspect_tick(in))
		(void)!inspect_log_check(in, NULL);
	if (inspect_tick(in))
		inspect_shares_check(in);
	if (inspect_tick(in))
		inspect_bitmaps_own(in);
	if (inspect_tick(in))
		inspect_bitmaps_check(in);
	if (inspect_tick(in))
		inspect_objects_tell(in);
	return in->error;
}

struct inspect *inspect_new(const struct pool_inspect_params *params,
			    struct pool_inspect_result *result, struct err *err)
{
	struct inspect *in = calloc(1, sizeof(*in));

	ASSERT(fiber_self());
	*result = (struct pool_inspect_result){.checkpoint = 0};
	if (!in)
		return NULL;
	in->params = params;
	in->result = result;
	in->err = err;
	return in;
}

int inspect_free(struct inspect *in, int result)
{
	if (in->error == -ENOMEM)
		err_set(in->err, result, "there is no memory to look at pool '%s'",
			in->result->name);
	else if (in->error == -ECANCELED)
		err_set(in->err, result, "looking at pool '%s' was stopped", in->result->name);
	inspect_fetcher_free(in);
	inspect_shares_free(in);
	inspect_tables_free(in);
	inspect_segments_free(in);
	inspect_drives_close(in);
	free(in);
	return result;
}

int pool_inspect_check(const struct pool_inspect_params *params, struct pool_inspect_result *ret,
		       struct err *err)
{
	struct inspect *in = inspect_new(params, ret, err);

	if (!in)
		return err_set(err, -ENOMEM, "there is no memory to check a pool");
	return inspect_free(in, steps(in));
}
