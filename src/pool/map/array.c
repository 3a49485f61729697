/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees of pages by index: the record trees and deadlists. Leaves are the caller's; an edit
 * rewrites the inner pages above them, bottom-up, each once.
 */
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "map/map.h"
#include "map/tree.h"

int tree_leaf_find(struct pages *pages, enum node_kind kind, const struct node_ptr *root,
		   uint64_t leaf, struct node_ptr *ret_ptr)
{
	struct page_ref ref = {.ptr = *root, .kind = kind};
	uint8_t page[PAGE_BYTES];
	int error;

	error = tree_root_check(root, kind);
	if (error)
		return error;
	if (tree_index(leaf, root->level) != 0)
		ref.ptr = (struct node_ptr){0};
	while (ref.ptr.level > 0) {
		error = pages_read(pages, &ref, page);
		if (error)
			return error;
		error = tree_child(&ref, page, tree_slot(leaf, ref.ptr.level), &ref);
		if (error)
			return error;
	}
	*ret_ptr = ref.ptr;
	return 0;
}

int array_read(struct pages *pages, enum node_kind kind, const struct node_ptr *root,
	       uint64_t index, uint8_t page[PAGE_BYTES])
{
	struct page_ref ref = {.kind = kind, .index = index};
	const int error = tree_leaf_find(pages, kind, root, index, &ref.ptr);

	if (error)
		return error;
	if (ref.ptr.vaddr != 0)
		return pages_read(pages, &ref, page);
	memset(page, 0, PAGE_BYTES);
	return 0;
}

struct editor {
	struct pages *pages;
	const struct array_edit *edits;
	size_t count, at;
	bool free_leaves;
	uint8_t buffers[NODE_LEVELS_MAX + 1][PAGE_BYTES]; /* by level */
};

static bool edit_before(const struct editor *editor, uint64_t end)
{
	return editor->at < editor->count && editor->edits[editor->at].index < end;
}

static uint64_t end_of(const struct page_ref *ref)
{
	return (ref->index + 1) * node_span_pages(ref->ptr.level);
}

/* What the parent of these children says of them. The number of children, or negative errno. */
static int sum_children(const struct page_ref *ref, const uint8_t *page, struct node_ptr *sums)
{
	struct page_ref child;
	int count = 0;
	int error;

	for (unsigned slot = 0; slot < NODE_FANOUT; slot++) {
		error = tree_child(ref, page, slot, &child);
		if (error)
			return error;
		if (child.ptr.vaddr == 0)
			continue;
		count++;
		if (child.ptr.level == 0 && ref->kind != NODE_DEADLIST)
			sums->live++;
		else
			sums->live += child.ptr.live;
		if (ref->kind == NODE_DEADLIST)
			sums->epoch = MAX(sums->epoch, child.ptr.epoch);
	}
	return count;
}

/* ref->ptr becomes the new page; vaddr 0 when it has no children. level stays. */
static int replace_inner(struct editor *editor, struct page_ref *ref)
{
	const uint8_t *page = editor->buffers[ref->ptr.level];
	const struct node_ptr old = ref->ptr;
	struct page_ref new = *ref;
	int result;

	new.ptr = (struct node_ptr){.level = old.level, .kind = (uint8_t)ref->kind};
	result = sum_children(ref, page, &new.ptr);
	if (result > 0)
		result = pages_write(editor->pages, &new, page);
	if (result < 0)
		return result;
	if (old.vaddr != 0)
		pages_unref(editor->pages, &old);
	ref->ptr = new.ptr;
	return 0;
}

static int edit_page(struct editor *editor, struct page_ref *ref);

static void edit_leaf(struct editor *editor, struct page_ref *ref)
{
	const struct node_ptr *ptr = &editor->edits[editor->at++].ptr;

	ASSERT(ptr->vaddr == 0 || (ptr->level == 0 && ptr->kind == ref->kind));
	if (editor->free_leaves && ref->ptr.vaddr != 0 && ref->ptr.vaddr != ptr->vaddr)
		pages_unref(editor->pages, &ref->ptr);
	ref->ptr = *ptr;
}

