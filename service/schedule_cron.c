#include "service/schedule_cron.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "service/schedule.h"

enum { FIELD_COUNT = 5, SHOWN_MAX = 40, WORD_MAX = 256 };

static const char *const month_names[] = { "jan", "feb", "mar", "apr",
					   "may", "jun", "jul", "aug",
					   "sep", "oct", "nov", "dec" };
static const char *const day_names[] = { "sun", "mon", "tue", "wed",
					 "thu", "fri", "sat" };

static const struct field {
	const char *name;
	unsigned min, max;
	const char *const *names; /* of min and what follows; NULL: none */
	unsigned name_count;
} fields[FIELD_COUNT] = {
	{ "minute", 0, 59, NULL, 0 },
	{ "hour", 0, 23, NULL, 0 },
	{ "day", 1, 31, NULL, 0 },
	{ "month", 1, 12, month_names, ul_array_len(month_names) },
	{ "weekday", 0, 7, day_names, ul_array_len(day_names) },
};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

/* One field's text, from *at on, ends with a NUL. */
struct scan {
	const struct field *field;
	const char *word; /* all of it, for messages */
	const char *at;
	struct ul_err *err;
};

static int refused(const struct scan *scan, const char *why)
{
	return ul_err_set(scan->err, UL_E_INVALID, "%s \"%.*s\": %s",
			  scan->field->name, SHOWN_MAX, scan->word, why);
}

static int out_of_range(const struct scan *scan)
{
	return ul_err_set(scan->err, UL_E_INVALID,
			  "%s \"%.*s\" is out of range: %u to %u",
			  scan->field->name, SHOWN_MAX, scan->word,
			  scan->field->min, scan->field->max);
}

static int number_scan(struct scan *scan, unsigned *ret)
{
	size_t len = strspn(scan->at, "0123456789"), i;
	unsigned number = 0;

	if (!len)
		return refused(scan, "a number, a list, a range or * is "
				     "expected");
	for (i = 0; i < len; i++) {
		number = number * 10 + (unsigned)(scan->at[i] - '0');
		if (number > 999)
			return out_of_range(scan);
	}
	scan->at += len;
	*ret = number;
	return 0;
}

static bool name_scan(struct scan *scan, unsigned *ret)
{
	const struct field *field = scan->field;
	unsigned i;

	for (i = 0; i < field->name_count; i++) {
		if (strncasecmp(scan->at, field->names[i], 3) != 0)
			continue;
		scan->at += 3;
		*ret = field->min + i;
		return true;
	}
	return false;
}

static int value_scan(struct scan *scan, unsigned *ret)
{
	int rc;

	if (name_scan(scan, ret))
		return 0;
	rc = number_scan(scan, ret);
	if (rc)
		return rc;
	return *ret < scan->field->min || *ret > scan->field->max
		   ? out_of_range(scan)
		   : 0;
}

/* "A-B"; of "A" alone both are the same. */
static int range_scan(struct scan *scan, unsigned *ret_from, unsigned *ret_to)
{
	int rc = value_scan(scan, ret_from);

	*ret_to = *ret_from;
	if (rc || *scan->at != '-')
		return rc;
	scan->at++;
	rc = value_scan(scan, ret_to);
	if (rc)
		return rc;
	/* "fri-sun": the Sunday after. */
	if (scan->field == &fields[WEEKDAY] && !*ret_to && *ret_from)
		*ret_to = 7;
	return *ret_to < *ret_from ? refused(scan, "a range that runs "
						   "backwards")
				   : 0;
}

static int step_scan(struct scan *scan, unsigned from, unsigned to,
		     unsigned *ret)
{
	int rc;

	*ret = 1;
	if (*scan->at != '/')
		return 0;
	scan->at++;
	if (from == to)
		return refused(scan, "a step needs a range or *");
	rc = number_scan(scan, ret);
	if (rc)
		return rc;
	if (!*ret || *ret > to - from)
		return refused(scan, "a step of 0, or past the end of its "
				     "range");
	return 0;
}

static int item_scan(struct scan *scan, uint64_t *bits)
{
	unsigned from = scan->field->min, to = scan->field->max, step, i;
	int rc = 0;

	/* Sunday is 0 and 7: once is enough. */
	if (scan->field == &fields[WEEKDAY])
		to = 6;
	if (*scan->at == '*')
		scan->at++;
	else
		rc = range_scan(scan, &from, &to);
	if (!rc)
		rc = step_scan(scan, from, to, &step);
	for (i = from; !rc && i <= to; i += step)
		*bits |= UINT64_C(1) << i;
	return rc;
}

