#include "store/verify/findings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

const char *ul_severity_name(enum ul_severity severity)
{
	return severity == UL_FINDING_DAMAGE ? "damage" : "note";
}

void ul_findings_release(struct ul_findings *findings)
{
	free(findings->items);
	ul_arena_release(&findings->arena);
	*findings = UL_FINDINGS_INIT;
}

/* Room for one more, zeroed. NULL without memory. */
static struct ul_finding *next(struct ul_findings *findings)
{
	struct ul_finding *items = ul_grow(findings->items, &findings->cap,
					   findings->len + 1, sizeof *items);

	if (!items)
		return NULL;
	findings->items = items;
	items[findings->len] = (struct ul_finding){ .key = NULL };
	return &items[findings->len];
}

static struct ul_finding *take(struct ul_findings *findings,
			       struct ul_finding *to,
			       const struct ul_finding *from)
{
	struct ul_arena *arena = &findings->arena;

	*to = (struct ul_finding){
		.severity = from->severity,
		.kind = ul_arena_strdup(arena, from->kind),
		.key = ul_arena_strdup(arena, from->key),
		.what = ul_arena_strdup(arena, from->what),
		.repair = ul_arena_strdup(arena, from->repair),
		.is_loss = from->is_loss,
		.is_repaired = from->is_repaired,
	};
	if (!to->kind || !to->key || !to->what || !to->repair)
		return NULL;
	findings->len++;
	findings->damage_count += from->severity == UL_FINDING_DAMAGE;
	return to;
}

struct ul_finding *ul_findings_add(struct ul_findings *findings,
				   enum ul_severity severity, const char *kind,
				   const char *key, const char *repair,
				   const char *fmt, ...)
{
	ul_cleanup(ul_buf_release) struct ul_buf what = UL_BUF_INIT;
	struct ul_finding *to = next(findings);
	struct ul_finding finding = {
		.severity = severity,
		.kind = kind,
		.key = key,
		.repair = repair,
	};
	va_list ap;

	va_start(ap, fmt);
	ul_buf_vprintf(&what, fmt, ap);
	va_end(ap);
	if (!to || what.failed)
		return NULL;
	finding.what = ul_buf_str(&what);
	return take(findings, to, &finding);
}

static bool has_image(const struct ul_finding *finding, const char *image)
{
	size_t i;

	for (i = 0; i < finding->image_count; i++) {
		if (!strcmp(finding->images[i], image))
			return true;
	}
	return false;
}

/* The array has room for a power of two of them, and is moved by doubling. */
static bool image_add(struct ul_findings *findings, struct ul_finding *finding,
		      const char *image)
{
	size_t count = finding->image_count;
	const char **images = finding->images;

	if (!(count & (count - 1))) {
		images = ul_arena_alloc(&findings->arena,
					2 * (count + 1) * sizeof *images);
		if (!images)
			return false;
		if (count)
			memcpy(images, finding->images, count * sizeof *images);
		finding->images = images;
	}
	images[count] = ul_arena_strdup(&findings->arena, image);
	if (!images[count])
		return false;
	finding->image_count++;
	return true;
}

bool ul_findings_hurts(struct ul_findings *findings, const char *image)
{
	struct ul_finding *last = &findings->items[findings->len - 1];

	return has_image(last, image) || image_add(findings, last, image);
}

static bool append_one(struct ul_findings *findings,
		       const struct ul_finding *from)
{
	struct ul_finding *to = next(findings);
	size_t i;

	if (!to || !take(findings, to, from))
		return false;
	for (i = 0; i < from->image_count; i++) {
		if (!ul_findings_hurts(findings, from->images[i]))
			return false;
	}
	return true;
}

bool ul_findings_append(struct ul_findings *findings,
			const struct ul_findings *from)
{
	size_t i;

	for (i = 0; i < from->len; i++) {
		if (!append_one(findings, &from->items[i]))
			return false;
	}
	return true;
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int finding_cmp(const void *a, const void *b)
{
	const struct ul_finding *left = a, *right = b;
	int order = (int)right->severity - (int)left->severity;

	if (!order)
		order = strcmp(left->kind, right->kind);
	if (!order)
		order = strcmp(left->key, right->key);
	return order ? order : strcmp(left->what, right->what);
}

void ul_findings_sort(struct ul_findings *findings)
{
	size_t i;

	for (i = 0; i < findings->len; i++) {
		struct ul_finding *finding = &findings->items[i];

		if (finding->image_count)
			qsort(finding->images, finding->image_count,
			      sizeof *finding->images, text_cmp);
	}
	if (findings->len)
		qsort(findings->items, findings->len, sizeof *findings->items,
		      finding_cmp);
}

const struct ul_finding *ul_findings_find(const struct ul_findings *findings,
					  const struct ul_finding *like)
{
	size_t i;

	for (i = 0; i < findings->len; i++) {
		if (!finding_cmp(&findings->items[i], like))
			return &findings->items[i];
	}
	return NULL;
}

/* Damage of the same thing, which is there in another way now. */
static struct ul_finding *same_thing(struct ul_findings *findings, size_t count,
				     const struct ul_finding *like)
{
	size_t i;

	for (i = 0; i < count; i++) {
		struct ul_finding *finding = &findings->items[i];

		if (finding->is_repaired &&
		    !strcmp(finding->kind, like->kind) &&
		    !strcmp(finding->key, like->key))
			return finding;
	}
	return NULL;
}

/* "is too short; now it is missing" */
static bool turned_into(struct ul_findings *findings,
			struct ul_finding *finding,
			const struct ul_finding *now)
{
	ul_cleanup(ul_buf_release) struct ul_buf what = UL_BUF_INIT;

	if (!ul_buf_printf(&what, "%s; now it %s", finding->what, now->what))
		return false;
	finding->what = ul_arena_strdup(&findings->arena, ul_buf_str(&what));
	finding->repair = ul_arena_strdup(&findings->arena, now->repair);
	finding->is_repaired = false;
	return finding->what && finding->repair;
}

bool ul_findings_settle(struct ul_findings *before,
			const struct ul_findings *after)
{
	size_t i, count = before->len;

	for (i = 0; i < count; i++) {
		struct ul_finding *finding = &before->items[i];

		finding->is_repaired = finding->severity == UL_FINDING_DAMAGE &&
				       !ul_findings_find(after, finding);
	}
	for (i = 0; i < after->len; i++) {
		const struct ul_finding *now = &after->items[i];
		struct ul_finding *was;
		bool ok;

		if (now->severity != UL_FINDING_DAMAGE ||
		    ul_findings_find(before, now))
			continue;
		was = same_thing(before, count, now);
		ok = was ? turned_into(before, was, now)
			 : append_one(before, now);
		if (!ok)
			return false;
	}
	return true;
}

bool ul_findings_are_bad(const struct ul_findings *findings)
{
	size_t i;

	for (i = 0; i < findings->len; i++) {
		const struct ul_finding *finding = &findings->items[i];

		if (finding->severity == UL_FINDING_DAMAGE &&
		    (!finding->is_repaired || finding->is_loss))
			return true;
	}
	return false;
}
