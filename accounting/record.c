#include "accounting/record.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/report.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/view.h"

/* Which rows are recorded as they are, and which recorded ones are gone. */
struct differences {
	bool *is_same;     /* owned; by row */
	const char **gone; /* owned; ns and digest in turn */
	size_t gone_count, gone_cap;
	struct ul_map by_digest; /* digest -> row + 1 of images without ns */
	struct ul_arena arena;
};

static void differences_release(struct differences *differences)
{
	free(differences->is_same);
	free(differences->gone);
	ul_map_release(&differences->by_digest);
	ul_arena_release(&differences->arena);
}

static bool names_text(const struct ul_view *view,
		       const struct ul_view_image *image, struct ul_buf *text)
{
	size_t i;

	ul_buf_reset(text);
	for (i = 0; !image->is_nameless && i < image->name_count; i++) {
		if (i)
			ul_buf_add_char(text, ' ');
		ul_buf_add_str(text, view->record.objects[image->names[i]].key);
	}
	return !text->failed;
}

static bool row_equals(const struct ul_image_row *row, struct ul_stmt *stmt,
		       const char *names)
{
	return !strcmp(ul_stmt_text(stmt, 2), names) &&
	       (uint64_t)ul_stmt_i64(stmt, 3) == row->packed_bytes &&
	       (uint64_t)ul_stmt_i64(stmt, 4) == row->unpacked_bytes &&
	       (uint64_t)ul_stmt_i64(stmt, 5) == row->allocated_bytes &&
	       (uint64_t)ul_stmt_i64(stmt, 6) == row->unique_bytes &&
	       ul_stmt_i64(stmt, 7) == row->image->containers &&
	       ul_stmt_i64(stmt, 8) == row->image->created_unix_s;
}

static bool gone_add(struct differences *differences, const char *ns,
		     const char *digest)
{
	const char **gone = ul_grow(differences->gone, &differences->gone_cap,
				    differences->gone_count + 2, sizeof *gone);

	if (!gone)
		return false;
	differences->gone = gone;
	gone[differences->gone_count] =
	    ul_arena_strdup(&differences->arena, ns);
	gone[differences->gone_count + 1] =
	    ul_arena_strdup(&differences->arena, digest);
	differences->gone_count += 2;
	return gone[differences->gone_count - 2] &&
	       gone[differences->gone_count - 1];
}

/* A digest in a namespace, as one key. */
static bool row_key(struct ul_buf *key, const char *ns, const char *digest)
{
	ul_buf_reset(key);
	ul_buf_add(key, ns, strlen(ns) + 1);
	return ul_buf_add_str(key, digest);
}

static bool rows_index(struct differences *differences,
		       const struct ul_image_rows *rows)
{
	ul_cleanup(ul_buf_release) struct ul_buf key = UL_BUF_INIT;
	size_t i;

	for (i = 0; i < rows->len; i++) {
		const struct ul_view_image *image = rows->rows[i].image;
		char *copy;

		if (!row_key(&key, image->ns, image->digest))
			return false;
		copy = ul_arena_alloc(&differences->arena, key.len);
		if (!copy)
			return false;
		memcpy(copy, key.data, key.len);
		if (!ul_map_set(&differences->by_digest, copy, key.len,
				(uint32_t)i))
			return false;
	}
	return true;
}