static int edit_children(struct editor *editor, const struct page_ref *ref)
{
	const unsigned level = ref->ptr.level;
	uint8_t *page = editor->buffers[level];
	struct page_ref child;
	unsigned slot;
	int error;

	while (edit_before(editor, end_of(ref))) {
		slot = tree_slot(editor->edits[editor->at].index, level);
		error = tree_child(ref, page, slot, &child);
		if (error)
			return error;
		child.ptr.level = (uint8_t)(level - 1);
		error = edit_page(editor, &child);
		if (error)
			return error;
		tree_child_put(page, slot, &child.ptr);
	}
	return 0;
}

static int edit_page(struct editor *editor, struct page_ref *ref)
{
	uint8_t *page = editor->buffers[ref->ptr.level];
	int error;

	if (ref->ptr.level == 0) {
		edit_leaf(editor, ref);
		return 0;
	}
	if (ref->ptr.vaddr == 0) {
		memset(page, 0, PAGE_BYTES);
	} else {
		error = pages_read(editor->pages, ref, page);
		if (error)
			return error;
	}
	error = edit_children(editor, ref);
	return error ? error : replace_inner(editor, ref);
}

/* The tree so far becomes the first child of a page one level up. */
static int edit_grown(struct editor *editor, struct page_ref *root)
{
	const unsigned level = root->ptr.level + 1U;
	int error;

	memset(editor->buffers[level], 0, PAGE_BYTES);
	tree_child_put(editor->buffers[level], 0, &root->ptr);
	root->ptr = (struct node_ptr){.level = (uint8_t)level};
	error = edit_children(editor, root);
	return error ? error : replace_inner(editor, root);
}

/* How deep the tree must be. Also holds the caller to the order of edits. */
static unsigned levels_needed(const struct array_edit *edits, size_t count)
{
	unsigned needed = 0;

	for (size_t i = 0; i < count; i++) {
		ASSERT_U64(edits[i].index, <, node_span_pages(NODE_LEVELS_MAX));
		if (i > 0)
			ASSERT_U64(edits[i - 1].index, <, edits[i].index);
		if (edits[i].ptr.vaddr != 0)
			needed = node_levels_for(edits[i].index + 1);
	}
	return needed;
}

int array_edit(struct pages *pages, enum node_kind kind, struct node_ptr *root,
	       const struct array_edit *edits, size_t count, bool free_leaves)
{
	CLEANUP_FREE struct editor *editor = NULL;
	struct page_ref ref = {.ptr = *root, .kind = kind};
	const unsigned needed = levels_needed(edits, count);
	int error;

	error = tree_root_check(root, kind);
	if (error || count == 0)
		return error;
	editor = xcalloc(1, sizeof(*editor));
	editor->pages = pages;
	editor->edits = edits;
	editor->count = count;
	editor->free_leaves = free_leaves;
	if (ref.ptr.vaddr == 0)
		ref.ptr = (struct node_ptr){.level = (uint8_t)needed};
	if (edit_before(editor, end_of(&ref))) {
		error = edit_page(editor, &ref);
		if (error)
			return error;
	}
	while (edit_before(editor, UINT64_MAX) && needed > ref.ptr.level) {
		error = edit_grown(editor, &ref);
		if (error)
			return error;
	}
	/* What is left takes away leaves beyond the tree: there are none. */
	*root = ref.ptr.vaddr != 0 ? ref.ptr : (struct node_ptr){0};
	return 0;
}

size_t array_edit_pages(const struct node_ptr *root, size_t count, uint64_t index_max)
{
	const unsigned needed = node_levels_for(index_max + 1);
	const bool grows = root->vaddr != 0 && root->level < needed;
	const unsigned top = root->vaddr != 0 ? MAX(root->level, needed) : needed;
	size_t pages = 0;
	uint64_t most;

	if (count == 0)
		return 0;
	for (unsigned level = 1; level <= top; level++) {
		most = (index_max >> (NODE_FANOUT_SHIFT * level)) + 1;
		/* Above an old root there is a page that no edit need be below. */
		pages += (size_t)MIN(most, (uint64_t)count + (grows && level > root->level));
	}
	return pages;
}
