#include "gc/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "gc/run.h"
#include "store/backend.h"
#include "store/db/db.h"
#include "store/db/stmt.h"

/* Under the store's lock nobody else runs: such a run was stopped. */
static int end_stopped(struct ul_store *store, int64_t store_row,
		       struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_RUNS_STOPPED, &set, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":store", store_row);
	return ul_stmt_run(set, err);
}

static int add_run(struct ul_store *store, const char *command,
		   int64_t now_unix_s, int64_t store_row,
		   const struct ul_plan *plan, uint64_t planned_bytes,
		   int64_t *ret_run, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_RUN_ADD, &add, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":store", store_row);
	ul_stmt_bind_text(add, ":command", command);
	ul_stmt_bind_text(add, ":plan", plan->fingerprint);
	ul_stmt_bind_i64(add, ":started", now_unix_s);
	ul_stmt_bind_i64(add, ":planned", (int64_t)planned_bytes);
	rc = ul_stmt_run(add, err);
	if (!rc)
		*ret_run = ul_db_last_id(store->db);
	return rc;
}

static int add_item(struct ul_store *store, int64_t run, int64_t ordinal,
		    const char *action, const struct ul_plan_item *item,
		    struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_RUN_ITEM_ADD, &add, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":run", run);
	ul_stmt_bind_i64(add, ":ordinal", ordinal);
	ul_stmt_bind_text(add, ":action", action);
	ul_stmt_bind_text(add, ":kind", ul_kind_name(item->kind));
	ul_stmt_bind_text(add, ":namespace", item->ns);
	ul_stmt_bind_text(add, ":snapshotter", item->snapshotter);
	ul_stmt_bind_text(add, ":key", item->key);
	ul_stmt_bind_i64(add, ":allocated", (int64_t)item->allocated_bytes);
	ul_stmt_bind_text(add, ":reason", item->reason);
	return ul_stmt_run(add, err);
}

static int add_items(struct ul_store *store, int64_t run, int64_t *ordinal,
		     const char *action, const struct ul_plan_items *items,
		     struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < items->len; i++)
		rc = add_item(store, run, ++*ordinal, action, &items->items[i],
			      err);
	return rc;
}

int ul_history_begin(struct ul_store *store, const char *command,
		     int64_t now_unix_s, int64_t store_row,
		     const struct ul_plan *plan, const struct ul_plan *in_place,
		     int64_t *ret_run, struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	uint64_t planned_bytes =
	    plan->freed_bytes + (in_place ? in_place->freed_bytes : 0);
	int64_t run = 0, ordinal = 0;
	int rc = ul_db_begin(store->db, &tx, err);

	if (!rc)
		rc = end_stopped(store, store_row, err);
	if (!rc)
		rc = add_run(store, command, now_unix_s, store_row, plan,
			     planned_bytes, &run, err);
	if (!rc)
		rc = add_items(store, run, &ordinal, "remove", &plan->remove,
			       err);
	if (!rc && in_place)
		rc = add_items(store, run, &ordinal, "collect",
			       &in_place->collect, err);
	if (!rc)
		rc = add_items(store, run, &ordinal, "collect", &plan->collect,
			       err);
	if (!rc)
		rc = add_items(store, run, &ordinal, "decline", &plan->declined,
			       err);
	if (!rc)
		rc = ul_db_commit(&tx, err);
	if (rc)
		return ul_err_wrap(err, "recording the run");
	*ret_run = run;
	return 0;
}

int ul_history_end(struct ul_store *store, const struct ul_run *run,
		   const char *state, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_RUN_SET, &set, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":id", run->run);
	ul_stmt_bind_text(set, ":state", state);
	ul_stmt_bind_double(set, ":seconds", run->seconds);
	ul_stmt_bind_i64(set, ":freed", (int64_t)run->freed_bytes);
	ul_stmt_bind_i64(set, ":trashed", (int64_t)run->trashed_bytes);
	ul_stmt_bind_i64(set, ":overhead", run->overhead_delta_bytes);
	ul_stmt_bind_i64(set, ":removed", (int64_t)run->removed);
	ul_stmt_bind_i64(set, ":declined", (int64_t)run->plan.declined.len);
	rc = ul_stmt_run(set, err);
	return rc ? ul_err_wrap(err, "recording the run's end") : 0;
}

