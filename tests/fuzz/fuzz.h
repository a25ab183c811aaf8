/*
 * tests/fuzz/fuzz.h - what each fuzz target defines.
 *
 * A target takes any bytes, and aborts (assert) where what comes out breaks a
 * promise of the parser's header; sanitizers watch the rest.
 */
#ifndef UL_TESTS_FUZZ_FUZZ_H
#define UL_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
