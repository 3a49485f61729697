/* SPDX-License-Identifier: Apache-2.0 */
/* The text that names a device: what is taken, what is refused, with words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/block_spec.h>

static void parse(const char *text, struct block_spec *spec)
{
	struct err err;

	if (block_spec_parse(text, spec, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static void takes_null(void **state)
{
	struct block_spec spec;

	parse("null:10G", &spec);
	assert_int_equal(spec.base, BLOCK_BASE_NULL);
	assert_int_equal(spec.size_bytes, 10 * GiB);
	assert_int_equal(spec.block_bytes, 0);
	parse("null:1M,block=4096", &spec);
	assert_int_equal(spec.block_bytes, 4096);
}

static void takes_file(void **state)
{
	struct block_spec spec;

	parse("file:/a/b.img", &spec);
	assert_int_equal(spec.base, BLOCK_BASE_FILE);
	assert_string_equal(spec.path, "/a/b.img");
	assert_false(spec.read_only);
	assert_false(spec.writeback);
	parse("file:/a:b,,c,ro,block=512,cache=writeback", &spec);
	assert_string_equal(spec.path, "/a:b,c");
	assert_true(spec.read_only);
	assert_true(spec.writeback);
	assert_int_equal(spec.block_bytes, 512);
	parse("file:relative,cache=none", &spec);
	assert_false(spec.writeback);
}

static void takes_wrappers(void **state)
{
	struct block_spec spec;
	const struct block_wrapper *w = spec.wrappers;

	parse("error:op=write+flush,errno=ENOSPC,every=3,after=2,count=7,offset=4K,length=8K:"
	      "delay:ms=5,jitter_us=10,op=read:delay:hold:error:off:null:1G",
	      &spec);
	assert_int_equal(spec.wrapper_count, 4);
	assert_int_equal(w[0].kind, BLOCK_WRAPPER_ERROR);
	assert_int_equal(w[0].error.match.ops, 1 << BLOCK_WRITE | 1 << BLOCK_FLUSH);
	assert_int_equal(w[0].error.result, -ENOSPC);
	assert_int_equal(w[0].error.every, 3);
	assert_int_equal(w[0].error.after, 2);
	assert_int_equal(w[0].error.count, 7);
	assert_int_equal(w[0].error.match.offset, 4096);
	assert_int_equal(w[0].error.match.length_bytes, 8192);
	assert_int_equal(w[1].kind, BLOCK_WRAPPER_DELAY);
	assert_int_equal(w[1].delay.delay_ns, 5 * NS_PER_MS);
	assert_int_equal(w[1].delay.jitter_ns, 10 * NS_PER_US);
	assert_int_equal(w[1].delay.match.ops, 1 << BLOCK_READ);
	assert_true(w[2].delay.hold);
	assert_int_equal(w[2].delay.match.ops, BLOCK_FAULT_OPS_ALL);
	assert_int_equal(w[3].error.match.ops, 0);
	parse("error:errno=121:null:1G", &spec);
	assert_int_equal(w[0].error.result, -121);
	parse("error::null:1G", &spec);
	assert_int_equal(w[0].error.result, -EIO);
}

static void refuses(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"null:",
		"null:,block=512",
		"null:x",
		"null:-1",
		"null:1G,",
		"null:1G,block=",
		"null:1G,block=1024",
		"null:1G,ro",
		"null:1G,=",
		"null:99999999999999999999999999999999999999999999999999999999999999999999999",
		"file:",
		"file:,ro",
		"file:/a,",
		"file:/a,rw",
		"file:/a,ro=1",
		"file:/a,cache=unsafe",
		"file:/a,block=513",
		"FILE:/a",
		"error:",
		"error:null",
		"error:every=0:null:1G",
		"error:every=:null:1G",
		"error:errno=EWRONG:null:1G",
		"error:errno=0:null:1G",
		"error:errno=4096:null:1G",
		"error:op=:null:1G",
		"error:op=read+:null:1G",
		"error:offset=x:null:1G",
		"error:count=-1:null:1G",
		"error:count=99999999999999999999:null:1G",
		"delay:ms=3600001:null:1G",
		"delay:hold=1:null:1G",
		"delay:s=1:null:1G",
		"delay:,:null:1G",
		"error::error::error::error::error::error::error::error::error::null:1G",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct block_spec spec;
		struct err err = {0};

		if (block_spec_parse(texts[i], &spec, &err) != -EINVAL)
			fail_msg("not refused: %s", texts[i]);
		assert_int_equal(err.code, -EINVAL);
		assert_true(strlen(err.text) > 20);
	}
}

static void refuses_long(void **state)
{
	static char text[2 * BLOCK_SPEC_MAX];
	struct block_spec spec;
	struct err err;

	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "file:", 5);
	assert_int_equal(block_spec_parse(text, &spec, &err), -ENAMETOOLONG);
	text[5 + PATH_MAX] = '\0';
	assert_int_equal(block_spec_parse(text, &spec, &err), -ENAMETOOLONG);
	text[5 + PATH_MAX - 1] = '\0';
	assert_int_equal(block_spec_parse(text, &spec, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_null),	  cmocka_unit_test(takes_file),
		cmocka_unit_test(takes_wrappers), cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
