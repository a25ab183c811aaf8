#include "store/followers.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/search.h"
#include "store/oci/reference.h"
#include "store/view.h"

void ul_followers_release(struct ul_followers *followers)
{
	ul_map_release(&followers->subjects);
	free(followers->holders);
	free(followers->tags);
	free(followers->total);
	free(followers->chosen);
	free(followers->queue);
	ul_arena_release(&followers->arena);
	*followers = UL_FOLLOWERS_INIT;
}

static const char *image_name(const struct ul_view *view,
			      const struct ul_view_image *image, size_t i)
{
	return view->record.objects[image->names[i]].key;
}

/* Whether all names are tags of subjects. */
static bool is_tagged(const struct ul_view *view,
		      const struct ul_view_image *image)
{
	struct ul_digest subject;
	size_t i;

	for (i = 0; i < image->name_count; i++) {
		if (!ul_reference_subject_tag(image_name(view, image, i),
					      &subject))
			return false;
	}
	return image->name_count > 0;
}

static bool pair_add(struct ul_follower_pair **pairs, size_t *count,
		     size_t *cap, size_t image, uint32_t subject)
{
	struct ul_follower_pair *grown =
	    ul_grow(*pairs, cap, *count + 1, sizeof *grown);

	if (!grown)
		return false;
	*pairs = grown;
	grown[(*count)++] = (struct ul_follower_pair){
		.image = (uint32_t)image,
		.subject = subject,
	};
	return true;
}

/* The number of a subject, new or not; NONE without memory. */
static uint32_t subject_number(struct ul_followers *followers,
			       const struct ul_digest *subject)
{
	char text[UL_DIGEST_TEXT_MAX];
	uint32_t number;
	char *key;

	ul_digest_format(subject, text);
	number = ul_map_get_str(&followers->subjects, text);
	if (number != UL_MAP_NONE)
		return number;
	number = (uint32_t)followers->subjects.len;
	key = ul_arena_strdup(&followers->arena, text);
	if (!key || !ul_map_set(&followers->subjects, key, strlen(key), number))
		return UL_MAP_NONE;
	return number;
}

static bool tags_add(struct ul_followers *followers, size_t at)
{
	const struct ul_view *view = followers->view;
	const struct ul_view_image *image = &view->images[at];
	struct ul_digest subject;
	uint32_t number;
	size_t i;

	if (!is_tagged(view, image))
		return true;
	for (i = 0; i < image->name_count; i++) {
		ul_reference_subject_tag(image_name(view, image, i), &subject);
		number = subject_number(followers, &subject);
		if (number == UL_MAP_NONE ||
		    !pair_add(&followers->tags, &followers->tag_count,
			      &followers->tag_cap, at, number))
			return false;
	}
	return true;
}

static bool holder_add(struct ul_followers *followers, size_t image,
		       const char *digest)
{
	uint32_t number = ul_map_get_str(&followers->subjects, digest);

	return number == UL_MAP_NONE ||
	       pair_add(&followers->holders, &followers->holder_count,
			&followers->holder_cap, image, number);
}

static bool holders_add(struct ul_followers *followers, size_t at)
{
	const struct ul_view *view = followers->view;
	const struct ul_view_image *image = &view->images[at];
	size_t i;

	if (!holder_add(followers, at, image->digest))
		return false;
	for (i = 0; i < image->platform_count; i++) {
		uint32_t manifest = image->platforms[i].manifest;

		if (!holder_add(followers, at,
				view->record.objects[manifest].key))
			return false;
	}
	return true;
}

static int tag_cmp(const void *a, const void *b)
{
	const struct ul_follower_pair *left = a, *right = b;

	if (left->subject != right->subject)
		return left->subject < right->subject ? -1 : 1;
	return left->image < right->image ? -1 : left->image > right->image;
}

/* They are added in this order; an image's subjects stand as they came. */
static int holder_cmp(const void *a, const void *b)
{
	const struct ul_follower_pair *left = a, *right = b;

	return left->image < right->image ? -1 : left->image > right->image;
}

