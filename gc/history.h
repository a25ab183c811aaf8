/*
 * gc/history.h - collections as the database remembers them.
 */
#ifndef UL_GC_HISTORY_H
#define UL_GC_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct ul_buf;
struct ul_err;
struct ul_plan;
struct ul_run;
struct ul_store;

/*
 * A run begins, with all that it is going to do, under the store's lock. One
 * that was stopped before its end is "failed" from now on. in_place: what it
 * has done already (gc/in_place.h); NULL: nothing. UL_E_DB, UL_E_BUSY.
 */
int ul_history_begin(struct ul_store *store, const char *command,
		     int64_t now_unix_s, int64_t store_row,
		     const struct ul_plan *plan, const struct ul_plan *in_place,
		     int64_t *ret_run, struct ul_err *err);

/* It ended: `state` is "done" or "failed". */
int ul_history_end(struct ul_store *store, const struct ul_run *run,
		   const char *state, struct ul_err *err);

/*
 * Whether a run can be undone in this store. That of another one may be: the
 * trash came with the layout that was moved or copied. Then *ret_elsewhere,
 * else empty, is what to type on the store that the run was of.
 * Returns: UL_E_ABSENT (no such run), UL_E_CONFLICT (it was undone already),
 *          UL_E_DB, UL_E_NOMEM.
 */
int ul_history_expect(struct ul_store *store, int64_t run,
		      struct ul_buf *ret_elsewhere, struct ul_err *err);
int ul_history_undone(struct ul_store *store, int64_t run, struct ul_err *err);

struct ul_history_row {
	int64_t run;
	const char *store_kind, *store_path, *command, *plan, *state;
	int64_t started_unix_s;
	double seconds;
	uint64_t planned_bytes, freed_bytes, trashed_bytes;
	int64_t overhead_delta_bytes;
	uint64_t removed, declined;
};

struct ul_history {
	struct ul_history_row *rows; /* newest first; owned */
	size_t len, cap;
	struct ul_arena arena;
};
#define UL_HISTORY_INIT ((struct ul_history){ .rows = NULL })

/* The newest `most` runs of this store. Release after use. */
int ul_history_load(struct ul_store *store, int64_t most,
		    struct ul_history *ret_history, struct ul_err *err);
void ul_history_release(struct ul_history *history);

#endif