static int differences_find(struct ul_db *db, const struct ul_view *view,
			    const struct ul_image_rows *rows,
			    struct differences *differences, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf names = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf key = UL_BUF_INIT;
	ul_cleanup(ul_stmt_putp) struct ul_stmt *stmt = NULL;
	int rc = ul_stmt_get(db, UL_SQL_IMAGE_REPORTS, &stmt, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(stmt, ":store", view->record.store_row);
	while ((rc = ul_stmt_next(stmt, err)) > 0) {
		const char *ns = ul_stmt_text(stmt, 0);
		const char *digest = ul_stmt_text(stmt, 1);
		uint32_t at;

		if (!row_key(&key, ns, digest))
			return ul_err_nomem(err);
		at = ul_map_get(&differences->by_digest, key.data, key.len);
		if (at == UL_MAP_NONE) {
			if (!gone_add(differences, ns, digest))
				return ul_err_nomem(err);
			continue;
		}
		if (!names_text(view, rows->rows[at].image, &names))
			return ul_err_nomem(err);
		differences->is_same[at] =
		    row_equals(&rows->rows[at], stmt, ul_buf_str(&names));
	}
	return rc;
}

static int row_write(struct ul_db *db, const struct ul_view *view,
		     const struct ul_image_row *row, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf names = UL_BUF_INIT;
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(db, UL_SQL_IMAGE_REPORT_ADD, &add, err);

	if (rc)
		return rc;
	if (!names_text(view, row->image, &names))
		return ul_err_nomem(err);
	ul_stmt_bind_i64(add, ":store", view->record.store_row);
	ul_stmt_bind_text(add, ":namespace", row->image->ns);
	ul_stmt_bind_text(add, ":digest", row->image->digest);
	ul_stmt_bind_text(add, ":names", ul_buf_str(&names));
	ul_stmt_bind_i64(add, ":packed", (int64_t)row->packed_bytes);
	ul_stmt_bind_i64(add, ":unpacked", (int64_t)row->unpacked_bytes);
	ul_stmt_bind_i64(add, ":allocated", (int64_t)row->allocated_bytes);
	ul_stmt_bind_i64(add, ":unique", (int64_t)row->unique_bytes);
	ul_stmt_bind_i64(add, ":containers", row->image->containers);
	ul_stmt_bind_i64(add, ":created", row->image->created_unix_s);
	return ul_stmt_run(add, err);
}

static int row_delete(struct ul_db *db, const struct ul_view *view,
		      const char *ns, const char *digest, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *stmt = NULL;
	int rc = ul_stmt_get(db, UL_SQL_IMAGE_REPORT_DELETE, &stmt, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(stmt, ":store", view->record.store_row);
	ul_stmt_bind_text(stmt, ":namespace", ns);
	ul_stmt_bind_text(stmt, ":digest", digest);
	return ul_stmt_run(stmt, err);
}

static int differences_write(struct ul_db *db, const struct ul_view *view,
			     const struct ul_image_rows *rows,
			     const struct differences *differences,
			     struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	size_t i;
	int rc = ul_db_begin(db, &tx, err);

	for (i = 0; !rc && i < rows->len; i++) {
		if (!differences->is_same[i])
			rc = row_write(db, view, &rows->rows[i], err);
	}
	for (i = 0; !rc && i < differences->gone_count; i += 2)
		rc = row_delete(db, view, differences->gone[i],
				differences->gone[i + 1], err);
	return rc ? rc : ul_db_commit(&tx, err);
}

static bool is_different(const struct differences *differences, size_t rows)
{
	size_t i;

	for (i = 0; i < rows; i++) {
		if (!differences->is_same[i])
			return true;
	}
	return differences->gone_count > 0;
}

int ul_image_rows_record(struct ul_db *db, const struct ul_view *view,
			 const struct ul_image_rows *rows, struct ul_err *err)
{
	ul_cleanup(differences_release) struct differences differences = {
		.by_digest = UL_MAP_INIT,
		.arena = UL_ARENA_INIT,
	};
	int rc;

	if (ul_db_is_read_only(db) || !view->record.store_row)
		return 0;
	differences.is_same = ul_calloc(rows->len, sizeof(bool));
	if (!differences.is_same || !rows_index(&differences, rows))
		return ul_err_nomem(err);
	rc = differences_find(db, view, rows, &differences, err);
	if (rc || !is_different(&differences, rows->len))
		return rc;
	rc = differences_write(db, view, rows, &differences, err);
	return rc ? ul_err_wrap(err, "recording the images' figures") : 0;
}
