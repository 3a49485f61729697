/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a vhost-user disk up and down: see client_vhost.h. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <quoin/base_math.h>

#include "client_vhost.h"

#define ENTRIES_DEFAULT 128
#define PAYLOAD_MAX 256

#define FEATURE(name) (UINT64_C(1) << VHOST_F_##name)
#define PROTOCOL(name) (UINT64_C(1) << VHOST_P_##name)
#define FEATURES_NEEDED (FEATURE(VERSION_1) | FEATURE(PROTOCOL_FEATURES))
#define FEATURES_WANTED                                                                          \
	(FEATURES_NEEDED | FEATURE(BLK_SIZE) | FEATURE(FLUSH) | FEATURE(MQ) | FEATURE(DISCARD) | \
	 FEATURE(WRITE_ZEROES) | FEATURE(INDIRECT) | FEATURE(EVENT_IDX))

/* --- Messages ----------------------------------------------------------------------------- */

static int receive_reply(struct vhost *vhost, const struct vhost_message *message)
{
	struct client_message in = {0};
	struct vhost_header header;
	int error = client_receive_bytes(&vhost->client, &header, sizeof(header), &in);

	if (!error && header.request != message->type)
		error = client_violation(&vhost->client, "reply to another message");
	if (!error && header.flags != (VHOST_VERSION | VHOST_REPLY))
		error = client_violation(&vhost->client, "reply flags");
	if (!error && header.size != message->reply_size)
		error = client_violation(&vhost->client, "reply size");
	if (!error)
		error = client_receive_bytes(&vhost->client, message->reply, message->reply_size,
					     &in);
	for (unsigned i = 0; i < in.reply_fd_count; i++)
		base_close(&in.reply_fds[i]);
	if (!error && in.reply_fd_count)
		error = client_violation(&vhost->client, "descriptor where none belongs");
	return error;
}

static int send_message(struct vhost *vhost, const struct vhost_message *message, uint32_t flags)
{
	uint8_t bytes[sizeof(struct vhost_header) + PAYLOAD_MAX];
	const struct vhost_header header = {message->type, VHOST_VERSION | flags, message->size};

	ASSERT(message->size <= PAYLOAD_MAX);
	memcpy(bytes, &header, sizeof(header));
	if (message->size)
		memcpy(bytes + sizeof(header), message->payload, message->size);
	return client_send_bytes(&vhost->client, bytes, sizeof(header) + message->size,
				 &message->fd, message->fd > 0);
}

int vhost_call(struct vhost *vhost, const struct vhost_message *message)
{
	const bool ack = !message->reply && vhost->protocol_features & PROTOCOL(REPLY_ACK);
	struct vhost_message answer = *message;
	uint64_t result = 0;
	int error = send_message(vhost, message, ack ? VHOST_NEED_REPLY : 0);

	if (ack) {
		answer.reply = &result;
		answer.reply_size = sizeof(result);
	}
	if (!error && answer.reply)
		error = receive_reply(vhost, &answer);
	if (!error && result)
		error = -EREMOTEIO;
	return error;
}

static int get_u64(struct vhost *vhost, enum vhost_message_type type, uint64_t *ret)
{
	return vhost_call(vhost, &(struct vhost_message){
					 .type = type, .reply = ret, .reply_size = sizeof(*ret)});
}

static int set(struct vhost *vhost, enum vhost_message_type type, const void *payload,
	       uint32_t size)
{
	return vhost_call(vhost,
			  &(struct vhost_message){.type = type, .payload = payload, .size = size});
}

static int set_ring(struct vhost *vhost, enum vhost_message_type type, unsigned index,
		    uint32_t value)
{
	const struct vhost_ring_state state = {index, value};

	return set(vhost, type, &state, sizeof(state));
}

/* --- Negotiation -------------------------------------------------------------------------- */

