/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the server's routes, "METHOD PATTERN" each, for the test that compares them. */
#include <stdio.h>

#include <quoin/api.h>

int main(void)
{
	struct api_route_name route;

	for (unsigned i = 0; api_route_at(i, &route); i++)
		printf("%s %s\n", route.method, route.pattern);
	return 0;
}
