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

static const struct verb_option pool_create_options[] = {
	{"force", NULL, "lose what the drives hold"},
	{"set", "KEY=VALUE", "a property, may be repeated: reserve=20%, autotrim=on|off"},
	{NULL, NULL, NULL},
};

static const struct verb_option pool_trim_options[] = {
	{"wait", NULL, "until it is done"},
	{"stop", NULL, "end the one that is under way"},
	{NULL, NULL, NULL},
};

static const struct verb_option pool_import_options[] = {
	{"dir", "DIR", "look at the files and devices in DIR, may be repeated"},
	{"force", NULL, "take it from a host that did not export it"},
	{"rewind", "N", "go back to checkpoint N; what was written later is lost"},
	{"read-only", NULL, "write nothing to its drives"},
	{NULL, NULL, NULL},
};

static const struct verb_option pool_status_options[] = {
	{"verbose", NULL, "and damage, the slowest request, checkpoints and the log (also -v)"},
	{NULL, NULL, NULL},
};

static const struct verb_option health_options[] = {
	{"watch", NULL, "go on, and say when it changes, until it is ended"},
	{"format", "FORMAT", "table, json, or what EVE is told: eve-json, eve-binary"},
	{NULL, NULL, NULL},
};

static const struct verb_option force_options[] = {
	{"force", NULL, "lose what it holds"},
	{NULL, NULL, NULL},
};

static const struct verb_option volume_create_options[] = {
	{"size", "N", "its size, a multiple of 4096 bytes"},
	{"set", "KEY=VALUE", "a property, may be repeated: see volume set"},
	{NULL, NULL, NULL},
};

static const struct verb_option volume_deploy_options[] = {
	{"from", "SOURCE", "a path, http://, https://, nbd://, POOL/NAME or POOL/NAME@SNAP"},
	{"size", "N", "of the volume (default: the image's)"},
	{"mode", "MODE", "online (default): usable at once; first: when all of it is here"},
	{"sha256", "DIGEST", "what the image file must have"},
	{"digest-list", "FILE", "of its pieces, made by image digest: nothing else is shown"},
	{"rate", "N", "bytes a second at most"},
	{"wait", NULL, "until all of it is here"},
	{"no-wait", NULL, "not even with --mode first"},
	{NULL, NULL, NULL},
};

static const struct verb_option resume_options[] = {
	{"rate", "N", "from now on, bytes a second at most"},
	{NULL, NULL, NULL},
};

static const struct verb_option shrink_options[] = {
	{"force", NULL, "cut off what is beyond a smaller size"},
	{NULL, NULL, NULL},
};

static const struct verb_option recursive_options[] = {
	{"recursive", NULL, "with its snapshots (-r)"},
	{NULL, NULL, NULL},
};

static const struct verb_option rollback_options[] = {
	{"recursive", NULL, "newer snapshots are destroyed (-r)"},
	{NULL, NULL, NULL},
};

static const struct verb_option test_options[] = {
	{"long", NULL, "the long test, which takes hours"},
	{"stop", NULL, "end the one that runs"},
	{NULL, NULL, NULL},
};

static const struct verb_option events_options[] = {
	{"follow", NULL, "go on with what happens, until it is ended"},
	{"since", "N", "only those after number N"},
	{"severity", "SEVERITY", "notice, warning or error: this or worse"},
	{"object", "NAME", "of a pool, volume, snapshot or target, with what is in it"},
	{NULL, NULL, NULL},
};

static const struct verb_option top_options[] = {
	{"once", NULL, "print once and end"},
	{"interval", "SECONDS", "between two looks, 0.1 to 3600 (default 2)"},
	{NULL, NULL, NULL},
};

static const struct verb_option copy_options[] = {
	{"offset", "N", "copy from this byte on, into a volume that is there"},
	{"length", "N", "so many bytes (default: to the end)"},
	{"to-offset", "N", "to this byte on (default: 0)"},
	{NULL, NULL, NULL},
};

static const struct verb_option export_options[] = {
	{"to", "FILE", "the file to make"},
	{"format", "FORMAT", "raw (default) or qcow2"},
	{"force", NULL, "replace FILE"},
	{NULL, NULL, NULL},
};

