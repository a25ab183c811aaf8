/*
 * store/followers.h - images that go with others.
 *
 * Tags "sha256-<hex>.sig|.att|.sbom" follow their subject: an image all of
 * whose names are such tags goes where every image that has one of their
 * subjects goes; never one that is pinned or in use.
 */
#ifndef UL_STORE_FOLLOWERS_H
#define UL_STORE_FOLLOWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"

struct ul_err;
struct ul_view;

/* An image (position in view->images) and the number of a subject. */
struct ul_follower_pair {
	uint32_t image, subject;
};

struct ul_followers {
	const struct ul_view *view; /* borrowed, and its images unchanged */
	struct ul_map subjects;     /* digest -> number */
	/* Owned. Images that have a subject, by image; those whose tags name
	 * one, by subject. */
	struct ul_follower_pair *holders, *tags;
	size_t holder_count, holder_cap, tag_count, tag_cap;
	uint32_t *total;  /* owned; by subject: holders */
	uint32_t *chosen; /* owned; by subject: holders that go; scratch */
	uint32_t *queue;  /* owned; images; scratch */
	struct ul_arena arena;
};
#define UL_FOLLOWERS_INIT ((struct ul_followers){ .view = NULL })

/*
 * Find out who may follow whom.
 * Owner:   *ret, released by ul_followers_release(); the view must outlive it.
 * Returns: 0, UL_E_NOMEM.
 */
int ul_followers_build(const struct ul_view *view, struct ul_followers *ret,
		       struct ul_err *err);
void ul_followers_release(struct ul_followers *followers);

/* Whether anything can follow this image. */
bool ul_followers_has(const struct ul_followers *followers, size_t image);

/* Mark in chosen (one flag an image) those that follow the marked. */
void ul_followers_choose(struct ul_followers *followers, bool *chosen);

#endif
