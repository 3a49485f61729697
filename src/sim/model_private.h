/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the model have of each other. */
#ifndef SIM_MODEL_PRIVATE_H
#define SIM_MODEL_PRIVATE_H

#include "model.h"

uint32_t write_new(struct model *model, const struct model_write *write);
bool write_hidden(const struct model *model, uint32_t cell, uint32_t write, uint64_t by);
void write_shows(struct model *model, unsigned volume, uint32_t write);
void cells_prune(struct model *model, struct cells *cells, const struct model_write *write);
uint32_t copy_begin(struct model *model, const struct model_event *event);
void copy_follow(struct model *model, const struct model_copy *copy, uint32_t write);
bool copy_end(struct model *model, uint32_t write, int result);
void cells_resize(struct model *model, struct cells *cells, uint32_t count);
void cells_copy(struct model *model, struct cells *to, const struct cells *from, uint64_t begin);
void cells_copy_part(struct model *model, struct cells *to, const struct cells *from,
		     const struct model_verb *verb);
void cells_free(struct model *model, struct cells *cells);
void model_verb_begin(struct model *model, const struct model_verb *verb);
void model_flushed(struct model *model, struct cells *cells, uint64_t begin);

#endif
