/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of requests on images that arrive. */
#include <quoin/api_pool_json.h>
#include <quoin/control_pool.h>

#include "routes.h"

static int answer_deploy(struct call *call, struct err *err)
{
	struct control_deploy_info info;
	int r = control_deploy_info(call->control, call->ask->name, &info, err);

	if (r == 0)
		call->answer = api_deploy_encode(&info);
	return r;
}

int api_volume_deploy(struct call *call, struct err *err)
{
	const struct api_ask *ask = call->ask;
	const struct control_deploy_params params = {
		.name = ask->name,
		.source = ask->source,
		.size_bytes = ask->size,
		.first = ask->first,
		.sha256 = ask->sha256,
		.digest_list = ask->digest_list,
		.rate_bytes = ask->rate,
	};
	int r = control_deploy_start(call->control, &params, err);

	return r < 0 ? r : answer_deploy(call, err);
}

int api_deploy_info(struct call *call, struct err *err)
{
	return answer_deploy(call, err);
}

int api_deploy_change(struct call *call, struct err *err)
{
	const struct api_ask *ask = call->ask;
	const struct control_deploy_change change = {
		.has_paused = (ask->given & ASK_PAUSED) != 0,
		.paused = ask->paused,
		.has_rate = (ask->given & ASK_RATE) != 0,
		.rate_bytes = ask->rate,
	};
	int r = control_deploy_change(call->control, ask->name, &change, err);

	return r < 0 ? r : answer_deploy(call, err);
}

int api_deploy_cancel(struct call *call, struct err *err)
{
	return control_deploy_cancel(call->control, call->ask->name, err);
}
