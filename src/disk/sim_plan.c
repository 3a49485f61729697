/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a request of a simulated drive: how long it takes, and whether it fails. */
#include <errno.h>

#include <quoin/base_assert.h>

#include "sim.h"

#define MILLION 1000000

struct disk_sim_plan disk_sim_plan_default(void)
{
	return (struct disk_sim_plan){
		.latency_min_ns = 10 * NS_PER_US,
		.latency_max_ns = 200 * NS_PER_US,
		.write_back_percent = 5,
		.survive_percent = 50,
	};
}

void disk_sim_plan_set(struct disk_sim *sim, const struct disk_sim_plan *plan)
{
	ASSERT_U64(plan->latency_min_ns, <=, plan->latency_max_ns);
	ASSERT_U64(plan->survive_percent, <=, 100);
	ASSERT_U64(plan->write_back_percent, <=, 100);
	sim->params.plan = *plan;
}

int disk_sim_fault_add(struct disk_sim *sim, const struct disk_sim_fault *fault)
{
	ASSERT(fault->result < 0);
	if (sim->fault_count == DISK_SIM_FAULTS_MAX)
		return -ENOSPC;
	sim->faults[sim->fault_count++] = (struct sim_fault){.fault = *fault};
	return 0;
}

void disk_sim_faults_clear(struct disk_sim *sim)
{
	sim->fault_count = 0;
}

uint64_t sim_plan_latency_ns(struct disk_sim *sim)
{
	const struct disk_sim_plan *plan = &sim->params.plan;

	return plan->latency_min_ns +
	       random_below(&sim->random, plan->latency_max_ns - plan->latency_min_ns + 1);
}

static bool touches(const struct disk_sim_fault *fault, const struct disk_request *request)
{
	const uint64_t end = fault->length_bytes ? fault->offset + fault->length_bytes : UINT64_MAX;

	if (!(fault->ops & (1U << request->op)))
		return false;
	return request->op == DISK_FLUSH ||
	       (request->offset < end && request->offset + request->length_bytes > fault->offset);
}

int sim_plan_result(struct disk_sim *sim, const struct disk_request *request)
{
	/* The dice fall for every request, so that a fault that is added moves nothing else. */
	const bool unlucky =
		random_below(&sim->random, MILLION) < sim->params.plan.error_ppm[request->op];
	int result = 0;

	for (unsigned i = 0; i < sim->fault_count; i++) {
		struct sim_fault *f = &sim->faults[i];

		if (!touches(&f->fault, request))
			continue;
		f->seen++;
		if (f->seen > f->fault.after &&
		    (f->fault.count == 0 || f->seen - f->fault.after <= f->fault.count))
			result = f->fault.result;
	}
	return result < 0 ? result : unlucky ? -EIO : 0;
}