static int field_parse(const struct field *field, const char *word,
		       uint64_t *ret_bits, struct ul_err *err)
{
	struct scan scan = {
		.field = field,
		.word = word,
		.at = word,
		.err = err,
	};
	uint64_t bits = 0;
	int rc = item_scan(&scan, &bits);

	while (!rc && *scan.at == ',') {
		scan.at++;
		rc = item_scan(&scan, &bits);
	}
	if (!rc && *scan.at)
		return refused(&scan, "a number, a list, a range or * is "
				      "expected");
	*ret_bits = bits;
	return rc;
}

/* Whether some month of these has some day of these. */
static bool days_exist(const struct ul_schedule *schedule)
{
	static const uint8_t longest[] = { 0,  31, 29, 31, 30, 31, 30,
					   31, 31, 30, 31, 30, 31 };
	unsigned month, day;

	for (month = 1; month <= 12; month++) {
		for (day = 1; day <= longest[month]; day++) {
			if (schedule->months >> month & 1 &&
			    schedule->days >> day & 1)
				return true;
		}
	}
	return false;
}

static int words_parse(char words[FIELD_COUNT][WORD_MAX], const char *text,
		       struct ul_schedule *ret, struct ul_err *err)
{
	uint64_t bits[FIELD_COUNT] = { 0 };
	struct ul_schedule schedule = { .kind = UL_SCHEDULE_CRON };
	int i, rc = 0;

	for (i = 0; !rc && i < FIELD_COUNT; i++)
		rc = field_parse(&fields[i], words[i], &bits[i], err);
	if (rc)
		return rc;
	schedule.minutes = bits[MINUTE];
	schedule.hours = (uint32_t)bits[HOUR];
	schedule.days = (uint32_t)bits[DAY];
	schedule.months = (uint16_t)bits[MONTH];
	schedule.weekdays =
	    (uint8_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f);
	schedule.is_either_day =
	    words[DAY][0] != '*' && words[WEEKDAY][0] != '*';
	if (!schedule.is_either_day && !days_exist(&schedule))
		return ul_err_set(err, UL_E_INVALID,
				  "\"%.*s\" never comes: no such month has "
				  "such a day",
				  SHOWN_MAX, text);
	*ret = schedule;
	return 0;
}

static int form_unknown(const char *text, struct ul_err *err)
{
	return ul_err_set(err, UL_E_INVALID,
			  "\"%.*s\" is no schedule: \"every 6h\", five fields "
			  "of cron (\"30 4 * * sun\"), @hourly, @daily, "
			  "@weekly, @monthly, @yearly, or \"off\"",
			  SHOWN_MAX, text);
}

static int fields_parse(const char *text, struct ul_schedule *ret,
			struct ul_err *err)
{
	char words[FIELD_COUNT][WORD_MAX];
	const char *at = text + strspn(text, " \t");
	int count = 0;

	for (; *at; count++) {
		size_t len = strcspn(at, " \t");

		if (count == FIELD_COUNT)
			return form_unknown(text, err);
		if (len >= WORD_MAX)
			return ul_err_set(err, UL_E_INVALID,
					  "%s \"%.*s...\" is too long",
					  fields[count].name, SHOWN_MAX, at);
		memcpy(words[count], at, len);
		words[count][len] = '\0';
		at += len + strspn(at + len, " \t");
	}
	if (count < FIELD_COUNT)
		return form_unknown(text, err);
	return words_parse(words, text, ret, err);
}

int ul_schedule_parse_cron(const char *text, struct ul_schedule *ret,
			   struct ul_err *err)
{
	static const struct {
		const char *name, *fields;
	} names[] = {
		{ "@hourly", "0 * * * *" },   { "@daily", "0 0 * * *" },
		{ "@midnight", "0 0 * * *" }, { "@weekly", "0 0 * * 0" },
		{ "@monthly", "0 0 1 * *" },  { "@yearly", "0 0 1 1 *" },
		{ "@annually", "0 0 1 1 *" },
	};
	size_t i;

	for (i = 0; i < ul_array_len(names); i++) {
		if (!strcmp(text, names[i].name))
			return fields_parse(names[i].fields, ret, err);
	}
	return fields_parse(text, ret, err);
}
