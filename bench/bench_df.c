/*
 * bench_df - `ullage df` of a store in which nothing changed, against `du` of
 * the same: whole processes.
 *
 * bench_df [--images N] [--blobs N] [--keep] ULLAGE [SCRATCH]
 * The store is made in a new folder below SCRATCH (/tmp): N images of four
 * layers, of which they share three, and N blobs that nothing refers to (400
 * and 800); --keep leaves it. Alternating, median of 21 after three warm-ups.
 * Prints one JSON line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "store/embedded/store.h"

enum { RUNS = 21, WARM_UPS = 3, BASE_LAYERS = 3, LAYER_BYTES = 3000 };

/* What a descriptor says of a blob that was just put in its place. */
struct put {
	char digest[UL_DIGEST_TEXT_MAX];
	size_t len;
};

static void put(struct ul_embedded *store, const void *data, size_t len,
		struct put *ret)
{
	struct ul_digest digest;
	char path[UL_DIGEST_TEXT_MAX];
	struct ul_err err = UL_ERR_INIT;
	int fd;

	ul_digest_of(UL_DIGEST_SHA256, data, len, &digest);
	ul_digest_format(&digest, ret->digest);
	ret->len = len;
	ul_digest_format_path(&digest, path);
	fd =
	    openat(store->blobs_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ul_fd_write_all(fd, data, len, &err))
		bench_fail("cannot write a blob");
	close(fd);
}

static void put_text(struct ul_embedded *store, struct put *ret,
		     const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void put_text(struct ul_embedded *store, struct put *ret,
		     const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put(store, text, (size_t)len, ret);
}

static void put_layer(struct ul_embedded *store, uint32_t number,
		      struct put *ret)
{
	unsigned char data[LAYER_BYTES];
	uint64_t state = number;
	size_t i;

	for (i = 0; i < sizeof data; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		data[i] = (unsigned char)(state >> 56);
	}
	data[0] = 0x1f;
	put(store, data, sizeof data, ret);
}

#define DESCRIPTOR                                                             \
	"{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"%s\","   \
	"\"size\":%zu}"
#define LAYER "layer.v1.tar+gzip"

static void make_image(struct ul_embedded *store, const struct put *base,
		       uint32_t number, struct put *ret)
{
	struct put layer, config;

	put_layer(store, BASE_LAYERS + number, &layer);
	/* The diff IDs are those of no layer: nothing is unpacked here. */
	put_text(store, &config,
		 "{\"architecture\":\"amd64\",\"os\":\"linux\","
		 "\"created\":\"2026-01-02T03:04:05Z\",\"rootfs\":{\"type\":"
		 "\"layers\",\"diff_ids\":[\"%s\",\"%s\",\"%s\",\"%s\"]}}",
		 base[0].digest, base[1].digest, base[2].digest, layer.digest);
	put_text(store, ret,
		 "{\"schemaVersion\":2,\"mediaType\":\"application/"
		 "vnd.oci.image.manifest.v1+json\",\"config\":" DESCRIPTOR
		 ",\"layers\":[" DESCRIPTOR "," DESCRIPTOR "," DESCRIPTOR
		 "," DESCRIPTOR "]}",
		 "config.v1+json", config.digest, config.len, LAYER,
		 base[0].digest, base[0].len, LAYER, base[1].digest,
		 base[1].len, LAYER, base[2].digest, base[2].len, LAYER,
		 layer.digest, layer.len);
}

static void make_images(struct ul_embedded *store, uint32_t count,
			struct ul_buf *index)
{
	struct put base[BASE_LAYERS], manifest;
	uint32_t i;

	for (i = 0; i < BASE_LAYERS; i++)
		put_layer(store, i, &base[i]);
	for (i = 0; i < count; i++) {
		make_image(store, base, i, &manifest);
		ul_buf_printf(index,
			      "%s{\"mediaType\":\"application/"
			      "vnd.oci.image.manifest.v1+json\",\"digest\":"
			      "\"%s\",\"size\":%zu,\"annotations\":{"
			      "\"org.opencontainers.image.ref.name\":"
			      "\"docker.io/library/app:%" PRIu32 "\"}}",
			      i ? "," : "", manifest.digest, manifest.len, i);
	}
}

static void make_store(const char *state, uint32_t images, uint32_t blobs)
{
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store = NULL;
	ul_cleanup(ul_buf_release) struct ul_buf index = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct put ignored;
	uint32_t i;

	if (ul_embedded_open(state, &store, &err))
		bench_fail("%s", err.msg);
	ul_buf_add_str(&index, "{\"schemaVersion\":2,\"manifests\":[");
	make_images(store, images, &index);
	ul_buf_add_str(&index, "]}");
	for (i = 0; i < blobs; i++)
		put_layer(store, BASE_LAYERS + images + i, &ignored);
	if (ul_file_replace(store->oci_fd, "index.json", index.data, index.len,
			    0644, &err))
		bench_fail("%s", err.msg);
}

static double median_ms(int64_t ns[RUNS])
{
	return bench_median_s(ns, RUNS) * 1e3;
}

static void measure(const char *ullage, const char *state, uint32_t images,
		    uint32_t blobs)
{
	const char *df[] = { ullage, "--state", state, "df", NULL };
	char store[4096 + sizeof "/store"];
	const char *du[] = { "du", "-s", "-x", "-B1", store, NULL };
	int64_t df_ns[RUNS], du_ns[RUNS];
	double df_ms, du_ms;
	int i;

	snprintf(store, sizeof store, "%s/store", state);
	for (i = -WARM_UPS; i < RUNS; i++) {
		int at = i < 0 ? 0 : i;

		df_ns[at] = bench_run(df);
		du_ns[at] = bench_run(du);
	}
	df_ms = median_ms(df_ns);
	du_ms = median_ms(du_ns);
	printf("{\"bench\":\"df\",\"images\":%" PRIu32
	       ",\"further_blobs\":%" PRIu32
	       ",\"df_ms\":%.2f,\"df_best_ms\":%.2f,\"du_ms\":%.2f,"
	       "\"du_best_ms\":%.2f,\"du_to_df\":%.2f}\n",
	       images, blobs, df_ms, (double)df_ns[0] / 1e6, du_ms,
	       (double)du_ns[0] / 1e6, du_ms / df_ms);
}

int main(int argc, char **argv)
{
	uint32_t images = 400, blobs = 800;
	bool keep = false;
	ul_cleanup(ul_freep) char *state = NULL;
	int i;

	bench_name = "bench_df";
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--images") && i + 1 < argc)
			images = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--blobs") && i + 1 < argc)
			blobs = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--keep"))
			keep = true;
		else
			break;
	}
	if (i >= argc || argc - i > 2 || argv[i][0] == '-') {
		fputs("usage: bench_df [--images N] [--blobs N] [--keep] "
		      "ULLAGE [SCRATCH]\n",
		      stderr);
		return 2;
	}
	state = bench_scratch(i + 1 < argc ? argv[i + 1] : "/tmp");
	make_store(state, images, blobs);
	measure(argv[i], state, images, blobs);
	if (keep)
		fprintf(stderr, "bench_df: left in %s\n", state);
	else
		bench_remove(state);
	return 0;
}
