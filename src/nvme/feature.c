/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Features (NVMe 1.4, 5.14, 5.21 and 5.21.1).
 *
 * One row per feature: its capabilities, a getter, a setter. Values of one dword go through the
 * row's functions; Timestamp and Host Behavior Support carry data and complete the command
 * themselves, and so does the write cache, which is flushed before it is off. Nothing can be
 * saved: "saved" values are the defaults, and a controller reset restores them.
 *
 * Settings that steer nothing here (arbitration, error recovery, write atomicity) are kept and
 * read back: Windows and FreeBSD set them and expect success.
 */
#include "controller.h"
#include "identify.h"

#include <string.h>

#define FID_ARBITRATION 0x01
#define FID_POWER 0x02
#define FID_TEMPERATURE 0x04
#define FID_ERROR_RECOVERY 0x05
#define FID_WRITE_CACHE 0x06
#define FID_QUEUES 0x07
#define FID_COALESCING 0x08
#define FID_VECTOR 0x09
#define FID_ATOMICITY 0x0A
#define FID_ASYNC_EVENTS 0x0B
#define FID_TIMESTAMP 0x0E
#define FID_HOST_BEHAVIOR 0x16

#define SELECT_CURRENT 0
#define SELECT_DEFAULT 1
#define SELECT_SAVED 2
#define SELECT_CAPABILITIES 3
#define CAPABILITY_CHANGEABLE 0x4

#define NSID_BROADCAST 0xFFFFFFFFU
#define INVALID (NVME_INVALID_FIELD | NVME_DNR)

#define ARBITRATION_DEFAULT 0x07 /* no burst limit */
#define DULBE 0x00010000
#define VECTOR_UNCOALESCED 0x00010000
#define TIMESTAMP_SIZE 8
#define TIMESTAMP_MASK ((UINT64_C(1) << 48) - 1)
#define TIMESTAMP_ORIGIN_SET 0x02 /* the host set it since the last reset */

static void defaults(struct nvme_features *f)
{
	memset(f, 0, sizeof(*f));
	f->write_cache = true;
	f->arbitration = ARBITRATION_DEFAULT;
	f->over_kelvin = NVME_SMART_WARNING_KELVIN;
}

void nvme_features_reset(struct nvme_controller *c)
{
	defaults(&c->features);
}

/* --- Values of one dword ------------------------------------------------------------------- */

/* What a getter may look at: the values asked for (current or default), and CDW11. */
struct get {
	const struct nvme_controller *c;
	const struct nvme_features *values;
	bool current;
	uint32_t dw11;
};

static uint16_t get_arbitration(const struct get *g, uint32_t *ret)
{
	*ret = g->values->arbitration;
	return NVME_SUCCESS;
}

static uint16_t set_arbitration(struct nvme_controller *c, uint32_t value)
{
	c->features.arbitration = value;
	return NVME_SUCCESS;
}

static uint16_t get_power(const struct get *g, uint32_t *ret)
{
	*ret = g->values->power;
	return NVME_SUCCESS;
}

/* Power state 0 is the only one; the workload hint above it is kept. */
static uint16_t set_power(struct nvme_controller *c, uint32_t value)
{
	if (value & 0x1F)
		return INVALID;
	c->features.power = value & 0xE0;
	return NVME_SUCCESS;
}

/* Sensors other than the composite temperature do not exist: their thresholds read 0. */
static uint16_t get_temperature(const struct get *g, uint32_t *ret)
{
	const unsigned type = g->dw11 >> 20 & 3;

	if (type > 1)
		return INVALID;
	*ret = 0;
	if ((g->dw11 >> 16 & 0xF) == 0)
		*ret = type ? g->values->under_kelvin : g->values->over_kelvin;
	return NVME_SUCCESS;
}

static uint16_t set_temperature(struct nvme_controller *c, uint32_t value)
{
	const unsigned type = value >> 20 & 3;
	const unsigned sensor = value >> 16 & 0xF;

	if (type > 1)
		return INVALID;
	if (sensor != 0 && sensor != 0xF) /* not the composite one, and not all of them */
		return NVME_SUCCESS;
	if (type)
		c->features.under_kelvin = (uint16_t)value;
	else
		c->features.over_kelvin = (uint16_t)value;
	return NVME_SUCCESS;
}

static uint16_t get_error_recovery(const struct get *g, uint32_t *ret)
{
	*ret = g->values->error_recovery;
	return NVME_SUCCESS;
}

static uint16_t set_error_recovery(struct nvme_controller *c, uint32_t value)
{
	if (value & DULBE) /* NSFEAT bit 2 does not offer it */
		return INVALID;
	c->features.error_recovery = value & 0xFFFF;
	return NVME_SUCCESS;
}

static uint16_t get_write_cache(const struct get *g, uint32_t *ret)
{
	*ret = g->values->write_cache;
	return NVME_SUCCESS;
}

