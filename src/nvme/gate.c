/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exclusive use of a namespace: formatting, detaching, and fused Compare and Write need a moment
 * when no other command works on it.
 *
 * Whoever wants it waits in gate_waiters; the first one has the gate once nothing is in flight.
 * While anybody waits or has the gate, new commands queue up in gated_requests, in order. When
 * the last owner leaves they are executed anew, so they see the namespace as it is then.
 */
#include "controller.h"

void nvme_gate_init(struct nvme_namespace *ns)
{
	list_init(&ns->gate_waiters);
	list_init(&ns->gated_requests);
}

static void grant(struct nvme_namespace *ns)
{
	if (ns->in_flight > 0 || ns->gate_granted || list_empty(&ns->gate_waiters))
		return;
	ns->gate_granted = true;
	struct nvme_wait *wait = container_of(ns->gate_waiters.next, struct nvme_wait, node);

	wait->done(wait);
}

void nvme_gate_enter(struct nvme_namespace *ns, struct nvme_wait *wait)
{
	list_append(&ns->gate_waiters, &wait->node);
	grant(ns);
}

static void release_gated(struct nvme_namespace *ns)
{
	struct list waiting;
	struct list *node;

	list_init(&waiting);
	list_splice(&waiting, &ns->gated_requests);
	while ((node = list_pop(&waiting)))
		nvme_io_resume(container_of(node, struct nvme_request, node));
}

static void next_owner(struct nvme_namespace *ns)
{
	if (list_empty(&ns->gate_waiters))
		release_gated(ns);
	else
		grant(ns);
}

void nvme_gate_leave(struct nvme_namespace *ns, struct nvme_wait *wait)
{
	ASSERT(ns->gate_granted && ns->gate_waiters.next == &wait->node);
	list_remove(&wait->node);
	ns->gate_granted = false;
	next_owner(ns);
}

void nvme_gate_cancel(struct nvme_namespace *ns, struct nvme_wait *wait)
{
	ASSERT(!ns->gate_granted || ns->gate_waiters.next != &wait->node);
	list_remove(&wait->node);
	next_owner(ns);
}

bool nvme_gate_pass(struct nvme_namespace *ns, struct nvme_request *req)
{
	if (UNLIKELY(!list_empty(&ns->gate_waiters))) {
		list_append(&ns->gated_requests, &req->node);
		return false;
	}
	ns->in_flight++;
	req->namespace = ns;
	return true;
}

void nvme_gate_out(struct nvme_namespace *ns)
{
	ASSERT_U64(ns->in_flight, >, 0);
	ns->in_flight--;
	if (UNLIKELY(ns->in_flight == 0 && !list_empty(&ns->gate_waiters)))
		grant(ns);
}

void nvme_gate_abort(struct nvme_request *req)
{
	struct nvme_request *partner = req->partner;

	list_remove(&req->node);
	req->partner = NULL;
	nvme_request_complete(req, NVME_ABORTED_REQUEST, 0);
	if (partner)
		nvme_request_complete(partner, NVME_ABORTED_FUSED_FAILED, 0);
}

void nvme_gates_abandon(struct nvme_controller *c)
{
	for (unsigned i = 0; i < c->params.namespaces; i++) {
		struct list *gated = &c->namespaces[i].gated_requests;

		while (!list_empty(gated))
			nvme_gate_abort(container_of(gated->next, struct nvme_request, node));
	}
}
