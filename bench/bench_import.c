/*
 * bench_import - `ullage import --unpack` of an image with gzip layers, all
 * digests and diff IDs verified, against others that take in the same bytes:
 * whole processes, each ending with all of it on the disk.
 *
 * bench_import [--mb N] [--layers N] [--seed N] [--keep] ULLAGE SCRATCH
 * The image is made from the seed: an OCI layout and the same as an archive.
 * Peers: `tar -xzf` of its layers (which verifies and keeps nothing packed),
 * `skopeo copy` + `umoci unpack`, and `ctr images import` into a containerd
 * with folders and socket of its own, where they are installed. Alternating,
 * median of five; every run has a new place, and nothing is removed until the
 * end (bench_unpack.c says why). After each, what it left unwritten is synced
 * in its time, because ullage does that before it says that it is done.
 * --keep leaves it all in SCRATCH. Prints one JSON line; peers that are not
 * installed are null.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/layer.h"

enum { LAYERS_MAX = 32, READY_TRIES = 200, READY_WAIT_MS = 50 };

struct image {
	const char *top; /* the scratch folder */
	char *layout, *archive;
	char *layers[LAYERS_MAX]; /* blobs */
	uint32_t layer_count;
	uint64_t packed_bytes;
};

enum peer { OURS, TAR, UMOCI, CTR, PEER_COUNT };

static const char *const peer_names[PEER_COUNT] = { "import", "tar", "umoci",
						    "ctr" };

static void put(const struct image *image, const char *name, const char *text)
{
	char *path = bench_text("%s/%s", image->layout, name);
	struct ul_err err = UL_ERR_INIT;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || ul_fd_write_all(fd, text, strlen(text), &err))
		bench_fail("cannot write %s", path);
	close(fd);
	free(path);
}

/* A document as a blob; its descriptor, to be freed. */
static char *put_blob(const struct image *image, const char *type,
		      const char *text)
{
	char digest[UL_DIGEST_TEXT_MAX], name[256];
	struct ul_digest found;

	ul_digest_of(UL_DIGEST_SHA256, text, strlen(text), &found);
	ul_digest_format(&found, digest);
	snprintf(name, sizeof name, "blobs/sha256/%s",
		 digest + strlen("sha256:"));
	put(image, name, text);
	return bench_text("\"mediaType\":\"application/vnd.oci.image.%s\","
			  "\"digest\":\"%s\",\"size\":%zu",
			  type, digest, strlen(text));
}

/* One more element in a list between brackets. */
static void list_add(char **list, char *element)
{
	char *longer =
	    bench_text("%s%s%s", *list ? *list : "", *list ? "," : "", element);

	free(*list);
	free(element);
	*list = longer;
}

static void make_layer(struct image *image, size_t tar_bytes, char **diff_ids,
		       char **descriptors)
{
	char text[UL_DIGEST_TEXT_MAX], *path;
	uint32_t number = image->layer_count++;
	struct bench_layer layer;

	path = bench_text("%s/layer", image->layout);
	bench_layer_make(path, tar_bytes, number * 1000, &layer);
	ul_digest_format(&layer.diff_id, text);
	list_add(diff_ids, bench_text("\"%s\"", text));
	ul_digest_format(&layer.blob_digest, text);
	list_add(descriptors,
		 bench_text("{\"mediaType\":\"application/"
			    "vnd.oci.image.layer.v1.tar+gzip\",\"digest\":"
			    "\"%s\",\"size\":%" PRIu64 "}",
			    text, layer.packed_bytes));
	image->packed_bytes += layer.packed_bytes;
	image->layers[number] = bench_text("%s/blobs/sha256/%s", image->layout,
					   text + strlen("sha256:"));
	if (rename(path, image->layers[number]))
		bench_fail("cannot rename a layer");
	free(path);
}

