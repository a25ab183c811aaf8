/* Values of options: durations, sizes, times, filters, digests, labels. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "fuzz.h"
#include "gc/policy.h"
#include "store/embedded/records.h"
#include "store/limits.h"

enum { NOW = 1795000000 };

static void check_numbers(const char *text)
{
	char human[UL_HUMAN_MAX], formatted[UL_TIME_TEXT_MAX];
	int64_t seconds, again;
	uint64_t bytes;
	uint32_t percent;

	if (ul_duration_parse(text, &seconds))
		assert(seconds >= 0 && seconds <= (int64_t)1 << 53);
	if (ul_human_parse_percent(text, &percent))
		assert(percent <= 10000);
	if (ul_human_parse_bytes(text, &bytes))
		assert(*ul_human_bytes(bytes, human));
	if (!ul_time_parse(text, &seconds))
		return;
	(void)ul_human_when(seconds, NOW, human);
	ul_time_format(seconds, formatted);
	assert(ul_time_parse(formatted, &again) && again == seconds);
}

static void check_digest(const char *text)
{
	char formatted[UL_DIGEST_TEXT_MAX];
	struct ul_digest digest;

	if (!ul_digest_parse(text, &digest))
		return;
	ul_digest_format(&digest, formatted);
	assert(!strcmp(text, formatted));
}

static void check_filter(const char *text)
{
	struct ul_filter filter;
	struct ul_err err = UL_ERR_INIT;

	if (ul_filter_parse(text, NOW, &filter, &err)) {
		assert(err.code == UL_E_INVALID && *err.msg);
		return;
	}
	assert(strchr(text, '='));
	if (filter.key == UL_FILTER_UNUSED_FOR)
		assert(filter.unix_s >= 0);
}

/* What is stored is taken again, as it is. */
static void check_labels(const char *text)
{
	ul_cleanup(ul_buf_release) struct ul_buf stored = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf again = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_record_labels(text, &stored, &err);

	if (rc) {
		assert(rc == UL_E_INVALID || rc == UL_E_LIMIT);
		return;
	}
	rc = ul_record_labels(ul_buf_str(&stored), &again, &err);
	assert(!rc && !strcmp(ul_buf_str(&stored), ul_buf_str(&again)));
}

static void check_key(const char *text)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_record_key_check(text, UL_KEY_MAX_BYTES, "key", &err))
		assert(err.code == UL_E_INVALID);
	else
		assert(*text && strlen(text) <= UL_KEY_MAX_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	check_numbers(text);
	check_digest(text);
	check_filter(text);
	check_labels(text);
	check_key(text);
	free(text);
	return 0;
}
