/* Runs a fuzz target once on each file given: the corpus as a test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "fuzz.h"

enum { INPUT_MAX_BYTES = 1 << 20 };

static int replay(const char *path)
{
	struct ul_buf input = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint8_t *exact;

	if (ul_file_read(AT_FDCWD, path, INPUT_MAX_BYTES, &input, &err)) {
		fprintf(stderr, "%s: %s\n", path, err.msg);
		return -1;
	}
	printf("%s: %zu bytes\n", path, input.len);
	fflush(stdout);
	/* A block that ends where the input does, as libFuzzer gives. */
	exact = malloc(input.len ? input.len : 1);
	if (!exact)
		abort();
	if (input.len)
		memcpy(exact, input.data, input.len);
	LLVMFuzzerTestOneInput(exact, input.len);
	free(exact);
	ul_buf_release(&input);
	return 0;
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE...\n", argv[0]);
		return 2;
	}
	for (i = 1; i < argc; i++) {
		if (replay(argv[i]))
			return 1;
	}
	return 0;
}
