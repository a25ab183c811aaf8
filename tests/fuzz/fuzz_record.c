/* Rows of a record from a damaged database: facts, keeper, and references. */
#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/db/db.h"
#include "store/db/db_internal.h"
#include "store/db/record.h"
#include "store/db/refs.h"

/* Rows lie near one another and further apart than 32 bits. */
static const char rows[] =
    "PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON;"
    "INSERT INTO store (id, kind, path) VALUES (1, 'oci', '/');"
    "INSERT INTO scope (id, store, kind) VALUES (1, 1, 'blob');"
    "INSERT INTO word VALUES (1, 0, 'target'), (1, 1, 'config');"
    "INSERT INTO type VALUES (1, 0, 'text/plain', '', '');"
    "INSERT INTO object (id, scope, key) VALUES (2, 1, 'a'), (3, 1, 'b'),"
    " (70, 1, 'c'), (1 << 40, 1, 'd')";

static struct ul_db *db;
static sqlite3_stmt *set;

static void open_once(void)
{
	struct ul_err err = UL_ERR_INIT;

	if (db)
		return;
	if (ul_db_open("", UL_DB_MEMORY, &db, &err) ||
	    ul_db_exec(db, rows, &err) ||
	    sqlite3_prepare_v2(db->sqlite,
			       "UPDATE object SET facts = ?, kept_by = ?,"
			       " refs = ? WHERE id = 3",
			       -1, &set, NULL))
		abort();
}

static void check(const struct ul_record *record)
{
	size_t i;

	assert(record->object_count == 4);
	for (i = 0; i < record->object_count; i++) {
		const struct ul_object *object = &record->objects[i];

		assert(object->content <= UL_CONTENT_OPAQUE);
		assert(object->kept_reason && object->media_type);
		assert(object->kept_by == UL_OBJECT_NONE ||
		       object->kept_by < record->object_count);
		assert(object->first_ref + object->ref_count <=
		       record->ref_count);
	}
	for (i = 0; i < record->ref_count; i++) {
		assert(record->refs[i].target < record->object_count);
		assert(record->refs[i].kind <= UL_REF_KIND_LAST);
		assert(record->refs[i].reason);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	struct ul_err err = UL_ERR_INIT;
	int64_t head[2] = { 0 };
	size_t len = size < sizeof head ? size : sizeof head;
	int rc;

	open_once();
	memcpy(head, data, len);
	sqlite3_bind_int64(set, 1, head[0]);
	sqlite3_bind_int64(set, 2, head[1]);
	sqlite3_bind_blob(set, 3, data + len, (int)(size - len), SQLITE_STATIC);
	/* Of no bytes, it is NULL. */
	if (size == len)
		sqlite3_bind_zeroblob(set, 3, 0);
	if (sqlite3_step(set) != SQLITE_DONE)
		abort();
	sqlite3_reset(set);
	rc = ul_record_load(db, "oci", "/", &record, &err);
	assert(!rc || rc == UL_E_CORRUPT);
	if (!rc)
		check(&record);
	return 0;
}
