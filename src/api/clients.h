/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of a server's door, so that slow ones keep nobody out. While there is room each
 * may take its time (the library ends those that are silent for API_TIMEOUT_S). When there is none,
 * the one that has kept us waiting longest for the rest of its request, or for taking its answer,
 * has to go, if that is API_PATIENCE_S and more; else the newcomer has.
 *
 * All of it happens in the one thread of the door.
 */
#ifndef API_CLIENTS_H
#define API_CLIENTS_H

#include <quoin/base_list.h>

#define API_PATIENCE_S 3
#define API_CLIENTS_SPARE 8 /* that the library takes beyond the limit, so that we can choose */

struct api_client {
	struct list node;
	int fd; /* the library's */
	uint64_t since_ns;
	bool ours;  /* it waits for us */
	bool ended; /* it was told to go */
};

struct api_clients {
	struct list list; /* who waits longest comes first */
	unsigned count;	  /* without those that were told to go */
	unsigned max;
};

void api_clients_init(struct api_clients *clients, unsigned max);

/* A client came. Returned to api_clients_remove() when its connection ends. */
struct api_client *api_clients_add(struct api_clients *clients, int fd);
void api_clients_remove(struct api_clients *clients, struct api_client *client);

/* From now on it is our turn, or the client's. */
void api_client_turn(struct api_clients *clients, struct api_client *client, bool ours);

#endif
