#include "store/db/words.h"

#include <string.h>

#include <stddef.h>

const char *const ul_kind_words[] = { "image",  "blob",      "snapshot",
				      "lease",  "container", "sandbox",
				      "ingest", "file",      NULL };

int ul_word_find(const char *const *words, const char *word)
{
	int i;

	for (i = 0; words[i]; i++) {
		if (!strcmp(words[i], word))
			return i;
	}
	return -1;
}
