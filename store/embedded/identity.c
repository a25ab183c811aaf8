#include "store/embedded/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/json.h"

enum { IDENTITY_MAX_BYTES = 4096 };

const char ul_identity_layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

static int identity_parse(const struct ul_buf *text, char ret_uid[33],
			  int64_t *ret_generation, struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	uint64_t generation;
	const char *uid;
	int rc;

	rc =
	    ul_json_parse(text->data, text->len, UL_JSON_MAX_DEPTH, &json, err);
	if (!rc)
		rc = ul_json_text(json, "id", "store-id", &arena, &uid, err);
	if (!rc)
		rc = ul_json_bytes(json, "generation", "store-id", &generation,
				   err);
	if (rc)
		return rc;
	/* It stands in messages and documents as it is. */
	if (!uid || strlen(uid) != 32 || strspn(uid, "0123456789abcdef") != 32)
		return ul_err_set(err, UL_E_CORRUPT, "store-id has no id");
	/* It is counted up from: ours never get anywhere near. */
	if (generation > INT64_MAX / 2)
		return ul_err_set(err, UL_E_CORRUPT,
				  "store-id has no generation");
	memcpy(ret_uid, uid, 33);
	*ret_generation = (int64_t)generation;
	return 0;
}

int ul_identity_read(int root_fd, char ret_uid[33], int64_t *ret_generation,
		     struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	int rc =
	    ul_file_read(root_fd, "store-id", IDENTITY_MAX_BYTES, &text, err);

	return rc ? rc : identity_parse(&text, ret_uid, ret_generation, err);
}

int ul_identity_write(int root_fd, const char *uid, int64_t generation,
		      struct ul_err *err)
{
	char text[128];
	int len = snprintf(
	    text, sizeof text,
	    "{\"version\":1,\"id\":\"%s\",\"generation\":%" PRId64 "}\n", uid,
	    generation);

	return ul_file_replace(root_fd, "store-id", text, (size_t)len, 0644,
			       err);
}

/* *ret_version: in the arena; NULL where it says none. */
static int layout_version(int oci_fd, struct ul_arena *arena,
			  const char **ret_version, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	int rc =
	    ul_file_read(oci_fd, "oci-layout", IDENTITY_MAX_BYTES, &text, err);
	if (!rc)
		rc = ul_json_parse(ul_buf_str(&text), text.len,
				   UL_JSON_MAX_DEPTH, &json, err);
	if (!rc)
		rc = ul_json_text(json, "imageLayoutVersion", "oci-layout",
				  arena, ret_version, err);
	return rc;
}

bool ul_identity_layout_has_version(int oci_fd)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err ignored = UL_ERR_INIT;
	const char *version = NULL;

	return !layout_version(oci_fd, &arena, &version, &ignored) && version;
}

int ul_identity_layout_check(int oci_fd, struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	const char *version = NULL;
	int rc = layout_version(oci_fd, &arena, &version, err);

	if (!rc && (!version || strncmp(version, "1.", 2) != 0))
		rc = ul_err_set(err, UL_E_CORRUPT,
				"no image layout of version 1");
	if (rc == UL_E_LIMIT)
		err->code = rc = UL_E_CORRUPT;
	return rc;
}
