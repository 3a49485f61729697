/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: what needs no pool. Sources that are read, lists of digests, files that are written.
 * Volumes that an image arrives in: quoin/image_deploy.h.
 */
#ifndef QUOIN_IMAGE_H
#define QUOIN_IMAGE_H

#include <quoin/image_digest.h>
#include <quoin/image_export.h>
#include <quoin/image_source.h>

#endif
