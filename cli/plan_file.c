#include "cli/plan_file.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cli/json_out.h"
#include "store/db/words.h"
#include "store/limits.h"
#include "store/oci/json.h"

/* /dev/null, a pipe, a terminal: written to, never replaced. */
static bool is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode);
}

static int special_write(const char *path, const struct ul_buf *text,
			 struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return ul_err_sys(err, "open");
	return ul_fd_write_all(fd, text->data, text->len, err);
}

int ul_plan_file_write(const char *path, const struct ul_view *view,
		       const struct ul_plan *plan, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = ul_json_plan(view, plan);
	ul_cleanup(ul_freep) char *dir_copy = ul_strdup(path);
	ul_cleanup(ul_freep) char *base_copy = ul_strdup(path);
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	ul_cleanup(ul_closep) int dir_fd = -1;
	int rc;

	if (!json || !dir_copy || !base_copy)
		return ul_err_nomem(err);
	if (!strcmp(path, "-"))
		return ul_json_print(ul_steal(json))
			   ? 0
			   : ul_err_set(err, UL_E_IO, "write the plan");
	rc = ul_json_dump(json, &text, err);
	if (!rc && !ul_buf_add_char(&text, '\n'))
		rc = ul_err_nomem(err);
	if (!rc && is_special(path)) {
		rc = special_write(path, &text, err);
		return rc ? ul_err_wrap(err, "writing the plan %s", path) : 0;
	}
	if (!rc)
		rc = ul_dir_open(AT_FDCWD, dirname(dir_copy), &dir_fd, err);
	if (!rc)
		rc = ul_file_replace(dir_fd, basename(base_copy), text.data,
				     text.len, 0600, err);
	return rc ? ul_err_wrap(err, "writing the plan %s", path) : 0;
}

/* Text of a member, "" where it is null or absent; borrowed. */
static const char *text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "";
}

static int items_read(const json_t *json, const char *key, struct ul_plan *plan,
		      struct ul_plan_items *items, struct ul_err *err)
{
	const json_t *list = json_object_get(json, key);
	size_t i;
	int rc = 0;

	if (!json_is_array(list))
		return ul_err_set(err, UL_E_CORRUPT, "it has no \"%s\"", key);
	for (i = 0; !rc && i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		int kind = ul_word_find(ul_kind_words, text_of(row, "kind"));
		json_int_t bytes =
		    json_integer_value(json_object_get(row, "allocated_bytes"));
		struct ul_plan_item item = {
			.kind = (uint8_t)kind,
			.ns = text_of(row, "namespace"),
			.snapshotter = text_of(row, "snapshotter"),
			.key = text_of(row, "key"),
			.reason = text_of(row, "reason"),
			.digest = text_of(row, "digest"),
			.allocated_bytes = (uint64_t)bytes,
			.object = UINT32_MAX,
			.trash = SIZE_MAX,
		};

		if (kind < 0 || !*item.key || bytes < 0)
			return ul_err_set(err, UL_E_CORRUPT,
					  "\"%s\" has an item that makes no "
					  "sense",
					  key);
		rc = ul_plan_add(plan, items, &item, err);
	}
	return rc;
}

/* One name can stand for the same image in many stores. */
static int store_check(const json_t *json, const char *key, const char *store,
		       struct ul_err *err)
{
	char shown[UL_JSON_SHOWN_MAX];
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(json, key), i, row)
	{
		if (strcmp(text_of(row, "store"), store) != 0)
			return ul_err_set(
			    err, UL_E_CONFLICT,
			    "it is of the store %s, not of %s",
			    ul_json_show(text_of(row, "store"), shown), store);
	}
	return 0;
}

static int plan_read(const struct ul_buf *text, const char *store,
		     struct ul_plan *plan, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	size_t i;
	int rc =
	    ul_json_parse(text->data, text->len, UL_JSON_MAX_DEPTH, &json, err);

	if (!rc && json_integer_value(json_object_get(json, "version")) != 1)
		rc = ul_err_set(err, UL_E_CORRUPT, "it is of no known version");
	if (!rc)
		rc = items_read(json, "remove", plan, &plan->remove, err);
	if (!rc)
		rc = items_read(json, "collect", plan, &plan->collect, err);
	if (rc)
		return rc;
	ul_plan_seal(plan);
	for (i = 0; i < plan->collect.len; i++)
		plan->freed_bytes += plan->collect.items[i].allocated_bytes;
	if (strcmp(plan->fingerprint, text_of(json, "plan")) ||
	    (uint64_t)json_integer_value(
		json_object_get(json, "freed_bytes")) != plan->freed_bytes)
		return ul_err_set(err, UL_E_CORRUPT,
				  "it was changed since it was made; make a "
				  "new one with -n -o");
	rc = store_check(json, "remove", store, err);
	return rc ? rc : store_check(json, "collect", store, err);
}

int ul_plan_file_read(const char *path, const char *store,
		      struct ul_plan *ret_plan, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	ul_cleanup(ul_plan_release) struct ul_plan plan = UL_PLAN_INIT;
	int rc = ul_file_read(AT_FDCWD, path, UL_PLAN_MAX_BYTES, &text, err);

	if (!rc)
		rc = plan_read(&text, store, &plan, err);
	if (rc)
		return ul_err_wrap(err, "the plan %s", path);
	*ret_plan = plan;
	plan = UL_PLAN_INIT;
	return 0;
}