static int negotiate_protocol(struct vhost *vhost, const struct vhost_options *options)
{
	uint64_t offered, taken = PROTOCOL(CONFIG) | PROTOCOL(MQ) | PROTOCOL(REPLY_ACK);
	int error = get_u64(vhost, VHOST_GET_PROTOCOL_FEATURES, &offered);

	if (error)
		return error;
	if (options->memory_slots)
		taken |= PROTOCOL(MEM_SLOTS);
	taken &= offered;
	if (!(taken & PROTOCOL(CONFIG)) ||
	    (options->memory_slots && !(taken & PROTOCOL(MEM_SLOTS))))
		return -EOPNOTSUPP;
	error = set(vhost, VHOST_SET_PROTOCOL_FEATURES, &taken, sizeof(taken));
	vhost->protocol_features = taken;
	return error;
}

static int check_queues(struct vhost *vhost)
{
	uint64_t count = 1;
	int error = 0;

	if (vhost->protocol_features & PROTOCOL(MQ))
		error = get_u64(vhost, VHOST_GET_QUEUE_NUM, &count);
	if (!error && vhost->queue_count > count)
		error = -EOPNOTSUPP;
	return error;
}

/* A question whose answer has its shape. */
static int ask_for(struct vhost *vhost, enum vhost_message_type type, const void *ask, void *got,
		   uint32_t size)
{
	const struct vhost_message m = {
		.type = type, .payload = ask, .size = size, .reply = got, .reply_size = size};

	return vhost_call(vhost, &m);
}

static int get_config(struct vhost *vhost)
{
	const struct vhost_config_message ask = {.size = sizeof(struct vhost_config)};
	struct vhost_config_message got;
	const int error = ask_for(vhost, VHOST_GET_CONFIG, &ask, &got, sizeof(got));

	if (error)
		return error;
	if (got.offset != 0 || got.size != ask.size)
		return client_violation(&vhost->client, "configuration of another place");
	vhost->config = got.config;
	return 0;
}

static int negotiate(struct vhost *vhost, const struct vhost_options *options)
{
	int error = get_u64(vhost, VHOST_GET_FEATURES, &vhost->offered);

	if (error)
		return error;
	vhost->features = vhost->offered & FEATURES_WANTED & ~options->refuse;
	if (vhost->queue_count == 1)
		vhost->features &= ~FEATURE(MQ);
	if ((vhost->features & FEATURES_NEEDED) != FEATURES_NEEDED)
		return -EOPNOTSUPP;
	error = negotiate_protocol(vhost, options);
	if (!error)
		error = check_queues(vhost);
	if (!error)
		error = set(vhost, VHOST_SET_OWNER, NULL, 0);
	if (!error)
		error = get_config(vhost);
	if (!error)
		error = set(vhost, VHOST_SET_FEATURES, &vhost->features, sizeof(vhost->features));
	return error;
}

/* --- Memory and rings --------------------------------------------------------------------- */

static uint64_t user_address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static int give_memory(struct vhost *vhost)
{
	const struct vhost_region region = {.size = vhost->ram->size,
					    .user_address = user_address(vhost->ram->base)};
	const struct vhost_table table = {.count = 1, .region = region};
	const struct vhost_add_region add = {.region = region};
	struct vhost_message m = {.type = VHOST_SET_MEM_TABLE,
				  .payload = &table,
				  .size = sizeof(table),
				  .fd = vhost->ram->fd};

	if (vhost->protocol_features & PROTOCOL(MEM_SLOTS)) {
		m.type = VHOST_ADD_MEM_REG;
		m.payload = &add;
		m.size = sizeof(add);
	}
	return vhost_call(vhost, &m);
}

static int give_event(struct vhost *vhost, enum vhost_message_type type, uint64_t index, int *ret)
{
	const struct vhost_message m = {
		.type = type,
		.payload = &index,
		.size = sizeof(index),
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};

	if (m.fd < 0)
		return -errno;
	*ret = m.fd;
	return vhost_call(vhost, &m);
}

