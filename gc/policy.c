#include "gc/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/labels.h"
#include "store/oci/reference.h"
#include "store/suggest.h"
#include "store/view.h"

static bool parse_date(const char *text, int64_t *ret_unix_s)
{
	char whole[64];

	if (ul_time_parse(text, ret_unix_s))
		return true;
	/* Docker takes times without a zone, and dates, too. */
	snprintf(whole, sizeof whole, "%.40sZ", text);
	if (ul_time_parse(whole, ret_unix_s))
		return true;
	snprintf(whole, sizeof whole, "%.40sT00:00:00Z", text);
	return ul_time_parse(whole, ret_unix_s);
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int parse_until(const char *value, int64_t now_unix_s, int64_t *ret,
		       struct ul_err *err)
{
	int64_t number;

	if (parse_date(value, ret))
		return 0;
	if (!ul_duration_parse(value, &number))
		return ul_err_set(err, UL_E_INVALID,
				  "until=%s is neither a time "
				  "(2026-11-01T08:00:00Z, 2026-11-01, "
				  "1795423200) nor a duration (90m, 24h, 10d, "
				  "1h30m)",
				  value);
	*ret = is_number(value) ? number : now_unix_s - number;
	return 0;
}

static int parse_unused_for(const char *value, int64_t *ret, struct ul_err *err)
{
	if (ul_duration_parse(value, ret))
		return 0;
	return ul_err_set(err, UL_E_INVALID,
			  "unused-for=%s is no duration (90m, 24h, 10d, 1h30m)",
			  value);
}

/* It would match nothing, and say nothing of why. */
static int pattern_malformed(const char *pattern, struct ul_err *err)
{
	return ul_err_set(err, UL_E_INVALID,
			  "\"%s\" is no pattern: every [ needs its ], every "
			  "\\ a character after it",
			  pattern);
}

/* The value where text begins with the key, else NULL. */
static const char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	return strncmp(text, key, len) ? NULL : text + len;
}

int ul_filter_parse(const char *text, int64_t now_unix_s,
		    struct ul_filter *ret_filter, struct ul_err *err)
{
	static const struct {
		const char *key;
		enum ul_filter_key number;
	} keys[] = {
		{ "until=", UL_FILTER_UNTIL },
		{ "unused-for=", UL_FILTER_UNUSED_FOR },
		{ "label!=", UL_FILTER_NOT_LABEL },
		{ "label=", UL_FILTER_LABEL },
		{ "reference=", UL_FILTER_REFERENCE },
	};
	struct ul_filter filter = { .value = NULL };
	size_t i;
	int rc = 0;

	for (i = 0; i < ul_array_len(keys) && !filter.value; i++) {
		filter.value = value_of(text, keys[i].key);
		filter.key = keys[i].number;
	}
	if (filter.value && !*filter.value)
		return ul_err_set(
		    err, UL_E_INVALID,
		    "filter \"%s\" needs a value: until= a time "
		    "or a duration, unused-for= a duration, label= "
		    "KEY or KEY=VALUE, reference= a pattern",
		    text);
	if (!filter.value)
		return ul_err_set(err, UL_E_INVALID,
				  "unknown filter \"%s\": until=, unused-for=, "
				  "label=, label!= and reference= are known",
				  text);
	if (filter.key == UL_FILTER_REFERENCE &&
	    !ul_reference_pattern_is_valid(filter.value))
		rc = pattern_malformed(filter.value, err);
	if (filter.key == UL_FILTER_UNTIL)
		rc = parse_until(filter.value, now_unix_s, &filter.unix_s, err);
	if (filter.key == UL_FILTER_UNUSED_FOR)
		rc = parse_unused_for(filter.value, &filter.unix_s, err);
	if (!rc)
		*ret_filter = filter;
	return rc;
}

