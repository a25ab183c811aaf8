/*
 * tests/lib/tar_fixture.h - tar streams made byte by byte, well-formed or not,
 * and packed forms of them. Everything ends the program where memory is out.
 */
#ifndef UL_TESTS_LIB_TAR_FIXTURE_H
#define UL_TESTS_LIB_TAR_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { TAR_PAX_MAX = 12 };

struct tar_pax {
	const char *key;
	const void *value;
	size_t len; /* 0: strlen(value) */
};
#define TAR_PAX(the_key, the_value)                                            \
	{                                                                      \
		.key = (the_key), .value = (the_value)                         \
	}

/* type: as in the header: '0' file, '1' hard link, '2' symlink, '3' character
 * device, '4' block device, '5' directory, '6' fifo; 0 is a file too. */
struct tar_item {
	const char *path; /* over 100 bytes: as a PAX record */
	char type;
	unsigned mode; /* 0: 0644, or 0755 for directories */
	uint64_t uid, gid;
	uint64_t mtime;
	const char *link; /* over 100 bytes: as a PAX record */
	unsigned dev_major, dev_minor;
	const void *data;
	size_t len;       /* 0: strlen(data) */
	uint64_t claimed; /* length in the header, where it is to differ */
	struct tar_pax pax[TAR_PAX_MAX]; /* until a key is NULL */
};

void tar_add(struct ul_buf *tar, const struct tar_item *item);

/* Two zero blocks. */
void tar_end(struct ul_buf *tar);

/* One header block; for those that are to be damaged. */
void tar_header(const struct tar_item *item, char block[512]);
void tar_checksum(char block[512]);

/* Append a gzip member, or a zstd frame, that holds these bytes. */
void pack_gzip(struct ul_buf *packed, const void *data, size_t len);
void pack_zstd(struct ul_buf *packed, const void *data, size_t len);

/* A descriptor on a nameless file with these bytes, at its start. */
int fd_of_bytes(const void *data, size_t len);

#endif
