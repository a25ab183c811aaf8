#include <string.h>

#include "cli/cli.h"
#include "store/suggest.h"

const char *ul_suggest(const char *word, const char *const *words, size_t count)
{
	size_t len = strlen(word), best, steps, i;
	const char *found = NULL;

	/* A third of the letters may be wrong; all of them is no likeness. */
	best = len < 3 ? 1 : len / 3;
	if (len < 2)
		return NULL;
	for (i = 0; i < count; i++) {
		steps = ul_edit_distance(word, words[i], best);
		if (steps > best || (found && steps == best))
			continue;
		best = steps;
		found = words[i];
	}
	return found;
}
