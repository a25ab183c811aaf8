#include "store/embedded/snapshot_dir.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool layer_dir_name(const char *key, char dir[UL_SNAPSHOT_DIR_MAX])
{
	char hex[UL_DIGEST_HEX_MAX + 1];
	struct ul_digest chain;

	if (!ul_digest_parse(key, &chain) || chain.alg != UL_DIGEST_SHA256)
		return false;
	ul_digest_format_hex(&chain, hex);
	snprintf(dir, UL_SNAPSHOT_DIR_MAX, "layer-%s", hex);
	return true;
}

bool ul_snapshot_dir_name(const char *key, bool is_unpacked,
			  char dir[UL_SNAPSHOT_DIR_MAX])
{
	size_t len = strlen(key), at = 4;

	if (is_unpacked)
		return layer_dir_name(key, dir);
	if (!len || len > UL_KEY_MAX_BYTES)
		return false;
	memcpy(dir, "key-", 4);
	for (; *key; key++) {
		if (is_plain(*key))
			dir[at++] = *key;
		else
			at +=
			    (size_t)snprintf(dir + at, UL_SNAPSHOT_DIR_MAX - at,
					     "%%%02X", (unsigned char)*key);
	}
	dir[at] = '\0';
	return true;
}

static bool layer_dir_parse(const char *hex, char key[UL_SNAPSHOT_DIR_MAX])
{
	struct ul_digest chain;
	char text[UL_DIGEST_TEXT_MAX];

	if (!ul_digest_parse_hex(UL_DIGEST_SHA256, hex, &chain))
		return false;
	ul_digest_format(&chain, text);
	memcpy(key, text, strlen(text) + 1);
	return true;
}

bool ul_snapshot_dir_parse(const char *dir, char key[UL_SNAPSHOT_DIR_MAX],
			   bool *ret_is_unpacked)
{
	char again[UL_SNAPSHOT_DIR_MAX], plain[UL_SNAPSHOT_DIR_MAX];
	size_t len = 0;
	unsigned value;

	if (!strncmp(dir, "layer-", 6)) {
		*ret_is_unpacked = true;
		return layer_dir_parse(dir + 6, key);
	}
	if (strncmp(dir, "key-", 4) || strlen(dir) >= sizeof again)
		return false;
	for (const char *at = dir + 4; *at; at++) {
		if (*at != '%') {
			plain[len++] = *at;
		} else {
			if (sscanf(at + 1, "%2X", &value) != 1 || !value)
				return false;
			plain[len++] = (char)value;
			at += at[1] && at[2] ? 2 : 1;
		}
	}
	plain[len] = '\0';
	/* Only the one spelling that we write. */
	if (!ul_snapshot_dir_name(plain, false, again) || strcmp(again, dir))
		return false;
	memcpy(key, plain, len + 1);
	*ret_is_unpacked = false;
	return true;
}