static uint16_t get_queues(const struct get *g, uint32_t *ret)
{
	const uint32_t last = g->c->params.queue_pairs - 1;

	*ret = last << 16 | last;
	return NVME_SUCCESS;
}

static uint16_t get_coalescing(const struct get *g, uint32_t *ret)
{
	*ret = g->current ? g->c->interrupts.coalescing : 0;
	return NVME_SUCCESS;
}

static uint16_t set_coalescing(struct nvme_controller *c, uint32_t value)
{
	nvme_interrupts_set_coalescing(c, (uint16_t)value);
	return NVME_SUCCESS;
}

static uint16_t get_vector(const struct get *g, uint32_t *ret)
{
	const uint16_t vector = (uint16_t)g->dw11;

	if (vector > g->c->params.queue_pairs)
		return INVALID;
	*ret = vector;
	if (g->current && bitmap_test(g->c->interrupts.uncoalesced, vector))
		*ret |= VECTOR_UNCOALESCED;
	return NVME_SUCCESS;
}

static uint16_t set_vector(struct nvme_controller *c, uint32_t value)
{
	const uint16_t vector = (uint16_t)value;

	if (vector > c->params.queue_pairs)
		return INVALID;
	nvme_interrupts_set_vector(c, vector, value & VECTOR_UNCOALESCED);
	return NVME_SUCCESS;
}

static uint16_t get_atomicity(const struct get *g, uint32_t *ret)
{
	*ret = g->values->atomicity;
	return NVME_SUCCESS;
}

static uint16_t set_atomicity(struct nvme_controller *c, uint32_t value)
{
	c->features.atomicity = value & 1;
	return NVME_SUCCESS;
}

static uint16_t get_async_events(const struct get *g, uint32_t *ret)
{
	*ret = g->values->async_events;
	return NVME_SUCCESS;
}

/* All bits are kept, also for events never sent: FreeBSD asks for firmware notices unseen. */
static uint16_t set_async_events(struct nvme_controller *c, uint32_t value)
{
	c->features.async_events = value;
	return NVME_SUCCESS;
}

/* --- Features that complete the command themselves ------------------------------------------ */

static void set_queues(struct nvme_request *req)
{
	const uint32_t value = req->command.dw11;
	const uint32_t last = req->controller->params.queue_pairs - 1;

	if (nvme_queues_io_exist(req->controller))
		nvme_request_complete(req, NVME_SEQUENCE_ERROR | NVME_DNR, 0);
	else if ((value & 0xFFFF) == 0xFFFF || value >> 16 == 0xFFFF)
		nvme_request_complete(req, INVALID, 0);
	else
		nvme_request_complete(req, NVME_SUCCESS, last << 16 | last);
}

static void cache_flushed(struct nvme_request *req)
{
	if (req->step_result == 0) {
		nvme_request_complete(req, NVME_SUCCESS, 0);
		return;
	}
	req->controller->features.write_cache = true;
	nvme_request_complete(req, NVME_INTERNAL_ERROR, 0);
}

/* Writes are durable from now on; what was completed before must be so at the end as well. */
static void set_write_cache(struct nvme_request *req)
{
	const bool enable = req->command.dw11 & 1;

	req->controller->features.write_cache = enable;
	if (enable)
		nvme_request_complete(req, NVME_SUCCESS, 0);
	else
		nvme_request_flush_all(req, cache_flushed);
}

static void get_timestamp(struct nvme_request *req, const struct nvme_features *values)
{
	struct loop *loop = req->controller->loop;
	uint8_t data[TIMESTAMP_SIZE] = {0};

	if (values->timestamp_set) {
		const uint64_t elapsed_ns = loop_now_ns(loop) - values->timestamp_at_ns;

		le64_put(data, (values->timestamp_ms + elapsed_ns / NS_PER_MS) & TIMESTAMP_MASK);
		data[6] = TIMESTAMP_ORIGIN_SET;
	}
	nvme_request_complete(req, nvme_data_to_guest(req, data, sizeof(data)), 0);
}

static void set_timestamp(struct nvme_request *req)
{
	struct nvme_features *f = &req->controller->features;
	uint8_t data[TIMESTAMP_SIZE];
	const uint16_t status = nvme_data_from_guest(req, data, sizeof(data));

	if (status == NVME_SUCCESS) {
		f->timestamp_ms = le64_get(data) & TIMESTAMP_MASK;
		f->timestamp_at_ns = loop_now_ns(req->controller->loop);
		f->timestamp_set = true;
	}
	nvme_request_complete(req, status, 0);
}

static void get_host_behavior(struct nvme_request *req, const struct nvme_features *values)
{
	const uint16_t status =
		nvme_data_to_guest(req, values->host_behavior, sizeof(values->host_behavior));

	nvme_request_complete(req, status, 0);
}

