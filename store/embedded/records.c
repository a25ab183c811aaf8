#include "store/embedded/records.h"

#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db/stmt.h"
#include "store/embedded/form.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/oci/json.h"

int ul_record_key_check(const char *key, size_t max_bytes, const char *what,
			struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *text = NULL;
	const char *at;

	if (!*key)
		return ul_err_set(err, UL_E_INVALID, "an empty %s", what);
	if (strlen(key) > max_bytes)
		return ul_err_set(err, UL_E_INVALID,
				  "a %s of more than %zu bytes", what,
				  max_bytes);
	for (at = key; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return ul_err_set(err, UL_E_INVALID,
					  "a %s with a control character",
					  what);
	}
	text = json_string(key);
	return text ? 0 : ul_json_failed(key, err);
}

static int labels_check(const json_t *labels, struct ul_err *err)
{
	char shown[UL_JSON_SHOWN_MAX];
	const json_t *value;
	const char *key;

	if (json_object_size(labels) > UL_LABELS_MAX_COUNT)
		return ul_err_set(err, UL_E_LIMIT, "more than %d labels",
				  UL_LABELS_MAX_COUNT);
	json_object_foreach((json_t *)labels, key, value)
	{
		if (!json_is_string(value))
			return ul_err_set(err, UL_E_INVALID,
					  "label \"%s\" is no string",
					  ul_json_show(key, shown));
		if (strlen(key) + json_string_length(value) >
		    UL_LABEL_MAX_BYTES)
			return ul_err_set(err, UL_E_LIMIT,
					  "label \"%s\" is longer than %d "
					  "bytes",
					  ul_json_show(key, shown),
					  UL_LABEL_MAX_BYTES);
	}
	return 0;
}

int ul_record_labels(const char *labels, struct ul_buf *ret_text,
		     struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	const char *text = labels && *labels ? labels : "{}";
	int rc = ul_json_parse(text, strlen(text), 2, &json, err);

	if (rc == UL_E_NOMEM)
		return rc;
	if (rc) {
		/* What stands in a request is wrong usage, not damage. */
		err->code = UL_E_INVALID;
		return ul_err_wrap(err, "labels are no object of strings");
	}
	rc = labels_check(json, err);
	return rc ? rc : ul_json_dump(json, ret_text, err);
}

int ul_record_row(struct ul_embedded *store, int64_t *ret_row,
		  struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *find = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_STORE_FIND, &find, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(find, ":kind", store->form->kind);
	ul_stmt_bind_text(find, ":path", store->record_path);
	rc = ul_stmt_next(find, err);
	if (rc > 0)
		*ret_row = ul_stmt_i64(find, 0);
	return rc;
}