/* How many configs of the image have the label; -1: one is not known. */
static int configs_with(const struct ul_view *view,
			const struct ul_view_image *image, const char *label,
			int *ret_total)
{
	int found = 0;
	size_t i;

	*ret_total = 0;
	for (i = 0; i < image->platform_count; i++) {
		const struct ul_view_platform *platform = &image->platforms[i];
		const struct ul_config_facts *config;

		if (platform->is_attestation || !platform->is_present)
			continue;
		config = platform->config == UL_OBJECT_NONE
			     ? NULL
			     : view->record.objects[platform->config].config;
		if (!config)
			return -1;
		++*ret_total;
		found += ul_labels_match(config->labels, label);
	}
	return found;
}

static bool label_holds(const struct ul_view *view,
			const struct ul_view_image *image,
			const struct ul_filter *filter)
{
	int total, found = configs_with(view, image, filter->value, &total);

	if (found < 0 || !total)
		return false;
	return filter->key == UL_FILTER_LABEL ? found == total : found == 0;
}

static bool filter_holds(const struct ul_view *view,
			 const struct ul_view_image *image, const char *name,
			 const struct ul_filter *filter)
{
	switch (filter->key) {
	case UL_FILTER_UNTIL:
		return image->created_unix_s &&
		       image->created_unix_s < filter->unix_s;
	case UL_FILTER_UNUSED_FOR:
		return image->used_unix_s &&
		       view->as_of_unix_s - image->used_unix_s > filter->unix_s;
	case UL_FILTER_REFERENCE:
		return ul_reference_matches(filter->value, name);
	default:
		return label_holds(view, image, filter);
	}
}

/*
 * Docker's meaning: filters of different keys all have to hold; of several
 * references one is enough, of several labels all have to.
 */
static bool filters_hold(const struct ul_view *view, const struct ul_rule *rule,
			 const struct ul_view_image *image, const char *name)
{
	bool any_reference = false, reference_holds = false;
	size_t i;

	for (i = 0; i < rule->filter_count; i++) {
		const struct ul_filter *filter = &rule->filters[i];
		bool holds = filter_holds(view, image, name, filter);

		if (filter->key == UL_FILTER_REFERENCE) {
			any_reference = true;
			reference_holds = reference_holds || holds;
		} else if (!holds) {
			return false;
		}
	}
	return !any_reference || reference_holds;
}

static bool is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}

/* A nameless entry goes by its digest, or a prefix of it. */
static bool digest_matches(const char *pattern, const char *digest)
{
	size_t len = strlen(pattern);

	return len > 7 &&
	       (!strncmp(pattern, "sha256:", 7) ||
		!strncmp(pattern, "sha512:", 7)) &&
	       !strncmp(digest, pattern, len);
}

static bool pattern_matches(const char *pattern, const char *name,
			    const struct ul_view_image *image)
{
	if (ul_reference_selects(pattern, name))
		return true;
	return digest_matches(pattern, image->digest);
}

static bool is_selected(const struct ul_view *view, const struct ul_rule *rule,
			const struct ul_view_image *image, const char *name)
{
	bool is_nameless = !strcmp(name, image->digest);
	size_t i;

	if (!filters_hold(view, rule, image, name))
		return false;
	for (i = 0; i < rule->pattern_count; i++) {
		if (pattern_matches(rule->patterns[i], name, image))
			return true;
	}
	if (rule->pattern_count)
		return false;
	/* skopeo leaves the old entry, without its name, when a name moves. */
	if (is_nameless)
		return rule->untagged || image->is_dangling ||
		       (rule->all && image->was_named);
	return rule->all;
}

static bool is_pinned(const struct ul_rule *rule,
		      const struct ul_view_image *image, const char *name)
{
	size_t i;

	for (i = 0; i < rule->pin_count; i++) {
		if (pattern_matches(rule->pins[i], name, image))
			return true;
	}
	return image->is_pinned;
}

static const char *selected_reason(const struct ul_rule *rule,
				   const struct ul_view_image *image,
				   const char *name)
{
	if (rule->pattern_count)
		return "named";
	if (!strcmp(name, image->digest))
		return image->was_named ? "dangling" : "untagged";
	return "unused";
}

static int judge_name(struct ul_view *view, const struct ul_rule *rule,
		      uint32_t at, uint32_t object, struct ul_verdict *verdict,
		      struct ul_err *err)
{
	const struct ul_view_image *image = &view->images[at];
	const char *name = view->record.objects[object].key;
	char text[64];

