/*
 * store/verify/findings.h - what a verification found, as a value.
 */
#ifndef UL_STORE_VERIFY_FINDINGS_H
#define UL_STORE_VERIFY_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

enum ul_severity {
	UL_FINDING_NOTE,   /* worth knowing; nothing is wrong */
	UL_FINDING_DAMAGE, /* something does not hold what it should */
};

/* "note", "damage" */
const char *ul_severity_name(enum ul_severity severity);

struct ul_finding {
	enum ul_severity severity;
	const char *kind;    /* "blob", "index", "snapshot", "database" ... */
	const char *key;     /* its digest, key or path in the store */
	const char *what;    /* what is wrong, in one line */
	const char *repair;  /* what --repair does; "" for nothing */
	const char **images; /* names that it hurts, each once, sorted */
	size_t image_count;
	bool is_loss; /* what a repair does not bring back is gone with it */
	bool is_repaired;
};

struct ul_findings {
	struct ul_finding *items; /* owned; damage first once sorted */
	size_t len, cap;
	size_t damage_count;
	struct ul_arena arena; /* all text */
};
#define UL_FINDINGS_INIT ((struct ul_findings){ .items = NULL })

void ul_findings_release(struct ul_findings *findings);

/*
 * Add one. All text is copied; fmt makes `what`.
 * Returns: the finding, to be filled further, valid until the next is added;
 * NULL without memory.
 */
struct ul_finding *ul_findings_add(struct ul_findings *findings,
				   enum ul_severity severity, const char *kind,
				   const char *key, const char *repair,
				   const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* Name an image that the last finding hurts. False without memory. */
bool ul_findings_hurts(struct ul_findings *findings, const char *image);

/* Append copies of all of `from`. False without memory. */
bool ul_findings_append(struct ul_findings *findings,
			const struct ul_findings *from);

/* Damage before notes, then by kind, key and text; images by name. */
void ul_findings_sort(struct ul_findings *findings);

/* The same thing with the same text, or NULL. */
const struct ul_finding *ul_findings_find(const struct ul_findings *findings,
					  const struct ul_finding *like);

/*
 * After a repair: of what was damaged before, mark as repaired what the
 * findings after it no longer have. What is damaged only now is added to what
 * was said of the same thing, or appended. False without memory.
 */
bool ul_findings_settle(struct ul_findings *before,
			const struct ul_findings *after);

/* Whether damage is there that was not repaired, or cannot be brought back. */
bool ul_findings_are_bad(const struct ul_findings *findings);

#endif