static int start_ring(struct vhost *vhost, unsigned index)
{
	struct vhost_queue *q = &vhost->queues[index];
	const struct vhost_ring_address address = {
		.index = index,
		.desc = user_address(q->desc),
		.used = user_address(q->used),
		.avail = user_address(q->avail),
	};
	int error = set_ring(vhost, VHOST_SET_VRING_NUM, index, q->entries);

	if (!error)
		error = set_ring(vhost, VHOST_SET_VRING_BASE, index, 0);
	if (!error)
		error = set(vhost, VHOST_SET_VRING_ADDR, &address, sizeof(address));
	if (!error)
		error = give_event(vhost, VHOST_SET_VRING_CALL, index, &q->call_fd);
	if (!error)
		error = give_event(vhost, VHOST_SET_VRING_KICK, index, &q->kick_fd);
	return error;
}

static int start_rings(struct vhost *vhost)
{
	int error = 0;

	for (unsigned i = 0; i < vhost->queue_count && !error; i++)
		error = start_ring(vhost, i);
	for (unsigned i = 0; i < vhost->queue_count && !error; i++)
		error = set_ring(vhost, VHOST_SET_VRING_ENABLE, i, 1);
	return error;
}

/* The whole in the order of QEMU, but that all rings are ready before one is enabled. */
int vhost_open(struct vhost *vhost, struct ram *ram, const struct vhost_options *options)
{
	struct vhost_queue_options ring = {.entries = options->entries ? options->entries
								       : ENTRIES_DEFAULT};
	int error;

	ASSERT(options->queues <= VHOST_QUEUES_MAX);
	memset(vhost, 0, sizeof(*vhost));
	vhost->client.fd = -1;
	vhost->ram = ram;
	error = client_connect(&vhost->client, options->path);
	if (error)
		return error;
	vhost->client.timeout_ms = VHOST_TIMEOUT_MS;
	vhost->queue_count = options->queues ? options->queues : 1;
	for (unsigned i = 0; i < vhost->queue_count; i++)
		vhost->queues[i].kick_fd = vhost->queues[i].call_fd = -1;
	error = negotiate(vhost, options);
	ring.indirect = vhost_has(vhost, VHOST_F_INDIRECT);
	ring.event_index = vhost_has(vhost, VHOST_F_EVENT_IDX);
	for (unsigned i = 0; i < vhost->queue_count && !error; i++)
		vhost_queue_init(&vhost->queues[i], ram, ring);
	if (!error)
		error = give_memory(vhost);
	if (!error)
		error = start_rings(vhost);
	if (error)
		vhost_close(vhost);
	return error;
}

/* --- Down --------------------------------------------------------------------------------- */

static int stop_ring(struct vhost *vhost, unsigned index)
{
	const struct vhost_queue *q = &vhost->queues[index];
	const struct vhost_ring_state ask = {.index = index};
	struct vhost_ring_state got;
	const int error = ask_for(vhost, VHOST_GET_VRING_BASE, &ask, &got, sizeof(got));

	if (error)
		return error;
	if (got.index != index || got.value != q->avail_shown)
		return client_violation(&vhost->client, "a ring stands elsewhere");
	return 0;
}

int vhost_stop(struct vhost *vhost)
{
	int error = 0;

	for (unsigned i = 0; i < vhost->queue_count; i++) {
		if (vhost->queues[i].used_next != vhost->queues[i].avail_shown)
			return -EBUSY;
	}
	for (unsigned i = 0; i < vhost->queue_count && !error; i++)
		error = set_ring(vhost, VHOST_SET_VRING_ENABLE, i, 0);
	for (unsigned i = 0; i < vhost->queue_count && !error; i++)
		error = stop_ring(vhost, i);
	return error;
}

void vhost_close(struct vhost *vhost)
{
	client_close(&vhost->client);
	for (unsigned i = 0; i < vhost->queue_count; i++) {
		base_close(&vhost->queues[i].kick_fd);
		base_close(&vhost->queues[i].call_fd);
	}
	vhost->queue_count = 0;
}

int vhost_run(struct vhost *vhost, unsigned queue, const struct vhost_io *io)
{
	struct vhost_queue *q = &vhost->queues[queue];
	struct vhost_done done;
	int error;

	vhost_submit(q, io);
	vhost_kick(q);
	error = vhost_wait(q, VHOST_TIMEOUT_MS);
	if (error)
		return error;
	return vhost_reap(q, &done) ? done.status : q->error;
}