/* Advanced Command Retry (byte 0) is 0 or 1; no command asks for a delay, so nothing follows. */
static void set_host_behavior(struct nvme_request *req)
{
	uint8_t data[NVME_HOST_BEHAVIOR_SIZE];
	uint16_t status = nvme_data_from_guest(req, data, sizeof(data));

	if (status == NVME_SUCCESS && data[0] > 1)
		status = INVALID;
	if (status == NVME_SUCCESS)
		req->controller->features.host_behavior[0] = data[0];
	nvme_request_complete(req, status, 0);
}

/* --- The table and the commands ------------------------------------------------------------- */

struct feature {
	uint8_t id;
	uint16_t (*get)(const struct get *g, uint32_t *ret);
	uint16_t (*set)(struct nvme_controller *c, uint32_t value);
	void (*get_data)(struct nvme_request *req, const struct nvme_features *values);
	void (*set_request)(struct nvme_request *req); /* completes the command */
};

static const struct feature features[] = {
	{FID_ARBITRATION, .get = get_arbitration, .set = set_arbitration},
	{FID_POWER, .get = get_power, .set = set_power},
	{FID_TEMPERATURE, .get = get_temperature, .set = set_temperature},
	{FID_ERROR_RECOVERY, .get = get_error_recovery, .set = set_error_recovery},
	{FID_WRITE_CACHE, .get = get_write_cache, .set_request = set_write_cache},
	{FID_QUEUES, .get = get_queues, .set_request = set_queues},
	{FID_COALESCING, .get = get_coalescing, .set = set_coalescing},
	{FID_VECTOR, .get = get_vector, .set = set_vector},
	{FID_ATOMICITY, .get = get_atomicity, .set = set_atomicity},
	{FID_ASYNC_EVENTS, .get = get_async_events, .set = set_async_events},
	{FID_TIMESTAMP, .get_data = get_timestamp, .set_request = set_timestamp},
	{FID_HOST_BEHAVIOR, .get_data = get_host_behavior, .set_request = set_host_behavior},
};

static const struct feature *find(uint8_t id)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (features[i].id == id)
			return &features[i];
	return NULL;
}

static bool nsid_is_all(uint32_t nsid)
{
	return nsid == 0 || nsid == NSID_BROADCAST;
}

void nvme_get_features(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const struct feature *feature = find((uint8_t)req->command.dw10);
	const unsigned select = req->command.dw10 >> 8 & 7;
	struct nvme_features initial;
	struct get get = {c, &c->features, select == SELECT_CURRENT, req->command.dw11};
	uint32_t value = 0;
	uint16_t status;

	if (!feature || select > SELECT_CAPABILITIES) {
		nvme_request_complete(req, INVALID, 0);
		return;
	}
	if (!nsid_is_all(req->command.nsid) && req->command.nsid > c->params.namespaces) {
		nvme_request_complete(req, NVME_INVALID_NAMESPACE | NVME_DNR, 0);
		return;
	}
	if (select == SELECT_CAPABILITIES) {
		nvme_request_complete(req, NVME_SUCCESS, CAPABILITY_CHANGEABLE);
		return;
	}
	if (!get.current) {
		defaults(&initial);
		get.values = &initial;
	}
	if (feature->get_data) {
		feature->get_data(req, get.values);
		return;
	}
	status = feature->get(&get, &value);
	nvme_request_complete(req, status, status == NVME_SUCCESS ? value : 0);
}

static uint16_t set_check(const struct nvme_request *req, const struct feature *feature)
{
	const uint32_t nsid = req->command.nsid;

	if (!feature)
		return INVALID;
	if (req->command.dw10 >> 31)
		return NVME_FEATURE_NOT_SAVEABLE | NVME_DNR;
	if (nsid_is_all(nsid))
		return NVME_SUCCESS;
	if (nsid > req->controller->params.namespaces)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	/* Error recovery may be set for a namespace; it is one value for all of them here. */
	return feature->id == FID_ERROR_RECOVERY ? NVME_SUCCESS
						 : NVME_FEATURE_NOT_NS_SPECIFIC | NVME_DNR;
}

/* Where a changed setting may be a reason to tell the guest at once. */
static bool may_raise_event(uint8_t id)
{
	return id == FID_TEMPERATURE || id == FID_ASYNC_EVENTS;
}

void nvme_set_features(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const struct feature *feature = find((uint8_t)req->command.dw10);
	const uint16_t status = set_check(req, feature);

	if (status != NVME_SUCCESS) {
		nvme_request_complete(req, status, 0);
	} else if (feature->set_request) {
		feature->set_request(req);
	} else {
		nvme_request_complete(req, feature->set(c, req->command.dw11), 0);
		if (may_raise_event(feature->id))
			nvme_log_temperature_check(c);
	}
}
