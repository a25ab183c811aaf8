#include "store/transfer/import_names.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/oci/json.h"
#include "store/oci/reference.h"

static bool cut_suffix(char *name, size_t *len)
{
	static const char *const suffixes[] = { ".tar",     ".tar.gz", ".tgz",
						".tar.zst", ".tzst",   ".oci" };
	size_t i;

	for (i = 0; i < ul_array_len(suffixes); i++) {
		size_t n = strlen(suffixes[i]);

		if (*len > n && !strcmp(name + *len - n, suffixes[i])) {
			*len -= n;
			name[*len] = '\0';
			return true;
		}
	}
	return false;
}

static const char *last_component(const char *path, size_t *len)
{
	size_t start;

	while (*len > 1 && path[*len - 1] == '/')
		--*len;
	for (start = *len; start && path[start - 1] != '/';)
		start--;
	*len -= start;
	return path + start;
}

void ul_import_file_name(const char *path, char name[UL_NAME_MAX_BYTES])
{
	char real[PATH_MAX];
	size_t len = strlen(path);
	const char *last = last_component(path, &len);

	name[0] = '\0';
	if (!strcmp(path, "-"))
		return;
	if ((len == 1 && *last == '.') ||
	    (len == 2 && !memcmp(last, "..", 2))) {
		if (!realpath(path, real))
			return;
		len = strlen(real);
		last = last_component(real, &len);
	}
	if (len >= UL_NAME_MAX_BYTES || (len == 1 && *last == '/'))
		return;
	memcpy(name, last, len);
	name[len] = '\0';
	while (cut_suffix(name, &len))
		;
}

int ul_import_name_whole(const char *text, char whole[UL_NAME_MAX_BYTES],
			 struct ul_err *err)
{
	char shown[UL_JSON_SHOWN_MAX];
	const char *at;

	if (!*text)
		return ul_err_set(err, UL_E_INVALID, "an empty image name");
	for (at = text; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return ul_err_set(err, UL_E_INVALID,
					  "image name '%s' has control "
					  "characters",
					  ul_json_show(text, shown));
	}
	if (!ul_reference_normalize(text, whole))
		return ul_err_set(err, UL_E_INVALID,
				  "image name '%s' is too long",
				  ul_json_show(text, shown));
	return 0;
}

/* "docker.io/library/app:2" and "app:2", but not "2" and not "app". */
static bool is_whole_reference(const char *ref_name)
{
	return strpbrk(ref_name, "/:@") && ul_reference_is_valid(ref_name);
}

int ul_import_name_ref(const char *file, const char *ref_name,
		       char whole[UL_NAME_MAX_BYTES], struct ul_err *err)
{
	char text[2 * UL_NAME_MAX_BYTES];

	if (!*file || is_whole_reference(ref_name))
		return ul_import_name_whole(ref_name, whole, err);
	if (strlen(ref_name) >= UL_NAME_MAX_BYTES)
		return ul_import_name_whole(ref_name, whole, err);
	snprintf(text, sizeof text, "%s:%s", file, ref_name);
	return ul_import_name_whole(text, whole, err);
}

int ul_import_name_nth(const char *base, size_t n,
		       char whole[UL_NAME_MAX_BYTES], struct ul_err *err)
{
	char text[2 * UL_NAME_MAX_BYTES];

	if (!*base)
		return ul_err_set(err, UL_E_INVALID,
				  "the image has no name; give it one with "
				  "--name");
	if (n == 1)
		return ul_import_name_whole(base, whole, err);
	if (strlen(base) >= UL_NAME_MAX_BYTES)
		return ul_import_name_whole(base, whole, err);
	snprintf(text, sizeof text, "%s-%zu", base, n);
	return ul_import_name_whole(text, whole, err);
}
