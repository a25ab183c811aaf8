/*
 * store/db/words.h - enumerations as the words the database stores.
 *
 * In the order of enum ul_kind (store/graph/graph.h); a test holds them
 * together, since this folder knows no other.
 */
#ifndef UL_STORE_DB_WORDS_H
#define UL_STORE_DB_WORDS_H

/* NULL-terminated. */
extern const char *const ul_kind_words[];

/* Position of a word in a list, or -1. */
int ul_word_find(const char *const *words, const char *word);

#endif
