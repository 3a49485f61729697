/* SPDX-License-Identifier: Apache-2.0 */
/* Samples as Prometheus reads them; api/test_metrics.py has the whole text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metrics.h"

static const struct metrics_label labels[] = {
	{"pool", "tank"}, {"drive", "a\"b\\c\nd"}, {NULL, NULL}};

static void check(struct text *t, const char *wanted)
{
	assert_string_equal(t->data, wanted);
	text_fini(t);
}

static void samples(void **state)
{
	const struct metrics_name name = {"x", "_sum"};
	struct text t;

	text_init(&t);
	metrics_sample(&t, name, NULL, 0);
	metrics_sample(&t, name, labels + 2, 0.5);
	metrics_sample(&t, name, labels, 9007199254740992.0);
	check(&t, "x_sum 0\nx_sum 0.5\n"
		  "x_sum{pool=\"tank\",drive=\"a\\\"b\\\\c d\"} 9007199254740992\n");
	metrics_sample(&t, name, NULL, -1);
	metrics_sample(&t, name, NULL, 1e300);
	check(&t, "x_sum -1\nx_sum 1.0000000000000001e+300\n");
}

static void line(struct text *t, uint64_t ns)
{
	metrics_line(t, "x", "", "", (struct metrics_value){ns, true});
}

static void lines(void **state)
{
	struct text made;
	struct text t;

	text_init(&made);
	text_init(&t);
	metrics_labels(&made, labels);
	metrics_line(&t, "x_total", made.data, ",kind=\"read\"",
		     (struct metrics_value){UINT64_MAX, false});
	check(&t, "x_total{pool=\"tank\",drive=\"a\\\"b\\\\c d\",kind=\"read\"} "
		  "18446744073709551615\n");
	text_fini(&made);
	line(&t, 0);
	line(&t, 1);
	line(&t, 1020000000);
	line(&t, 5000000000);
	line(&t, UINT64_MAX);
	check(&t, "x{} 0\nx{} 0.000000001\nx{} 1.02\nx{} 5\nx{} 18446744073.709551615\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples),
		cmocka_unit_test(lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