static const struct verb_option inspect_options[] = {
	{"checkpoint", "N", "look at checkpoint N (default: the newest)"},
	{"live", NULL, "take no lock; a pool that is in use may look damaged"},
	{NULL, NULL, NULL},
};

static const struct verb_option inspect_check_options[] = {
	{"data", NULL, "read every block of data too, from every drive"},
	{"checkpoint", "N", "look at checkpoint N (default: the newest)"},
	{"live", NULL, "take no lock; a pool that is in use may look damaged"},
	{NULL, NULL, NULL},
};

const struct verb verb_table[] = {
	{"pool", "create", "NAME LAYOUT...",
	 "make a pool; a LAYOUT is DRIVE..., or mirror DRIVE DRIVE...", 2, ARGUMENTS_MAX,
	 pool_create_options, verb_pool_create},
	{"pool", "list", "", "show all pools", 0, 0, NULL, verb_pool_list},
	{"pool", "status", "[NAME]", "show health, problems, space and drives", 0, 1,
	 pool_status_options, verb_pool_status},
	{"pool", "import", "[NAME [DRIVE...]]",
	 "take a pool into service; without NAME, show what there is", 0, ARGUMENTS_MAX,
	 pool_import_options, verb_pool_import},
	{"pool", "export", "NAME", "give a pool up, for another host", 1, 1, NULL,
	 verb_pool_export},
	{"pool", "destroy", "NAME", "lose a pool", 1, 1, force_options, verb_pool_destroy},
	{"pool", "set", "NAME KEY=VALUE...", "change properties: reserve, autotrim", 2, 8, NULL,
	 verb_pool_set},
	{"pool", "get", "NAME [KEY]", "show properties", 1, 2, NULL, verb_pool_get},
	{"pool", "trim", "NAME", "tell its drives of all space that is free", 1, 1,
	 pool_trim_options, verb_pool_trim},
	{"pool", "history", "NAME", "show what was done to a pool", 1, 1, NULL, verb_pool_history},
	{"volume", "create", "POOL/NAME", "make a volume", 1, 1, volume_create_options,
	 verb_volume_create},
	{"volume", "list", "[POOL]", "show volumes", 0, 1, NULL, verb_volume_list},
	{"volume", "info", "POOL/NAME", "show one volume", 1, 1, NULL, verb_volume_info},
	{"volume", "resize", "POOL/NAME SIZE", "change its size; guests see it", 2, 2,
	 shrink_options, verb_volume_resize},
	{"volume", "rename", "POOL/NAME POOL/NEW", "give it another name", 2, 2, NULL,
	 verb_volume_rename},
	{"volume", "destroy", "POOL/NAME", "lose a volume", 1, 1, recursive_options,
	 verb_volume_destroy},
	{"volume", "set", "POOL/NAME KEY=VALUE...",
	 "change properties: quota, refquota, reservation, refreservation, full, readonly", 2, 16,
	 NULL, verb_volume_set},
	{"volume", "get", "POOL/NAME [KEY]", "show properties", 1, 2, NULL, verb_volume_get},
	{"volume", "snapshot", "POOL/NAME@SNAP...", "make snapshots, several of one instant", 1,
	 ARGUMENTS_MAX, NULL, verb_volume_snapshot},
	{"volume", "rollback", "POOL/NAME@SNAP", "make the volume what the snapshot is", 1, 1,
	 rollback_options, verb_volume_rollback},
	{"volume", "clone", "POOL/NAME@SNAP POOL/NEW", "make a volume of a snapshot", 2, 2, NULL,
	 verb_volume_clone},
	{"volume", "promote", "POOL/NAME", "let a clone take over its origin's snapshots", 1, 1,
	 NULL, verb_volume_promote},
	{"volume", "copy", "POOL/NAME[@SNAP] POOL/NEW",
	 "copy it, or a range of it, by reference: no data is moved", 2, 2, copy_options,
	 verb_volume_copy},
	{"volume", "export", "POOL/NAME[@SNAP]", "write it to an image file", 1, 1, export_options,
	 verb_volume_export},
	{"export", "list", "", "show exports: how far they are, how they ended", 0, 0, NULL,
	 verb_export_list},
	{"export", "cancel", "ID", "stop an export; one that has ended is forgotten", 1, 1, NULL,
	 verb_export_cancel},
	{"volume", "deploy", "POOL/NAME --from SOURCE", "make a volume of an image", 1, 1,
	 volume_deploy_options, verb_volume_deploy},
	{"volume", "pause", "POOL/NAME", "fetch of its image only what is read", 1, 1, NULL,
	 verb_volume_pause},
	{"volume", "resume", "POOL/NAME", "go on with its image, at once", 1, 1, resume_options,
	 verb_volume_resume},
	{"volume", "cancel", "POOL/NAME", "give its image up, and the volume", 1, 1, NULL,
	 verb_volume_cancel},
	{"snapshot", "list", "[POOL | POOL/NAME]", "show snapshots", 0, 1, NULL,
	 verb_snapshot_list},
	{"snapshot", "destroy", "POOL/NAME@SNAP...", "lose snapshots", 1, ARGUMENTS_MAX, NULL,
	 verb_snapshot_destroy},
	{"snapshot", "hold", "POOL/NAME@SNAP TAG", "forbid to destroy it", 2, 2, NULL,
	 verb_snapshot_hold},
	{"snapshot", "release", "POOL/NAME@SNAP TAG", "take a hold off", 2, 2, NULL,
	 verb_snapshot_release},
	{"snapshot", "set", "POOL/NAME@SNAP template=on|off",
	 "make it a template, which is not destroyed, or an ordinary one again", 2, 2, NULL,
	 verb_snapshot_set},
	{"snapshot", "rename", "POOL/NAME@SNAP SNAP", "give it another name", 2, 2, NULL,
	 verb_snapshot_rename},
	{"target", "create", "NAME VOLUME...",
	 "make a disk controller; a VOLUME is POOL/NAME, file:PATH or null:SIZE", 2, ARGUMENTS_MAX,
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
	{"health", NULL, "", "is everything well, and if not, what to do; exits with 1 then", 0, 0,
	 health_options, verb_health},
	{"drive", "list", "", "show what the drives of pools say of themselves", 0, 0, NULL,
	 verb_drive_list},
	{"drive", "info", "DRIVE", "show all that one says", 1, 1, NULL, verb_drive_info},
	{"drive", "test", "DRIVE", "let it begin its own self-test", 1, 1, test_options,
	 verb_drive_test},
	{"schedule", "list", "", "show what is done by itself, and when next", 0, 0, NULL,
	 verb_schedule_list},
	{"schedule", "set", "POOL JOB=EVERY...",
	 "short-test or long-test of its drives, off, daily, weekly, monthly, 36h or 10d", 2, 8,
	 NULL, verb_schedule_set},
	{"events", NULL, "", "show what happened, oldest first", 0, 0, events_options, verb_events},
	{"eve", "show", "", "show where EVE is told how the storage is, and how that goes", 0, 0,
	 NULL, verb_eve_show},
	{"eve", "set", "KEY=VALUE...",
	 "change that: device, socket, directory, controller, format, info, metrics, hardware", 1,
	 16, NULL, verb_eve_set},
	{"eve", "send", "", "tell all of it again, now", 0, 0, NULL, verb_eve_send},
	{"eve", "print", "", "print the messages as of now, as JSON", 0, 0, NULL, verb_eve_print},
	{"top", NULL, "", "show what is busy, again and again; q ends it, s sorts", 0, 0,
	 top_options, verb_top},
	{"image", "digest", "SOURCE", "print the list of digests of an image", 1, 1, NULL,
	 verb_image_digest},
	{"inspect", "check", "DRIVE...", "check a pool without quoind; writes nothing", 1,
	 ARGUMENTS_MAX, inspect_check_options, verb_inspect_check},
	{"inspect", "space", "DRIVE...", "count who uses its space", 1, ARGUMENTS_MAX,
	 inspect_options, verb_inspect_space},
	{"inspect", "dump", "WHAT [NAME] DRIVE...",
	 "print label, super, drives, segments, volumes, snapshots, history, log, map NAME, "
	 "deadlist NAME, bitmap SEGMENT or block SEGMENT:SLOT",
	 2, ARGUMENTS_MAX, inspect_options, verb_inspect_dump},
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
