/*
 * fuzz.h - what all fuzzers here share.
 *
 * Each fuzz_<what>.c defines LLVMFuzzerTestOneInput() and says in its first lines what
 * must hold of any input.  libFuzzer drives it (tests/fuzz/run), or replay.c
 * feeds it the corpus (make check).
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold: else the input is a find. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