static bool elsewhere_say(const char *kind, const char *path, int64_t run,
			  struct ul_buf *text)
{
	if (!strcmp(kind, "embedded"))
		return ul_buf_printf(text, "ullage undo %" PRId64, run);
	return ul_buf_printf(text, "ullage --store %s:%s undo %" PRId64, kind,
			     path, run);
}

int ul_history_expect(struct ul_store *store, int64_t run,
		      struct ul_buf *ret_elsewhere, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *find = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_RUN_FIND, &find, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(find, ":id", run);
	rc = ul_stmt_next(find, err);
	if (rc < 0)
		return rc;
	if (!rc)
		return ul_err_set(err, UL_E_ABSENT,
				  "no run %" PRId64 "; `ullage%s%.300s "
				  "history` lists them",
				  run, store->is_shared ? " --store " : "",
				  store->is_shared ? store->name : "");
	if (strcmp(ul_stmt_text(find, 0), store->kind) != 0 ||
	    strcmp(ul_stmt_text(find, 1), store->record_path) != 0)
		return elsewhere_say(ul_stmt_text(find, 0),
				     ul_stmt_text(find, 1), run, ret_elsewhere)
			   ? 0
			   : ul_err_nomem(err);
	if (!strcmp(ul_stmt_text(find, 2), "undone"))
		return ul_err_set(err, UL_E_CONFLICT,
				  "run %" PRId64 " was undone already", run);
	return 0;
}

int ul_history_undone(struct ul_store *store, int64_t run, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_RUN_SET_STATE, &set, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":id", run);
	ul_stmt_bind_text(set, ":state", "undone");
	return ul_stmt_run(set, err);
}

void ul_history_release(struct ul_history *history)
{
	free(history->rows);
	ul_arena_release(&history->arena);
	*history = UL_HISTORY_INIT;
}

static int load_row(struct ul_history *history, struct ul_stmt *row,
		    struct ul_err *err)
{
	struct ul_history_row *rows = ul_grow(history->rows, &history->cap,
					      history->len + 1, sizeof *rows);
	struct ul_history_row *to;
	struct ul_arena *arena = &history->arena;

	if (!rows)
		return ul_err_nomem(err);
	history->rows = rows;
	to = &rows[history->len];
	*to = (struct ul_history_row){
		.run = ul_stmt_i64(row, 0),
		.store_kind = ul_arena_strdup(arena, ul_stmt_text(row, 1)),
		.store_path = ul_arena_strdup(arena, ul_stmt_text(row, 2)),
		.command = ul_arena_strdup(arena, ul_stmt_text(row, 3)),
		.plan = ul_arena_strdup(arena, ul_stmt_text(row, 4)),
		.state = ul_arena_strdup(arena, ul_stmt_text(row, 5)),
		.started_unix_s = ul_stmt_i64(row, 6),
		.seconds = ul_stmt_double(row, 7),
		.planned_bytes = (uint64_t)ul_stmt_i64(row, 8),
		.freed_bytes = (uint64_t)ul_stmt_i64(row, 9),
		.trashed_bytes = (uint64_t)ul_stmt_i64(row, 10),
		.overhead_delta_bytes = ul_stmt_i64(row, 11),
		.removed = (uint64_t)ul_stmt_i64(row, 12),
		.declined = (uint64_t)ul_stmt_i64(row, 13),
	};
	if (!to->store_kind || !to->store_path || !to->command || !to->plan ||
	    !to->state)
		return ul_err_nomem(err);
	history->len++;
	return 0;
}

int ul_history_load(struct ul_store *store, int64_t most,
		    struct ul_history *ret_history, struct ul_err *err)
{
	ul_cleanup(ul_history_release) struct ul_history history =
	    UL_HISTORY_INIT;
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_RUNS, &row, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(row, ":kind", store->kind);
	ul_stmt_bind_text(row, ":path", store->record_path);
	ul_stmt_bind_i64(row, ":most", most);
	while ((rc = ul_stmt_next(row, err)) > 0) {
		rc = load_row(&history, row, err);
		if (rc)
			return rc;
	}
	if (rc)
		return rc;
	*ret_history = history;
	history = UL_HISTORY_INIT;
	return 0;
}
