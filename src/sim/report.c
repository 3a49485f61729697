/* SPDX-License-Identifier: Apache-2.0 */
/* What a run tells. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim.h"

const char *sim_kind_name(enum sim_kind kind)
{
	static const char *const names[] = {
		[SIM_OPS] = "ops",	 [SIM_CRASH] = "crash", [SIM_SHORT] = "short",
		[SIM_DOUBLE] = "double", [SIM_SWEEP] = "sweep", [SIM_BARRIERS] = "barriers",
	};

	return names[kind];
}

void sim_fail(const struct sim_context *context, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(context->report->failure, sizeof(context->report->failure), format, arguments);
	va_end(arguments);
	if (context->options->no_fork)
		abort();
	_exit(EXIT_FAILURE);
}

void sim_report_add(struct sim_report *total, const struct sim_report *part)
{
	total->ended = total->ended || part->ended;
	total->seeds += part->seeds;
	total->ops += part->ops;
	total->checks += part->checks;
	total->cuts += part->cuts;
	total->states += part->states;
	total->imports += part->imports;
	total->faults += part->faults;
	total->copies += part->copies;
	total->trims += part->trims;
	if (part->failure[0] != '\0')
		snprintf(total->failure, sizeof(total->failure), "%s", part->failure);
}

void sim_report_print(const struct sim_options *options, const struct sim_report *total,
		      double seconds)
{
	if (options->json)
		printf("{\"kind\": \"%s\", \"seconds\": %.1f, \"seeds\": %llu, \"ops\": %llu, "
		       "\"checks\": %llu, \"cuts\": %llu, \"states\": %llu, \"imports\": %llu, "
		       "\"faults\": %llu, \"copies\": %llu, \"trims\": %llu}\n",
		       sim_kind_name(total->kind), seconds, (unsigned long long)total->seeds,
		       (unsigned long long)total->ops, (unsigned long long)total->checks,
		       (unsigned long long)total->cuts, (unsigned long long)total->states,
		       (unsigned long long)total->imports, (unsigned long long)total->faults,
		       (unsigned long long)total->copies, (unsigned long long)total->trims);
	else
		printf("%-8s %7.1f s  %llu seeds, %llu operations, %llu checks, %llu cuts, "
		       "%llu crash states, %llu imports, %llu faults, %llu copies, %llu trims\n",
		       sim_kind_name(total->kind), seconds, (unsigned long long)total->seeds,
		       (unsigned long long)total->ops, (unsigned long long)total->checks,
		       (unsigned long long)total->cuts, (unsigned long long)total->states,
		       (unsigned long long)total->imports, (unsigned long long)total->faults,
		       (unsigned long long)total->copies, (unsigned long long)total->trims);
	fflush(stdout);
}
