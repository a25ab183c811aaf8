/*
 * base/human.h - sizes, shares and times as people read and write them.
 */
#ifndef UL_BASE_HUMAN_H
#define UL_BASE_HUMAN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes for people: "0 B", "982 B", "1.21 MB", "14.3 GB": three significant
 * digits, powers of 1000 as docker prints them.
 */
#define UL_HUMAN_MAX 40
const char *ul_human_bytes(uint64_t bytes, char text[UL_HUMAN_MAX]);
/* With a sign, for differences. */
const char *ul_human_signed(int64_t bytes, char text[UL_HUMAN_MAX]);
/* "3 days ago", "in 2 hours", "just now"; "never" for 0. */
const char *ul_human_when(int64_t unix_s, int64_t now_unix_s,
			  char text[UL_HUMAN_MAX]);
/*
 * A size as people type it: "10GB", "1.5 G", "512MiB", "1000". Powers of 1000
 * without the i. False for anything else and past 2^64 - 1.
 */
bool ul_human_parse_bytes(const char *text, uint64_t *ret_bytes);

/*
 * A share as people type it: "85%", "97.5 %", in hundredths of a percent.
 * False for anything else, more than two digits after the point and past
 * 100 %.
 */
bool ul_human_parse_percent(const char *text, uint32_t *ret_hundredths);

#endif
