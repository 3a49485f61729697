/* SPDX-License-Identifier: Apache-2.0 */
/* Where daemon and tool meet when nobody says otherwise. */
#ifndef QUOIN_API_PATHS_H
#define QUOIN_API_PATHS_H

#include <quoin/base.h>
#include <quoin/base_err.h>

const char *api_version(void);

/*
 * The defaults. The caller frees *ret.
 *
 *             state                       runtime                      (socket:
 * RUNTIME/quoind.sock) root      /var/lib/quoin              /run/quoin others
 * $XDG_STATE_HOME/quoin, or   $XDG_RUNTIME_DIR/quoin, or
 *             ~/.local/state/quoin        /tmp/quoin-UID
 *
 * -EPERM: /tmp/quoin-UID is there and is not ours alone; -ENOENT: no home directory is known.
 */
MUST_CHECK int api_state_dir_default(char **ret, struct err *err);
MUST_CHECK int api_socket_default(char **ret, struct err *err);

#endif
