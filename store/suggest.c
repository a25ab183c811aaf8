#include "store/suggest.h"

#include <stdio.h>
#include <string.h>

#include "store/oci/reference.h"
#include "store/view.h"

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t ul_edit_distance(const char *a, const char *b, size_t most)
{
	size_t rows[3][UL_NAME_MAX_BYTES + 1];
	size_t i, j, a_len = strlen(a), b_len = strlen(b);
	size_t *before = rows[0], *last = rows[1], *now = rows[2], *spare;

	if (b_len > UL_NAME_MAX_BYTES || a_len > b_len + most ||
	    b_len > a_len + most)
		return most + 1;
	for (j = 0; j <= b_len; j++)
		last[j] = j;
	for (i = 1; i <= a_len; i++) {
		now[0] = i;
		for (j = 1; j <= b_len; j++) {
			now[j] = smaller(last[j] + 1, now[j - 1] + 1);
			now[j] = smaller(now[j],
					 last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				now[j] = smaller(now[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len] > most ? most + 1 : last[b_len];
}

bool ul_suggest_image(const struct ul_view *view, const char *typed,
		      char name[UL_NAME_MAX_BYTES])
{
	size_t best = strlen(typed) / 3 + 1, i;
	char shorter[UL_NAME_MAX_BYTES];
	bool found = false;

	if (best > 4)
		best = 4;
	for (i = 0; i < view->record.object_count; i++) {
		const struct ul_object *object = &view->record.objects[i];
		size_t distance;

		if (object->kind != UL_KIND_IMAGE || object->is_gone)
			continue;
		ul_reference_familiar(object->key, shorter);
		distance = ul_edit_distance(typed, shorter, best);
		distance = smaller(distance,
				   ul_edit_distance(typed, object->key, best));
		if (distance > best || (found && distance == best))
			continue;
		found = true;
		best = distance;
		snprintf(name, UL_NAME_MAX_BYTES, "%s", shorter);
	}
	return found;
}