static void make_index(struct image *image, const char *diff_ids,
		       const char *descriptors)
{
	char *config, *config_descriptor, *manifest, *descriptor, *index;

	config =
	    bench_text("{\"architecture\":\"amd64\",\"os\":\"linux\","
		       "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
		       diff_ids);
	config_descriptor = put_blob(image, "config.v1+json", config);
	manifest = bench_text(
	    "{\"schemaVersion\":2,\"mediaType\":\"application/"
	    "vnd.oci.image.manifest.v1+json\",\"config\":{%s},\"layers\":[%s]}",
	    config_descriptor, descriptors);
	descriptor = put_blob(image, "manifest.v1+json", manifest);
	index = bench_text(
	    "{\"schemaVersion\":2,\"manifests\":[{%s,\"annotations\":{"
	    "\"io.containerd.image.name\":\"docker.io/library/bench:1\","
	    "\"org.opencontainers.image.ref.name\":\"1\"}}]}",
	    descriptor);
	put(image, "index.json", index);
	put(image, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	free(config);
	free(config_descriptor);
	free(manifest);
	free(descriptor);
	free(index);
}

static void make_image(struct image *image, uint32_t layers, uint64_t mb)
{
	ul_cleanup(ul_freep) char *blobs = NULL, *sha256 = NULL;
	ul_cleanup(ul_freep) char *diff_ids = NULL, *descriptors = NULL;
	uint32_t i;

	image->layout = bench_text("%s/layout", image->top);
	image->archive = bench_text("%s/image.tar", image->top);
	blobs = bench_text("%s/blobs", image->layout);
	sha256 = bench_text("%s/sha256", blobs);
	bench_mkdir(image->layout);
	bench_mkdir(blobs);
	bench_mkdir(sha256);
	for (i = 0; i < layers; i++)
		make_layer(image, (mb << 20) / layers, &diff_ids, &descriptors);
	make_index(image, diff_ids, descriptors);
	bench_run((const char *[]){ "tar", "-C", image->layout, "-cf",
				    image->archive, "oci-layout", "index.json",
				    "blobs", NULL });
}

/* All runs of a peer: a new place, and everything before on the disk. */
static char *place_new(const struct image *image, const char *what)
{
	static int number;
	char *place = bench_text("%s/%s-%d", image->top, what, number++);

	bench_mkdir(place);
	bench_sync(place);
	return place;
}

/* What is not written yet is part of the work. */
static int64_t end_of(int64_t start, const char *place)
{
	bench_sync(place);
	return ul_clock_mono_ns() - start;
}

static int64_t run_ours(const struct image *image, const char *ullage)
{
	ul_cleanup(ul_freep) char *state = place_new(image, "ours");
	const char *argv[] = { ullage,   "--state",     state,      "--quiet",
			       "import", image->layout, "--unpack", NULL };
	int64_t start = ul_clock_mono_ns();

	bench_run(argv);
	return end_of(start, state);
}

static int64_t run_tar(const struct image *image)
{
	ul_cleanup(ul_freep) char *into = place_new(image, "tar");
	int64_t start = ul_clock_mono_ns();
	uint32_t i;

	for (i = 0; i < image->layer_count; i++)
		bench_run((const char *[]){ "tar", "-xzf", image->layers[i],
					    "-C", into, NULL });
	return end_of(start, into);
}

static int64_t run_umoci(const struct image *image)
{
	ul_cleanup(ul_freep) char *into = place_new(image, "umoci");
	ul_cleanup(ul_freep) char *from = bench_text("oci:%s:1", image->layout);
	ul_cleanup(ul_freep) char *to = bench_text("oci:%s/oci:1", into);
	ul_cleanup(ul_freep) char *named = bench_text("%s/oci:1", into);
	ul_cleanup(ul_freep) char *bundle = bench_text("%s/bundle", into);
	int64_t start = ul_clock_mono_ns();

	bench_run((const char *[]){ "skopeo", "--insecure-policy", "copy", "-q",
				    from, to, NULL });
	bench_run((const char *[]){ "umoci", "unpack", "--image", named, bundle,
				    NULL });
	return end_of(start, into);
}

static void wait_ready(const char *socket)
{
	const char *argv[] = { "ctr", "-a", socket, "version", NULL };
	int tries = READY_TRIES;

	while (!bench_can_run(argv)) {
		if (!tries--)
			bench_fail("containerd does not answer");
		nanosleep(
		    &(struct timespec){ .tv_nsec = READY_WAIT_MS * 1000000L },
		    NULL);
	}
}

static char *containerd_config(const char *into)
{
	char *path = bench_text("%s/config.toml", into);
	FILE *f = fopen(path, "we");

	if (!f)
		bench_fail("cannot write %s", path);
	fprintf(f,
		"version = 2\nroot = \"%s/root\"\nstate = \"%s/state\"\n"
		"disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
		"[grpc]\naddress = \"%s/socket\"\n"
		"[ttrpc]\naddress = \"%s/ttrpc\"\n",
		into, into, into, into);
	fclose(f);
	return path;
}

/* Its start and end are not in its time. */
static int64_t run_ctr(const struct image *image)
{
	ul_cleanup(ul_freep) char *into = place_new(image, "ctr");
	ul_cleanup(ul_freep) char *config = containerd_config(into);
	ul_cleanup(ul_freep) char *log = bench_text("%s/log", into);
	ul_cleanup(ul_freep) char *socket = bench_text("%s/socket", into);
	const char *daemon[] = { "containerd", "--config", config, NULL };
	const char *ctr[] = { "ctr",    "-a",           socket, "images",
			      "import", image->archive, NULL };
	pid_t pid = bench_start(daemon, log);
	int64_t start;

	wait_ready(socket);
	bench_sync(into);
	start = ul_clock_mono_ns();
	bench_run(ctr);
	start = end_of(start, into);
	bench_stop(pid);
	return start;
}

static bool has_program(const char *name)
{
	return bench_can_run((const char *[]){ name, "--version", NULL });
}

static void look_for_peers(bool has[PEER_COUNT])
{
	has[OURS] = has[TAR] = true;
	has[UMOCI] = has_program("skopeo") && has_program("umoci");
	/* It mounts what it unpacks into. */
	has[CTR] =
	    !geteuid() && has_program("containerd") && has_program("ctr");
}

static void measure(const struct image *image, const char *ullage)
{
	int64_t ns[PEER_COUNT][BENCH_RUNS];
	double seconds[PEER_COUNT];
	bool has[PEER_COUNT];
	int i, peer;

	look_for_peers(has);
	for (i = 0; i < BENCH_RUNS; i++) {
		ns[OURS][i] = run_ours(image, ullage);
		ns[TAR][i] = run_tar(image);
		ns[UMOCI][i] = has[UMOCI] ? run_umoci(image) : 0;
		ns[CTR][i] = has[CTR] ? run_ctr(image) : 0;
	}
	printf("{\"bench\":\"import\",\"layers\":%u,\"packed_bytes\":%" PRIu64,
	       image->layer_count, image->packed_bytes);
	for (peer = 0; peer < PEER_COUNT; peer++) {
		seconds[peer] = bench_median_s(ns[peer], BENCH_RUNS);
		if (!has[peer])
			printf(",\"%s_s\":null,\"%s_ratio\":null",
			       peer_names[peer], peer_names[peer]);
		else
			printf(",\"%s_s\":%.4f,\"%s_ratio\":%.2f",
			       peer_names[peer], seconds[peer],
			       peer_names[peer], seconds[peer] / seconds[OURS]);
	}
	puts("}");
}

int main(int argc, char **argv)
{
	uint64_t mb = 200, layers = 4, seed = 1;
	struct image image = { .layer_count = 0 };
	bool keep = false;
	int at;

	bench_name = "bench_import";
	for (at = 1; at + 1 < argc && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "--keep"))
			keep = true;
		else if (!strcmp(argv[at], "--mb"))
			mb = strtoull(argv[++at], NULL, 10);
		else if (!strcmp(argv[at], "--layers"))
			layers = strtoull(argv[++at], NULL, 10);
		else if (!strcmp(argv[at], "--seed"))
			seed = strtoull(argv[++at], NULL, 10);
		else
			break;
	}
	if (argc - at != 2 || argv[at][0] == '-' || !layers ||
	    layers > LAYERS_MAX) {
		fputs("usage: bench_import [--mb N] [--layers 1..32] "
		      "[--seed N] [--keep] ULLAGE SCRATCH\n",
		      stderr);
		return 2;
	}
	bench_seed(seed);
	image.top = bench_scratch(argv[at + 1]);
	make_image(&image, (uint32_t)layers, mb);
	measure(&image, argv[at]);
	if (!keep)
		bench_remove(image.top);
	return 0;
}
