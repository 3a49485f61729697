/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the verbs: what comes when it stops is answered, or its connection would sleep. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include <quoin/base_text.h>
#include <quoin/control.h>

#include "verbs.h"

struct asked {
	struct api_job job;
	bool done;
};

static void on_done(struct api_job *job)
{
	container_of(job, struct asked, job)->done = true;
}

static void refused_after_the_end(void **state)
{
	char directory[] = "/tmp/quoin-verbs-XXXXXX";
	CLEANUP_FREE char *remove = xasprintf("rm -r %s", mkdtemp(directory));
	const struct control_params params = {
		.state_dir = directory, .runtime_dir = directory, .workers = 1};
	struct api_context context = {.control = NULL};
	struct asked asked = {
		.job = {.request = {.method = "GET", .path = "/v1"}, .done = on_done}};
	struct api_verbs verbs;

	assert_int_equal(control_new(&params, &context.control, NULL), 0);
	assert_int_equal(api_verbs_start(&verbs, &context), 0);
	api_verbs_stop(&verbs);
	api_verbs_add(&verbs, &asked.job);
	assert_true(asked.done);
	assert_int_equal(asked.job.reply.status, 503);
	assert_non_null(asked.job.reply.json);
	json_decref(asked.job.reply.json);
	api_verbs_fini(&verbs);
	control_free(context.control);
	assert_int_equal(system(remove), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(refused_after_the_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