static bool scratch_alloc(struct ul_followers *followers)
{
	size_t count = followers->subjects.len, i;

	followers->total = ul_calloc(count, sizeof *followers->total);
	followers->chosen = ul_calloc(count, sizeof *followers->chosen);
	followers->queue =
	    ul_malloc(followers->view->image_count * sizeof *followers->queue);
	if (!followers->total || !followers->chosen || !followers->queue)
		return false;
	for (i = 0; i < followers->holder_count; i++)
		followers->total[followers->holders[i].subject]++;
	return true;
}

int ul_followers_build(const struct ul_view *view, struct ul_followers *ret,
		       struct ul_err *err)
{
	ul_cleanup(ul_followers_release) struct ul_followers followers =
	    UL_FOLLOWERS_INIT;
	bool ok = true;
	size_t i;

	followers.view = view;
	for (i = 0; ok && i < view->image_count; i++)
		ok = tags_add(&followers, i);
	for (i = 0; ok && followers.tag_count && i < view->image_count; i++)
		ok = holders_add(&followers, i);
	if (!ok || !scratch_alloc(&followers))
		return ul_err_nomem(err);
	if (followers.tag_count)
		qsort(followers.tags, followers.tag_count,
		      sizeof *followers.tags, tag_cmp);
	*ret = followers;
	followers = UL_FOLLOWERS_INIT;
	return 0;
}

/* The first of an image's pairs, or where they would stand. */
static size_t holders_at(const struct ul_followers *followers, size_t image)
{
	const struct ul_follower_pair first = { .image = (uint32_t)image };

	return ul_lower_bound(&first, followers->holders,
			      followers->holder_count,
			      sizeof *followers->holders, holder_cmp);
}

static size_t tags_at(const struct ul_followers *followers, uint32_t subject)
{
	const struct ul_follower_pair first = { .subject = subject };

	return ul_lower_bound(&first, followers->tags, followers->tag_count,
			      sizeof *followers->tags, tag_cmp);
}

bool ul_followers_has(const struct ul_followers *followers, size_t image)
{
	size_t at = holders_at(followers, image);

	return at < followers->holder_count &&
	       followers->holders[at].image == image;
}

/* Whether all that has the subject goes; false where nothing has it. */
static bool subject_goes(const struct ul_followers *followers, uint32_t subject)
{
	return followers->total[subject] &&
	       followers->chosen[subject] == followers->total[subject];
}

static bool image_follows(const struct ul_followers *followers, uint32_t at)
{
	const struct ul_view *view = followers->view;
	const struct ul_view_image *image = &view->images[at];
	char text[UL_DIGEST_TEXT_MAX];
	struct ul_digest subject;
	size_t i;

	if (image->is_pinned || image->containers)
		return false;
	for (i = 0; i < image->name_count; i++) {
		ul_reference_subject_tag(image_name(view, image, i), &subject);
		ul_digest_format(&subject, text);
		if (!subject_goes(followers,
				  ul_map_get_str(&followers->subjects, text)))
			return false;
	}
	return true;
}

/* A subject goes: queue what follows it now. */
static size_t subject_follow(struct ul_followers *followers, uint32_t subject,
			     bool *chosen, size_t len)
{
	size_t i;

	for (i = tags_at(followers, subject); i < followers->tag_count; i++) {
		uint32_t image = followers->tags[i].image;

		if (followers->tags[i].subject != subject)
			break;
		if (chosen[image] || !image_follows(followers, image))
			continue;
		chosen[image] = true;
		followers->queue[len++] = image;
	}
	return len;
}

void ul_followers_choose(struct ul_followers *followers, bool *chosen)
{
	size_t head, at, len = 0, count = followers->view->image_count;

	if (!followers->tag_count)
		return;
	memset(followers->chosen, 0,
	       followers->subjects.len * sizeof *followers->chosen);
	for (at = 0; at < count; at++) {
		if (chosen[at])
			followers->queue[len++] = (uint32_t)at;
	}
	/* What follows may itself be followed: a signature of a signature. */
	for (head = 0; head < len; head++) {
		uint32_t image = followers->queue[head];

		for (at = holders_at(followers, image);
		     at < followers->holder_count &&
		     followers->holders[at].image == image;
		     at++) {
			uint32_t subject = followers->holders[at].subject;

			followers->chosen[subject]++;
			if (subject_goes(followers, subject))
				len = subject_follow(followers, subject, chosen,
						     len);
		}
	}
}
