/*
 * gc/plan.h - what a collection removes, decided once (INVARIANTS: I4).
 *
 * A plan is a value: computed from a view by one function, printed by a dry
 * run, carried out by a real one, saved and compared. It never names what a
 * root still reaches (I1), nor what is young (I2); what it leaves although a
 * rule or the mark speaks of it stands in `declined` with the reason.
 */
#ifndef UL_GC_PLAN_H
#define UL_GC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "gc/policy.h"

struct ul_err;
struct ul_view;
struct ul_view_file;

/* Text is borrowed from the view or the plan's arena. */
struct ul_plan_item {
	uint8_t kind; /* enum ul_kind */
	const char *ns, *snapshotter, *key;
	const char *reason;        /* of removed and declined ones */
	const char *digest;        /* of a removed name: what it stands for */
	uint64_t allocated_bytes;  /* of collected ones: what it gives back */
	int64_t not_before_unix_s; /* of declined ones: when it may go; 0 */
	uint32_t object;           /* in the view */
	size_t trash;              /* position in view->trash, or SIZE_MAX */
};

struct ul_plan_items {
	struct ul_plan_item *items; /* owned */
	size_t len, cap;
};

struct ul_plan {
	struct ul_plan_items remove;  /* roots */
	struct ul_plan_items collect; /* sum of bytes is freed_bytes */
	struct ul_plan_items declined;
	uint64_t freed_bytes;
	uint64_t now_bytes;   /* the part that this run itself gives back; the
				 rest waits in the trash */
	char fingerprint[33]; /* of remove and collect */
	struct ul_arena arena;
};
#define UL_PLAN_INIT ((struct ul_plan){ .freed_bytes = 0 })

struct ul_plan_request {
	const struct ul_rule *rule; /* NULL: gc, remove no root */
	int64_t grace_s;
	bool now; /* empty the trash at once */
	/* Nobody has mounted a snapshot where this user does not see it. */
	bool is_exclusive;
	bool is_shared; /* others write there: what is swept stays in the trash
			   until another run, however short its grace */
	/* Carry out exactly this one; NULL: whatever is found. */
	const struct ul_plan *saved;
};

/*
 * Whether a file is mounted, or has to be taken for mounted (I10): one of the
 * view that the plan was made from, or of a later one.
 */
bool ul_plan_is_mounted(const struct ul_plan_request *request,
			const struct ul_view_file *file);

/* Whether the run gives back at once what it sweeps. */
bool ul_plan_empties(const struct ul_plan_request *request);

/*
 * Decide. The view's refusal and waiting (I7) are the caller's to look at.
 * Owner:   *ret_plan borrows from the view; release it before the view.
 * Returns: 0; UL_E_ABSENT (a name that is none); UL_E_CONFLICT (saved plan:
 *          what changed is in the message); UL_E_NOMEM.
 */
int ul_plan_build(struct ul_view *view, const struct ul_plan_request *request,
		  struct ul_plan *ret_plan, struct ul_err *err);
void ul_plan_release(struct ul_plan *plan);

/* An object of a view as an item without bytes; borrows from both. */
struct ul_plan_item ul_plan_item_of(const struct ul_view *view, uint32_t at,
				    const char *reason);

/* Append an item with its text copied into the plan's arena. UL_E_NOMEM. */
int ul_plan_add(struct ul_plan *plan, struct ul_plan_items *items,
		const struct ul_plan_item *item, struct ul_err *err);

/* Set the fingerprint from what is in the plan. */
void ul_plan_seal(struct ul_plan *plan);

#endif
