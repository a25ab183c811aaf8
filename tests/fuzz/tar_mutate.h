/*
 * tests/fuzz/tar_mutate.h - changes to a tar that leave it one: a header's
 * checksum is made right again, the lengths of PAX records too, so that what
 * is behind them is reached. Now and then any byte is changed as well.
 */
#ifndef UL_TESTS_FUZZ_TAR_MUTATE_H
#define UL_TESTS_FUZZ_TAR_MUTATE_H

#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed);

/* As LLVMFuzzerCustomMutator() is meant to be. */
size_t tar_mutate(uint8_t *data, size_t size, size_t max_size,
		  unsigned int seed);

#endif
