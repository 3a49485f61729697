/* SPDX-License-Identifier: Apache-2.0 */
/* The room's two files in the state directory: eve.json, the settings, and eve-totals.json. */
#ifndef EVE_STATE_H
#define EVE_STATE_H

#include <quoin/eve_config.h>

#include "totals.h"

#define EVE_STATE_FILE "eve.json"

/* Nothing is changed when there is no file. -EUCLEAN, -EPROTO, with a sentence. */
MUST_CHECK int eve_state_load(int directory_fd, struct eve_config *config, struct err *err);
MUST_CHECK int eve_state_store(int directory_fd, const struct eve_config *config, struct err *err);

/* What cannot be read is none; then why is in `problem`. */
void eve_state_load_totals(int directory_fd, struct eve_totals *totals, char *problem, size_t size);

/* The settings' file, any JSON; -EUCLEAN, -EPROTO. */
MUST_CHECK int eve_state_decode(const json_t *root, struct eve_config *config, struct err *err);

#endif
