/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conformance item 66 for volumes of pools: quoind is killed (kill -9) at any moment under verified
 * load on a pool of one drive, or of two without a mirror, as the seed has it, and on a mirror,
 * while snapshots are made and destroyed over the API. After the start that follows, pools, targets
 * and snapshots are back; what was flushed or written with FUA is there; every other block is old
 * or new; each snapshot is of one instant and never changes.
 *
 * $QUOIN_KILL_ROUNDS is the number of kills (default 5). How long the daemon took to be back, the
 * import of both pools included, is printed and not judged; that the log does not grow beyond what
 * an import can replay is.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "interop.h"
#include "model.h"

#define ROUNDS 5
#define ROUNDS_SHORT 2
#define BLOCKS (8 * MiB / 512)
#define DRIVE_BYTES (192 * MiB)
#define SHOTS_MAX 3
#define STEP 60		/* commands between two looks at the verbs */
#define RECORD_BYTES 48 /* the smallest record of a log */

static const struct model_options model_options = {
	.block_count = BLOCKS,
	.block_bytes = 512,
	.blocks_max = 256,
	.queues = 3,
	.rare = true,
	.deallocate = true,
	.cached = true,
};

/* A snapshot. Whether it is there is not known while its verb is on its way, and after a kill. */
struct shot {
	char name[64]; /* "" = free */
	struct image *image;
	bool sure;
};

/* A verb on its way: a thread asks the API and waits for the answer. */
struct verb {
	pthread_t thread;
	struct daemon *daemon;
	const char *request;
	char body[128];
	struct shot *shot; /* NULL = none is on its way */
	bool destroys;
	int status;
	_Atomic bool done;
};

struct disk {
	const char *pool, *target;
	char volume[32];
	struct host host;
	struct model *model;
	struct shot shots[SHOTS_MAX];
	unsigned shot_count; /* ever made */
	struct verb verb;
};

struct rig {
	struct interop *t;
	struct disk disks[2];
	uint64_t replayed_max, back_ms_max;
	unsigned verbs_cut, shots_kept;
};

/* --- The API ------------------------------------------------------------------------------ */

static void api(struct interop *t, const char *request, const char *body)
{
	char answer[DAEMON_ANSWER_MAX];
	const int status = daemon_call(&t->daemon, request, body, answer);

	if (status < 200 || status > 299)
		fprintf(stderr, "%s %s: %d %s\n", request, body, status, status > 0 ? answer : "");
	assert_in_range(status, 200, 299);
}

