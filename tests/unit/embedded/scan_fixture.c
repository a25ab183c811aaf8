#include "tests/unit/embedded/scan_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

int64_t scan_start(void)
{
	return ul_clock_unix_s() + 2 * HOUR_S;
}

int64_t scan_db_stamp(struct store_fixture *fixture)
{
	static sqlite3 *sqlite;
	static char opened[128];
	sqlite3_stmt *stmt = NULL;
	char path[128];
	int64_t stamp;

	snprintf(path, sizeof path, "%s/ullage.db", fixture->state);
	if (strcmp(path, opened)) {
		sqlite3_close(sqlite);
		assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
		strcpy(opened, path);
	}
	assert_int_equal(
	    sqlite3_prepare_v2(sqlite, "PRAGMA data_version", -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	stamp = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return stamp;
}

bool has_note(const struct ul_view *view, const char *part)
{
	size_t i;

	for (i = 0; i < view->note_count; i++) {
		if (strstr(view->notes[i], part))
			return true;
	}
	return false;
}

const struct ul_view_image *scan_image(const struct ul_view *view,
				       struct content_digest digest)
{
	size_t i;

	for (i = 0; i < view->image_count; i++) {
		if (!strcmp(view->images[i].digest, digest.text))
			return &view->images[i];
	}
	fail_msg("no image %s", digest.text);
	return NULL;
}

bool is_reachable(const struct ul_view *view, struct content_digest digest)
{
	return object_of(view, UL_KIND_BLOB, digest.text)->is_reachable;
}

struct content_digest referrer_put(struct store_fixture *fixture,
				   struct content_digest subject)
{
	struct content_digest payload =
	    blob_put(fixture, "signature of %s", subject.text);

	return blob_put(fixture,
			"{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST
			"\",\"artifactType\":\"application/x-sig\",\"config\":"
			"{\"mediaType\":\"application/vnd.oci.empty.v1+json\","
			"\"digest\":\"%s\",\"size\":2},\"layers\":[],"
			"\"subject\":{\"mediaType\":\"" TYPE_MANIFEST
			"\",\"digest\":\"%s\",\"size\":1}}",
			payload.text, subject.text);
}
