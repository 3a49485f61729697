/* SPDX-License-Identifier: Apache-2.0 */
/* Connections and their order; see clients.h. */
#include "clients.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>

void api_clients_init(struct api_clients *clients, unsigned max)
{
	list_init(&clients->list);
	clients->count = 0;
	clients->max = max;
}

/* Its thread sees the end of the stream at its next turn, and closes. */
static void end(struct api_clients *clients, struct api_client *client)
{
	ASSERT(!client->ended && clients->count > 0);
	client->ended = true;
	clients->count--;
	shutdown(client->fd, SHUT_RDWR);
}

static struct api_client *slowest(struct api_clients *clients, uint64_t now)
{
	list_for_each (node, &clients->list) {
		struct api_client *client = container_of(node, struct api_client, node);

		if (!client->ours && !client->ended)
			return now - client->since_ns >= API_PATIENCE_S * NS_PER_S ? client : NULL;
	}
	return NULL;
}

struct api_client *api_clients_add(struct api_clients *clients, int fd)
{
	const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
	struct api_client *client = xcalloc(1, sizeof(*client));
	struct api_client *other;

	client->fd = fd;
	client->since_ns = now;
	clients->count++;
	if (clients->count > clients->max) {
		other = slowest(clients, now);
		end(clients, other ? other : client);
	}
	list_append(&clients->list, &client->node);
	return client;
}

void api_clients_remove(struct api_clients *clients, struct api_client *client)
{
	ASSERT(client->ended || clients->count > 0);
	clients->count -= !client->ended;
	list_remove(&client->node);
	free(client);
}

void api_client_turn(struct api_clients *clients, struct api_client *client, bool ours)
{
	client->ours = ours;
	client->since_ns = clock_now_ns(CLOCK_MONOTONIC);
	list_remove(&client->node);
	list_append(&clients->list, &client->node);
}