static uint64_t pool_number(struct interop *t, const char *pool, const char *key)
{
	char answer[DAEMON_ANSWER_MAX], request[64];
	const char *at;

	snprintf(request, sizeof(request), "GET /v1/pools/%s", pool);
	assert_int_equal(daemon_call(&t->daemon, request, NULL, answer), 200);
	if (!strstr(answer, "\"health\":\"online\""))
		fail_msg("%s is not online: %s", pool, answer);
	at = strstr(answer, key);
	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

static bool snapshot_is_there(struct interop *t, const struct shot *shot)
{
	char answer[DAEMON_ANSWER_MAX], body[128], quoted[80];

	snprintf(body, sizeof(body), "{\"name\":\"%.*s\"}", (int)strcspn(shot->name, "@"),
		 shot->name);
	assert_int_equal(daemon_call(&t->daemon, "POST /v1/snapshots/list", body, answer), 200);
	snprintf(quoted, sizeof(quoted), "\"%s\"", shot->name);
	return strstr(answer, quoted) != NULL;
}

/* --- Verbs under load --------------------------------------------------------------------- */

static void *verb_run(void *data)
{
	struct verb *verb = data;
	char answer[DAEMON_ANSWER_MAX];

	verb->status = daemon_call(verb->daemon, verb->request, verb->body, answer);
	atomic_store_explicit(&verb->done, true, memory_order_release);
	return NULL;
}

static void verb_start(struct disk *disk, struct daemon *daemon, struct shot *shot, bool destroys)
{
	struct verb *verb = &disk->verb;

	*verb = (struct verb){.daemon = daemon, .shot = shot, .destroys = destroys};
	verb->request = destroys ? "POST /v1/snapshots/destroy" : "POST /v1/snapshots";
	snprintf(verb->body, sizeof(verb->body), "{\"names\":[\"%s\"]}", shot->name);
	shot->sure = false;
	if (!destroys)
		model_cut_begin(disk->model);
	assert_int_equal(pthread_create(&verb->thread, NULL, verb_run, verb), 0);
}

static void shot_forget(struct shot *shot)
{
	image_free(shot->image);
	*shot = (struct shot){.name = ""};
}

/* Takes the verb's end; after a kill there may have been none. */
static void verb_end(struct disk *disk, bool killed)
{
	struct verb *verb = &disk->verb;
	struct shot *shot = verb->shot;
	bool done;

	if (!shot)
		return;
	pthread_join(verb->thread, NULL);
	verb->shot = NULL;
	if (!verb->destroys)
		shot->image = model_cut_end(disk->model);
	done = verb->status >= 200 && verb->status <= 299;
	if (!done && !killed)
		fprintf(stderr, "%s: status %d\n", verb->body, verb->status);
	assert_true(done || killed);
	if (done && verb->destroys)
		shot_forget(shot);
	else if (done)
		shot->sure = true;
}

static struct shot *shot_pick(struct rig *rig, struct disk *disk)
{
	struct shot *shot = &disk->shots[random_below(&rig->t->random, SHOTS_MAX)];

	if (shot->name[0] == '\0')
		snprintf(shot->name, sizeof(shot->name), "%s@%u", disk->volume, ++disk->shot_count);
	return shot;
}

static void verbs_go_on(struct rig *rig, struct disk *disk)
{
	struct verb *verb = &disk->verb;

	if (verb->shot && atomic_load_explicit(&verb->done, memory_order_acquire))
		verb_end(disk, false);
	if (!verb->shot && random_chance(&rig->t->random, 1, 4)) {
		struct shot *shot = shot_pick(rig, disk);

		verb_start(disk, &rig->t->daemon, shot, shot->image != NULL);
	}
}

/* --- Looking ------------------------------------------------------------------------------ */

static void shot_verify(struct rig *rig, struct shot *shot)
{
	struct interop *t = rig->t;

	if (shot->name[0] == '\0')
		return;
	if (!snapshot_is_there(t, shot)) {
		assert_false(shot->sure);
		shot_forget(shot);
		return;
	}
	shot->sure = true;
	rig->shots_kept++;
	interop_target(t, "look", shot->name);
	interop_open_with(t, &t->other, "look", (struct host_options){.flavour = CLIENT_QEMU});
	interop_queues(&t->other, 1);
	if (!image_verify(shot->image, &t->other))
		fail_msg("%s is not what it was", shot->name);
	host_close(&t->other);
	assert_int_equal(daemon_target_destroy(&t->daemon, "look"), 0);
}

static void disk_open(struct rig *rig, struct disk *disk)
{
	interop_open_with(rig->t, &disk->host, disk->target,
			  (struct host_options){.flavour = CLIENT_QEMU, .ram_size = 128 * MiB});
	interop_queues(&disk->host, model_options.queues);
	assert_int_equal(host_shadow_enable(&disk->host), ST_OK);
	model_attach(disk->model, &disk->host);
}

static void disk_verify(struct rig *rig, struct disk *disk)
{
	const uint64_t replayed = pool_number(rig->t, disk->pool, "\"replayed_records\":");
	const uint64_t log = pool_number(rig->t, disk->pool, "\"log_bytes\":");

	printf("  %s: checkpoint %llu, %llu records replayed\n", disk->pool,
	       (unsigned long long)pool_number(rig->t, disk->pool, "\"checkpoint\":"),
	       (unsigned long long)replayed);
	assert_true(replayed <= log / RECORD_BYTES);
	rig->replayed_max = MAX(rig->replayed_max, replayed);
	disk_open(rig, disk);
	if (!model_verify(disk->model))
		fail_msg("%s lost what it promised", disk->volume);
	for (unsigned i = 0; i < SHOTS_MAX; i++)
		shot_verify(rig, &disk->shots[i]);
}

/* --- Rounds ------------------------------------------------------------------------------- */

/* Verbs make checkpoints; without them the log grows, and the import has more to do. */
static void load(struct rig *rig)
{
	const bool verbs = random_chance(&rig->t->random, 5, 6);
	const uint64_t steps = 1 + random_below(&rig->t->random, verbs ? 60 : 300);

	for (uint64_t i = 0; i < steps; i++) {
		for (unsigned d = 0; d < ARRAY_SIZE(rig->disks); d++) {
			assert_true(model_run(rig->disks[d].model, STEP));
			if (verbs)
				verbs_go_on(rig, &rig->disks[d]);
		}
	}
	client_sleep_us((unsigned)random_below(&rig->t->random, 3000));
}

static void kill_and_start(struct rig *rig)
{
	struct interop *t = rig->t;
	uint64_t start, ms;

	daemon_stop(&t->daemon, SIGKILL);
	for (unsigned d = 0; d < ARRAY_SIZE(rig->disks); d++) {
		struct disk *disk = &rig->disks[d];

		rig->verbs_cut += disk->verb.shot != NULL;
		verb_end(disk, true);
		host_close(&disk->host);
		model_lose_cache(disk->model);
	}
	start = client_now_ns();
	assert_int_equal(daemon_start(&t->daemon), 0);
	ms = (client_now_ns() - start) / NS_PER_MS;
	rig->back_ms_max = MAX(rig->back_ms_max, ms);
	printf("  both pools are back after %llu ms\n", (unsigned long long)ms);
}

static void disk_make(struct rig *rig, struct disk *disk, const char *pool, const char *groups)
{
	struct interop *t = rig->t;
	char body[512];

	*disk = (struct disk){.pool = pool, .target = pool};
	host_init(&disk->host);
	snprintf(disk->volume, sizeof(disk->volume), "%s/disk", pool);
	snprintf(body, sizeof(body), "{\"name\":\"%s\",\"groups\":[%s]}", pool, groups);
	api(t, "POST /v1/pools", body);
	snprintf(body, sizeof(body), "{\"name\":\"%s\",\"size\":%llu}", disk->volume,
		 (unsigned long long)BLOCKS * 512);
	api(t, "POST /v1/volumes", body);
	interop_target(t, disk->target, disk->volume);
	disk->model = model_new(&model_options, random_u64(&t->random));
	disk_open(rig, disk);
	assert_true(model_verify(disk->model));
}

static void disk_free(struct disk *disk)
{
	host_close(&disk->host);
	model_free(disk->model);
	for (unsigned i = 0; i < SHOTS_MAX; i++)
		shot_forget(&disk->shots[i]);
}

/* A pool of two files, or of one. */
static void pair_make(struct rig *rig, struct disk *disk, const char *pool, const char *between)
{
	char spec[2][160], name[16], groups[400];
	const char *path[2];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s%u", pool, i);
		path[i] = interop_file(rig->t, name, DRIVE_BYTES, spec[i]) + strlen("file:");
	}
	if (between)
		snprintf(groups, sizeof(groups), "[\"%s\"%s\"%s\"]", path[0], between, path[1]);
	else
		snprintf(groups, sizeof(groups), "[\"%s\"]", path[0]);
	disk_make(rig, disk, pool, groups);
}