	*verdict = (struct ul_verdict){
		.object = object,
		.image = at,
		.kind = UL_VERDICT_STAYS,
		.reason = "",
	};
	if (!is_selected(view, rule, image, name))
		return 0;
	verdict->kind = UL_VERDICT_REMOVED;
	verdict->reason = selected_reason(rule, image, name);
	if (image->containers) {
		/* -a speaks of unused images only: these are not meant. */
		if (!rule->pattern_count) {
			verdict->kind = UL_VERDICT_STAYS;
			verdict->reason = "";
			return 0;
		}
		snprintf(text, sizeof text, "in use by %u container%s",
			 image->containers, image->containers == 1 ? "" : "s");
		verdict->kind = UL_VERDICT_DECLINED;
		verdict->reason = ul_arena_strdup(&view->arena, text);
	}
	if (is_pinned(rule, image, name)) {
		verdict->kind = UL_VERDICT_DECLINED;
		verdict->reason = "pinned";
	}
	return verdict->reason ? 0 : ul_err_nomem(err);
}

/* How many images a pattern means; *ret_last is one of them. */
static size_t matches_count(const struct ul_view *view, const char *pattern,
			    const struct ul_view_image **ret_last)
{
	size_t i, n, count = 0;

	for (i = 0; i < view->image_count; i++) {
		const struct ul_view_image *image = &view->images[i];

		for (n = 0; n < image->name_count; n++) {
			const char *name =
			    view->record.objects[image->names[n]].key;

			if (!pattern_matches(pattern, name, image))
				continue;
			*ret_last = image;
			count++;
			break;
		}
	}
	return count;
}

static int pattern_absent(const struct ul_view *view, const char *pattern,
			  struct ul_err *err)
{
	char hint[UL_NAME_MAX_BYTES];

	if (ul_suggest_image(view, pattern, hint))
		return ul_err_set(err, UL_E_ABSENT,
				  "no image \"%s\"; did you mean %s?", pattern,
				  hint);
	return ul_err_set(err, UL_E_ABSENT, "no image \"%s\"", pattern);
}

static int pattern_check(const struct ul_view *view, const char *pattern,
			 bool is_standing, struct ul_err *err)
{
	const struct ul_view_image *image = NULL;
	size_t count;

	if (is_glob(pattern))
		return ul_reference_pattern_is_valid(pattern)
			   ? 0
			   : pattern_malformed(pattern, err);
	count = matches_count(view, pattern, &image);
	if (!count)
		return is_standing ? 0 : pattern_absent(view, pattern, err);
	/* One name may stand for two images; part of a digest may not. */
	if (count > 1 && digest_matches(pattern, image->digest))
		return ul_err_set(err, UL_E_INVALID,
				  "%s is the beginning of %zu images' digests",
				  pattern, count);
	return 0;
}

static int patterns_check(const struct ul_view *view,
			  const struct ul_rule *rule, struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < rule->pattern_count; i++)
		rc = pattern_check(view, rule->patterns[i], rule->is_standing,
				   err);
	return rc;
}

static size_t names_count(const struct ul_view *view)
{
	size_t i, count = 0;

	for (i = 0; i < view->image_count; i++)
		count += view->images[i].name_count;
	return count;
}

int ul_policy_judge(struct ul_view *view, const struct ul_rule *rule,
		    struct ul_verdict **ret_verdicts, size_t *ret_count,
		    struct ul_err *err)
{
	size_t i, n, count = 0;
	ul_cleanup(ul_freep) struct ul_verdict *verdicts =
	    ul_malloc(names_count(view) * sizeof *verdicts);
	int rc;

	if (!verdicts)
		return ul_err_nomem(err);
	rc = patterns_check(view, rule, err);
	for (i = 0; !rc && i < view->image_count; i++) {
		for (n = 0; !rc && n < view->images[i].name_count; n++)
			rc = judge_name(view, rule, (uint32_t)i,
					view->images[i].names[n],
					&verdicts[count++], err);
	}
	if (rc)
		return rc;
	*ret_verdicts = ul_steal(verdicts);
	*ret_count = count;
	return 0;
}
