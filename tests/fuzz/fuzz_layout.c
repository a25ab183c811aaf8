#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/oci/layout.h"

static void dump(const struct ul_layout_index *index, struct ul_buf *json)
{
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_layout_index_dump(index, json, &err);

	assert(!rc);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void assert_same_entries(const struct ul_layout_index *a,
				const struct ul_layout_index *b)
{
	size_t i, count = ul_layout_index_count(a);

	assert(count == ul_layout_index_count(b));
	for (i = 0; i < count; i++) {
		const struct ul_layout_entry *x = ul_layout_index_entry(a, i);
		const struct ul_layout_entry *y = ul_layout_index_entry(b, i);

		assert(ul_digest_equal(&x->descriptor.digest,
				       &y->descriptor.digest));
		assert(x->descriptor.size_bytes == y->descriptor.size_bytes);
		assert(x->descriptor.annotation_count ==
		       y->descriptor.annotation_count);
		assert(same_text(x->name, y->name));
	}
}

/* What stands in memory is what a reader of the written text would see. */
static void assert_reads_back(const struct ul_layout_index *index)
{
	ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf again = UL_BUF_INIT;
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *back = NULL;
	struct ul_err err = UL_ERR_INIT;
	int rc;

	dump(index, &json);
	rc = ul_layout_index_parse(json.data, json.len, &back, &err);
	assert(!rc);
	assert_same_entries(index, back);
	dump(back, &again);
	assert(!strcmp(json.data, again.data));
}

static void change(struct ul_layout_index *index)
{
	ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;
	struct ul_descriptor first =
	    ul_layout_index_entry(index, 0)->descriptor;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_layout_index_entry_dump(index, 0, &json, &err);

	if (!rc)
		rc = ul_layout_index_add(index, &first, "app:1", &err);
	if (!rc)
		rc = ul_layout_index_unname(index, 0, &err);
	assert(!rc);
	assert(!ul_layout_index_entry(index, 0)->name);
	ul_layout_index_remove(index, 0);
	rc = ul_layout_index_add_dumped(index, json.data, json.len, &err);
	assert(!rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	struct ul_err err = UL_ERR_INIT;

	if (ul_layout_index_parse((const char *)data, size, &index, &err))
		return 0;
	assert_reads_back(index);
	if (!ul_layout_index_count(index))
		return 0;
	change(index);
	assert_reads_back(index);
	return 0;
}
