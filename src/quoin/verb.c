/* SPDX-License-Identifier: Apache-2.0 */
/* The table of nouns and verbs. */
#include "verb.h"

const struct verb_option verb_common_options[] = {
	{"json", NULL, "print JSON"},
	{"socket", "PATH", "talk to the quoind that listens on PATH"},
	{"help", NULL, "print help on this verb"},
	{NULL, NULL, NULL},
};

static const struct verb_option create_options[] = {
	{"transport", "TRANSPORT", "how clients connect: vfio-user (default)"},
	{"listen", "PATH", "the target's socket (default: NAME.sock beside quoind's socket)"},
	{"queues", "N", "I/O queue pairs, 1 to 64 (default 64)"},
	{"queue-entries", "N", "entries per queue, a power of two, 2 to 1024 (default 1024)"},
	{"max-namespaces", "N", "most namespaces it can have, 1 to 64 (default 16)"},
	{"doorbells", "MODE", "shadow (default), or mapped for guests without shadow doorbells"},
	{"intx", "on|off", "offer the INTx interrupt (default on)"},
	{"poll-us", "N", "keep polling this long after the last command, 0 = default"},
	{"serial", "TEXT", "serial number, at most 20 characters (default: from the UUID)"},
	{"model", "TEXT", "model, at most 40 characters (default: Quoin NVMe disk)"},
	{"uuid", "UUID", "identity of the NVM subsystem (default: drawn)"},
	{"read-only", NULL, "the volumes cannot be written"},
	{"block-size", "N", "block size of the volumes: 512 or 4096 (default: their own)"},
	{NULL, NULL, NULL},
};

static const struct verb_option attach_options[] = {
	{"nsid", "N", "namespace number (default: the lowest free one)"},
	{"read-only", NULL, "the volume cannot be written"},
	{"block-size", "N", "block size of the volume: 512 or 4096 (default: its own)"},
	{NULL, NULL, NULL},
};

const struct verb verb_table[] = {
	{"target", "create", "NAME VOLUME...",
	 "make a disk controller; a VOLUME is file:PATH or null:SIZE", 2, ARGUMENTS_MAX,
	 create_options, verb_target_create},
	{"target", "list", "", "show all targets", 0, 0, NULL, verb_target_list},
	{"target", "info", "NAME", "show one target: namespaces, client, counters", 1, 1, NULL,
	 verb_target_info},
	{"target", "destroy", "NAME", "disconnect its client and forget it; volumes stay", 1, 1,
	 NULL, verb_target_destroy},
	{"target", "start", "NAME", "try a failed target again", 1, 1, NULL, verb_target_start},
	{"target", "attach", "NAME VOLUME", "give it one more namespace, live", 2, 2,
	 attach_options, verb_target_attach},
	{"target", "detach", "NAME NSID", "take a namespace away, live", 2, 2, NULL,
	 verb_target_detach},
	{"target", "resize", "NAME NSID SIZE", "change a namespace's size, live", 3, 3, NULL,
	 verb_target_resize},
	{"target", "rescan", "NAME [NSID]", "look at the size of its volumes again", 1, 2, NULL,
	 verb_target_rescan},
	{"daemon", "status", "", "show the daemon and its workers", 0, 0, NULL, verb_daemon_status},
	{"daemon", "start", "[-- OPTION...]", "start quoind in the background, with its OPTIONs", 0,
	 0, NULL, verb_daemon_start},
	{"daemon", "stop", "", "stop quoind; targets come back at the next start", 0, 0, NULL,
	 verb_daemon_stop},
	{"daemon", "restart", "", "stop quoind and start it with the options it had", 0, 0, NULL,
	 verb_daemon_restart},
	{"help", NULL, "[NOUN [VERB]]", "print help", 0, 2, NULL, verb_help},
	{"version", NULL, "", "print the version", 0, 0, NULL, verb_version},
	{NULL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};
