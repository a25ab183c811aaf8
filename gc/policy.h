/*
 * gc/policy.h - which roots a prune removes. Pure: no clock, no I/O.
 *
 * A rule is what `ullage prune` can say; timers use the same rules.
 */
#ifndef UL_GC_POLICY_H
#define UL_GC_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_err;
struct ul_view;

enum ul_filter_key {
	UL_FILTER_UNTIL,      /* created before that time */
	UL_FILTER_UNUSED_FOR, /* last used longer ago than that */
	UL_FILTER_LABEL,      /* has the label (with that value) */
	UL_FILTER_NOT_LABEL,  /* has not */
	UL_FILTER_REFERENCE,  /* its name matches the pattern */
};

struct ul_filter {
	enum ul_filter_key key;
	const char *value; /* "key" or "key=value" for labels; the pattern */
	int64_t unix_s;    /* UNTIL: the time; UNUSED_FOR: seconds */
};

struct ul_rule {
	bool all;      /* every image that no container uses */
	bool untagged; /* entries without a name, never named ones too */
	const char *const
	    *patterns; /* names or globs; none: dangling, or all */
	size_t pattern_count;
	const struct ul_filter *filters; /* all have to hold */
	size_t filter_count;
	/* Names or globs that the rule leaves: as if they were pinned. */
	const char *const *pins;
	size_t pin_count;
	/* Of a timer: a name that is none here (any more) is no mistake. */
	bool is_standing;
};

/*
 * Parse "KEY=VALUE" as --filter takes it. Times are relative to now_unix_s:
 * until takes a time (RFC 3339, a date, seconds since 1970) or a duration;
 * unused-for a duration. The value is borrowed.
 * Returns: 0, or UL_E_INVALID with what is understood in the message.
 */
int ul_filter_parse(const char *text, int64_t now_unix_s,
		    struct ul_filter *ret_filter, struct ul_err *err);

enum ul_verdict_kind {
	UL_VERDICT_STAYS, /* the rule does not speak of it */
	UL_VERDICT_REMOVED,
	UL_VERDICT_DECLINED, /* the rule does, something else wins */
};

/* One name (or nameless entry) of an image. */
struct ul_verdict {
	uint32_t object; /* of kind image */
	uint32_t image;  /* into view->images */
	enum ul_verdict_kind kind;
	const char *reason; /* a constant, or in the view's arena */
};

/*
 * Judge every name. What is unknown about an image (no creation time for
 * `until`, no config for labels) speaks for keeping it.
 * Owner:   *ret_verdicts is freed with free(); one for each name of each
 *          image, in the view's order.
 * Returns: 0; UL_E_ABSENT for a pattern without glob characters that is no
 *          name here ("no image "app:3"; did you mean app:2?");
 *          UL_E_INVALID for a malformed pattern, and for a part of a digest
 *          that several images begin with; UL_E_NOMEM.
 */
int ul_policy_judge(struct ul_view *view, const struct ul_rule *rule,
		    struct ul_verdict **ret_verdicts, size_t *ret_count,
		    struct ul_err *err);

#endif