static void rig_make(struct rig *rig)
{
	if (random_chance(&rig->t->random, 1, 2))
		pair_make(rig, &rig->disks[0], "solo", NULL);
	else
		pair_make(rig, &rig->disks[0], "wide", "],[");
	pair_make(rig, &rig->disks[1], "twin", ",");
}

/* 66 (S, O) on pools. */
static void pools_killed_item_66(void **state)
{
	struct rig rig = {.t = *state};
	const char *words = getenv("QUOIN_KILL_ROUNDS");
	const uint64_t rounds = words		   ? strtoull(words, NULL, 0)
				: rig.t->short_run ? ROUNDS_SHORT
						   : ROUNDS;

	rig_make(&rig);
	for (uint64_t i = 1; i <= rounds; i++) {
		load(&rig);
		printf("kill %llu of %llu\n", (unsigned long long)i, (unsigned long long)rounds);
		kill_and_start(&rig);
		for (unsigned d = 0; d < ARRAY_SIZE(rig.disks); d++)
			disk_verify(&rig, &rig.disks[d]);
		fflush(stdout);
	}
	printf("%llu kills, %u in the midst of a verb; %u looks at snapshots; at most %llu records "
	       "replayed, at most %llu ms to be back\n",
	       (unsigned long long)rounds, rig.verbs_cut, rig.shots_kept,
	       (unsigned long long)rig.replayed_max, (unsigned long long)rig.back_ms_max);
	for (unsigned d = 0; d < ARRAY_SIZE(rig.disks); d++)
		disk_free(&rig.disks[d]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(pools_killed_item_66),
	};

	return interop_main(tests);
}
